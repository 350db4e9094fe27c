#include "worker/persist/publish.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/log.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/share.h"
#include "worker/persist/store.h"

#define IDS_MAX 64      /* subscription identifiers of one delivery */
#define GROUPS_MAX 256  /* groups of one process that match one topic */
#define RXIDS_MAX 65535 /* an identifier has 16 bits */

struct target { /* a session with subscriptions that match */
	struct durable *durable;
	uint8_t qos; /* highest granted */
	bool as_published;
	uint16_t nids;
	uint32_t ids; /* place of the last in the.id */
};

struct id {
	uint32_t id, before;
};

static struct {
	struct target *target;
	struct id *id;
	size_t ntargets, targets_cap, nids, ids_cap;
	struct share_hit *hit;
	size_t hits_cap;
	struct interest_turns turns;
} the;

static void
find_targets(const struct msg_view *v, const struct topic_hash *t, const struct session *from);
static enum limit would_break(const struct msg_view *v);
static enum queued give_targets(struct store_msg *m, bool *matched);
static enum queued give_named(struct store_msg *m, struct span groups, const struct topic_hash *t,
    const struct session *publisher, unsigned hops, bool *matched);
static void
give_groups(struct store_msg *m, const struct topic_hash *t, const struct session *publisher);
static size_t pick_groups(const struct msg_view *v, const struct topic_hash *t);
static size_t groups_for(unsigned slot, size_t picked, uint64_t out[GROUPS_MAX]);
static bool wants_plain(unsigned slot, const struct topic_hash *t);

/* Of whom nothing is known, be it as his worker has yet to register, may have been promised all. */
static void
answer(unsigned slot, const struct session *to, unsigned type, uint64_t token, uint8_t reason,
    uint8_t flags)
{
	struct rec_stored rec = { .token = token, .reason = reason, .flags = flags };

	out_answer(slot, out_kept(to != NULL ? to->durability : DURABILITY_power), type,
	    &(struct iovec){ &rec, sizeof(rec) }, 1);
}

int
publish_store(unsigned slot, struct span body, bool again)
{
	struct session *from;
	struct rec_store rec;
	struct span groups, source;
	struct topic_hash t;
	struct store_msg m;
	struct msg_view v;
	enum counter why = CNT_publish_refused__no_memory;
	uint8_t reason = MQTT_SUCCESS, flags = 0;
	enum limit full;
	bool matched = false;

	if (!rec_take(&body, &rec, sizeof(rec)) || !rec_span(&body, rec.source_len, &source) ||
	    !rec_msg_parse(&rec.m, body, &v, &groups))
		return -EPROTO;
	from = session_about(slot, rec.session, rec.epoch);
	if (rec.want & STORE_QOS2) {
		if (rec.packet_id == 0)
			return -EPROTO;
		if (from == NULL) { /* it has moved on, and will send the message again */
			answer(slot, NULL, REC_STORED, rec.token, MQTT_UNSPECIFIED_ERROR, 0);
			return 0;
		}
		if (store_rxid_has(from->number, rec.packet_id)) {
			answer(slot, from, REC_STORED, rec.token, MQTT_SUCCESS, STORED_DUPLICATE);
			return 0;
		}
	}
	topic_hash(&self.key, v.topic, &t);
	the.ntargets = the.nids = 0;
	/*
	 * A retained update that did not ask for sessions may have been routed just before one of
	 * them subscribed.
	 */
	if (((rec.want & STORE_DURABLE) && rec.m.plain) || (rec.want & STORE_RETAIN))
		find_targets(&v, &t, from);
	store_msg_init(&m, &v, the.ntargets + rec.m.ngroups);
	m.again = again;
	if (self.conf.queue_drop == DROP_reject && (full = would_break(&v)) != LIMIT_NONE) {
		reason = MQTT_QUOTA_EXCEEDED;
		why = full == LIMIT_STORE ? CNT_publish_refused__store_limit
					  : CNT_publish_refused__queue_full;
		queue_dropped(full);
		goto out;
	}
	if ((rec.want & STORE_QOS2) &&
	    (store_rxid_count(from->number) >= RXIDS_MAX ||
		store_rxid_add(from->number, rec.packet_id) != 0)) {
		reason = MQTT_QUOTA_EXCEEDED;
		goto out;
	}
	if (give_targets(&m, &matched) == QUEUE_NO_MEMORY)
		reason = MQTT_QUOTA_EXCEEDED;
	if (rec.want & STORE_DURABLE) {
		enum queued got = give_named(&m, groups, &t, from, rec.m.hops, &matched);

		if (got != QUEUE_OK)
			reason = MQTT_QUOTA_EXCEEDED;
		if (got == QUEUE_FULL)
			why = CNT_publish_refused__queue_full;
	}
	if (rec.want & STORE_RETAIN) {
		enum mqtt_reason kept = retained_update(&v, source);

		if (kept != MQTT_OK) {
			reason = (uint8_t)kept;
			why = CNT_publish_refused__retained_full;
		} else if (rec.want & STORE_QOS2) {
			retained_live_later();
		}
	}
	/* PUBREC with a reason ends it: the identifier is free again [MQTT-4.3.3-9]. */
	if (reason >= 0x80 && (rec.want & STORE_QOS2))
		store_rxid_del(from->number, rec.packet_id);
out:
	store_msg_fini(&m);
	flags |= matched ? STORED_MATCHED : 0;
	if (reason >= 0x80 && (rec.want & STORE_ANSWER))
		count(why);
	if (rec.want & STORE_ANSWER)
		answer(slot, from, REC_STORED, rec.token, reason, flags);
	return 0;
}

int
publish_stored_before(unsigned slot, struct span body)
{
	struct rec_store rec;

	if (!rec_take(&body, &rec, sizeof(rec)))
		return -EPROTO;
	if (rec.want & STORE_ANSWER)
		answer(slot, NULL, REC_STORED, rec.token, MQTT_SUCCESS, STORED_MATCHED);
	if ((rec.want & STORE_RETAIN) && (rec.want & STORE_QOS2))
		retained_live_later();
	return 0;
}

int
publish_released_before(unsigned slot, struct span body)
{
	struct rec_release rec;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	answer(slot, NULL, REC_RELEASED, rec.token, MQTT_SUCCESS, STORED_FOUND);
	return 0;
}

int
publish_release(unsigned slot, struct span body)
{
	struct rec_release rec;
	const struct session *from;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	from = session_about(slot, rec.session, rec.epoch);
	answer(slot, from, REC_RELEASED, rec.token, MQTT_SUCCESS,
	    from != NULL && store_rxid_del(from->number, rec.packet_id) ? STORED_FOUND : 0);
	return 0;
}

void
publish_own(const struct msg_view *v, const struct session *publisher)
{
	publish_own_kept(v, publisher, span_of(NULL, 0));
	publish_own_rest(v);
}

void
publish_own_kept(const struct msg_view *v, const struct session *publisher, struct span source)
{
	struct topic_hash t;
	struct store_msg m;
	bool matched;

	topic_hash(&self.key, v->topic, &t);
	the.ntargets = the.nids = 0;
	find_targets(v, &t, publisher);
	store_msg_init(&m, v, the.ntargets);
	give_targets(&m, &matched);
	if (v->retain)
		retained_update(v, source);
	give_groups(&m, &t, publisher);
	store_msg_fini(&m);
}

void
publish_own_rest(const struct msg_view *v)
{
	struct topic_hash t;
	size_t picked;

	topic_hash(&self.key, v->topic, &t);
	picked = pick_groups(v, &t);
	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++) {
		uint64_t groups[GROUPS_MAX];
		size_t ngroups = groups_for(slot, picked, groups);
		bool plain = wants_plain(slot, &t);
		struct rec_msg rec;

		if (!plain && ngroups == 0)
			continue;
		rec = rec_msg_of(v, (unsigned)ngroups, plain);
		out_message(slot, REC_FWD, span_of(&rec, sizeof(rec)),
		    span_of(groups, ngroups * sizeof(groups[0])), v);
	}
}

bool
publish_has_rest(const struct msg_view *v)
{
	struct topic_hash t;

	topic_hash(&self.key, v->topic, &t);
	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++)
		if (wants_plain(slot, &t))
			return true;
	return pick_groups(v, &t) > 0;
}

void
publish_fini(void)
{
	free(the.target);
	free(the.id);
	free(the.hit);
	the.target = NULL;
	the.id = NULL;
	the.hit = NULL;
	the.targets_cap = the.ids_cap = the.hits_cap = 0;
}

/* --- whose ------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes in an array that grows. */
static bool
grow(void **p, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *at;

	if (n < *cap)
		return true;
	at = realloc(*p, more * size);
	if (at == NULL) {
		count(CNT_dropped__no_memory);
		return false;
	}
	*p = at;
	*cap = more;
	return true;
}

static struct target *
target_of(struct durable *d)
{
	struct target *x;

	if (d->target < the.ntargets && the.target[d->target].durable == d)
		return &the.target[d->target];
	if (!grow((void **)&the.target, the.ntargets, &the.targets_cap, sizeof(*x)))
		return NULL;
	d->target = (uint32_t)the.ntargets;
	x = &the.target[the.ntargets++];
	*x = (struct target){ .durable = d };
	return x;
}

/*
 * 3.3.4: overlapping subscriptions of a session bring one copy, at the highest QoS and with all
 * identifiers.
 */
static void
find_targets(const struct msg_view *v, const struct topic_hash *t, const struct session *from)
{
	struct subnode **node;
	size_t n = sub_match(v->topic, t, &node);

	for (size_t i = 0; i < n; i++) {
		if (node[i]->group != NULL)
			continue;
		for (uint32_t j = 0; j < node[i]->nsubs; j++) {
			const struct sub *s = subs_at(&node[i]->subs, node[i]->nsubs, j);
			struct target *x;

			if (SUB_NO_LOCAL(s) && s->durable->session == from)
				continue;
			x = target_of(s->durable);
			if (x == NULL)
				continue;
			if (SUB_QOS(s) > x->qos)
				x->qos = SUB_QOS(s);
			x->as_published |= SUB_AS_PUBLISHED(s) != 0;
			if (s->id != 0 && x->nids < IDS_MAX &&
			    grow((void **)&the.id, the.nids, &the.ids_cap, sizeof(struct id))) {
				the.id[the.nids] = (struct id){ s->id, x->ids };
				x->ids = (uint32_t)the.nids++;
				x->nids++;
			}
		}
	}
}

static uint8_t
effective_qos(const struct msg_view *v, const struct target *x)
{
	return self.conf.upgrade_outgoing_qos || x->qos < v->qos ? x->qos : v->qos;
}

/* Is it for us? QoS 0 goes straight to who is connected. */
static bool
is_ours(const struct target *x, uint8_t qos)
{
	return qos > 0 || (self.conf.queue_qos0 && x->durable->session->state == SESSION_OFFLINE);
}

/* A limit, if all who are to get it were given it. */
static enum limit
would_break(const struct msg_view *v)
{
	size_t size = msg_view_size(v);
	uint64_t n = 0;

	for (size_t i = 0; i < the.ntargets; i++) {
		const struct target *x = &the.target[i];
		const struct durable *d = x->durable;

		if (!is_ours(x, effective_qos(v, x)))
			continue;
		if (queue_limit(d->queue, queue_waiting(d), size) != LIMIT_NONE)
			return LIMIT_QUEUE;
		n++;
	}
	return n > 0 ? queue_limit_of_all(n, n * size) : LIMIT_NONE;
}

static enum queued
give_targets(struct store_msg *m, bool *matched)
{
	const struct msg_view *v = &m->v;
	enum queued result = QUEUE_OK;
	uint32_t ids[IDS_MAX];

	*matched = false;
	for (size_t i = 0; i < the.ntargets; i++) {
		const struct target *x = &the.target[i];
		struct queue_item item = {
			.msg = m,
			.subids = span_of(ids, x->nids * sizeof(ids[0])),
			.qos = effective_qos(v, x),
			.retain = v->retain && x->as_published,
		};
		uint32_t at = x->ids;

		if (!is_ours(x, item.qos))
			continue;
		for (unsigned k = x->nids; k-- > 0; at = the.id[at].before)
			ids[k] = the.id[at].id;
		switch (queue_add(x->durable, &item)) {
		case QUEUE_OK:
			*matched = true;
			break;
		case QUEUE_NO_MEMORY:
			result = QUEUE_NO_MEMORY;
			break;
		case QUEUE_FULL:
			break;
		}
	}
	return result;
}

/* Groups that the publisher's worker has left to us, by their names. A full queue counts if it is to be told. */
static enum queued
give_named(struct store_msg *m, struct span groups, const struct topic_hash *t,
    const struct session *publisher, unsigned hops, bool *matched)
{
	enum queued worst = QUEUE_OK, got;
	uint64_t name;

	for (size_t at = 0; at < groups.len; at += sizeof(name)) {
		struct subnode *n;

		memcpy(&name, groups.p + at, sizeof(name));
		n = share_find(name);
		if (n == NULL || !topic_match(index_filter(&n->n), m->v.topic)) {
			count(CNT_dropped__no_member);
			continue;
		}
		got = share_give(n, m, t, publisher, hops);
		if (got == QUEUE_OK)
			*matched = true;
		else if (got > worst && (got != QUEUE_FULL || self.conf.queue_drop == DROP_reject))
			worst = got;
	}
	return worst;
}

/* --- messages of ours to workers --------------------------------------------------------- */

static int
by_group(const void *a, const void *b)
{
	const struct share_hit *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (int)x->slot - (int)y->slot;
}

/* Groups with a member here are served at once. */
static void
give_groups(struct store_msg *m, const struct topic_hash *t, const struct session *publisher)
{
	struct subnode **node;
	size_t n = sub_match(m->v.topic, t, &node);

	for (size_t i = 0; (m->v.qos > 0 || self.conf.upgrade_outgoing_qos) && i < n; i++)
		if (node[i]->group != NULL && node[i]->nshown > 0)
			share_give(node[i], m, t, publisher, 0);
}

/* The others, and which process of theirs gets it. Answers how many, in the.hit. */
static size_t
pick_groups(const struct msg_view *v, const struct topic_hash *t)
{
	size_t nhits = 0, picked = 0;
	bool durable = v->qos > 0 || self.conf.upgrade_outgoing_qos;

	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++) {
		const struct segment *seg = peer_is_up(slot) ? mesh_peer(self.mesh, slot) : NULL;
		struct interest_hit hit[GROUPS_MAX];
		unsigned got;

		if (seg == NULL ||
		    atomic_load_explicit(&seg->interest.ngroups, memory_order_acquire) == 0)
			continue;
		got = interest_probe_groups(
		    &seg->interest, mesh_tables(self.mesh, slot), t, hit, GROUPS_MAX);
		for (unsigned i = 0; i < got; i++) {
			const struct subnode *ours = share_find(hit[i].group);

			if (hit[i].weight == 0 || (durable && ours != NULL && ours->nshown > 0))
				continue;
			if (grow((void **)&the.hit, nhits, &the.hits_cap, sizeof(the.hit[0])))
				the.hit[nhits++] =
				    (struct share_hit){ hit[i].group, hit[i].weight, slot };
		}
	}
	if (nhits > 1)
		qsort(the.hit, nhits, sizeof(the.hit[0]), by_group);
	for (size_t i = 0, end; i < nhits; i = end) {
		for (end = i + 1; end < nhits && the.hit[end].group == the.hit[i].group; end++)
			;
		the.hit[picked++] = (struct share_hit){
			.group = the.hit[i].group,
			.slot = share_pick_worker(&the.hit[i], (unsigned)(end - i),
			    interest_turn(&the.turns, the.hit[i].group)),
		};
	}
	return picked;
}

static size_t
groups_for(unsigned slot, size_t picked, uint64_t out[GROUPS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < picked && n < GROUPS_MAX; i++)
		if (the.hit[i].slot == slot)
			out[n++] = the.hit[i].group;
	return n;
}

static bool
wants_plain(unsigned slot, const struct topic_hash *t)
{
	const struct segment *seg = peer_is_up(slot) ? mesh_peer(self.mesh, slot) : NULL;

	return seg != NULL && interest_probe(&seg->interest, mesh_tables(self.mesh, slot), t);
}
