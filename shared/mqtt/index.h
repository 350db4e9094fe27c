/*
 * index.h - which filters of a set match a topic
 *
 * Tuple space: one flat table of filter hashes, probed once for each shape in use that fits the topic's
 * levels. At most INDEX_SHAPES shapes a depth (levels and '#'), so that nobody can make a match cost more probes than that; filters of other shapes, or deeper
 * than TOPIC_LEVELS, are found by a trie. Hash hits are verified against the filter itself.
 *
 * The user embeds struct index_node at the start of its own record of a filter; the node keeps a copy of the filter. Shared
 * subscriptions are nodes of their own with a group name: the same filter can be there with different groups, and plain.
 *
 * Runs in: workers (subscriptions of connected clients), persist (durable subscriptions). One thread.
 * Errors:  NULL on no memory, nothing changed. Nodes are borrowed until index_del().
 */
#ifndef MQTT_INDEX_H
#define MQTT_INDEX_H

#include "shared/mqtt/topic.h"

#define INDEX_SHAPES 64

struct index;

struct index_node {
	struct index_node *next; /* same hash: collisions, which are rare, then groups */
	uint64_t hash;           /* of the filter */
	uint16_t len, group_len; /* bytes of the filter, of the group's name (0: not shared) */
	uint16_t text; /* where in the record it is: filter, then group; neither ends in NUL */
	bool in_trie;  /* not found by its shape */
};

static inline struct span
index_filter(const struct index_node *n)
{
	return span_of((const char *)n + n->text, n->len);
}

static inline struct span
index_group(const struct index_node *n)
{
	return span_of((const char *)n + n->text + n->len, n->group_len);
}

struct index *index_new(const struct hash_key *key); /* key is copied */
void index_free(struct index *x);                    /* all nodes must be gone */
size_t index_count(const struct index *x);

struct index_node *index_find(struct index *x, struct span filter, struct span group);
/*
 * Gives a new zeroed node of `size` bytes (>= sizeof(struct index_node), < 65,536 with what we add); the filter must be valid and not there yet with this group. NULL: no
 * memory.
 */
struct index_node *index_add(struct index *x, struct span filter, struct span group, size_t size);
void index_del(struct index *x, struct index_node **n); /* frees it, clears *n */

/*
 * All nodes whose filter matches, in no order, at most max; answers how many there are (which may be more than max: nothing
 * is written beyond it). t must be of the same topic.
 */
size_t index_match(const struct index *x, struct span topic, const struct topic_hash *t,
    struct index_node **out, size_t max);

/*
 * Walks all nodes in pieces; *pos starts at 0. Each answer is a chain: the nodes behind it come by ->next. NULL at the end. Same promise as
 * htab_next().
 */
struct index_node *index_next(const struct index *x, uint64_t *pos);

#endif
