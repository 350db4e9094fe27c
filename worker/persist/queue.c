#include "worker/persist/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/share.h"

#define SEND_MAX 256  /* deliveries of one session in a turn, then others have theirs */
#define BURY_MAX 1000 /* entries of ended sessions dropped in a turn */
#define IDS UINT64_C(65535)
#define JUMP (IDS / 2 + 1) /* to identifiers that none under way has */
#define LEASE                                                                                      \
	1024 /* entries that are on disk as handed out before they are: after a crash they go with DUP */

struct grave {
	struct grave *next;
	struct store_queue *queue;
	bool move; /* entries of shared subscriptions go to another member */
};

enum sending { SENDING_DONE, SENDING_MORE, SENDING_WAITS }; /* WAITS: for a batch to be safe */

static struct {
	struct list ready;          /* sessions with something to send */
	struct list stalled[SLOTS]; /* the same, whose worker's ring is full */
	struct list unsafe;         /* the same, whose next is not on disk yet */
	struct grave *graves;
	bool is_open;
} the;

static uint16_t packet_id(uint64_t seq);
static bool id_is_taken(struct durable *d, uint64_t seq);
static void entry_del(struct durable *d, const struct store_entry *e);
static enum sending send_some(struct feed *f);
static bool send_entry(struct feed *f, const struct store_entry *e);
static bool drop_waiting(struct durable *d);
static bool bury_some(void);

static void
lists_open(void)
{
	if (the.is_open)
		return;
	list_init(&the.ready);
	list_init(&the.unsafe);
	for (unsigned i = 0; i < SLOTS; i++)
		list_init(&the.stalled[i]);
	the.is_open = true;
}

void
queue_init(struct durable *d, struct session *s, uint64_t queue_id)
{
	lists_open();
	*d = (struct durable){ .session = s, .queue_id = queue_id };
}

void
queue_load(struct durable *d)
{
	if (d->queue == NULL && store_queue_open(d->queue_id, &d->queue) != 0) {
		count(CNT_dropped__no_memory);
		return;
	}
	count_add(CNT_queued, d->queue->entries);
	count_add(CNT_queued_bytes, d->queue->bytes);
}

uint64_t
queue_entries(const struct durable *d)
{
	return d->queue != NULL ? d->queue->entries : 0;
}

uint64_t
queue_waiting(const struct durable *d)
{
	uint64_t n = queue_entries(d), used = queue_under_way(d);

	return n > used ? n - used : 0;
}

uint32_t
queue_under_way(const struct durable *d)
{
	return d->feed != NULL ? d->feed->used : 0;
}

enum limit
queue_limit(const struct store_queue *q, uint64_t waiting, size_t size)
{
	const struct conf *c = &self.conf;

	if ((c->queue_max_messages > 0 && waiting >= c->queue_max_messages) ||
	    (c->queue_max_bytes > 0 && q != NULL && q->bytes + size > c->queue_max_bytes))
		return LIMIT_QUEUE;
	return LIMIT_NONE;
}

static uint64_t
level(enum counter c)
{
	return atomic_load_explicit(&counters[c], memory_order_relaxed);
}

enum limit
queue_limit_of_all(uint64_t messages, uint64_t bytes)
{
	const struct conf *c = &self.conf;

	if ((c->store_max_messages > 0 && level(CNT_queued) + messages > c->store_max_messages) ||
	    (c->store_max_bytes > 0 && level(CNT_queued_bytes) + bytes > c->store_max_bytes))
		return LIMIT_STORE;
	return LIMIT_NONE;
}

void
queue_dropped(enum limit why)
{
	count(why == LIMIT_STORE ? CNT_dropped__store_limit : CNT_dropped__queue_full);
}

uint64_t
queue_expires_ms(const struct msg_view *v)
{
	uint64_t expires = msg_expires_ms(v),
		 old = clock_wall_ms() + self.conf.queue_max_age * UINT64_C(1000);

	return self.conf.queue_max_age > 0 && (expires == 0 || old < expires) ? old : expires;
}

/* For one more, beside so many. */
static bool
has_room(const struct feed *f, uint64_t entries, uint64_t bytes)
{
	return entries < f->window &&
	    (self.conf.inflight_max_bytes == 0 || bytes < self.conf.inflight_max_bytes);
}

bool
queue_can_send(const struct durable *d)
{
	return d->feed != NULL && d->session->state == SESSION_ONLINE &&
	    has_room(d->feed, queue_entries(d), d->queue != NULL ? d->queue->bytes : 0);
}

enum queued
queue_add(struct durable *d, const struct queue_item *item)
{
	const struct msg_view *v = &item->msg->v;
	struct store_entry e = {
		.group = item->group,
		.subids = item->subids,
		.expires_ms = item->moved != NULL ? item->moved->expires_ms : queue_expires_ms(v),
		.size = (uint32_t)msg_view_size(v),
		.qos = item->qos,
		.retain = item->retain,
	};
	enum limit full;

	if (d->queue == NULL && store_queue_open(d->queue_id, &d->queue) != 0)
		goto no_memory;
	while ((full = queue_limit(d->queue, queue_waiting(d), e.size)) != LIMIT_NONE ||
	    (item->moved == NULL && (full = queue_limit_of_all(1, e.size)) != LIMIT_NONE)) {
		log_every(10, LOG_WARNING, "%s: full, messages dropped id=%s waiting=%" PRIu64,
		    full == LIMIT_STORE ? "store" : "queue", log_esc(session_id(d->session)),
		    queue_waiting(d));
		queue_dropped(full);
		if (self.conf.queue_drop != DROP_oldest || !drop_waiting(d))
			return QUEUE_FULL;
	}
	e.seq = d->queue->next_seq;
	/*
	 * What our predecessor delivered before it was on the disk has numbers that the client's
	 * acknowledgements name. They must not come to mean another message.
	 */
	if (!d->has_jumped && d->session->state == SESSION_OFFLINE && !peer_is_recovered()) {
		e.seq += JUMP;
		d->has_jumped = true;
	}
	/* An identifier that is under way is passed over. */
	while (id_is_taken(d, e.seq))
		e.seq++;
	if (e.seq > d->queue->lease && d->session->state != SESSION_OFFLINE)
		store_queue_lease(d->queue, e.seq + LEASE);
	if (store_entry_add(d->queue, &e, item->msg) != 0)
		goto no_memory;
	count_add(CNT_queued, 1);
	count_add(CNT_queued_bytes, e.size);
	queue_ready(d);
	return QUEUE_OK;
no_memory:
	count(CNT_dropped__no_memory);
	return QUEUE_NO_MEMORY;
}

/* NULL: no memory, which is counted. */
static struct feed *
feed_new(struct durable *d, uint16_t window)
{
	struct feed *f = calloc(1, sizeof(*f));

	must(d->feed == NULL);
	if (f == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	f->durable = d;
	f->window = window;
	list_init(&f->ready);
	return d->feed = f;
}

enum mqtt_reason
queue_begin(struct durable *d, uint16_t window)
{
	struct feed *f = feed_new(d, window);

	if (f == NULL)
		return MQTT_QUOTA_EXCEEDED;
	f->since = store_batch();
	if (d->queue != NULL) {
		f->had = d->queue->sent;
		store_queue_lease(d->queue, d->queue->sent + LEASE);
	}
	return MQTT_OK;
}

static void
release(const struct durable *d, uint64_t seq)
{
	struct rec_deliver rec = {
		.epoch = d->session->epoch,
		.seq = seq,
		.handle = d->session->handle,
		.packet_id = packet_id(seq),
		.what = DELIVER_PUBREL,
	};

	out_answer(d->session->slot, out_kept(d->session->durability), REC_DELIVER,
	    &(struct iovec){ &rec, sizeof(rec) }, 1);
}

void
queue_go_on(struct durable *d, uint16_t window, uint64_t seq)
{
	struct store_entry e = { .seq = 0 };
	struct feed *f = feed_new(d, window);

	if (f == NULL)
		return;
	if (d->queue == NULL && store_queue_open(d->queue_id, &d->queue) != 0) {
		count(CNT_dropped__no_memory);
		return;
	}
	while (f->used < window && store_entry_next(d->queue, e.seq, &e) && e.seq <= seq) {
		f->used++;
		f->used_bytes += e.size;
		if (e.state == ENTRY_RELEASED) /* which it may not have been told */
			release(d, e.seq);
	}
	f->cursor = seq;
	f->had = d->queue->sent;
	store_queue_sent(d->queue, seq);
	queue_ready(d);
}

void
queue_pause(struct durable *d)
{
	struct feed *f = d->feed;

	if (f == NULL)
		return;
	list_del(&f->ready);
	unackeds_clear(&f->unacked);
	free(f);
	d->feed = NULL;
	if (d->queue != NULL)
		store_queue_rest(d->queue);
}

void
queue_not_sent(struct durable *d, uint64_t seq)
{
	if (d->feed == NULL || d->queue == NULL || seq >= d->feed->cursor)
		return;
	store_queue_not_sent(d->queue, seq > d->feed->had ? seq : d->feed->had);
}

void
queue_ready(struct durable *d)
{
	if (d->feed == NULL || d->feed->is_ready || d->session->state != SESSION_ONLINE)
		return;
	if (queue_waiting(d) == 0 && !d->has_groups)
		return;
	d->feed->is_ready = true;
	list_add_tail(&the.ready, &d->feed->ready);
}

int
queue_acked(struct durable *d, const struct rec_acked *r)
{
	struct feed *f = d->feed;
	struct store_entry e;

	if (d->queue == NULL && (f != NULL || store_queue_open(d->queue_id, &d->queue) != 0)) {
		if (f == NULL)
			count(CNT_dropped__no_memory);
		return 0;
	}
	if (r->seq > (f != NULL ? f->cursor : d->queue->next_seq - 1))
		return 0; /* without a connection: it was not on the disk */
	if (f == NULL)
		store_queue_sent(d->queue, r->seq);
	/* Acknowledged twice, or dropped meanwhile. */
	if (((f == NULL || !unackeds_get(&f->unacked, r->seq, &e)) &&
		!store_entry_get(d->queue, r->seq, &e)) ||
	    packet_id(e.seq) != r->packet_id || e.state == ENTRY_QUEUED)
		return 0;
	switch (r->packet) {
	case 0:
		entry_del(d, &e);
		break;
	case PKT_PUBACK:
		if (e.qos == 1)
			entry_del(d, &e);
		break;
	case PKT_PUBREC:
		if (e.qos != 2)
			break;
		if (r->reason >= 0x80 && e.state == ENTRY_SENT) { /* [MQTT-4.4.0-2] */
			entry_del(d, &e);
			break;
		}
		if (e.state == ENTRY_SENT && store_entry_release(d->queue, &e) == 0 && f != NULL)
			unackeds_released(&f->unacked, e.seq);
		if (d->session->state != SESSION_OFFLINE)
			release(d, e.seq);
		break;
	case PKT_PUBCOMP:
		if (e.qos == 2 && e.state == ENTRY_RELEASED)
			entry_del(d, &e);
		break;
	default:
		return -EPROTO;
	}
	queue_ready(d);
	return 0;
}

void
queue_bury(uint64_t id, struct store_queue **q, bool move)
{
	struct grave *g;

	if (*q == NULL && store_queue_open(id, q) != 0)
		return;
	if ((*q)->entries == 0) {
		store_queue_del(q);
		return;
	}
	g = malloc(sizeof(*g));
	if (g == NULL) { /* found again after a restart */
		store_queue_close(q);
		return;
	}
	*g = (struct grave){ .next = the.graves, .queue = *q, .move = move };
	the.graves = g;
	*q = NULL;
}

void
queue_bury_orphan(uint64_t id)
{
	struct store_queue *q;

	if (store_queue_open(id, &q) != 0)
		return;
	count_add(CNT_queued, q->entries);
	count_add(CNT_queued_bytes, q->bytes);
	queue_bury(id, &q, true);
}

/* All of one list to the end of another. */
static void
list_move(struct list *from, struct list *to)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

bool
queue_turn(void)
{
	struct list now, again;
	bool more = false;

	lists_open();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (!list_is_empty(&the.stalled[slot]) && out_is_clear(slot))
			list_move(&the.stalled[slot], &the.ready);
	list_init(&now);
	list_init(&again);
	list_move(&the.ready, &now);
	while (!list_is_empty(&now)) {
		struct feed *f = LIST_FIRST(&now, struct feed, ready);
		uint8_t slot = f->durable->session->slot;

		list_del(&f->ready);
		if (!out_is_clear(slot)) {
			list_add_tail(&the.stalled[slot], &f->ready);
			continue;
		}
		switch (send_some(f)) {
		case SENDING_MORE:
			list_add_tail(&again, &f->ready);
			more = true;
			break;
		case SENDING_WAITS:
			list_add_tail(&the.unsafe, &f->ready);
			break;
		case SENDING_DONE:
			f->is_ready = false;
			break;
		}
	}
	list_move(&again, &the.ready);
	return bury_some() || more || !list_is_empty(&the.ready);
}

void
queue_synced(void)
{
	lists_open();
	list_move(&the.unsafe, &the.ready);
}

void
queue_down(unsigned slot)
{
	lists_open();
	while (!list_is_empty(&the.stalled[slot])) {
		struct feed *f = LIST_FIRST(&the.stalled[slot], struct feed, ready);

		list_del(&f->ready);
		f->is_ready = false;
	}
}

void
queue_fini(void)
{
	struct grave *g;

	while ((g = the.graves) != NULL) {
		the.graves = g->next;
		store_queue_close(&g->queue);
		free(g);
	}
}

/* --- entries ----------------------------------------------------------------------------- */

static uint16_t
packet_id(uint64_t seq)
{
	return (uint16_t)(1 + seq % IDS);
}

/*
 * Is an entry in the queue that has gone out, or will, under the identifier of seq? Nearly
 * always the queue is shorter than that.
 */
static bool
id_is_taken(struct durable *d, uint64_t seq)
{
	const struct store_queue *q = d->queue;
	struct store_entry other;
	uint64_t at = seq - IDS, steps;

	if (seq <= IDS || q->entries == 0)
		return false;
	if (at > q->sent) { /* only what has been handed out holds one */
		steps = (at - q->sent + IDS - 1) / IDS;
		if (steps >= (at + IDS - 1) / IDS)
			return false;
		at -= steps * IDS;
	}
	for (; at >= q->first; at -= IDS) {
		if (store_entry_get(d->queue, at, &other) && other.state != ENTRY_QUEUED)
			return true;
		if (at <= IDS)
			break;
	}
	return false;
}

static void
entry_del(struct durable *d, const struct store_entry *e)
{
	struct feed *f = d->feed;
	uint64_t seq = e->seq;
	uint32_t size = e->size;

	if (store_entry_del(d->queue, e) != 0)
		return;
	count_sub(CNT_queued, 1);
	count_sub(CNT_queued_bytes, size);
	if (f == NULL)
		return;
	unackeds_del(&f->unacked, seq);
	if (seq <= f->cursor && f->used > 0) {
		f->used--;
		f->used_bytes -= size;
	}
}

/* The oldest that hasn't been sent goes. */
static bool
drop_waiting(struct durable *d)
{
	uint64_t at = d->queue->sent;
	struct store_entry e;

	while (store_entry_next(d->queue, at, &e)) {
		at = e.seq;
		if (e.state == ENTRY_QUEUED) {
			entry_del(d, &e);
			return true;
		}
	}
	return false;
}

void
queue_expired(struct store_queue *q, const struct store_entry *e)
{
	uint32_t size = e->size;

	count(msg_is_expired(&e->msg.v, clock_wall_ms()) ? CNT_dropped__expired
							 : CNT_dropped__too_old);
	if (share_drop(q, e) || store_entry_del(q, e) != 0)
		return;
	count_sub(CNT_queued, 1);
	count_sub(CNT_queued_bytes, size);
}

static bool
is_expired(const struct store_entry *e)
{
	return e->expires_ms != 0 && e->expires_ms <= clock_wall_ms() && e->state == ENTRY_QUEUED;
}

/* At once what there is room for: it is sent when it is safe, and each batch is a sync. */
static bool
fetch_some(struct durable *d)
{
	unsigned n = 0;

	while (n < SEND_MAX && d->has_groups && (n == 0 || queue_can_send(d)) && share_fetch(d))
		n++;
	return n > 0;
}

static enum sending
send_some(struct feed *f)
{
	struct durable *d = f->durable;
	struct store_entry e;

	if (f->since > store_safe(d->session->durability))
		return SENDING_WAITS;
	for (unsigned n = 0; n < SEND_MAX; n++) {
		if (d->session->state != SESSION_ONLINE || !has_room(f, f->used, f->used_bytes))
			return SENDING_DONE;
		if (d->queue == NULL || !store_entry_next(d->queue, f->cursor, &e)) {
			if (!fetch_some(d))
				return SENDING_DONE;
			continue;
		}
		if (is_expired(&e)) {
			queue_expired(d->queue, &e);
			continue;
		}
		if (e.state == ENTRY_QUEUED && e.qos > 0 && id_is_taken(d, e.seq))
			return SENDING_DONE; /* an acknowledgement goes on with it */
		/*
		 * A QoS 2 message that might be forgotten and come again must not have been seen, nor one of a
		 * group, which might go to another member then.
		 */
		if ((e.qos == 2 || e.group != 0) && !store_entry_is_safe(d->queue, e.seq))
			return SENDING_WAITS;
		if (e.state == ENTRY_QUEUED && e.qos > 0) {
			if (e.seq + LEASE / 2 > d->queue->lease)
				store_queue_lease(d->queue, e.seq + LEASE);
			if (!store_queue_may_send(d->queue, e.seq))
				return SENDING_WAITS;
		}
		if (!out_is_clear(d->session->slot) || !send_entry(f, &e))
			return SENDING_MORE;
	}
	return SENDING_MORE;
}

/* False: no room, not sent. */
static bool
send_entry(struct feed *f, const struct store_entry *e)
{
	struct durable *d = f->durable;
	struct rec_deliver rec = {
		.epoch = d->session->epoch,
		.seq = e->seq,
		.handle = d->session->handle,
		.packet_id = e->qos > 0 ? packet_id(e->seq) : 0,
	};
	struct msg_view v = e->msg.v;

	if (e->state == ENTRY_RELEASED) {
		rec.what = DELIVER_PUBREL;
		if (out_send(d->session->slot, REC_DELIVER, &(struct iovec){ &rec, sizeof(rec) },
			1) >= MESH_FULL)
			return false;
		f->cursor = e->seq;
		f->used++;
		f->used_bytes += e->size;
		unackeds_add(&f->unacked, e);
		return true;
	}
	v.qos = e->qos;
	v.retain = e->retain;
	/*
	 * What the client may have seen already has to be brought to its end: it no longer expires.
	 */
	if (e->state == ENTRY_SENT && msg_is_expired(&v, clock_wall_ms()))
		v.expiry = (uint32_t)((clock_wall_ms() - v.publish_ms) / 1000 + 1);
	rec.nsubids = (uint16_t)(e->subids.len / sizeof(uint32_t));
	rec.m = rec_msg_of(&v, 0, true);
	if (e->qos > 0 && (e->state == ENTRY_SENT || e->msg.again))
		rec.m.flags |= REC_DUP;
	if (out_message(d->session->slot, REC_DELIVER, span_of(&rec, sizeof(rec)), e->subids, &v) >=
	    MESH_FULL)
		return false;
	count(CNT_delivers);
	f->cursor = e->seq;
	f->used++;
	f->used_bytes += e->size;
	if (e->qos == 0) {
		entry_del(d, e);
		return true;
	}
	unackeds_add(&f->unacked, e);
	store_entry_sent(d->queue, e);
	return true;
}

/* --- ended sessions ---------------------------------------------------------------------- */

static bool
bury_some(void)
{
	struct store_entry e;
	struct grave *g;

	for (unsigned n = 0; n < BURY_MAX && (g = the.graves) != NULL; n++) {
		if (!store_entry_next(g->queue, 0, &e)) {
			the.graves = g->next;
			store_queue_del(&g->queue);
			free(g);
			continue;
		}
		count_sub(CNT_queued, 1); /* it may be counted elsewhere in a moment */
		count_sub(CNT_queued_bytes, e.size);
		/* 4.8.2: a QoS 2 delivery that has begun stays with whom it began. */
		if (!g->move || e.group == 0 || (e.qos == 2 && e.state != ENTRY_QUEUED) ||
		    !share_again(&e))
			count(CNT_dropped__session_end);
		store_entry_del(g->queue, &e);
	}
	return the.graves != NULL;
}
