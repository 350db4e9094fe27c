#include "worker/mqtt/publish.h"

#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/ask.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/refused.h"
#include "worker/mqtt/subscribe.h"

#define PICKS_MAX 256 /* groups of one message that go to other processes */
#define SLOT_WORDS ((SLOTS + 63) / 64)
#define LET_ON 128 /* held back ones that go on in one turn: more would only fill the ring again */

struct slots {
	uint64_t bit[SLOT_WORDS];
};

/* An acknowledgement that stands for a record which is still outside the ring. */
struct late {
	struct list link;
	struct slots slots;
	uint64_t serial;
	uint32_t handle;
	uint16_t id;
	uint8_t type, reason;
};

struct again {
	struct again *next;
	struct msg *msg;
	uint64_t group;
	unsigned hops;
};

struct pick {
	uint64_t group;
	unsigned slot;
};

/* What persist has to do with a publish. */
struct persist_part {
	const uint64_t *groups;
	unsigned ngroups, hops;
	bool plain;
	uint8_t want; /* STORE_… */
	uint16_t id;
	struct msg *held; /* goes to clean sessions when persist has answered; borrowed */
};

/* What became of a publish. */
struct routed {
	struct delivered here;
	struct slots waits; /* peers whose ring was full */
	uint16_t id;        /* of the PUBLISH, if its answer depends on this */
	bool elsewhere;     /* at least one other process got it */
	bool asked;         /* persist will answer */
	bool lost; /* somebody who wants it could not be reached: don't acknowledge as done */
};

static struct {
	struct list late;
	struct pick pick[PICKS_MAX];
	unsigned npicks;
	struct again *again, **again_end;
	uint8_t *scratch; /* topic with mount point; forwarded properties */
	size_t cap;
	struct interest_turns turns;
	struct held_back {
		uint64_t *token; /* conn_token() of who waits for room, in order; at is the first */
		uint32_t n, at, cap; /* cap: a power of two */
	} held[2];                   /* by enum publish_room: of the store's ring, of any other */
	bool is_letting_on;
} the;

static bool publish_check(struct conn *c, struct publish *p);
static bool is_ours(struct span topic, size_t mount_len);
static bool may_publish(struct conn *c, const struct publish *p);
static bool tell_released(struct conn *c, uint16_t id, uint64_t token);
static bool publish_alias(struct conn *c, struct publish *p);
static uint8_t *publish_scratch(size_t len);
static void store_first(struct conn *c, const struct route *r, const struct msg_view *v,
    uint16_t id, struct routed *out);
static bool store(
    struct conn *c, const struct msg_view *v, const struct persist_part *part, struct routed *out);
static void publish_route(struct conn *c, const struct publish *p, const struct msg_view *v);
static bool store_is_full(void);
static bool is_refused(
    const struct conn *c, const struct route *r, const struct publish *p, const struct msg_view *v);
static void route_message(const struct route *r, const struct msg_view *v, struct conn *from,
    bool persist_too, struct routed *out);
static void route_groups(const struct route *r, const struct msg_view *v, struct conn *from,
    bool persist_too, struct routed *out);
static void route_persist(
    const struct route *r, const struct msg_view *v, struct conn *from, struct routed *out);
static bool
serve_group(uint64_t group, const struct msg_view *v, const struct conn *from, struct delivered *d);
static void again_add(struct msg *m, uint64_t group, unsigned hops);
static bool held_grow(struct held_back *h);
static bool let_on(void);
static bool has_room(enum publish_room room);
static void pass_on(const struct again *a);
static unsigned picks_of(unsigned slot, uint64_t *groups);
static void send_message(unsigned slot, const struct msg_view *v, const uint64_t *groups,
    unsigned ngroups, bool plain, unsigned hops, struct conn *from, struct routed *out);
static void
acknowledge(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, const struct slots *waits);
static void send_ack(struct conn *c, uint8_t type, uint16_t id, uint8_t reason);
static void log_refused(const struct conn *c, struct span topic, uint16_t id, uint8_t reason);
static void tell_persist(struct conn *c, const struct inflight *e, uint8_t packet, uint8_t reason);

static void
slots_add(struct slots *s, unsigned slot)
{
	s->bit[slot / 64] |= UINT64_C(1) << slot % 64;
}

static bool
slots_any(const struct slots *s)
{
	for (int i = 0; i < SLOT_WORDS; i++)
		if (s->bit[i] != 0)
			return true;
	return false;
}

/* Persist gives a message to one of a group when a durable member may get it at QoS 1 or 2. */
static bool
is_persists(const struct route_group *g, const struct msg_view *v)
{
	return g->durable && (v->qos > 0 || self.conf.upgrade_outgoing_qos);
}

/* --- from clients ------------------------------------------------------------------------ */

void
on_publish(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed PUBLISH";
	struct publish p;
	enum mqtt_reason reason = publish_decode(body, flags, c->version, IN_PUBLISH_C, &p, &why);
	struct msg_view v;
	struct inflight *e;

	count(CNT_publish_received);
	if (!conn_decoded(c, reason, why))
		return;
	if (!publish_check(c, &p))
		return;
	count_add(CNT_publish_bytes_received, p.payload.len);
	if (p.qos > 0) {
		/* The client's word that a repeated QoS 2 message is one: until PUBREL the id stands for the same [MQTT-4.3.3-10]. */
		e = p.qos == 2 ? inflight_find(&c->rx, p.id) : NULL;
		if (e != NULL) {
			if (e->state == INFLIGHT_HELD)
				send_ack(c, PKT_PUBREC, p.id, MQTT_SUCCESS);
			return;
		}
		if (c->stores + c->rx.n >= c->terms->receive_max) {
			if (c->version == MQTT_5) {
				conn_end(c, CNT_ends__receive_max, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
				    "more messages than Receive Maximum");
				return;
			}
			/* MQTT 3 knows no such limit, but must not make us hold any number. */
			if (c->rx.n >= c->terms->receive_max) {
				conn_end(c, CNT_ends__receive_max, MQTT_QUOTA_EXCEEDED,
				    "too many QoS 2 messages without PUBREL");
				return;
			}
		}
	}
	if (!may_publish(c, &p)) {
		if (p.qos > 0)
			send_ack(
			    c, p.qos == 2 ? PKT_PUBREC : PKT_PUBACK, p.id, MQTT_NOT_AUTHORIZED);
		return;
	}
	if (limit_refuses(c)) {
		count(CNT_publish_refused__rate);
		log_refused(c, p.topic, p.id, MQTT_QUOTA_EXCEEDED);
		/* MQTT 3 has no word for it: it looks acknowledged, or the client would stand still. */
		if (p.qos > 0)
			send_ack(c, p.qos == 2 ? PKT_PUBREC : PKT_PUBACK, p.id,
			    c->version == MQTT_5 ? MQTT_QUOTA_EXCEEDED : MQTT_SUCCESS);
		return;
	}
	v = (struct msg_view){
		.topic = p.topic,
		.payload = p.payload,
		.publish_ms = clock_wall_ms(),
		.qos = p.qos,
		.retain = p.retain,
	};
	if (p.props.has != 0) {
		v.has_expiry = props_has(&p.props, PROP_MESSAGE_EXPIRY);
		v.expiry = v.has_expiry ? p.props.message_expiry : 0;
		v.props = p.props.raw;
		if (!props_is_forwardable(&p.props)) {
			/* Behind the topic, which may be in the scratch too. */
			uint8_t *buf = publish_scratch(p.topic.len + p.props.raw.len);

			if (buf == NULL) {
				conn_end(c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED,
				    "no memory for the properties");
				return;
			}
			if (p.topic.p != buf)
				memcpy(buf, p.topic.p, p.topic.len);
			v.topic = span_of(buf, p.topic.len);
			v.props =
			    span_of(buf + p.topic.len, props_forward(&p.props, buf + p.topic.len));
		}
	}
	if (self.conf.message_expiry_max != UINT32_MAX &&
	    (!v.has_expiry || v.expiry > self.conf.message_expiry_max)) {
		v.has_expiry = true;
		v.expiry = self.conf.message_expiry_max;
	}
	publish_route(c, &p, &v);
}

/* $SYS topics are the broker's own. */
static bool
is_ours(struct span topic, size_t mount_len)
{
	return topic.len >= mount_len + 4 && memcmp(topic.p + mount_len, "$SYS", 4) == 0 &&
	    (topic.len == mount_len + 4 || topic.p[mount_len + 4] == '/');
}

/* False: it is counted and logged. */
static bool
may_publish(struct conn *c, const struct publish *p)
{
	if (is_ours(p->topic, c->mount_len)) {
		count(CNT_publish_refused__not_authorized);
		log_refused(c, p->topic, p->id, MQTT_NOT_AUTHORIZED);
		return false;
	}
	if (access_publish(c, p->topic))
		return true;
	/* It may have been allowed when it came first: what is refused now frees its identifier [MQTT-4.3.3-9]. */
	if (p->qos == 2 && p->dup && c->durable && c->version == MQTT_5)
		tell_released(c, p->id, 0);
	return false;
}

/* Limits and what was announced in CONNACK; resolves the alias, puts the mount point in front. */
static bool
publish_check(struct conn *c, struct publish *p)
{
	if (p->qos > c->terms->max_qos) { /* [MQTT-3.2.2-11] */
		conn_end(c, CNT_ends__max_qos, MQTT_QOS_NOT_SUPPORTED, "QoS above Maximum QoS");
		return false;
	}
	if (p->retain && !c->terms->retain_available) { /* [MQTT-3.2.2-14] */
		conn_end(c, CNT_ends__retain, MQTT_RETAIN_NOT_SUPPORTED,
		    "retained messages are not available");
		return false;
	}
	if (p->props.has != 0) {
		if (!publish_alias(c, p))
			return false;
		if (!conn_users_fit(c, &p->props))
			return false;
	}
	if (p->topic.len > c->terms->max_topic_length ||
	    topic_levels(p->topic) > c->terms->max_topic_levels) {
		conn_end(c, CNT_ends__topic, MQTT_TOPIC_NAME_INVALID,
		    "topic longer or deeper than allowed");
		return false;
	}
	if (c->mount_len > 0) {
		/* With room for the properties that may follow: it must not move then. */
		uint8_t *buf = publish_scratch(c->mount_len + p->topic.len + p->props.raw.len);

		if (buf == NULL || c->mount_len + p->topic.len > UINT16_MAX) {
			conn_end(c, CNT_ends__memory, MQTT_TOPIC_NAME_INVALID,
			    "no room for the topic with its mount point");
			return false;
		}
		memmove(buf + c->mount_len, p->topic.p, p->topic.len);
		memcpy(buf, c->mount, c->mount_len);
		p->topic = span_of(buf, c->mount_len + p->topic.len);
	}
	return true;
}

/* 3.3.2.3.4 */
static bool
publish_alias(struct conn *c, struct publish *p)
{
	struct conn_alias *a = c->alias_in;
	struct conn_topic *t;

	if (!props_has(&p->props, PROP_TOPIC_ALIAS))
		return true;
	if (p->props.topic_alias == 0 || p->props.topic_alias > c->alias_max) {
		conn_end(c, CNT_ends__alias, MQTT_TOPIC_ALIAS_INVALID, "topic alias out of range");
		return false;
	}
	if (a == NULL) {
		a = c->alias_in = calloc(1, sizeof(*a) + c->alias_max * sizeof(a->topic[0]));
		if (a == NULL)
			goto no_memory;
		a->max = c->alias_max;
	}
	t = &a->topic[p->props.topic_alias - 1];
	if (p->topic.len == 0) {
		if (t->p == NULL) {
			conn_end(c, CNT_ends__alias, MQTT_PROTOCOL_ERROR,
			    "topic alias without a topic yet");
			return false;
		}
		p->topic = span_of(t->p, t->len);
		return true;
	}
	free(t->p);
	t->p = malloc(p->topic.len);
	if (t->p == NULL)
		goto no_memory;
	memcpy(t->p, p->topic.p, p->topic.len);
	t->len = (uint16_t)p->topic.len;
	return true;
no_memory:
	conn_end(c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for the topic alias");
	return false;
}

static uint8_t *
publish_scratch(size_t len)
{
	uint8_t *p;

	if (len <= the.cap)
		return the.scratch;
	p = realloc(the.scratch, len);
	if (p == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	the.scratch = p;
	the.cap = len;
	return p;
}

static bool
are_bytes_full(const struct conn *c)
{
	return self.conf.inflight_max_bytes > 0 && c->store_bytes >= self.conf.inflight_max_bytes;
}

/* Hands one message to persist; c: whose it is, or NULL. False: it could not be sent, out->lost is set. */
static bool
store(struct conn *c, const struct msg_view *v, const struct persist_part *part, struct routed *out)
{
	struct rec_store rec = {
		.epoch = c != NULL ? c->epoch : 0,
		.session = c != NULL ? c->session : 0,
		.packet_id = part->id,
		.want = part->want,
		.m = rec_msg_of(v, part->ngroups, part->plain),
	};
	struct span source = c != NULL && (part->want & STORE_RETAIN) && v->payload.len > 0
	    ? access_source(c)
	    : span_of(NULL, 0);
	struct iovec iov[6] = {
		{ &rec, sizeof(rec) },
		{ (void *)source.p, source.len },
		{ (void *)part->groups, part->ngroups * sizeof(part->groups[0]) },
		{ (void *)v->topic.p, v->topic.len },
		{ (void *)v->props.p, v->props.len },
		{ (void *)v->payload.p, v->payload.len },
	};
	struct ask *a = NULL;
	enum mesh_sent sent;

	rec.m.hops = (uint8_t)part->hops;
	rec.source_len = (uint32_t)source.len;
	if (part->want & STORE_ANSWER) {
		a = ask_new(ASK_PUBLISH, c, &rec.token);
		if (a == NULL) {
			out->lost = true;
			return false;
		}
		a->packet_id = part->id;
		a->qos = v->qos;
		a->size = (uint32_t)(v->topic.len + v->props.len + v->payload.len);
		a->msg = part->held != NULL ? msg_ref(part->held) : NULL;
	}
	sent = mesh_send(self.mesh, SLOT_PERSIST, REC_STORE, iov, 6);
	if (sent >= MESH_FULL) {
		count(CNT_dropped__overflow);
		if (a != NULL) {
			msg_unref(&a->msg);
			ask_del(a);
		}
		out->lost = true;
		return false;
	}
	count(CNT_stores);
	if (c == NULL)
		return true;
	c->published = true;
	if (sent == MESH_WAITS) {
		slots_add(&out->waits, SLOT_PERSIST);
		publish_hold(c, PUBLISH_STORE);
	} else if (the.held[PUBLISH_STORE].n > 0 && !the.is_letting_on) {
		publish_hold(c, PUBLISH_STORE); /* behind those who have waited longer */
	}
	if (a == NULL)
		return true;
	out->asked = true;
	if (v->qos == 1)
		c->stores++;
	else
		c->storing++;
	c->store_bytes += a->size;
	if (c->stores >= c->terms->receive_max || are_bytes_full(c) || store_is_full())
		conn_pause(c, PAUSE_STORE);
	return true;
}

static void
publish_route(struct conn *c, const struct publish *p, const struct msg_view *v)
{
	const struct route *r = route_find(v->topic);
	uint8_t type = p->qos == 2 ? PKT_PUBREC : PKT_PUBACK;
	struct routed out = { .id = p->id };
	enum counter why = CNT_publish_refused__no_memory;
	uint8_t reason = MQTT_SUCCESS;
	struct inflight *e = NULL;

	if (p->qos == 2 && (e = inflight_add(&c->rx, p->id)) != NULL)
		e->state = INFLIGHT_HELD;
	if (r == NULL || (p->qos == 2 && e == NULL)) {
		count(CNT_dropped__no_memory);
		reason = MQTT_QUOTA_EXCEEDED;
	} else if (is_refused(c, r, p, v)) {
		why = CNT_publish_refused__store_full;
		reason = MQTT_QUOTA_EXCEEDED;
	} else if (p->qos == 2 && c->durable) {
		store_first(c, r, v, p->id, &out);
		why = CNT_publish_refused__overflow;
		reason = out.lost ? MQTT_QUOTA_EXCEEDED : MQTT_SUCCESS;
	} else {
		route_message(r, v, c, true, &out);
		why = out.lost ? CNT_publish_refused__overflow : CNT_publish_refused__queue_full;
		if (out.lost || out.here.full > 0)
			reason = MQTT_QUOTA_EXCEEDED;
		else if (out.here.clients == 0 && !out.elsewhere && !v->retain)
			reason = MQTT_NO_MATCHING_SUBSCRIBERS;
	}
	if (out.asked && e != NULL)
		e->state = INFLIGHT_STORING;
	if (p->qos == 0 || out.asked)
		return; /* publish_stored() acknowledges */
	if (reason >= 0x80) {
		count(why);
		log_refused(c, v->topic, p->id, reason);
	}
	if (reason >= 0x80 && (e = inflight_find(&c->rx, p->id)) != NULL && p->qos == 2)
		inflight_del(&c->rx, e); /* [MQTT-4.3.3-9] */
	acknowledge(c, type, p->id, reason, &out.waits);
}

static bool
store_is_full(void)
{
	const struct segment *s = mesh_peer(self.mesh, SLOT_PERSIST);

	return s != NULL &&
	    atomic_load_explicit(&s->counter[CNT_store_full], memory_order_relaxed) != 0;
}

/*
 * The store's disk is full and the message would have to be kept: refused before anybody gets it. Not
 * where an answer can't refuse, nor before one that is still due, nor what may be known already: that
 * goes to persist, which is silent until there is room, and the client is not read.
 */
static bool
is_refused(
    const struct conn *c, const struct route *r, const struct publish *p, const struct msg_view *v)
{
	bool kept = v->retain || r->persist || (v->qos == 2 && c->durable);

	if (v->qos == 0 || c->version != MQTT_5 || p->dup || c->stores + c->storing > 0)
		return false;
	for (uint32_t i = 0; i < r->ngroups && !kept; i++)
		kept = is_persists(&r->group[i], v);
	return kept && store_is_full();
}

/*
 * QoS 2 from a durable session: persist says whether it is new; only then it goes to clean sessions. It goes to durable ones at once, from
 * there.
 */
static void
store_first(struct conn *c, const struct route *r, const struct msg_view *v, uint16_t id,
    struct routed *out)
{
	uint64_t groups[PICKS_MAX];
	struct persist_part part = {
		.groups = groups,
		.plain = r->persist,
		.id = id,
		.want = STORE_QOS2 | STORE_ANSWER,
		.held = msg_new(v),
	};

	if (part.held == NULL) {
		out->lost = true;
		return;
	}
	for (uint32_t i = 0; i < r->ngroups && part.ngroups < PICKS_MAX; i++)
		if (is_persists(&r->group[i], v))
			groups[part.ngroups++] = r->group[i].group;
	part.want |= part.plain || part.ngroups > 0 ? STORE_DURABLE : 0;
	part.want |= v->retain ? STORE_RETAIN : 0;
	store(c, v, &part, out);
	msg_unref(&part.held);
}

void
publish_stored(const struct rec_stored *r)
{
	struct ask *a = ask_find(r->token, ASK_PUBLISH);
	struct conn *c;
	struct msg *held;
	struct routed out = { 0 };
	uint8_t qos, reason;
	uint16_t id;
	uint32_t size;
	struct inflight *e;

	if (a == NULL)
		return;
	c = ask_conn(a);
	held = a->msg;
	qos = a->qos;
	id = a->packet_id;
	size = a->size;
	reason = r->reason;
	ask_del(a);
	if (held != NULL && r->reason < 0x80 && !(r->flags & STORED_DUPLICATE)) {
		struct msg_view v = msg_view(held);
		const struct route *route = route_find(v.topic);

		/* The rest of the way of a QoS 2 message; persist has had its part. */
		if (route != NULL)
			route_message(route, &v, c, false, &out);
	}
	msg_unref(&held);
	if (c == NULL)
		return;
	if (qos == 1)
		c->stores--;
	else
		c->storing--;
	c->store_bytes -= size;
	if (!are_bytes_full(c))
		conn_resume(c, PAUSE_STORE);
	if (qos == 2 && (e = inflight_find(&c->rx, id)) != NULL) {
		if (reason >= 0x80)
			inflight_del(&c->rx, e);
		else
			e->state = INFLIGHT_HELD;
	}
	if (reason >= 0x80)
		log_refused(c, span_of(NULL, 0), id, reason);
	acknowledge(c, qos == 2 ? PKT_PUBREC : PKT_PUBACK, id, reason, &out.waits);
}

/* Persist may forget the packet identifier of a durable publisher. token 0: nobody waits for its answer. */
static bool
tell_released(struct conn *c, uint16_t id, uint64_t token)
{
	struct rec_release rec = {
		.token = token, .epoch = c->epoch, .session = c->session, .packet_id = id
	};

	return mesh_send(self.mesh, SLOT_PERSIST, REC_RELEASE, &(struct iovec){ &rec, sizeof(rec) },
		   1) < MESH_FULL;
}

void
on_pubrel(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed PUBREL";
	struct ack ack;
	enum mqtt_reason reason = ack_decode(body, PKT_PUBREL, c->version, &ack, &why);
	struct inflight *e;
	uint64_t token;
	struct ask *a;

	(void)flags;
	if (!conn_decoded(c, reason, why))
		return;
	e = inflight_find(&c->rx, ack.id);
	if (e != NULL)
		inflight_del(&c->rx, e);
	if (!c->durable) {
		send_ack(c, PKT_PUBCOMP, ack.id,
		    e != NULL ? MQTT_SUCCESS : MQTT_PACKET_IDENTIFIER_NOT_FOUND);
		return;
	}
	a = ask_new(ASK_RELEASE, c, &token);
	if (a != NULL) {
		a->packet_id = ack.id;
		if (tell_released(c, ack.id, token))
			return;
		ask_del(a);
	}
	conn_end(c, CNT_ends__no_store, MQTT_SERVER_BUSY, "the store is not available");
}

void
publish_released(const struct rec_stored *r)
{
	struct ask *a = ask_find(r->token, ASK_RELEASE);
	struct conn *c;

	if (a == NULL)
		return;
	c = ask_conn(a);
	if (c != NULL)
		send_ack(c, PKT_PUBCOMP, a->packet_id,
		    r->flags & STORED_FOUND ? MQTT_SUCCESS : MQTT_PACKET_IDENTIFIER_NOT_FOUND);
	ask_del(a);
}

/* --- from other processes ---------------------------------------------------------------- */

void
publish_from_peer(const struct rec_msg *m, const struct msg_view *v, struct span groups)
{
	struct delivered d = { 0 };
	const struct route *r;
	struct msg *copy = NULL;

	if (m->plain) {
		r = route_find(v->topic);
		if (r != NULL)
			deliver_plain(r, v, NULL, &d);
		if (v->retain)
			subscribe_saw(v->topic);
	}
	for (size_t i = 0; i < m->ngroups; i++) {
		uint64_t group;

		memcpy(&group, groups.p + i * sizeof(group), sizeof(group));
		if (serve_group(group, v, NULL, &d))
			continue;
		/* Its last member here has left while the message was on its way. */
		if (copy == NULL)
			copy = msg_new(v);
		if (copy != NULL)
			again_add(copy, group, m->hops + 1u);
		else
			count(CNT_dropped__no_memory);
	}
	msg_unref(&copy);
}

void
publish_deliver(const struct rec_deliver *r, struct span subids, const struct msg_view *v)
{
	struct conn *c = conn_find_epoch(r->handle, r->epoch);

	if (c != NULL && c->last_seq < r->seq)
		c->last_seq = r->seq;
	if (c == NULL || deliver_stored(c, r, subids, v) || c->state != CONN_OPEN)
		return;
	publish_unsent(c, r->seq, r->packet_id);
}

void
publish_unsent(struct conn *c, uint64_t seq, uint16_t id)
{
	tell_persist(c, &(struct inflight){ .seq = seq, .id = id }, 0, 0);
}

void
publish_deliver_pubrel(const struct rec_deliver *r)
{
	struct conn *c = conn_find_epoch(r->handle, r->epoch);
	struct inflight *e;

	if (c == NULL)
		return;
	if (c->last_seq < r->seq)
		c->last_seq = r->seq;
	e = inflight_find(&c->tx, r->packet_id);
	if (e != NULL && e->state == INFLIGHT_PUBCOMP)
		return; /* by persist's predecessor already */
	if (e == NULL)
		e = inflight_add(&c->tx, r->packet_id);
	if (e == NULL) {
		conn_end(
		    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for a packet identifier");
		return;
	}
	e->seq = r->seq;
	e->state = INFLIGHT_PUBCOMP;
	deliver_pubrel(c, r->packet_id);
}

void
publish_again(struct msg *m, uint64_t group)
{
	again_add(m, group, 0);
}

static void
again_add(struct msg *m, uint64_t group, unsigned hops)
{
	struct again *a = malloc(sizeof(*a));

	if (a == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	*a = (struct again){ .msg = msg_ref(m), .group = group, .hops = hops };
	if (the.again == NULL)
		the.again_end = &the.again;
	*the.again_end = a;
	the.again_end = &a->next;
}

void
publish_hold(struct conn *c, enum publish_room room)
{
	struct held_back *h = &the.held[room];

	if (c->pause & PAUSE_PEER)
		return;
	if (h->n == h->cap && !held_grow(h)) {
		conn_end(c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory to wait for room");
		return;
	}
	h->token[(h->at + h->n++) & (h->cap - 1)] = conn_token(c);
	conn_pause(c, PAUSE_PEER);
}

static bool
held_grow(struct held_back *h)
{
	uint32_t cap = h->cap > 0 ? 2 * h->cap : 64;
	uint64_t *more = malloc(cap * sizeof(*more));

	if (more == NULL)
		return false;
	for (uint32_t i = 0; i < h->n; i++)
		more[i] = h->token[(h->at + i) & (h->cap - 1)];
	free(h->token);
	h->token = more;
	h->cap = cap;
	h->at = 0;
	return true;
}

static bool
has_room(enum publish_room room)
{
	if (room == PUBLISH_STORE)
		return !mesh_waits(self.mesh, SLOT_PERSIST);
	for (unsigned s = 0; s < SLOTS; s++)
		if (mesh_waits(self.mesh, s))
			return false;
	return true;
}

/* Those who were held back first go on first, as long as there is room; publish_can_go_on() tells when there is again. True: some did. */
static bool
let_on(void)
{
	bool any = false;

	the.is_letting_on = true;
	for (enum publish_room room = 0; room <= PUBLISH_OTHERS; room++) {
		struct held_back *h = &the.held[room];

		for (int n = 0; n < LET_ON && h->n > 0 && has_room(room); n++) {
			uint64_t token = h->token[h->at];
			struct conn *c = conn_find_low((uint32_t)(token >> 32), (uint32_t)token);

			h->at = (h->at + 1) & (h->cap - 1);
			h->n--;
			any = true;
			if (c == NULL)
				continue;
			conn_resume(c, PAUSE_PEER);
			subscribe_more(c);
			conn_serve(c);
		}
	}
	the.is_letting_on = false;
	return any;
}

bool
publish_can_go_on(void)
{
	return (the.held[PUBLISH_STORE].n > 0 && has_room(PUBLISH_STORE)) ||
	    (the.held[PUBLISH_OTHERS].n > 0 && has_room(PUBLISH_OTHERS));
}

bool
publish_turn(void)
{
	struct again *a, *list = the.again;
	bool more;

	the.again = NULL;
	while ((a = list) != NULL) {
		list = a->next;
		pass_on(a);
		msg_unref(&a->msg);
		free(a);
	}
	more = let_on();
	return more || the.again != NULL;
}

/* A process with members other than this one, each in its turn; this one: there is none. */
static unsigned
other_process(const struct route *r, const struct route_group *g)
{
	uint32_t turn = interest_turn(&the.turns, g->group);

	for (unsigned i = 0; i < g->n; i++) {
		const struct route_member *m = &r->member[g->first + (turn + i) % g->n];

		if (m->slot != self.slot && m->weight > 0)
			return m->slot;
	}
	return self.slot;
}

/* To another member of its group, wherever there is one. */
static void
pass_on(const struct again *a)
{
	struct msg_view v = msg_view(a->msg);
	const struct route *r = route_find(v.topic);
	const struct route_group *g = NULL;
	struct routed out = { 0 };
	unsigned slot;

	for (uint32_t i = 0; r != NULL && i < r->ngroups; i++)
		if (r->group[i].group == a->group)
			g = &r->group[i];
	if (g != NULL && is_persists(g, &v)) {
		struct persist_part part = {
			.groups = &a->group, .ngroups = 1, .hops = a->hops, .want = STORE_DURABLE
		};

		store(NULL, &v, &part, &out);
		return;
	}
	if (serve_group(a->group, &v, NULL, &out.here))
		return;
	slot = g != NULL ? other_process(r, g) : self.slot;
	if (slot != self.slot && a->hops < REC_HOPS_MAX)
		send_message(slot, &v, &a->group, 1, false, a->hops, NULL, &out);
	else
		count(CNT_dropped__no_member);
}

/* --- routing ----------------------------------------------------------------------------- */

/* Which of the processes with members gets a message of this group. */
static unsigned
pick_process(
    const struct route *r, const struct route_group *g, const struct conn *from, struct span topic)
{
	const struct route_member *m = &r->member[g->first];
	uint32_t at;

	switch (self.conf.shared_policy) {
	case SHARE_local:
		for (unsigned i = 0; i < g->n; i++)
			if (m[i].slot == self.slot && m[i].weight > 0)
				return self.slot;
		at = interest_turn(&the.turns, g->group);
		break;
	case SHARE_sticky:
		at = 0;
		break;
	case SHARE_hash_client:
		at = from != NULL ? (uint32_t)hash_bytes(&self.key, conn_id(from)) : 0;
		break;
	case SHARE_hash_topic:
		at = (uint32_t)hash_bytes(&self.key, topic);
		break;
	default:
		at = interest_turn(&the.turns, g->group);
	}
	at %= g->weight;
	for (unsigned i = 0; i < g->n; i++) {
		if (at < m[i].weight)
			return m[i].slot;
		at -= m[i].weight;
	}
	return m[0].slot;
}

/*
 * False: the group has no member here that could take it. One whose filter has no place in the interest tables is offered every message,
 * and only the filter tells which are its.
 */
static bool
serve_group(uint64_t group, const struct msg_view *v, const struct conn *from, struct delivered *d)
{
	struct subnode *n = subnode_group(group);

	return n != NULL &&
	    (!topic_match(index_filter(&n->n), v->topic) || deliver_member(n, v, from, d));
}

/* Groups here are served at once; those of other workers and of persist are left in the.pick. */
static void
route_groups(const struct route *r, const struct msg_view *v, struct conn *from, bool persist_too,
    struct routed *out)
{
	the.npicks = 0;
	for (uint32_t i = 0; i < r->ngroups; i++) {
		const struct route_group *g = &r->group[i];
		unsigned slot;

		if (is_persists(g, v)) {
			slot = SLOT_PERSIST;
			if (!persist_too)
				continue;
		} else if (g->weight == 0) {
			continue;
		} else {
			slot = pick_process(r, g, from, v->topic);
		}
		if (slot == self.slot && serve_group(g->group, v, from, &out->here))
			continue;
		if (slot == self.slot) /* none of those here may have it */
			slot = other_process(r, g);
		if (slot == self.slot) {
			count(CNT_dropped__no_member);
		} else if (the.npicks < PICKS_MAX) {
			the.pick[the.npicks++] = (struct pick){ g->group, slot };
		} else {
			count(CNT_dropped__no_member);
		}
	}
}

/* The groups picked for a process, taken off the list; answers how many. */
static unsigned
picks_of(unsigned slot, uint64_t *groups)
{
	unsigned n = 0, left = 0;

	for (unsigned i = 0; i < the.npicks; i++) {
		if (the.pick[i].slot == slot)
			groups[n++] = the.pick[i].group;
		else
			the.pick[left++] = the.pick[i];
	}
	the.npicks = left;
	return n;
}

/* To everyone who wants it. persist_too: persist hasn't had it yet. */
static void
route_message(const struct route *r, const struct msg_view *v, struct conn *from, bool persist_too,
    struct routed *out)
{
	uint64_t groups[PICKS_MAX];
	uint64_t workers = r->workers;

	deliver_plain(r, v, from, &out->here);
	if (v->retain)
		subscribe_saw(v->topic);
	if (r->ngroups > 0)
		route_groups(r, v, from, persist_too, out);
	for (; workers != 0; workers &= workers - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(workers);

		send_message(slot, v, groups, the.npicks > 0 ? picks_of(slot, groups) : 0, true, 0,
		    from, out);
	}
	if (persist_too && from != NULL)
		route_persist(r, v, from, out);
	while (the.npicks > 0) { /* of workers that want it for groups only */
		unsigned slot = the.pick[0].slot;

		send_message(slot, v, groups, picks_of(slot, groups), false, 0, from, out);
	}
}

static void
route_persist(
    const struct route *r, const struct msg_view *v, struct conn *from, struct routed *out)
{
	uint64_t groups[PICKS_MAX];
	unsigned ngroups = the.npicks > 0 ? picks_of(SLOT_PERSIST, groups) : 0;
	struct persist_part part = { .groups = groups, .ngroups = ngroups };

	if (r->persist && (v->qos > 0 || self.conf.upgrade_outgoing_qos || self.conf.queue_qos0))
		part.plain = true;
	if (part.plain || ngroups > 0)
		part.want |= STORE_DURABLE;
	if (v->retain)
		part.want |= STORE_RETAIN;
	if (part.want == 0)
		return;
	if (v->qos > 0) {
		part.want |= STORE_ANSWER;
	} else if (store_is_full()) {
		count(CNT_dropped__store_full);
		return;
	}
	part.id = out->id;
	store(from, v, &part, out);
}

static void
send_message(unsigned slot, const struct msg_view *v, const uint64_t *groups, unsigned ngroups,
    bool plain, unsigned hops, struct conn *from, struct routed *out)
{
	struct rec_msg m = rec_msg_of(v, ngroups, plain);
	struct iovec iov[5] = {
		{ &m, sizeof(m) },
		{ (void *)groups, ngroups * sizeof(groups[0]) },
		{ (void *)v->topic.p, v->topic.len },
		{ (void *)v->props.p, v->props.len },
		{ (void *)v->payload.p, v->payload.len },
	};

	m.hops = (uint8_t)hops;
	switch (mesh_send(self.mesh, slot, REC_FWD, iov, 5)) {
	case MESH_WAITS:
		slots_add(&out->waits, slot);
		if (from != NULL)
			publish_hold(from, PUBLISH_OTHERS);
		/* fall through */
	case MESH_SENT:
		out->elsewhere = true;
		if (from != NULL)
			from->published = true;
		break;
	case MESH_FULL:
		count(CNT_dropped__overflow);
		out->lost = v->qos > 0;
		break;
	case MESH_NO_PEER:
		count(CNT_dropped__peer_gone);
		break;
	}
}

/* --- acknowledgements -------------------------------------------------------------------- */

static void
late_init(void)
{
	if (the.late.next == NULL)
		list_init(&the.late);
}

static void
acknowledge(struct conn *c, uint8_t type, uint16_t id, uint8_t reason, const struct slots *waits)
{
	struct late *l;

	late_init();
	if (!slots_any(waits)) {
		send_ack(c, type, id, reason);
		return;
	}
	l = malloc(sizeof(*l));
	if (l == NULL) {
		conn_end(
		    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for an acknowledgement");
		return;
	}
	*l = (struct late){ .slots = *waits,
		.serial = c->serial,
		.handle = c->handle,
		.id = id,
		.type = type,
		.reason = reason };
	list_add_tail(&the.late, &l->link);
}

void
publish_room(unsigned slot)
{
	struct late *l, *tmp;
	struct conn *c;

	late_init();
	LIST_FOREACH(l, tmp, &the.late, struct late, link) {
		l->slots.bit[slot / 64] &= ~(UINT64_C(1) << slot % 64);
		if (slots_any(&l->slots))
			continue;
		c = conn_find(l->handle, l->serial);
		if (c != NULL && c->state == CONN_OPEN)
			send_ack(c, l->type, l->id, l->reason);
		list_del(&l->link);
		free(l);
	}
}

void
publish_fini(void)
{
	struct late *l, *tmp;
	struct again *a;

	late_init();
	LIST_FOREACH(l, tmp, &the.late, struct late, link) {
		list_del(&l->link);
		free(l);
	}
	while ((a = the.again) != NULL) {
		the.again = a->next;
		msg_unref(&a->msg);
		free(a);
	}
	free(the.held[PUBLISH_STORE].token);
	free(the.held[PUBLISH_OTHERS].token);
	free(the.scratch);
}

/* topic: empty where it is not kept while persist is asked. */
static void
log_refused(const struct conn *c, struct span topic, uint16_t id, uint8_t reason)
{
	if (refused_is_one(reason))
		refused_note(c, reason, "PUBLISH");
	log_info("publish: refused id=%s topic=\"%s\" packet_id=%u reason=0x%02x", conn_name(c),
	    log_esc(topic), id, reason);
}

/*
 * In MQTT 3 an acknowledgement can't refuse: what may not be published looks acknowledged, what could not be stored ends the connection, so
 * that the client keeps it.
 */
static void
send_ack(struct conn *c, uint8_t type, uint16_t id, uint8_t reason)
{
	uint8_t packet[CONN_REASON_MAX + 16], props[CONN_REASON_MAX];
	size_t len;

	if (c->state != CONN_OPEN)
		return;
	if (c->version != MQTT_5 && reason >= 0x80 && reason != MQTT_NOT_AUTHORIZED &&
	    type != PKT_PUBCOMP) {
		conn_end(c, CNT_ends__not_kept, reason, mqtt_reason_text(reason));
		return;
	}
	len = ack_encode(type, id, c->version, reason, conn_reason_props(c, reason, props), packet,
	    sizeof(packet));
	if (len == 0 || len > c->max_packet)
		len = ack_encode(
		    type, id, c->version, reason, span_of(NULL, 0), packet, sizeof(packet));
	conn_send(c, packet, len);
}

/* --- acknowledgements of what we sent ---------------------------------------------------- */

static void
tell_persist(struct conn *c, const struct inflight *e, uint8_t packet, uint8_t reason)
{
	struct rec_acked rec = {
		.epoch = c->epoch,
		.seq = e->seq,
		.session = c->session,
		.packet_id = e->id,
		.packet = packet,
		.reason = reason,
	};
	struct iovec iov = { &rec, sizeof(rec) };

	if (mesh_send(self.mesh, SLOT_PERSIST, REC_ACKED, &iov, 1) >= MESH_FULL)
		conn_end(c, CNT_ends__no_store, MQTT_SERVER_BUSY, "the store is not available");
}

static bool
decode_ack(struct conn *c, struct span body, unsigned type, struct ack *out)
{
	const char *why = "malformed acknowledgement";
	enum mqtt_reason reason = ack_decode(body, type, c->version, out, &why);

	return conn_decoded(c, reason, why);
}

void
on_puback(struct conn *c, struct span body, uint8_t flags)
{
	struct ack ack;
	struct inflight *e;

	(void)flags;
	if (!decode_ack(c, body, PKT_PUBACK, &ack))
		return;
	e = inflight_find(&c->tx, ack.id);
	if (e == NULL || e->state != INFLIGHT_PUBACK)
		return; /* must not widen the window */
	if (c->durable)
		tell_persist(c, e, PKT_PUBACK, ack.reason);
	if (c->state == CONN_OPEN)
		inflight_del(&c->tx, e);
	deliver_acked(c);
}

void
on_pubrec(struct conn *c, struct span body, uint8_t flags)
{
	struct ack ack;
	struct inflight *e;

	(void)flags;
	if (!decode_ack(c, body, PKT_PUBREC, &ack))
		return;
	e = inflight_find(&c->tx, ack.id);
	if (e == NULL || e->state == INFLIGHT_PUBACK) {
		uint8_t packet[8];

		if (ack.reason < 0x80) /* 3.6.2.1: it may go on from an older state */
			conn_send(c, packet,
			    ack_encode(PKT_PUBREL, ack.id, c->version,
				MQTT_PACKET_IDENTIFIER_NOT_FOUND, span_of(NULL, 0), packet,
				sizeof(packet)));
		return;
	}
	if (ack.reason >= 0x80) { /* [MQTT-4.4.0-2] */
		if (c->durable)
			tell_persist(c, e, PKT_PUBREC, ack.reason);
		if (c->state == CONN_OPEN)
			inflight_del(&c->tx, e);
		deliver_acked(c);
		return;
	}
	if (e->state == INFLIGHT_PUBCOMP) {
		deliver_pubrel(c, ack.id);
		return;
	}
	if (c->durable) {
		tell_persist(
		    c, e, PKT_PUBREC, ack.reason); /* which sends PUBREL once that is on record */
		return;
	}
	e->state = INFLIGHT_PUBCOMP;
	deliver_pubrel(c, ack.id);
}

void
on_pubcomp(struct conn *c, struct span body, uint8_t flags)
{
	struct ack ack;
	struct inflight *e;

	(void)flags;
	if (!decode_ack(c, body, PKT_PUBCOMP, &ack))
		return;
	e = inflight_find(&c->tx, ack.id);
	if (e == NULL || e->state != INFLIGHT_PUBCOMP)
		return;
	if (c->durable)
		tell_persist(c, e, PKT_PUBCOMP, ack.reason);
	if (c->state == CONN_OPEN)
		inflight_del(&c->tx, e);
	deliver_acked(c);
}
