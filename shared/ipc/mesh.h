/*
 * mesh.h - a process among its peers: rings to all of them, who is there, what waits
 *
 * Life of a link p-q: the master tells both of each other. p maps q's segment, decides where its own ring to q begins, and stores q's
 * generation in its link[q]; from then on it reads q's ring. It writes to q once q's link[p] shows p's generation. When q dies, p handles what q
 * had published, stores `drained`, unmaps, and drops what was under way to it — except to persist, whose successor continues where the dead
 * one had released (link.start), so nothing sent to persist is lost by its death.
 *
 * Sending: records go straight into the ring; while a ring is full they wait in a bounded overflow list of that peer, in order. The head of
 * each ring is stored once a turn by mesh_flush(), which also rings the bells of peers that sleep and only then releases what was read
 * (so an answer is visible before the question is forgotten). Records longer than the ring allows travel in fragments and are handed over whole;
 * for persist they are kept until it has released the last fragment, since its successor has to get a record it died within from the start.
 *
 * Fences: "has everybody published/consumed what I had sent by now?" is asked with mesh_mark() and mesh_is_published(), mesh_is_consumed().
 *
 * Runs in: every child's loop. One mesh a process.
 * Trusts:  no peer. A record or index that can't be: the link is dropped, counted, and on_liar tells the master.
 * Errors:  -errno; sending: enum mesh_sent.
 */
#ifndef IPC_MESH_H
#define IPC_MESH_H

#include <sys/uio.h>

#include "shared/base/hash.h"
#include "shared/ipc/rec.h"
#include "shared/ipc/segment.h"

enum mesh_sent {
	MESH_SENT, /* in the ring: published by the next flush */
	MESH_WAITS, /* in the overflow list: don't acknowledge yet, don't read more from who caused it */
	MESH_FULL,    /* overflow list full: not sent */
	MESH_NO_PEER, /* nobody there: not sent */
};

struct mesh_ops {
	/* One whole record from a peer; body is borrowed for the call. -EPROTO: the body can't be, drop the link. */
	int (*on_record)(void *arg, unsigned from, unsigned type, struct span body);
	void (*on_up)(void *arg, unsigned slot);   /* both ways open */
	void (*on_down)(void *arg, unsigned slot); /* dead and drained */
	void (*on_room)(void *arg, unsigned slot); /* its overflow list is empty again */
	void (*on_liar)(void *arg, unsigned slot, const char *what);
};

struct mesh;

struct mesh_mark { /* positions to every peer at one moment */
	uint64_t at[SLOTS];
	uint64_t waited[SLOTS]; /* records that were outside the ring then; 0: none */
	uint32_t gen[SLOTS];    /* 0: nobody was there */
};

/*
 * Creates our segment with rings of these sizes; *segment_fd_out and *bell_fd_out go to the master. overflow_max: bytes that may wait for a peer;
 * a record that would wait alone may be longer. record_max: the longest of all, sent and received.
 */
int mesh_new(unsigned slot, uint32_t gen, const struct hash_key *key, struct ring_caps caps,
    uint64_t overflow_max, uint64_t record_max, const struct mesh_ops *ops, void *arg,
    struct mesh **out, int *segment_fd_out, int *bell_fd_out);
void mesh_free(struct mesh *m);
struct segment *mesh_segment(struct mesh *m); /* ours */
struct interest *mesh_interest(struct mesh *m);
/*
 * Its segment, or NULL if not mapped. Of a persist that died it is the one that it left, until the link to its
 * successor is open: what it was interested in is so still.
 */
const struct segment *mesh_peer(struct mesh *m, unsigned slot);
const void *mesh_tables(struct mesh *m, unsigned slot); /* interest tables of it (mapped) or ours */
void mesh_set_overflow(struct mesh *m, uint64_t overflow_max);

/* From the master. The descriptors are taken. -EPROTO: not a segment as it must be. */
int mesh_peer_up(struct mesh *m, unsigned slot, uint32_t gen, int segment_fd, int bell_fd);
void mesh_peer_down(
    struct mesh *m, unsigned slot, uint32_t gen); /* drains at once, then calls on_down */
/* Have all peers that are mapped mapped us? Until then a starting child accepts nothing. */
bool mesh_is_linked(struct mesh *m);
bool mesh_is_open(struct mesh *m, unsigned slot); /* can be written to */
uint32_t
mesh_gen(struct mesh *m, unsigned slot); /* of the peer, as the master gave it; 0: not mapped */

/* iov is gathered into one record. */
enum mesh_sent
mesh_send(struct mesh *m, unsigned slot, unsigned type, const struct iovec *iov, int n);
bool mesh_waits(struct mesh *m, unsigned slot); /* its overflow list isn't empty */

int mesh_bell(struct mesh *m); /* our eventfd, for the loop; mesh_wake() after it was readable */
void mesh_wake(struct mesh *m);
/*
 * Handles all records that have come, those of persist last, and of these only what it had published before we looked
 * at the others: what it had read of theirs when it sent something, we have read before that. What a peer's ring holds is the bound: it has no room again before mesh_flush(). Taking less a turn
 * than others write in one makes deliveries trickle: as many sends as messages.
 */
void mesh_drain(struct mesh *m);
/* End of turn: overflow into rings, heads, bells, tails. */
void mesh_flush(struct mesh *m);
void mesh_beat(struct mesh *m); /* a sign of life, from what takes longer than a turn should */
/* Around epoll_wait. 0: something came, don't sleep; else for how many milliseconds at most, -1: any. Then mesh_sleep_end(). */
int mesh_sleep_begin(struct mesh *m);
void mesh_sleep_end(struct mesh *m);

/*
 * Release by hand, for persist: mesh_hold() once; then mesh_flush() releases nothing, and the caller releases up to positions it has read.
 */
void mesh_hold(struct mesh *m);
uint64_t mesh_position(struct mesh *m, unsigned from); /* of what was read from the peer */
uint64_t mesh_published(
    struct mesh *m, unsigned from); /* of what the peer says it has published: not checked */
void mesh_release(struct mesh *m, unsigned from, uint64_t upto);

void mesh_mark(struct mesh *m, struct mesh_mark *out);
bool mesh_is_published(
    struct mesh *m, const struct mesh_mark *at); /* rings hold it; dead peers don't count */
bool mesh_is_consumed(struct mesh *m,
    const struct mesh_mark *at); /* peers have released it; dead peers don't count */
/* This peer has. Persist that died has consumed what it had released, its successor goes on with the rest. */
bool mesh_has_consumed(struct mesh *m, unsigned slot, const struct mesh_mark *at);
/* Has every live peer handled all that generation gen of slot had published before it died? */
bool mesh_is_drained_by_all(struct mesh *m, unsigned slot, uint32_t gen);
/* Has every live worker completed a turn, or slept, since the turns in `since`? Fill it with mesh_turns(). */
struct mesh_turns {
	uint64_t turns[SLOTS], sleeps[SLOTS];
	uint32_t gen[SLOTS];
};
void mesh_turns(struct mesh *m, struct mesh_turns *out);
bool mesh_all_turned(struct mesh *m, const struct mesh_turns *since);

#endif
