#include "shared/ipc/mesh.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/must.h"

/* Flags of a record that is a piece of one. The first piece starts with the length of the whole (u64). */
#define PIECE 1u
#define PIECE_FIRST 2u
#define PIECE_LAST 4u

#define ALL_THERE_IS UINT64_MAX

struct waiting { /* outside a full ring */
	struct waiting *next;
	uint64_t len, off;   /* off: bytes of it that are in the ring already */
	uint64_t start, end; /* where its pieces begin and end in the ring */
	uint16_t type;
	uint8_t data[];
};

struct peer {
	unsigned slot;
	uint32_t gen;   /* 0: not mapped */
	bool is_open;   /* both have mapped the other */
	bool is_broken; /* it lied: nothing is read or believed until it has died */
	bool owes_room; /* somebody was told that it waits: on_room is due */
	bool is_kept;   /* persist: what is sent while it is away is for its successor */
	uint64_t released;
	const struct segment *seg;
	struct segment_shape shape;
	const struct segment
	    *left; /* of a kept peer that died, until its successor's link is open */
	uint64_t left_size;
	int bell;
	uint32_t cap;  /* of our ring to it */
	uint64_t rang; /* its sleep that we have ended already */
	struct ring_tx tx;
	struct ring_rx rx;
	_Atomic uint64_t frozen; /* tail of a reader that isn't there */
	struct waiting *first, *last;
	/*
	 * Kept peers: records in pieces, all in the ring but not all released. A successor can't begin within one, so it gets it again from
	 * here. What they take is bounded by the ring and the longest record.
	 */
	struct waiting *pieces, *last_pieces;
	uint64_t waiting_bytes, waited,
	    unwaited;        /* counts of records that came into and left the list */
	uint64_t after_wait; /* position of the ring behind the last that left */
	uint64_t again_from, again_upto,
	    again_waited; /* pieces_again(): what was between these positions waited once more */
	uint8_t *staging; /* record that comes in pieces; NULL: there was no memory for it */
	bool is_staging;
	uint64_t staged, staging_len;
	uint16_t staging_type;
	uint32_t mourners
	    [SLOTS]; /* generations of peers that have to drain what it published, at its death */
	uint32_t dead_gen;
};

struct bits { /* a set of slots */
	uint64_t word[(SLOTS + 63) / 64];
};

struct mesh {
	unsigned slot;
	uint32_t gen;
	struct segment *seg;
	struct segment_shape shape;
	struct interest *interest;
	const struct mesh_ops *ops;
	void *arg;
	uint64_t overflow_max, record_max;
	int bell;
	bool hold;
	struct peer peer[SLOTS];
	uint8_t live[SLOTS]; /* slots that are mapped */
	unsigned nlive;
	struct bits sent, taken; /* peers for whom a flush has something to publish, to release */
};

static void peer_open(struct mesh *m, struct peer *p);
static void peer_unmap(struct mesh *m, struct peer *p);
static void peer_liar(struct mesh *m, struct peer *p, const char *what);
static void peer_drain(struct mesh *m, struct peer *p, uint64_t upto);
static void drain_others(struct mesh *m, unsigned slot);
static void peer_ring(struct mesh *m, struct peer *p, bool always);
static void waiting_append(struct peer *p, struct waiting *w);
static void waiting_move(struct peer *p);
static void waiting_drop(struct peer *p);
static void pieces_drop(struct peer *p, uint64_t upto);
static void pieces_again(struct mesh *m, struct peer *p);

static void
bit_set(struct bits *b, unsigned slot)
{
	b->word[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* The lowest of the set, taken out of it; SLOTS: it is empty. */
static unsigned
bit_take(struct bits *b)
{
	for (unsigned i = 0; i < sizeof(b->word) / sizeof(b->word[0]); i++) {
		unsigned bit;

		if (b->word[i] == 0)
			continue;
		bit = (unsigned)__builtin_ctzll(b->word[i]);
		b->word[i] &= b->word[i] - 1;
		return i * 64 + bit;
	}
	return SLOTS;
}

static struct ring_head *
own_ring(const struct mesh *m, unsigned to)
{
	return (struct ring_head *)(uintptr_t)segment_ring(m->seg, &m->shape, to);
}

int
mesh_new(unsigned slot, uint32_t gen, const struct hash_key *key, struct ring_caps caps,
    uint64_t overflow_max, uint64_t record_max, const struct mesh_ops *ops, void *arg,
    struct mesh **out, int *segment_fd_out, int *bell_fd_out)
{
	struct mesh *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	m->slot = slot;
	m->gen = gen;
	m->ops = ops;
	m->arg = arg;
	m->overflow_max = overflow_max;
	m->record_max = record_max;
	m->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->bell < 0) {
		err = -errno;
		free(m);
		return err;
	}
	err = segment_create(slot, gen, caps, &m->seg, segment_fd_out);
	if (err != 0) {
		close(m->bell);
		free(m);
		return err;
	}
	m->shape = (struct segment_shape){ .size = m->seg->size, .caps = caps, .slot = slot };
	m->interest =
	    interest_new(&m->seg->interest, (void *)(uintptr_t)segment_tables(m->seg), key);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct peer *p = &m->peer[i];

		p->slot = i;
		p->cap = ring_cap(&caps, slot, i);
		p->is_kept = i == SLOT_PERSIST && i != slot;
		p->bell = -1;
		ring_tx_open(&p->tx, own_ring(m, i), &p->frozen, 0);
	}
	*bell_fd_out = m->bell;
	*out = m;
	if (m->interest == NULL) {
		close(*segment_fd_out);
		mesh_free(m);
		return -ENOMEM;
	}
	return 0;
}

void
mesh_free(struct mesh *m)
{
	const struct segment *own;

	if (m == NULL)
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		peer_unmap(m, &m->peer[i]);
		segment_detach(&m->peer[i].left, m->peer[i].left_size);
		waiting_drop(&m->peer[i]);
		pieces_drop(&m->peer[i], UINT64_MAX);
	}
	interest_free(m->interest);
	close(m->bell);
	segment_leave(); /* counters and last words have no place any more */
	own = m->seg;
	segment_detach(&own, m->shape.size);
	free(m);
}

struct segment *
mesh_segment(struct mesh *m)
{
	return m->seg;
}

struct interest *
mesh_interest(struct mesh *m)
{
	return m->interest;
}

const struct segment *
mesh_peer(struct mesh *m, unsigned slot)
{
	const struct peer *p;

	if (slot >= SLOTS)
		return NULL;
	p = &m->peer[slot];
	return p->left != NULL ? p->left : p->seg;
}

const void *
mesh_tables(struct mesh *m, unsigned slot)
{
	return segment_tables(slot == m->slot ? m->seg : mesh_peer(m, slot));
}

void
mesh_set_overflow(struct mesh *m, uint64_t overflow_max)
{
	m->overflow_max = overflow_max;
}

/* --- peers ------------------------------------------------------------------------------- */

int
mesh_peer_up(struct mesh *m, unsigned slot, uint32_t gen, int segment_fd, int bell_fd)
{
	struct peer *p = slot < SLOTS ? &m->peer[slot] : NULL;
	struct seg_link *own;
	int err;

	if (p == NULL || slot == m->slot || p->gen != 0) {
		close(segment_fd);
		close(bell_fd);
		return -EPROTO;
	}
	err = segment_attach(segment_fd, slot, gen, &p->seg, &p->shape);
	close(segment_fd);
	if (err != 0) {
		close(bell_fd);
		return err;
	}
	p->gen = gen;
	p->bell = bell_fd;
	p->rang = 0;
	m->live[m->nlive++] = (uint8_t)slot;
	own = &m->seg->link[slot];
	if (atomic_load_explicit(&own->drained, memory_order_relaxed) < gen - 1)
		atomic_store_explicit(
		    &own->drained, gen - 1, memory_order_release); /* older ones are none of ours */
	/*
	 * The younger's rings begin at 0, so the elder says at once that it has mapped it. The younger waits for that, since only then it knows
	 * where the elder's ring to it begins.
	 */
	if (gen > m->gen) {
		atomic_store_explicit(
		    &own->start, p->is_kept ? p->tx.tail : p->tx.head, memory_order_relaxed);
		atomic_store_explicit(&own->tail, 0, memory_order_relaxed);
		atomic_store_explicit(&own->gen, gen, memory_order_release);
		peer_ring(m, p, true);
	}
	peer_open(m, p);
	return 0;
}

static void
peer_open(struct mesh *m, struct peer *p)
{
	const struct seg_link *theirs = &p->seg->link[m->slot];
	struct seg_link *own = &m->seg->link[p->slot];
	uint64_t theirs_start;

	if (p->is_open || atomic_load_explicit(&theirs->gen, memory_order_acquire) != m->gen)
		return;
	if (p->gen > m->gen) {
		uint64_t start = atomic_load_explicit(&own->start, memory_order_relaxed);

		ring_rx_open(&p->rx, segment_ring(p->seg, &p->shape, m->slot),
		    ring_cap(&p->shape.caps, p->slot, m->slot), &own->tail, 0);
		p->tx.tail = start;
		peer_ring(m, p, false); /* what was published meanwhile has rung no bell */
	} else {
		theirs_start = atomic_load_explicit(&theirs->start, memory_order_relaxed);
		ring_rx_open(&p->rx, segment_ring(p->seg, &p->shape, m->slot),
		    ring_cap(&p->shape.caps, p->slot, m->slot), &own->tail, theirs_start);
		atomic_store_explicit(&own->tail, theirs_start, memory_order_relaxed);
		atomic_store_explicit(&own->start, 0, memory_order_relaxed);
		atomic_store_explicit(&own->gen, p->gen, memory_order_release);
		peer_ring(m, p, true);
	}
	p->tx.peer_tail = &theirs->tail;
	p->released = p->rx.read;
	p->is_broken = false;
	p->is_open = true;
	segment_detach(&p->left, p->left_size);
	bit_set(&m->sent, p->slot); /* what waited for this, or was written for its successor */
	m->ops->on_up(m->arg, p->slot);
}

static void
peer_unmap(struct mesh *m, struct peer *p)
{
	unsigned n = 0;

	if (p->gen == 0)
		return;
	for (unsigned i = 0; i < m->nlive; i++)
		if (m->live[i] != p->slot)
			m->live[n++] = m->live[i];
	m->nlive = n;
	atomic_store_explicit(&p->frozen, p->tx.tail, memory_order_relaxed);
	p->tx.peer_tail = &p->frozen;
	if (p->is_kept && p->is_open) {
		p->left = p->seg;
		p->left_size = p->shape.size;
		p->seg = NULL;
	}
	segment_detach(&p->seg, p->shape.size);
	close(p->bell);
	p->bell = -1;
	p->gen = 0;
	p->is_open = p->is_broken = false;
	free(p->staging);
	p->staging = NULL;
	p->is_staging = false;
}

void
mesh_peer_down(struct mesh *m, unsigned slot, uint32_t gen)
{
	struct peer *p = slot < SLOTS ? &m->peer[slot] : NULL;
	bool was_open;

	if (p == NULL || p->gen != gen || gen == 0)
		return;
	peer_open(m, p); /* it may have published without our having looked since */
	if (slot == SLOT_PERSIST)
		drain_others(m, slot);
	if (p->is_open && !p->is_broken)
		peer_drain(m, p, ALL_THERE_IS);
	was_open = p->is_open;
	if (p->is_kept) {
		(void)ring_unread(&p->tx); /* what it had released; its successor goes on there */
	} else {
		count_add(CNT_dropped__peer_gone, p->waited - p->unwaited);
		waiting_drop(p);
	}
	p->dead_gen = gen;
	memset(p->mourners, 0, sizeof(p->mourners));
	for (unsigned i = 0; i < m->nlive; i++)
		p->mourners[m->live[i]] = m->peer[m->live[i]].gen;
	p->mourners[slot] = 0;
	peer_unmap(m, p);
	if (p->tx.cap ==
	    0) { /* its tail was a lie: what the ring holds may have been read or not, and is passed over */
		p->tx.cap = p->cap;
		p->tx.tail = p->tx.head;
		ring_publish(&p->tx);
	}
	if (p->is_kept)
		pieces_again(m, p);
	else
		p->tx.head = p->tx.tail = p->tx.published;
	atomic_store_explicit(&p->frozen, p->tx.tail, memory_order_relaxed);
	atomic_store_explicit(&m->seg->link[slot].drained, gen, memory_order_release);
	if (was_open)
		m->ops->on_down(m->arg, slot);
	if (p->owes_room && p->first == NULL) { /* it is gone, and with it what waited */
		p->owes_room = false;
		if (!was_open)
			m->ops->on_room(m->arg, slot);
	}
}

static void
peer_liar(struct mesh *m, struct peer *p, const char *what)
{
	log_err("mesh: link dropped peer=%s gen=%u: %s", proc_title(p->slot), p->gen, what);
	count(CNT_ring_bad);
	p->is_broken = true;
	m->ops->on_liar(m->arg, p->slot, what);
}

bool
mesh_is_linked(struct mesh *m)
{
	for (unsigned i = 0; i < m->nlive; i++) {
		struct peer *p = &m->peer[m->live[i]];

		peer_open(m, p);
		if (!p->is_open)
			return false;
	}
	return true;
}

uint32_t
mesh_gen(struct mesh *m, unsigned slot)
{
	return slot < SLOTS ? m->peer[slot].gen : 0;
}

bool
mesh_is_open(struct mesh *m, unsigned slot)
{
	return slot < SLOTS && m->peer[slot].is_open;
}

/* --- sending ----------------------------------------------------------------------------- */

static void
gather(uint8_t *to, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len == 0)
			continue;
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

enum mesh_sent
mesh_send(struct mesh *m, unsigned slot, unsigned type, const struct iovec *iov, int n)
{
	struct peer *p = &m->peer[slot];
	struct waiting *w;
	uint64_t len = 0;
	uint8_t *to;

	if (p->gen == 0 && !p->is_kept)
		return MESH_NO_PEER;
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	bit_set(&m->sent, slot);
	if (p->first == NULL && (p->is_open || p->is_kept) && len <= ring_record_max(p->cap)) {
		to = ring_reserve(&p->tx, (uint32_t)len, (uint16_t)type, 0);
		if (to != NULL) {
			gather(to, iov, n);
			count(CNT_ring_records_sent);
			return MESH_SENT;
		}
	}
	/* One always has a place, whatever its length: else it would never go. */
	if ((p->first != NULL && p->waiting_bytes + sizeof(*w) + len > m->overflow_max) ||
	    len > m->record_max || (w = malloc(sizeof(*w) + len)) == NULL) {
		count(CNT_ring_dropped);
		return MESH_FULL;
	}
	*w = (struct waiting){ .len = len, .type = (uint16_t)type };
	gather(w->data, iov, n);
	waiting_append(p, w);
	count(CNT_ring_overflows);
	waiting_move(p);
	if (p->first == NULL)
		return MESH_SENT;
	p->owes_room = true;
	return MESH_WAITS;
}

bool
mesh_waits(struct mesh *m, unsigned slot)
{
	return slot < SLOTS && m->peer[slot].first != NULL;
}

/* A piece of a record that is too long for one; false: no room. */
static bool
send_piece(struct peer *p, struct waiting *w)
{
	const uint32_t max = ring_record_max(p->cap);
	uint16_t flags = PIECE | (w->off == 0 ? PIECE_FIRST : 0);
	uint32_t head = w->off == 0 ? sizeof(w->len) : 0;
	uint32_t n = w->len - w->off < max - head ? (uint32_t)(w->len - w->off) : max - head;
	uint8_t *to;

	if (w->off + n == w->len)
		flags |= PIECE_LAST;
	if (head > 0)
		w->start = p->tx.head;
	to = ring_reserve(&p->tx, head + n, w->type, flags);
	if (to == NULL)
		return false;
	if (head > 0)
		memcpy(to, &w->len, head);
	memcpy(to + head, w->data + w->off, n);
	w->off += n;
	return true;
}

static void
waiting_append(struct peer *p, struct waiting *w)
{
	w->next = NULL;
	if (p->first == NULL)
		p->first = w;
	else
		p->last->next = w;
	p->last = w;
	p->waiting_bytes += sizeof(*w) + w->len;
	p->waited++;
}

static void
waiting_move(struct peer *p)
{
	struct waiting *w;
	uint8_t *to;

	if (!p->is_open && !p->is_kept)
		return;
	while ((w = p->first) != NULL) {
		bool whole = w->len <= ring_record_max(p->cap);

		if (whole) {
			to = ring_reserve(&p->tx, (uint32_t)w->len, w->type, 0);
			if (to == NULL)
				return;
			memcpy(to, w->data, w->len);
		} else {
			while (w->off < w->len)
				if (!send_piece(p, w))
					return;
		}
		count(CNT_ring_records_sent);
		p->first = w->next;
		p->waiting_bytes -= sizeof(*w) + w->len;
		p->unwaited++;
		p->after_wait = p->tx.head;
		if (whole || !p->is_kept) {
			free(w);
			continue;
		}
		w->next = NULL;
		w->end = p->tx.head;
		if (p->pieces == NULL)
			p->pieces = w;
		else
			p->last_pieces->next = w;
		p->last_pieces = w;
	}
	p->last = NULL;
}

static void
waiting_drop(struct peer *p)
{
	struct waiting *w;

	while ((w = p->first) != NULL) {
		p->first = w->next;
		free(w);
	}
	p->last = NULL;
	p->unwaited = p->waited;
	p->waiting_bytes = 0;
}

/* The reader has released all before the position. */
static void
pieces_drop(struct peer *p, uint64_t upto)
{
	struct waiting *w;

	while ((w = p->pieces) != NULL && w->end <= upto) {
		p->pieces = w->next;
		free(w);
	}
	if (p->pieces == NULL)
		p->last_pieces = NULL;
}

/* What is in our ring from a position on, back into the list; records in pieces come from where they are kept. */
static void
ring_again(struct mesh *m, struct peer *p, uint64_t at)
{
	const struct ring_head *ring = own_ring(m, p->slot);
	struct waiting *w;
	struct ring_rec rec;

	for (; at != p->tx.head; at += ring_size(rec.len)) {
		const uint8_t *from = ring->data + (at & (p->tx.cap - 1));

		memcpy(&rec, from, sizeof(rec));
		if (rec.type == 0)
			continue;
		if (rec.flags & PIECE) {
			if (!(rec.flags & PIECE_FIRST) || (w = p->pieces) == NULL)
				continue;
			p->pieces = w->next;
			w->off = 0;
			waiting_append(p, w);
			continue;
		}
		w = malloc(sizeof(*w) + rec.len);
		if (w == NULL) {
			count(CNT_dropped__no_memory);
			continue;
		}
		*w = (struct waiting){ .len = rec.len, .type = rec.type };
		memcpy(w->data, from + sizeof(rec), rec.len);
		waiting_append(p, w);
	}
	p->last_pieces = NULL;
}

/*
 * A kept peer has died. If it had released the beginning of a record in pieces but not its end, its successor is to get that record from its
 * first piece, and then all that followed, in order: it waits again, and the ring goes on empty.
 */
static void
pieces_again(struct mesh *m, struct peer *p)
{
	struct waiting *w, *rest = p->first;
	uint64_t from = p->tx.tail;

	pieces_drop(p, from);
	if (p->pieces != NULL && p->pieces->start < from) {
		w = p->pieces;
		p->pieces = w->next;
		p->first = p->last = NULL;
		p->waiting_bytes = 0;
		p->waited = p->unwaited;
		w->off = 0;
		waiting_append(p, w);
		ring_again(m, p, w->end);
	} else if (rest != NULL && rest->off > 0 && rest->start < from) {
		p->first = p->last = NULL;
		p->waiting_bytes = 0;
		p->waited = p->unwaited;
	} else {
		return;
	}
	for (; rest != NULL; rest = w) {
		w = rest->next;
		rest->off = 0;
		waiting_append(p, rest);
	}
	p->owes_room = true;
	p->again_from = from;
	p->again_upto = p->tx.tail = p->tx.head;
	p->again_waited = p->waited;
	ring_publish(&p->tx);
}

/* The bell of a peer that sleeps, once a sleep. The head has been stored; the fence keeps it from passing the look at `sleeps`. */
static void
peer_ring(struct mesh *m, struct peer *p, bool always)
{
	uint64_t sleeps, one = 1;

	(void)m;
	atomic_thread_fence(memory_order_seq_cst);
	sleeps = atomic_load_explicit(&p->seg->sleeps, memory_order_seq_cst);
	if (!always && (!(sleeps & 1) || sleeps == p->rang))
		return;
	p->rang = sleeps;
	count(CNT_bells);
	if (write(p->bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_every(
		    10, LOG_ERR, "mesh: cannot ring the bell of peer=%s: %m", proc_title(p->slot));
}

void
mesh_flush(struct mesh *m)
{
	struct bits sent = m->sent, taken = m->taken;
	unsigned slot;

	m->sent = m->taken = (struct bits){ 0 };
	while ((slot = bit_take(&sent)) < SLOTS) {
		struct peer *p = &m->peer[slot];

		if (p->gen == 0) {
			if (p->is_kept)
				ring_publish(&p->tx); /* for its successor */
			continue;
		}
		if (p->first != NULL)
			waiting_move(p);
		if (ring_publish(&p->tx) && p->is_open)
			peer_ring(m, p, false);
		if (p->pieces != NULL) {
			(void)ring_unread(&p->tx);
			pieces_drop(p, p->tx.tail);
		}
		if (p->tx.cap == 0 && !p->is_broken)
			peer_liar(m, p, "the tail of our ring can't be there");
		if (p->first != NULL || p->pieces != NULL)
			bit_set(&m->sent, slot);
		if (p->first == NULL && p->owes_room) {
			p->owes_room = false;
			m->ops->on_room(m->arg, slot);
		}
	}
	while (!m->hold && (slot = bit_take(&taken)) < SLOTS) {
		struct peer *p = &m->peer[slot];

		if (p->is_open && p->rx.read != p->released) {
			p->released = p->rx.read;
			ring_release(&p->rx, p->rx.read);
		}
	}
	atomic_store_explicit(&m->seg->turns,
	    atomic_load_explicit(&m->seg->turns, memory_order_relaxed) + 1, memory_order_release);
	mesh_beat(m);
}

void
mesh_beat(struct mesh *m)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store_explicit(&m->seg->beat_ms,
	    (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000, memory_order_relaxed);
}

/* --- receiving --------------------------------------------------------------------------- */

static int
take_piece(struct mesh *m, struct peer *p, const struct ring_rec *rec, struct span body)
{
	uint8_t *whole;
	int err = 0;

	if (rec->flags & PIECE_FIRST) {
		uint64_t len;

		if (p->is_staging || body.len < sizeof(len))
			return -EPROTO;
		memcpy(&len, body.p, sizeof(len));
		body = span_of(body.p + sizeof(len), body.len - sizeof(len));
		if (len > m->record_max || len < body.len)
			return -EPROTO;
		p->staging = malloc(len); /* without it the record is passed over: not its fault */
		p->is_staging = true;
		p->staging_len = len;
		p->staged = 0;
		p->staging_type = rec->type;
	}
	if (!p->is_staging || rec->type != p->staging_type || p->staging_len - p->staged < body.len)
		return -EPROTO;
	if (p->staging != NULL)
		memcpy(p->staging + p->staged, body.p, body.len);
	p->staged += body.len;
	if (!(rec->flags & PIECE_LAST))
		return 0;
	if (p->staged != p->staging_len)
		return -EPROTO;
	whole = p->staging;
	p->staging = NULL;
	p->is_staging = false;
	if (whole != NULL)
		err = m->ops->on_record(m->arg, p->slot, rec->type, span_of(whole, p->staging_len));
	else
		count(CNT_dropped__no_memory);
	free(whole);
	return err;
}

/*
 * All there is up to a position, which is no more than the ring holds: it has no room again before the next flush.
 * One that the peer's head can't have had is as ALL_THERE_IS.
 */
static void
peer_drain(struct mesh *m, struct peer *p, uint64_t upto)
{
	struct ring_rec rec;
	struct span body;
	uint64_t taken = 0;
	int got = 0;

	while (p->rx.read != upto && (got = ring_next(&p->rx, &rec, &body)) > 0) {
		taken++;
		got = rec.flags & PIECE ? take_piece(m, p, &rec, body)
					: m->ops->on_record(m->arg, p->slot, rec.type, body);
		if (got < 0)
			break;
	}
	if (taken > 0) {
		bit_set(&m->taken, p->slot);
		count_add(CNT_ring_records_received, taken);
	}
	if (got < 0)
		peer_liar(m, p, "a record or index that can't be");
}

static void
drain_others(struct mesh *m, unsigned slot)
{
	for (unsigned i = 0; i < m->nlive; i++) {
		struct peer *p = &m->peer[m->live[i]];

		if (p->slot == slot)
			continue;
		if (!p->is_open)
			peer_open(m, p);
		if (p->is_open && !p->is_broken)
			peer_drain(m, p, ALL_THERE_IS);
	}
}

void
mesh_drain(struct mesh *m)
{
	struct peer *persist = &m->peer[SLOT_PERSIST];
	uint64_t upto = mesh_published(m, SLOT_PERSIST);
	bool was_open = persist->is_open;

	drain_others(m, SLOT_PERSIST);
	if (persist->gen != 0 && !was_open)
		peer_open(m, persist);
	else if (was_open && !persist->is_broken)
		peer_drain(m, persist, upto);
}

int
mesh_bell(struct mesh *m)
{
	return m->bell;
}

void
mesh_wake(struct mesh *m)
{
	uint64_t n;

	(void)!read(m->bell, &n, sizeof(n));
}

int
mesh_sleep_begin(struct mesh *m)
{
	int nap = -1;

	atomic_fetch_add_explicit(&m->seg->sleeps, 1, memory_order_seq_cst); /* odd: asleep */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < m->nlive; i++) {
		struct peer *p = &m->peer[m->live[i]];

		if (p->tx.head != p->tx.published)
			return 0;
		if (!p->is_open) {
			nap = 1;
			continue;
		}
		if (!p->is_broken &&
		    atomic_load_explicit(&p->rx.ring->head, memory_order_seq_cst) != p->rx.read)
			return 0;
		if (p->first != NULL)
			nap = 1; /* the peer doesn't tell when it has released */
	}
	return nap;
}

void
mesh_sleep_end(struct mesh *m)
{
	atomic_fetch_add_explicit(&m->seg->sleeps, 1, memory_order_seq_cst);
}

void
mesh_hold(struct mesh *m)
{
	m->hold = true;
}

uint64_t
mesh_position(struct mesh *m, unsigned from)
{
	return m->peer[from].rx.read;
}

uint64_t
mesh_published(struct mesh *m, unsigned from)
{
	const struct peer *p = &m->peer[from];

	return p->is_open ? atomic_load_explicit(&p->rx.ring->head, memory_order_acquire) : 0;
}

void
mesh_release(struct mesh *m, unsigned from, uint64_t upto)
{
	struct peer *p = &m->peer[from];

	if (!p->is_open || upto == p->released)
		return;
	must(upto <= p->rx.read);
	p->released = upto;
	ring_release(&p->rx, upto);
}

/* --- fences ------------------------------------------------------------------------------ */

static void
mark_peer(const struct peer *p, struct mesh_mark *out)
{
	out->gen[p->slot] = p->gen;
	out->at[p->slot] = p->tx.head;
	out->waited[p->slot] = p->first != NULL ? p->waited : 0;
}

void
mesh_mark(struct mesh *m, struct mesh_mark *out)
{
	memset(out->gen, 0, sizeof(out->gen));
	for (unsigned i = 0; i < m->nlive; i++)
		mark_peer(&m->peer[m->live[i]], out);
	mark_peer(&m->peer[SLOT_PERSIST], out); /* be it there or not */
}

/* Position that must have been passed; false: it isn't in the ring yet. */
static bool
mark_position(const struct peer *p, const struct mesh_mark *mark, uint64_t *out)
{
	uint64_t at = mark->at[p->slot], waited = mark->waited[p->slot];

	if ((at > p->again_from || waited > 0) && at <= p->again_upto && waited < p->again_waited)
		waited = p->again_waited;
	if (p->unwaited < waited)
		return false;
	*out = waited > 0 ? p->after_wait : at;
	return true;
}

bool
mesh_is_published(struct mesh *m, const struct mesh_mark *at)
{
	uint64_t pos;

	for (unsigned i = 0; i < m->nlive; i++) {
		const struct peer *p = &m->peer[m->live[i]];

		if (at->gen[p->slot] == p->gen &&
		    (!mark_position(p, at, &pos) || p->tx.published < pos))
			return false;
	}
	return true;
}

bool
mesh_has_consumed(struct mesh *m, unsigned slot, const struct mesh_mark *at)
{
	struct peer *p = &m->peer[slot];
	uint64_t pos;

	if (!p->is_kept && (p->gen == 0 || p->gen != at->gen[slot] || p->is_broken))
		return true;
	if (!mark_position(p, at, &pos))
		return false;
	if (p->tx.tail < pos)
		(void)ring_unread(&p->tx); /* refreshes the tail */
	return p->tx.cap == 0 || p->tx.tail >= pos;
}

bool
mesh_is_consumed(struct mesh *m, const struct mesh_mark *at)
{
	for (unsigned i = 0; i < m->nlive; i++)
		if (!mesh_has_consumed(m, m->live[i], at))
			return false;
	return true;
}

bool
mesh_is_drained_by_all(struct mesh *m, unsigned slot, uint32_t gen)
{
	const struct peer *dead = &m->peer[slot];

	/* A death we have not seen has nobody to wait for; who has drained a later generation has drained this one too. */
	if (dead->dead_gen < gen)
		return true;
	for (unsigned i = 0; i < m->nlive; i++) {
		const struct peer *p = &m->peer[m->live[i]];

		if (dead->mourners[p->slot] == p->gen && !p->is_broken &&
		    atomic_load_explicit(&p->seg->link[slot].drained, memory_order_acquire) < gen)
			return false;
	}
	return true;
}

void
mesh_turns(struct mesh *m, struct mesh_turns *out)
{
	memset(out->gen, 0, sizeof(out->gen));
	for (unsigned i = 0; i < m->nlive; i++) {
		const struct peer *p = &m->peer[m->live[i]];

		out->gen[p->slot] = p->gen;
		out->turns[p->slot] = atomic_load_explicit(&p->seg->turns, memory_order_acquire);
		out->sleeps[p->slot] = atomic_load_explicit(&p->seg->sleeps, memory_order_seq_cst);
	}
}

bool
mesh_all_turned(struct mesh *m, const struct mesh_turns *since)
{
	for (unsigned i = 0; i < m->nlive; i++) {
		const struct peer *p = &m->peer[m->live[i]];
		uint64_t sleeps = atomic_load_explicit(&p->seg->sleeps, memory_order_seq_cst);

		if (since->gen[p->slot] != p->gen || p->is_broken ||
		    proc_kind_of(p->slot) != PROC_MQTT)
			continue;
		if (atomic_load_explicit(&p->seg->turns, memory_order_acquire) ==
			since->turns[p->slot] &&
		    sleeps == since->sleeps[p->slot] && !(sleeps & 1))
			return false;
	}
	return true;
}
