/*
 * trie.h - which filters of a set match a topic, whatever their shapes
 *
 * For the filters that index.h can't find by shape. A node is one level or several: what all filters below it have in common. It
 * ends a filter or has two children, so there are at most two nodes a filter, and a filter of thousands of levels that is like no other is
 * one node. Children that begin with a word are in one table for all nodes, that with '+' is a pointer, and '#' is an end of its own.
 *
 * Cost of a match: each node is entered at most once, and only if the topic agrees with all levels above it. At level n these are at most
 * 2^n (each level either its word or '+'), and all together at most twice the number of filters. So a topic of few
 * levels is cheap whatever others have planted; to make one topic cost much takes as many filters as it shall
 * cost nodes, of that topic's own words. No recursion and no stack that grows with the topic: a node knows its parent.
 *
 * Runs in: workers, persist, as part of an index. One thread.
 * Owns:    its nodes and their copies of the filters. Errors: -ENOMEM from trie_add() only, nothing changed.
 */
#ifndef MQTT_TRIE_H
#define MQTT_TRIE_H

#include "shared/mqtt/topic.h"

struct trie;

struct trie *trie_new(const struct hash_key *key); /* key is copied; NULL: no memory */
void trie_free(struct trie *t);                    /* all filters must be gone */
size_t trie_nodes(const struct trie *t);

/* The filter must be valid; id is the caller's name for it. One that is added several times is found once, until it was deleted as often. */
int trie_add(struct trie *t, struct span filter, uint64_t id);
void trie_del(struct trie *t, struct span filter);

/* Calls found() for each filter that matches, in no order; it must not change the trie. h must be of the same topic. */
typedef void trie_fn(void *arg, uint64_t id);
void trie_match(
    const struct trie *t, struct span topic, const struct topic_hash *h, trie_fn *found, void *arg);

#endif
