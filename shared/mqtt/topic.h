/*
 * topic.h - topic names and filters: are they valid, what do they match, how do they hash (4.7, 4.8)
 *
 * A filter's hash is a sum over its levels, so that all filters of one shape that could match a topic are one sum away:
 * a shape says how many levels, which of them are '+', and whether '#' ends it. Levels are hashed once per topic; each shape
 * then costs a few additions and one probe. Hashes are keyed.
 *
 * Runs in: any process; pure.
 */
#ifndef MQTT_TOPIC_H
#define MQTT_TOPIC_H

#include "shared/base/hash.h"
#include "shared/mqtt/mqtt.h"

#define TOPIC_LEVELS 32 /* levels that are hashed; filters with more have no shape */

bool topic_is_valid(struct span topic); /* not empty, no wildcard; UTF-8 was checked when decoded */
bool filter_is_valid(
    struct span filter); /* 4.7.1, and the rules of $share/NAME/FILTER if it begins so */
bool filter_has_wildcard(struct span filter);
unsigned topic_levels(struct span s);
/* The level that begins at *at, which starts at 0 and moves to the next; false at the end. For filters too. */
bool topic_next_level(struct span s, size_t *at, struct span *out);

/* "$share/NAME/FILTER": true, and its parts. The filter must be valid. */
bool filter_share(struct span filter, struct span *name_out, struct span *filter_out);

/* The other way round; no name: the filter alone. Answers the bytes it takes in buf. */
size_t filter_write(struct span name, struct span filter, char *buf);

/* 4.7: level by level, `$` topics only by filters that begin so. Both valid, filter without $share. Linear time, no recursion. */
bool topic_match(struct span filter, struct span topic);

/* Packed so that it can be one atomic word in shared memory. 0 is no shape. */
struct shape {
	uint32_t plus;  /* bit i: level i is '+' */
	uint8_t levels; /* without the '#', 0 to TOPIC_LEVELS */
	bool hash;      /* ends in '#' */
};

uint64_t shape_pack(struct shape s); /* never 0 */
struct shape shape_unpack(uint64_t w);

struct topic_hash {
	unsigned levels; /* all of them, may be above TOPIC_LEVELS */
	bool dollar;     /* begins with '$': no shape whose first level is a wildcard applies */
	uint64_t first;  /* hash of the first level alone: picks the bucket of interest counters */
	uint64_t part[TOPIC_LEVELS];    /* level i's share in the sum */
	uint64_t sum[TOPIC_LEVELS + 1]; /* of the first i shares */
};

void topic_hash(const struct hash_key *key, struct span topic, struct topic_hash *out);

/* Can a filter of this shape match a topic of these levels? Also says no to wildcards in front of '$'. */
bool shape_fits(struct shape s, const struct topic_hash *t);
/* The hash of the filter of this shape that matches the topic; never 0 or 1. shape_fits() must be true. */
uint64_t shape_hash(struct shape s, const struct topic_hash *t);

/*
 * False: more than TOPIC_LEVELS levels, no shape. *hash_out is what shape_hash() gives for topics that match; *first_out is the hash of the
 * first level as in topic_hash, or 0 if that is a wildcard.
 */
bool filter_hash(const struct hash_key *key, struct span filter, struct shape *shape_out,
    uint64_t *hash_out, uint64_t *first_out);

#endif
