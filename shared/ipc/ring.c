#include "shared/ipc/ring.h"

#include <errno.h>

#include "shared/base/must.h"

#define HEADER sizeof(struct ring_rec)

static uint64_t
padded(uint64_t len)
{
	return (len + 7) & ~UINT64_C(7);
}

void
ring_init(struct ring_head *r, uint32_t cap)
{
	r->cap = cap;
	atomic_init(&r->head, 0);
}

void
ring_tx_open(
    struct ring_tx *tx, struct ring_head *own, const _Atomic uint64_t *peer_tail, uint64_t start)
{
	*tx = (struct ring_tx){ .ring = own,
		.peer_tail = peer_tail,
		.head = start,
		.tail = start,
		.published = start,
		.cap = own->cap };
}

void
ring_rx_open(struct ring_rx *rx, const struct ring_head *peer, uint32_t cap,
    _Atomic uint64_t *own_tail, uint64_t start)
{
	*rx = (struct ring_rx){
		.ring = peer, .tail = own_tail, .read = start, .head = start, .cap = cap
	};
}

uint32_t
ring_record_max(uint32_t cap)
{
	return cap / 4 - HEADER;
}

/* False: the reader's tail can't be; the link is broken. */
static bool
tail_refresh(struct ring_tx *tx)
{
	uint64_t tail = atomic_load_explicit(tx->peer_tail, memory_order_acquire);

	if (tail < tx->tail || tail > tx->published) {
		tx->cap = 0;
		return false;
	}
	tx->tail = tail;
	return true;
}

void *
ring_reserve(struct ring_tx *tx, uint32_t len, uint16_t type, uint16_t flags)
{
	uint64_t need = HEADER + padded(len), at, to_end;
	struct ring_rec *rec;

	if (tx->cap == 0)
		return NULL;
	must(len <= ring_record_max(tx->cap));
	at = tx->head & (tx->cap - 1);
	to_end = tx->cap - at;
	if (need > to_end)
		need += to_end; /* a pad record fills the end */
	if (tx->cap - (tx->head - tx->tail) < need &&
	    (!tail_refresh(tx) || tx->cap - (tx->head - tx->tail) < need))
		return NULL;
	rec = (struct ring_rec *)(void *)(tx->ring->data + at);
	if (HEADER + padded(len) > to_end) {
		*rec = (struct ring_rec){ .len = (uint32_t)(to_end - HEADER) };
		rec = (struct ring_rec *)(void *)tx->ring->data;
	}
	*rec = (struct ring_rec){ .len = len, .type = type, .flags = flags };
	tx->head += need;
	return rec + 1;
}

bool
ring_publish(struct ring_tx *tx)
{
	if (tx->head == tx->published)
		return false;
	atomic_store_explicit(&tx->ring->head, tx->head, memory_order_release);
	tx->published = tx->head;
	return true;
}

uint64_t
ring_unread(struct ring_tx *tx)
{
	if (tx->cap == 0 || !tail_refresh(tx))
		return 0;
	return tx->published - tx->tail;
}

int
ring_next(struct ring_rx *rx, struct ring_rec *rec_out, struct span *body_out)
{
	for (;;) {
		struct ring_rec rec;
		uint64_t at, size;

		if (rx->read == rx->head) {
			uint64_t head = atomic_load_explicit(&rx->ring->head, memory_order_acquire);

			if (head == rx->head)
				return 0;
			if (head < rx->head || (head & 7) != 0 ||
			    head - atomic_load_explicit(rx->tail, memory_order_relaxed) > rx->cap)
				return -EPROTO;
			rx->head = head;
		}
		at = rx->read & (rx->cap - 1);
		memcpy(&rec, rx->ring->data + at,
		    sizeof(rec)); /* the copy is what is checked and used */
		size = HEADER + padded(rec.len);
		if (size > rx->head - rx->read || size > rx->cap - at)
			return -EPROTO;
		rx->read += size;
		if (rec.type == 0)
			continue;
		*rec_out = rec;
		*body_out = span_of(rx->ring->data + at + HEADER, rec.len);
		return 1;
	}
}

void
ring_release(struct ring_rx *rx, uint64_t upto)
{
	atomic_store_explicit(rx->tail, upto, memory_order_release);
}
