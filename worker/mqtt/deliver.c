#include "worker/mqtt/deliver.h"

#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/mem/arena.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/publish.h"
#include "worker/mqtt/subscribe.h"

#define FRAMES 8 /* encodings of one message that are remembered while it is handed out */
#define IDS_MAX                                                                                    \
	64 /* subscription identifiers of one delivery: more matching subscriptions with one each are left out */

/* One message for one connection. */
struct target {
	struct conn *conn;
	uint64_t group; /* 0: plain */
	uint8_t qos;    /* effective */
	bool retain, dup;
	bool asked; /* for it, when there was room */
	uint16_t nids;
	const uint32_t *ids;
};

struct waiting {
	struct waiting *next;
	struct msg *msg;
	uint64_t group;
	uint8_t qos;
	bool retain;
	uint16_t nids;
	uint32_t ids[];
};

struct frame {
	uint8_t version, qos;
	bool retain;
	uint16_t nids;
	const uint32_t *ids;
	uint8_t *p;
	size_t len, head_len, id_at;
};

struct merged { /* subscriptions of one connection that match one message */
	struct conn *conn;
	uint8_t qos;
	bool retain_as_published;
	uint16_t nids;
	uint32_t ids[IDS_MAX];
};

/* The message being handed out. */
static struct {
	const struct msg_view *v;
	struct msg *msg;     /* made when the first has to wait */
	struct out_big *big; /* made when the first large payload is sent */
	struct arena arena;  /* of this message: frames */
	struct frame frame[FRAMES];
	unsigned nframes;
	uint32_t expiry; /* seconds left */
	bool many;       /* more than one receiver: worth remembering encodings */
	uint32_t mark;
	struct merged *merged;
	size_t nmerged, cap;
} pub;

static bool pub_begin(const struct msg_view *v, bool many);
static void pub_end(void);
static bool is_withheld(const struct sub *s);
static uint8_t effective_qos(uint8_t published, uint8_t granted);
static void deliver_merged(const struct route *r, const struct conn *from, struct delivered *d);
static void offer(const struct target *t, struct delivered *d);
static void send_in_flight(const struct target *t);
static bool send_publish(const struct target *t, uint16_t id);
static void wait_add(const struct target *t, struct delivered *d);
static void wait_pop(struct conn *c);
static bool hold(const struct target *t, const struct rec_deliver *rec, const struct msg_view *v);
static void send_held(struct conn *c);
static bool
send_stored(const struct target *t, uint64_t seq, uint16_t packet_id, const struct msg_view *v);
static bool out_is_full(const struct conn *c);
static bool window_is_full(const struct conn *c);
static size_t size_of(const struct msg_view *v);

void
deliver_plain(
    const struct route *r, const struct msg_view *v, const struct conn *from, struct delivered *d)
{
	const struct subnode *n;

	if (r->plain == 0 || !pub_begin(v, r->plain > 1 || r->node[0]->nsubs > 1))
		return;
	if (r->plain > 1) {
		deliver_merged(r, from, d);
		pub_end();
		return;
	}
	/* One filter: no connection can be there twice. */
	n = r->node[0];
	for (uint32_t i = 0; i < n->nsubs; i++) {
		const struct sub *s = subnode_at(n, i);
		struct target t = {
			.conn = s->conn,
			.qos = effective_qos(v->qos, s->qos),
			.retain = v->retain && s->retain_as_published,
			.nids = s->id != 0,
			.ids = &s->id,
		};

		if ((s->no_local && s->conn == from) || (s->conn->durable && t.qos > 0) ||
		    is_withheld(s))
			continue;
		offer(&t, d);
	}
	pub_end();
}

bool
deliver_member(
    struct subnode *n, const struct msg_view *v, const struct conn *from, struct delivered *d)
{
	struct sub *pick = NULL;
	uint32_t start = n->turn++;

	if (n->nsubs == 0)
		return false;
	switch (self.conf.shared_policy) {
	case SHARE_sticky:
		start = 0;
		break;
	case SHARE_hash_client:
		start = from != NULL ? (uint32_t)hash_bytes(&self.key, conn_id(from)) : 0;
		break;
	case SHARE_hash_topic:
		start = (uint32_t)hash_bytes(&self.key, v->topic);
		break;
	default:
		break;
	}
	for (uint32_t i = 0; i < n->nsubs; i++) {
		struct sub *s = subnode_at(n, (start + i) % n->nsubs);
		uint32_t load = s->conn->nwaiting + s->conn->tx.n;

		if (s->conn->state != CONN_OPEN)
			continue; /* it ends with this turn */
		if (s->conn->durable && effective_qos(v->qos, s->qos) > 0)
			continue; /* persist's */
		if (s->checked && !access_receive(s->conn, v->topic))
			continue; /* another may */
		if (self.conf.shared_policy == SHARE_least_loaded) {
			if (pick == NULL || load < pick->conn->nwaiting + pick->conn->tx.n)
				pick = s;
			continue;
		}
		if (pick == NULL)
			pick = s;
		if (!window_is_full(s->conn) && s->conn->nwaiting == 0 && !out_is_full(s->conn) &&
		    limit_lets_out(s->conn)) {
			pick = s;
			break;
		}
	}
	if (pick == NULL || !pub_begin(v, false))
		return false;
	offer(&(struct target){ .conn = pick->conn,
		  .group = n->group,
		  .qos = effective_qos(v->qos, pick->qos),
		  .retain = v->retain && pick->retain_as_published,
		  .nids = pick->id != 0,
		  .ids = &pick->id },
	    d);
	pub_end();
	return true;
}

void
deliver_retained(struct conn *c, const struct sub *s, const struct msg_view *v)
{
	struct delivered d = { 0 };
	struct target t = {
		.conn = c, .retain = true, .asked = true, .nids = s->id != 0, .ids = &s->id
	};

	t.qos = v->qos < s->qos ? v->qos : s->qos;
	if (!pub_begin(v, false))
		return;
	if (!is_withheld(s))
		offer(&t, &d);
	pub_end();
}

bool
deliver_stored(
    struct conn *c, const struct rec_deliver *rec, struct span subids, const struct msg_view *v)
{
	uint32_t ids[IDS_MAX];
	struct target t = {
		.conn = c,
		.qos = v->qos,
		.retain = v->retain,
		.dup = rec->m.flags & REC_DUP,
		.nids = rec->nsubids < IDS_MAX ? rec->nsubids : IDS_MAX,
		.ids = ids,
	};

	memcpy(ids, subids.p, t.nids * sizeof(ids[0]));
	if (c->limits != NULL && (limit_held(c) != NULL || !limit_lets_out(c)) && hold(&t, rec, v))
		return true;
	return send_stored(&t, rec->seq, rec->packet_id, v);
}

/* Too fast: it waits, as what persist sends then. False: no memory, it goes at once. */
static bool
hold(const struct target *t, const struct rec_deliver *rec, const struct msg_view *v)
{
	struct held *h = malloc(sizeof(*h) + t->nids * sizeof(h->ids[0]));
	struct msg *m = h != NULL ? msg_new(v) : NULL;

	if (m == NULL) {
		free(h);
		return false;
	}
	*h = (struct held){
		.msg = m,
		.seq = rec->seq,
		.id = rec->packet_id,
		.qos = t->qos,
		.retain = t->retain,
		.dup = t->dup,
		.nids = t->nids,
	};
	memcpy(h->ids, t->ids, t->nids * sizeof(h->ids[0]));
	limit_hold(t->conn, h);
	limit_pump_later(t->conn);
	return true;
}

static void
send_held(struct conn *c)
{
	struct held *h;

	while ((h = limit_held(c)) != NULL && c->state == CONN_OPEN && !out_is_full(c) &&
	    limit_lets_out(c)) {
		struct msg_view v = msg_view(h->msg);
		struct target t = {
			.conn = c,
			.qos = h->qos,
			.retain = h->retain,
			.dup = h->dup,
			.nids = h->nids,
			.ids = h->ids,
		};

		limit_held_take(c);
		if (!send_stored(&t, h->seq, h->id, &v) && c->state == CONN_OPEN)
			publish_unsent(c, h->seq, h->id);
		msg_unref(&h->msg);
		free(h);
	}
}

static bool
send_stored(const struct target *t, uint64_t seq, uint16_t packet_id, const struct msg_view *v)
{
	struct conn *c = t->conn;
	struct inflight *e;
	bool sent;

	if (!access_receive(c, v->topic) || !pub_begin(v, false))
		return false;
	if (t->qos > 0) {
		e = inflight_find(&c->tx, packet_id);
		if (e == NULL)
			e = inflight_add(&c->tx, packet_id);
		if (e == NULL) {
			pub_end();
			return false;
		}
		e->seq = seq;
		e->state = t->qos == 1 ? INFLIGHT_PUBACK : INFLIGHT_PUBREC;
	}
	sent = send_publish(t, packet_id);
	if (!sent && t->qos > 0 && (e = inflight_find(&c->tx, packet_id)) != NULL)
		inflight_del(&c->tx, e);
	pub_end();
	return sent;
}

void
deliver_pubrel(struct conn *c, uint16_t id)
{
	uint8_t packet[8];

	conn_send(c, packet,
	    ack_encode(PKT_PUBREL, id, c->version, MQTT_SUCCESS, span_of(NULL, 0), packet,
		sizeof(packet)));
}

void
deliver_acked(struct conn *c)
{
	if (c->wait_first != NULL)
		deliver_pump(c);
}

void
deliver_pump(struct conn *c)
{
	send_held(c);
	while (c->wait_first != NULL && c->state == CONN_OPEN && !window_is_full(c) &&
	    !out_is_full(c) && limit_lets_out(c)) {
		struct waiting *w = c->wait_first;
		struct msg *m = msg_ref(w->msg); /* the connection may end while it is sent */
		struct msg_view v = msg_view(m);
		struct target t = { .conn = c,
			.group = w->group,
			.qos = w->qos,
			.retain = w->retain,
			.nids = w->nids,
			.ids = w->ids };

		/* The rules may be others than when it began to wait. */
		if (!access_receive(c, v.topic)) {
			if (w->group != 0)
				publish_again(m, w->group);
		} else if (pub_begin(&v, false)) {
			pub.msg = msg_ref(m);
			send_in_flight(&t);
			pub_end();
		}
		msg_unref(&m);
		if (c->state != CONN_OPEN)
			return;
		wait_pop(c);
	}
	if (c->wait_first != NULL || limit_held(c) != NULL)
		limit_pump_later(c);
	if (!list_is_empty(&c->gets))
		subscribe_more(c);
}

void
deliver_drop(struct conn *c)
{
	uint64_t lost = 0;

	/* What had been given to this member of a group and isn't acknowledged goes to another, QoS 2 that has begun excepted (4.8.2). */
	for (uint32_t i = 0; i < c->tx.cap && c->tx.n > 0; i++) {
		struct inflight *e = &c->tx.at[i];

		if (e->state == INFLIGHT_PUBACK && e->msg != NULL)
			publish_again(e->msg, e->group);
	}
	inflights_clear(&c->tx);
	inflights_clear(&c->rx);
	while (c->wait_first != NULL) {
		struct waiting *w = c->wait_first;

		if (w->group != 0)
			publish_again(w->msg, w->group);
		else
			lost++;
		wait_pop(c);
	}
	count_add(CNT_dropped__session_end, lost);
}

void
deliver_fini(void)
{
	if (pub.arena.block != 0)
		arena_fini(&pub.arena);
	free(pub.merged);
}

void
alias_free(struct conn_alias **a)
{
	if (*a == NULL)
		return;
	for (unsigned i = 0; i < (*a)->max; i++)
		free((*a)->topic[i].p);
	free(*a);
	*a = NULL;
}

/* --- one message ------------------------------------------------------------------------- */

static bool
pub_begin(const struct msg_view *v, bool many)
{
	if (v->has_expiry) {
		pub.expiry = msg_expiry_left(v->publish_ms, v->expiry, clock_wall_ms());
		if (pub.expiry == 0) { /* [MQTT-3.3.2-5] */
			count(CNT_dropped__expired);
			return false;
		}
	}
	must(pub.v == NULL);
	pub.v = v;
	pub.many = many;
	pub.nframes = 0;
	return true;
}

static void
pub_end(void)
{
	msg_unref(&pub.msg);
	out_big_unref(&pub.big);
	if (pub.nframes > 0)
		arena_reset(&pub.arena);
	pub.v = NULL;
}

/* By access rules, the message that is being handed out. */
static bool
is_withheld(const struct sub *s)
{
	return s->checked && !access_receive(s->conn, pub.v->topic);
}

static uint8_t
effective_qos(uint8_t published, uint8_t granted)
{
	return self.conf.upgrade_outgoing_qos || granted < published ? granted : published;
}

static struct merged *
merged_of(struct conn *c)
{
	struct merged *m;

	if (c->mark == pub.mark)
		return &pub.merged[c->mark_at];
	if (pub.nmerged == pub.cap) {
		size_t cap = pub.cap ? pub.cap * 2 : 64;

		m = realloc(pub.merged, cap * sizeof(*m));
		if (m == NULL)
			return NULL;
		pub.merged = m;
		pub.cap = cap;
	}
	c->mark = pub.mark;
	c->mark_at = (uint32_t)pub.nmerged;
	m = &pub.merged[pub.nmerged++];
	m->conn = c;
	m->qos = 0;
	m->nids = 0;
	m->retain_as_published = false;
	return m;
}

/* Several filters match: one copy a client, at the highest QoS and with all identifiers [MQTT-3.3.4-2, -4]. */
static void
deliver_merged(const struct route *r, const struct conn *from, struct delivered *d)
{
	pub.nmerged = 0;
	if (++pub.mark == 0) /* 0 is what a new connection has */
		pub.mark = 1;
	for (uint32_t i = 0; i < r->plain; i++) {
		const struct subnode *n = r->node[i];

		for (uint32_t j = 0; j < n->nsubs; j++) {
			const struct sub *s = subnode_at(n, j);
			struct merged *m;

			if ((s->no_local && s->conn == from) || is_withheld(s))
				continue;
			m = merged_of(s->conn);
			if (m == NULL) {
				count(CNT_dropped__no_memory);
				continue;
			}
			if (s->qos > m->qos)
				m->qos = s->qos;
			m->retain_as_published |= s->retain_as_published;
			if (s->id != 0 && m->nids < IDS_MAX)
				m->ids[m->nids++] = s->id;
		}
	}
	for (size_t i = 0; i < pub.nmerged; i++) {
		const struct merged *m = &pub.merged[i];
		struct target t = {
			.conn = m->conn,
			.qos = effective_qos(pub.v->qos, m->qos),
			.retain = pub.v->retain && m->retain_as_published,
			.nids = m->nids,
			.ids = m->ids,
		};

		if (m->conn->durable && t.qos > 0)
			continue; /* persist's */
		offer(&t, d);
	}
}

static bool
out_is_full(const struct conn *c)
{
	return c->out.bytes > self.conf.output_max_bytes;
}

/* Of a durable session persist keeps to the bytes: what it sends has no size here. */
static bool
window_is_full(const struct conn *c)
{
	return c->tx.n >= c->window ||
	    (self.conf.inflight_max_bytes > 0 && c->tx.bytes >= self.conf.inflight_max_bytes);
}

static size_t
size_of(const struct msg_view *v)
{
	return v->topic.len + v->props.len + v->payload.len;
}

/* Sends it now, or lets it wait for the window (QoS 1, 2), or drops it (QoS 0 to a slow reader). */
static void
offer(const struct target *t, struct delivered *d)
{
	struct conn *c = t->conn;

	if (c->state != CONN_OPEN)
		return;
	if (t->qos == 0) {
		d->clients++;
		if (out_is_full(c) && !t->asked) {
			count(CNT_dropped__output_full);
			log_every(10, LOG_WARNING,
			    "deliver: slow reader, QoS 0 messages dropped id=%s peer=%s",
			    conn_name(c), c->peer);
			return;
		}
		if (!t->asked && !limit_lets_out(c)) {
			count(CNT_dropped__rate);
			return;
		}
		send_publish(t, 0);
		return;
	}
	if (c->wait_first != NULL || window_is_full(c) || out_is_full(c) || !limit_lets_out(c)) {
		wait_add(t, d);
		limit_pump_later(c);
		return;
	}
	d->clients++;
	send_in_flight(t);
}

static void
send_in_flight(const struct target *t)
{
	struct conn *c = t->conn;
	struct inflight *e = inflight_new(&c->tx, (uint32_t)size_of(pub.v));
	uint16_t id;

	if (e == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	id = e->id;
	e->state = t->qos == 1 ? INFLIGHT_PUBACK : INFLIGHT_PUBREC;
	if (t->group != 0) {
		if (pub.msg == NULL)
			pub.msg = msg_new(pub.v);
		if (pub.msg != NULL)
			e->msg = msg_ref(pub.msg);
		e->group = t->group;
	}
	if (!send_publish(t, id) && (e = inflight_find(&c->tx, id)) != NULL)
		inflight_del(&c->tx, e); /* counts as delivered [MQTT-3.1.2-25] */
}

static void
wait_add(const struct target *t, struct delivered *d)
{
	struct conn *c = t->conn;
	size_t size = size_of(pub.v);
	struct waiting *w;

	while ((self.conf.queue_max_messages > 0 && c->nwaiting >= self.conf.queue_max_messages) ||
	    (self.conf.queue_max_bytes > 0 &&
		c->waiting_bytes + size > self.conf.queue_max_bytes)) {
		count(CNT_dropped__queue_full);
		log_every(10, LOG_WARNING, "deliver: queue full, messages dropped id=%s peer=%s",
		    conn_name(c), c->peer);
		if (self.conf.queue_drop != DROP_oldest || c->wait_first == NULL) {
			if (self.conf.queue_drop == DROP_reject)
				d->full++;
			else
				d->clients++; /* it matched: 0x10 would say that nobody did */
			return;
		}
		wait_pop(c);
	}
	if (pub.msg == NULL)
		pub.msg = msg_new(pub.v);
	w = malloc(sizeof(*w) + t->nids * sizeof(w->ids[0]));
	if (pub.msg == NULL || w == NULL) {
		free(w);
		count(CNT_dropped__no_memory);
		d->full++;
		return;
	}
	*w = (struct waiting){ .msg = msg_ref(pub.msg),
		.group = t->group,
		.qos = t->qos,
		.retain = t->retain,
		.nids = t->nids };
	memcpy(w->ids, t->ids, t->nids * sizeof(w->ids[0]));
	if (c->wait_first == NULL)
		c->wait_first = w;
	else
		c->wait_last->next = w;
	c->wait_last = w;
	c->nwaiting++;
	c->waiting_bytes += size;
	d->clients++;
}

static void
wait_pop(struct conn *c)
{
	struct waiting *w = c->wait_first;
	struct msg_view v = msg_view(w->msg);

	c->wait_first = w->next;
	c->nwaiting--;
	c->waiting_bytes -= size_of(&v);
	msg_unref(&w->msg);
	free(w);
}

/* --- encoding ---------------------------------------------------------------------------- */

/* 3.3.2.3.4: the first topics that come get the aliases; nobody is displaced. */
static void
use_alias(struct conn *c, struct publish_out *o)
{
	struct conn_alias *a = c->alias_out;

	if (a == NULL) {
		a = c->alias_out = calloc(1, sizeof(*a) + c->alias_out_max * sizeof(a->topic[0]));
		if (a == NULL)
			return;
		a->max = c->alias_out_max;
	}
	for (uint16_t i = 0; i < a->n; i++)
		if (span_eq(span_of(a->topic[i].p, a->topic[i].len), o->topic)) {
			o->alias = (uint16_t)(i + 1);
			o->topic = span_of(NULL, 0);
			return;
		}
	if (a->n == a->max || (a->topic[a->n].p = malloc(o->topic.len)) == NULL)
		return;
	memcpy(a->topic[a->n].p, o->topic.p, o->topic.len);
	a->topic[a->n].len = (uint16_t)o->topic.len;
	o->alias = ++a->n;
}

static bool
same_ids(const struct frame *f, const struct target *t)
{
	return f->nids == t->nids &&
	    (t->nids == 0 || memcmp(f->ids, t->ids, t->nids * sizeof(t->ids[0])) == 0);
}

static struct frame *
frame_find(const struct target *t, uint8_t version)
{
	for (unsigned i = 0; i < pub.nframes; i++) {
		struct frame *f = &pub.frame[i];

		if (f->version == version && f->qos == t->qos && f->retain == t->retain &&
		    same_ids(f, t))
			return f;
	}
	return NULL;
}

static struct frame *
frame_make(const struct target *t, const struct publish_out *o, uint8_t version, size_t head_len,
    size_t copied)
{
	struct frame *f;
	uint32_t *ids = NULL;

	if (pub.nframes == FRAMES)
		return NULL;
	if (pub.nframes == 0 && pub.arena.block == 0)
		arena_init(&pub.arena, 16384);
	f = &pub.frame[pub.nframes];
	*f = (struct frame){
		.version = version, .qos = t->qos, .retain = t->retain, .nids = t->nids
	};
	f->p = arena_alloc(&pub.arena, copied);
	if (t->nids > 0) {
		ids = arena_alloc(&pub.arena, t->nids * sizeof(*ids));
		if (ids != NULL)
			memcpy(ids, t->ids, t->nids * sizeof(*ids));
		f->ids = ids;
	}
	if (f->p == NULL || (t->nids > 0 && ids == NULL))
		return NULL;
	f->len = copied;
	f->head_len = publish_encode_head(o, version, f->p, head_len, &f->id_at);
	must(f->head_len == head_len);
	if (copied > head_len)
		memcpy(f->p + head_len, o->payload.p, o->payload.len);
	pub.nframes++;
	return f;
}

/* A session can come back through a listener below whose mount point its messages are not. */
static bool
is_below_mount(const struct conn *c, struct span topic)
{
	return c->mount_len == 0 ||
	    (topic.len > c->mount_len && memcmp(topic.p, c->mount, c->mount_len) == 0);
}

/* False: not sent, the client can't have it. */
static bool
send_publish(const struct target *t, uint16_t id)
{
	struct conn *c = t->conn;
	bool by_reference = pub.v->payload.len >= OUT_BY_REFERENCE;
	bool common = pub.many && !t->dup && c->mount == NULL && c->alias_out_max == 0;
	struct frame *f = common ? frame_find(t, c->version) : NULL;
	struct publish_out o;
	size_t len, head_len, id_at = 0;
	uint8_t *p;

	if (!is_below_mount(c, pub.v->topic)) {
		count(CNT_dropped__mount_point);
		return false;
	}
	if (f == NULL) {
		o = (struct publish_out){
			.topic =
			    span_of(pub.v->topic.p + c->mount_len, pub.v->topic.len - c->mount_len),
			.payload = pub.v->payload,
			.id = id != 0 ? id : (t->qos > 0),
			.qos = t->qos,
			.dup = t->dup,
			.retain = t->retain,
		};
		if (c->version == MQTT_5) {
			o.props = pub.v->props;
			o.has_expiry = pub.v->has_expiry;
			o.expiry = pub.expiry;
			o.subids = t->ids;
			o.nsubids = t->nids;
			if (c->alias_out_max > 0)
				use_alias(c, &o);
		}
		len = publish_len(&o, c->version);
		if (len == SIZE_MAX || len > c->max_packet) {
			count(CNT_dropped__too_large);
			return false;
		}
		head_len = len - pub.v->payload.len;
		if (common)
			f = frame_make(t, &o, c->version, head_len, by_reference ? head_len : len);
	} else {
		len = f->head_len + pub.v->payload.len;
		head_len = f->head_len;
		if (len > c->max_packet) {
			count(CNT_dropped__too_large);
			return false;
		}
	}
	p = conn_room(c, by_reference ? head_len : len);
	if (p == NULL)
		return false;
	if (f != NULL) {
		memcpy(p, f->p, f->len);
		if (t->qos > 0) {
			p[f->id_at] = (uint8_t)(id >> 8);
			p[f->id_at + 1] = (uint8_t)id;
		}
	} else {
		must(publish_encode_head(&o, c->version, p, head_len, &id_at) == head_len);
		if (!by_reference && o.payload.len > 0)
			memcpy(p + head_len, o.payload.p, o.payload.len);
	}
	if (by_reference) {
		if (pub.big == NULL)
			pub.big = out_big_new(pub.v->payload.p, pub.v->payload.len);
		if (pub.big == NULL || out_big_add(&c->out, pub.big) != 0) {
			/* Half a packet is in the output: the connection can't go on. */
			out_clear(&c->out);
			conn_gone(c, CNT_ends__memory, MQTT_UNSPECIFIED_ERROR, true);
			return false;
		}
	}
	count(CNT_publish_sent);
	count_add(CNT_publish_bytes_sent, pub.v->payload.len);
	if (c->limits != NULL)
		limit_sent(c, len);
	return true;
}
