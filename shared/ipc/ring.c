#include "shared/ipc/ring.h"

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
		.cap = own->cap,
		.hot = own->cap / 2 < RING_HOT ? own->cap / 2 : RING_HOT };
}

void
ring_rx_open(struct ring_rx *rx, const struct ring_head *peer, uint32_t cap,
    _Atomic uint64_t *own_tail, uint64_t start)
{
	*rx = (struct ring_rx){
		.ring = peer, .tail = own_tail, .read = start, .head = start, .cap = cap
	};
}

/* False: the reader's tail can't be; the link is broken. */
static bool
tail_refresh(struct ring_tx *tx)
{
	uint64_t tail = atomic_load_explicit(tx->peer_tail, memory_order_acquire);

	if (tail < tx->tail || tail > tx->published || (tail & 7) != 0) {
		tx->cap = 0;
		return false;
	}
	tx->tail = tail;
	return true;
}

bool
ring_room(struct ring_tx *tx, uint64_t need)
{
	return tail_refresh(tx) && tx->cap - (tx->head - tx->tail) >= need;
}

bool
ring_rewind(struct ring_tx *tx)
{
	uint64_t at = tx->head & (tx->cap - 1), to_end = tx->cap - at;

	if (!tail_refresh(tx))
		return false;
	if (tx->tail == tx->head) {
		*(struct ring_rec *)(void *)(tx->ring->data + at) =
		    (struct ring_rec){ .len = (uint32_t)(to_end - sizeof(struct ring_rec)) };
		tx->head += to_end;
	}
	return true;
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
ring_refill(struct ring_rx *rx)
{
	uint64_t head = atomic_load_explicit(&rx->ring->head, memory_order_acquire);

	if (head == rx->head)
		return 0;
	if (head < rx->head || ((head | rx->read) & 7) != 0 ||
	    head - atomic_load_explicit(rx->tail, memory_order_relaxed) > rx->cap)
		return -EPROTO;
	rx->head = head;
	return 1;
}

void
ring_release(struct ring_rx *rx, uint64_t upto)
{
	atomic_store_explicit(rx->tail, upto, memory_order_release);
}
