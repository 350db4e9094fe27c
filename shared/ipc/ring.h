/*
 * ring.h - one-way ring of records from one process to another
 *
 * The head and the data are in the writer's segment, the tail is in the reader's, and each maps the other's for reading only.
 * One writer, one reader, no lock: a process killed at any instruction leaves none held. Both indices count bytes since the
 * generation began and only grow. A record exists once ring_publish() has stored head: what a dead writer had not published never was.
 *
 * Record: {u32 len, u16 type, u16 flags}, body, padding to 8. Records do not wrap: a pad record fills the end. It does so too when
 * writing starts in a ring that is empty, behind its first RING_HOT bytes or its first half.
 *
 * Runs in: any child's event loop; never blocks. The master never looks into a ring.
 * Owns:    nothing; segment.h maps. A record is borrowed until ring_release().
 * Trusts:  not its peer: a length or index that can't be is -EPROTO, and the caller drops the link.
 * Units:   bytes. Capacity is a power of two; a record is at most a quarter of it.
 */
#ifndef IPC_RING_H
#define IPC_RING_H

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "shared/base/must.h"
#include "shared/base/span.h"

#define RING_HOT 131072u

struct ring_head { /* in the writer's segment */
	uint32_t cap, spare;
	alignas(64) _Atomic uint64_t head;
	alignas(64) uint8_t data[];
};
static_assert(offsetof(struct ring_head, data) == 128, "the layout is an ABI: bump SEGMENT_ABI");

struct ring_rec {     /* before each body */
	uint32_t len; /* of the body */
	uint16_t type, flags;
};

struct ring_tx {
	struct ring_head *ring;
	const _Atomic uint64_t *peer_tail; /* in the reader's segment */
	uint64_t head, tail;               /* private: head as written, the tail last seen */
	uint64_t published;
	uint32_t cap, hot;
};

struct ring_rx {
	const struct ring_head *ring;
	_Atomic uint64_t *tail; /* in our segment */
	uint64_t read, head;    /* private: where we read, the head last seen and checked */
	uint32_t cap;
};

void ring_init(struct ring_head *r, uint32_t cap);
void ring_tx_open(
    struct ring_tx *tx, struct ring_head *own, const _Atomic uint64_t *peer_tail, uint64_t start);
/* cap was checked when the peer's segment was attached: what its head says of it is not looked at. */
void ring_rx_open(struct ring_rx *rx, const struct ring_head *peer, uint32_t cap,
    _Atomic uint64_t *own_tail, uint64_t start);

/* Room for a body of len, its header written; NULL: no room now, nothing changed. A tail that can't be shows as NULL and tx->cap == 0. */
static inline void *ring_reserve(struct ring_tx *tx, uint32_t len, uint16_t type, uint16_t flags);
bool ring_publish(struct ring_tx *tx);    /* once a turn; true: there was something */
uint64_t ring_unread(struct ring_tx *tx); /* bytes published that the reader has not released */

static inline int ring_next(struct ring_rx *rx, struct ring_rec *rec_out,
    struct span *body_out); /* 1: a record, 0: no more, -EPROTO */
void ring_release(struct ring_rx *rx,
    uint64_t upto); /* done with all records before this position; rx->read: all taken so far */

/* --- inline: what runs for each record --------------------------------------------------- */

static inline uint32_t
ring_record_max(uint32_t cap) /* the longest body */
{
	return cap / 4 - (uint32_t)sizeof(struct ring_rec);
}

static inline uint64_t
ring_size(uint64_t len) /* of a record, with its header and padding */
{
	return sizeof(struct ring_rec) + ((len + 7) & ~UINT64_C(7));
}

bool ring_room(struct ring_tx *tx, uint64_t need); /* looks at the reader's tail */
bool ring_rewind(struct ring_tx *tx); /* to the start, if all has been released; false: broken */
int ring_refill(struct ring_rx *rx);  /* looks at the writer's head: as ring_next() */

static inline void *
ring_reserve(struct ring_tx *tx, uint32_t len, uint16_t type, uint16_t flags)
{
	uint64_t size = ring_size(len), need = size, at, to_end;
	struct ring_rec *rec;

	if (tx->cap == 0)
		return NULL;
	must(len <= ring_record_max(tx->cap));
	/* A reader that keeps up never makes us touch, nor the cache hold, more than the first part. */
	if (tx->head == tx->published && (tx->head & (tx->cap - 1)) >= tx->hot && !ring_rewind(tx))
		return NULL;
	at = tx->head & (tx->cap - 1);
	to_end = tx->cap - at;
	if (size > to_end)
		need += to_end; /* a pad record fills the end */
	if (tx->cap - (tx->head - tx->tail) < need && !ring_room(tx, need))
		return NULL;
	rec = (struct ring_rec *)(void *)(tx->ring->data + at);
	if (size > to_end) {
		*rec = (struct ring_rec){ .len = (uint32_t)(to_end - sizeof(*rec)) };
		rec = (struct ring_rec *)(void *)tx->ring->data;
	}
	*rec = (struct ring_rec){ .len = len, .type = type, .flags = flags };
	tx->head += need;
	return rec + 1;
}

static inline int
ring_next(struct ring_rx *rx, struct ring_rec *rec_out, struct span *body_out)
{
	for (;;) {
		struct ring_rec rec;
		uint64_t at, size;

		if (rx->read == rx->head) {
			int got = ring_refill(rx);

			if (got <= 0)
				return got;
		}
		at = rx->read & (rx->cap - 1);
		memcpy(&rec, rx->ring->data + at,
		    sizeof(rec)); /* the copy is what is checked and used */
		size = ring_size(rec.len);
		if (size > rx->head - rx->read || size > rx->cap - at)
			return -EPROTO;
		rx->read += size;
		if (rec.type == 0)
			continue;
		*rec_out = rec;
		*body_out = span_of(rx->ring->data + at + sizeof(rec), rec.len);
		return 1;
	}
}

#endif
