/*
 * interest.h - which filters a process wants messages for, readable by all without lock or message
 *
 * The owner puts the hash of each filter it has subscribers for into a table in its own segment, and the filter's shape into a list.
 * A reader who has a topic to route probes the table once per shape that fits. A collision, or a torn read, only makes a process
 * receive a message that nobody there wants: the receiver matches again, with the real filters. Never the other way: a
 * filter whose interest_add() has returned is seen by every later probe.
 *
 * Table: open addressing on 64-bit keyed hashes, 0 empty, 1 deleted. One writer. A table is only replaced (grown, or cleaned of deleted keys) by
 * building the next in the other of two areas of the segment and switching `cur`, in slices of a bounded number of keys per call; a reader
 * reads `cur` before and after its probe and tries once more if it changed; if it changed again it takes interest for granted.
 * Shapes: one word each, 0 is unused; at most INTEREST_SHAPES per depth. Filters without a shape or beyond the limit count in
 * `fallback`: while that isn't 0 every message comes here.
 * Versions: one counter per bucket of first levels and one for filters that begin with a wildcard, bumped after the
 * table has changed; a route cache compares their sum, read before the probe.
 * Groups of shared subscriptions: a second table of the same kind; entries with the key of the filter say which group (hash of filter and
 * name), its weight (members here), and whether a durable member makes the group persist's for QoS 1 and 2.
 *
 * Runs in: owner: its loop. Readers: any child's loop.
 * Trusts:  readers bound every index they read. Errors: -ENOSPC when the largest table is full: the filter counts as fallback.
 */
#ifndef IPC_INTEREST_H
#define IPC_INTEREST_H

#include <stdatomic.h>

#include "shared/mqtt/topic.h"

#define INTEREST_SHAPES 64 /* per depth, '#' or not */
#define INTEREST_BUCKETS 1024
#define INTEREST_GROUP_SLOTS 65536 /* groups per process: half of it */

struct interest_group {
	_Atomic uint64_t key;    /* filter's hash; 0 empty, 1 deleted */
	_Atomic uint64_t group;  /* hash of filter and group name: names it in records */
	_Atomic uint32_t weight; /* members that can take a message; 0: as if it weren't there */
	_Atomic uint32_t clean;  /* those of them whose process needs no store to give them any */
};

struct interest_head {
	_Atomic uint64_t
	    cur; /* class of the table (log2 of its slots) << 1 | area, and a count above bit 16 that makes each value new */
	_Atomic uint64_t fallback; /* filters that have no place in the table */
	_Atomic uint64_t wild;     /* version: filters that begin with a wildcard */
	_Atomic uint64_t version[INTEREST_BUCKETS];
	_Atomic uint64_t shape[2][TOPIC_LEVELS + 1][INTEREST_SHAPES]; /* [ends in #][levels] */
	_Atomic uint32_t nshapes[2][TOPIC_LEVELS + 1];                /* highest index in use + 1 */
	_Atomic uint32_t ngroups; /* 0: no need to probe for groups */
};

/* Sparse bytes that tables and groups take in a segment. */
#define INTEREST_CLASS_MIN 10
#define INTEREST_CLASS_MAX 24
size_t interest_size(void);

/* --- owner --- */
struct interest; /* private side: shape counts, keys used, the rebuild under way */

struct interest *interest_new(struct interest_head *head, void *tables, const struct hash_key *key);
void interest_free(struct interest *x);
/* A filter's first subscriber came, or its last left. filter is valid and without $share. */
void interest_add(struct interest *x, struct span filter);
void interest_del(struct interest *x, struct span filter);
/* Members of a group on a filter changed; weight 0 takes it out. *group_out: its name in records. */
void interest_group(struct interest *x, struct span filter, struct span name, uint32_t weight,
    uint32_t clean, uint64_t *group_out);
uint64_t interest_group_hash(const struct hash_key *key, struct span filter, struct span name);
bool interest_step(
    struct interest *x); /* goes on with a rebuild; true: there is more to do. Once a turn */

/* --- readers --- */
struct interest_hit {
	uint64_t group;
	uint32_t weight, clean;
};

/* Sum of the versions that concern the topic. Read before probing. */
uint64_t interest_version(const struct interest_head *h, const struct topic_hash *t);
/* Does the process want the topic for plain subscriptions? */
bool interest_probe(const struct interest_head *h, const void *tables, const struct topic_hash *t);
/* Groups whose filter matches, then those whose filter has no shape; at most max, answers how many were written. */
unsigned interest_probe_groups(const struct interest_head *h, const void *tables,
    const struct topic_hash *t, struct interest_hit *out, unsigned max);

/*
 * Whose turn it is, for a reader who picks a process for a group. With one turn for all, each of two groups of a topic would always meet
 * the same process. Private to the reader; groups that meet in a slot share a turn.
 */
#define INTEREST_TURNS 1024
struct interest_turns {
	uint32_t next[INTEREST_TURNS];
};

static inline uint32_t
interest_turn(struct interest_turns *t, uint64_t group)
{
	return t->next[group % INTEREST_TURNS]++;
}

#endif
