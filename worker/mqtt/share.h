/*
 * share.h - limits that hold for the whole broker, kept by workers that don't ask each other
 *
 * Each worker keeps a bucket of the whole limit. What it takes it adds up in its segment, where the others read it; what they have
 * taken since it last looked it takes from its own bucket too, as if that had been when it last looked. It looks when it has used up its part of
 * what was left then, one of as many as there are workers that use the limit, and every SHARE_LOOK_MS while it takes something. So what passes
 * is the limit in the long run, and about that in a burst that comes to several workers at once. A worker in which nothing was taken for long finds
 * its bucket full even if others have just emptied theirs: what passes within one window can be as many times the limit as there are workers,
 * which they pay for afterwards.
 * Places in the segment's tables are found by the hash of whose limit it is, among a few neighbours. Who finds none keeps the
 * limit within this worker. A worker that dies takes what it had added up along: the others go on from what is there.
 *
 * Runs in: worker's loop. Trusts: peers' numbers no further than a limit can be exceeded, or kept too well.
 */
#ifndef MQTT_SHARE_H
#define MQTT_SHARE_H

#include "shared/base/rate.h"
#include "shared/ipc/segment.h"

#define SHARE_LOOK_MS 10
#define SHARE_PROBES 8 /* neighbours that a hash can have its place among */

struct quota {
	struct bucket bucket;
	uint64_t seen; /* what others had taken */
	uint64_t left; /* may be taken without looking again */
	uint64_t looked_ms;
};

struct share {                 /* whose limit it is */
	uint64_t hash;         /* 0: that of all clients together */
	struct seg_share *row; /* ours, or NULL */
	enum share_kind kind;
};

/* A place in our table; with uses 0 another may get it. */
struct share share_open(enum share_kind kind, uint64_t hash);
/* The caller keeps places of its own beside the table's, and says which is given up for this one; it has one use. */
size_t share_place(uint64_t hash, unsigned probe);
struct share share_take(enum share_kind kind, uint64_t hash, size_t place);
void share_leave(const struct share *s); /* the place is nobody's */
struct share share_of_broker(void);
void share_use(const struct share *s, int n); /* one more or less */
uint32_t share_uses(const struct share *s);   /* by all other workers */

/*
 * For what comes seldom and is soon forgotten: begins with what others have taken, as if that had been when they last took something, and
 * with it our own count. Whoever calls it each time that its bucket is full makes that a count of what has not come back yet.
 */
void quota_join(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind);
/* Full; what others had taken before is none of our time. */
void quota_begin(struct quota *q, const struct share *s, enum limit_kind kind);
uint64_t
quota_wait_ms(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind);
void quota_take(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind,
    uint64_t amount);

#endif
