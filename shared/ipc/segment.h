/*
 * segment.h - the shared memory of one process: its owner writes, all others read
 *
 * One memfd per process and generation. The owner creates, maps and then seals it (FUTURE_WRITE, GROW, SHRINK, SEAL): its mapping
 * goes on writing, nobody can make another. The master checks the seals and hands out descriptors reopened for reading only.
 *
 *     struct segment   life signs, flight recorder, counters, links to peers, interest (interest.h)
 *     interest tables  sparse, see interest.h
 *     rings            one for each peer slot: struct ring_head and its data (ring.h)
 *
 * Whoever reads another's segment copies a field, checks the copy, and uses only that. The owner never reads back what it
 * needs to trust: its private state is in private memory.
 *
 * Runs in: every child (own and peers'), master (reads life signs, counters and positions, never records).
 * Errors:  -EPROTO: sizes, seals, abi or generation are not what they must be.
 */
#ifndef IPC_SEGMENT_H
#define IPC_SEGMENT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "shared/base/must.h"
#include "shared/conf/conf.h"
#include "shared/ipc/counter.h"
#include "shared/ipc/interest.h"
#include "shared/ipc/proc.h"
#include "shared/ipc/rec.h"
#include "shared/ipc/ring.h"
#include "shared/ipc/who.h"

#define SEGMENT_ABI 13
#define SEGMENT_SHARES 16384 /* of each kind; a power of two */

/* What a worker has taken of a limit that holds for the whole broker; see worker/mqtt/share.h. */
enum share_kind { SHARES_USER, SHARES_ADDRESS, SHARES_KINDS };
enum limit_kind {
	LIMIT_PUBLISH,
	LIMIT_BYTES,
	LIMIT_SUBSCRIBE,
	LIMIT_DELIVERY,
	LIMIT_DELIVERY_BYTES,
	LIMITS,
	LIMIT_CONNECT = 0 /* of an address: the only one it has */
};
struct seg_share {
	_Atomic uint64_t hash;          /* of whose limit it is; 0: nobody's */
	_Atomic uint32_t uses;          /* connections of it; 0: the place can be had */
	_Atomic uint32_t at_s;          /* when something was taken last; monotonic clock */
	_Atomic uint64_t taken[LIMITS]; /* since the place is its */
};

enum life_state { LIFE_STARTING, LIFE_READY, LIFE_DRAINING, LIFE_STOPPING };

/* What the master can tell of a process that died. Written before each packet or record, so it is plain stores. */
struct flight {
	char must[MUST_TEXT_MAX];
	struct who who; /* the client whose input was handled last */
	uint8_t packet; /* the type of its packet that is being handled; 0: none */
	uint8_t spare[7];
	struct rec_id record; /* persist: that it applies; REC_NONE: none */
};

/* The owner's side of its relation to one peer. */
struct seg_link {
	alignas(64) _Atomic uint32_t
	    gen; /* generation of the peer that we have mapped: we read its ring, and may write to it */
	_Atomic uint32_t
	    drained; /* last generation of the peer whose records have all been handled after its death */
	_Atomic uint64_t
	    start; /* our ring to the peer's generation `gen` begins at this position */
	alignas(64) _Atomic uint64_t
	    tail; /* what we have released of the peer's ring to us, in its generation `gen` */
};

/* Bytes of a ring. Each is a power of two. */
struct ring_caps {
	uint32_t plain, store; /* store: persist is at one of its ends */
};

static inline uint32_t
ring_cap(const struct ring_caps *c, unsigned from, unsigned to)
{
	return from == SLOT_PERSIST || to == SLOT_PERSIST ? c->store : c->plain;
}

struct segment {
	uint32_t abi, slot, gen, nlinks;
	uint64_t size;
	struct ring_caps caps;
	uint32_t pid;
	alignas(64) _Atomic uint64_t sleeps; /* odd: asleep. Counts up at both ends of a sleep */
	_Atomic uint64_t turns;              /* loop turns completed */
	_Atomic uint64_t beat_ms;            /* monotonic clock at the last turn, real time */
	_Atomic uint32_t state;              /* enum life_state */
	alignas(64) struct flight flight;
	alignas(64) _Atomic uint64_t counter[512];
	_Atomic uint32_t on_listener
	    [CONF_LISTENERS]; /* worker: connections, by their listener's place in the configuration */
	struct interest_head interest;
	struct seg_share broker; /* of the limits of all clients together */
	struct seg_share share[SHARES_KINDS][SEGMENT_SHARES];
	struct seg_link link[SLOTS];
};
static_assert(COUNTERS <= 512, "room for counters");

/* Creates, maps and seals our own; sets `counters` and the sink of must(). *fd_out is the caller's. */
int segment_create(
    unsigned slot, uint32_t gen, struct ring_caps caps, struct segment **out, int *fd_out);
/* After this counts and last words go to private memory again: before our own is unmapped. */
void segment_leave(void);

/* Geometry as it was checked once; the owner could write another into its segment later. */
struct segment_shape {
	uint64_t size;
	struct ring_caps caps;
	unsigned slot;
};

/* Maps a peer's for reading, checked: size, abi, slot, gen, geometry. The fd stays the caller's. */
int segment_attach(int fd, unsigned slot, uint32_t gen, const struct segment **out,
    struct segment_shape *shape_out);
void segment_detach(const struct segment **seg, uint64_t size); /* own and peers'; clears it */
/* In the master: are the seals as they must be? Gives a descriptor for reading only. */
int segment_reopen(int fd, int *ro_out);

const struct ring_head *
segment_ring(const struct segment *seg, const struct segment_shape *shape, unsigned to);
const void *segment_tables(const struct segment *seg); /* interest_size() bytes */

#endif
