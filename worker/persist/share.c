#include "worker/persist/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/must.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"

#define GROUPS_MAX 256 /* groups of one process that match one topic */

struct group {
	struct subnode *node;
	struct store_queue *queue; /* what waits for a member */
	uint64_t name;
	uint32_t number, turn; /* number: its name in the store */
};

struct member {          /* who can take a message now */
	struct sub *sub; /* NULL: clean members of the worker */
	uint32_t weight;
	unsigned slot;
};

static struct {
	struct htab by_name, by_number;
	struct member *member;
	size_t cap;
	uint64_t waiting; /* entries of all groups */
	bool is_open;
} the;

static size_t
members(const struct group *g, const struct msg_view *v, const struct topic_hash *t, bool clean);
static const struct member *
pick(struct group *g, size_t n, const struct msg_view *v, const struct session *publisher);
static enum queued group_add(struct group *g, struct store_msg *m);

static uint64_t
group_hash(const void *entry)
{
	return ((const struct group *)entry)->name;
}

static bool
group_eq(const void *entry, const void *key)
{
	return ((const struct group *)entry)->name == *(const uint64_t *)key;
}

static uint64_t
number_hash(const void *entry)
{
	return hash_mix(((const struct group *)entry)->number);
}

static bool
number_eq(const void *entry, const void *key)
{
	return ((const struct group *)entry)->number == *(const uint32_t *)key;
}

static struct group *
group_find(uint64_t name)
{
	return the.is_open ? htab_find(&the.by_name, name, group_eq, &name) : NULL;
}

/* $share/NAME/filter */
static struct span
group_text(const struct subnode *n, char buf[SUB_TEXT_MAX])
{
	struct span filter = index_filter(&n->n), name = index_group(&n->n);
	int len = snprintf(buf, SUB_TEXT_MAX, "$share/%.*s/%.*s", (int)name.len, name.p,
	    (int)filter.len, filter.p);

	must(len > 0 && len < SUB_TEXT_MAX);
	return span_of(buf, (size_t)len);
}

int
share_new(struct subnode *n)
{
	struct group *g = calloc(1, sizeof(*g));
	char text[SUB_TEXT_MAX];
	uint64_t queue;

	if (g == NULL)
		return -ENOMEM;
	if (!the.is_open) {
		htab_init(&the.by_name, group_hash);
		htab_init(&the.by_number, number_hash);
		the.is_open = true;
	}
	g->node = n;
	g->name = interest_group_hash(&self.key, index_filter(&n->n), index_group(&n->n));
	g->number = store_group_get(group_text(n, text), &queue);
	if (g->number == 0 || store_queue_open(queue, &g->queue) != 0)
		goto no_memory;
	if (group_find(g->name) != NULL || htab_add(&the.by_name, g->name, g) != 0)
		goto no_memory;
	if (htab_add(&the.by_number, number_hash(g), g) != 0) {
		htab_del(&the.by_name, g->name, g);
		goto no_memory;
	}
	the.waiting += g->queue->entries;
	count_add(CNT_queued, g->queue->entries);
	count_add(CNT_queued_bytes, g->queue->bytes);
	n->group = g;
	return 0;
no_memory:
	store_queue_close(&g->queue);
	free(g);
	return -ENOMEM;
}

void
share_free(struct subnode *n, bool forget)
{
	struct group *g = n->group;
	char text[SUB_TEXT_MAX];

	the.waiting -= g->queue->entries;
	if (forget) {
		(void)store_group_del(group_text(n, text));
		queue_bury(g->queue->id, &g->queue, false);
	}
	store_queue_close(&g->queue);
	must(htab_del(&the.by_name, g->name, g));
	must(htab_del(&the.by_number, number_hash(g), g));
	n->group = NULL;
	free(g);
	if (htab_count(&the.by_name) == 0) {
		htab_fini(&the.by_name);
		htab_fini(&the.by_number);
		free(the.member);
		the.member = NULL;
		the.cap = 0;
		the.is_open = false;
	}
}

struct subnode *
share_find(uint64_t name)
{
	const struct group *g = group_find(name);

	return g != NULL ? g->node : NULL;
}

bool
share_has_queue(uint64_t id)
{
	const struct group *g;
	uint64_t pos = 0;

	while (the.is_open && (g = htab_next(&the.by_name, &pos)) != NULL)
		if (g->queue->id == id)
			return true;
	return false;
}

uint64_t
share_name(const struct subnode *n)
{
	return n->group->name;
}

static uint8_t
effective_qos(const struct sub *s, uint8_t published)
{
	uint8_t granted = SUB_QOS(s);

	return self.conf.upgrade_outgoing_qos || granted < published ? granted : published;
}

enum queued
share_give(struct subnode *n, struct store_msg *msg, const struct topic_hash *t,
    const struct session *publisher, unsigned hops)
{
	const struct msg_view *v = &msg->v;
	struct group *g = n->group;
	const struct member *m = pick(g, members(g, v, t, hops < REC_HOPS_MAX), v, publisher);
	struct queue_item item;
	uint32_t id;

	if (m != NULL && m->sub == NULL) {
		struct rec_msg rec = rec_msg_of(v, 1, false);

		rec.hops = (uint8_t)hops;
		if (out_message(m->slot, REC_FWD, span_of(&rec, sizeof(rec)),
			span_of(&g->name, sizeof(g->name)), v) < MESH_FULL)
			return QUEUE_OK;
		m = NULL;
	}
	if (m == NULL)
		return group_add(g, msg);
	id = m->sub->id;
	item = (struct queue_item){
		.msg = msg,
		.group = g->number,
		.subids = span_of(&id, id != 0 ? sizeof(id) : 0),
		.qos = effective_qos(m->sub, v->qos),
		.retain = v->retain && SUB_AS_PUBLISHED(m->sub),
	};
	return queue_add(m->sub->durable, &item);
}

static void
member_add(size_t *n, struct sub *s, uint32_t weight, unsigned slot)
{
	if (*n == the.cap) {
		size_t cap = the.cap ? the.cap * 2 : 16;
		struct member *m = realloc(the.member, cap * sizeof(*m));

		if (m == NULL)
			return;
		the.member = m;
		the.cap = cap;
	}
	the.member[(*n)++] = (struct member){ s, weight, slot };
}

/* Into the.member: durable ones first, then, if clean is set, the clean ones of each worker. */
static size_t
members(const struct group *g, const struct msg_view *v, const struct topic_hash *t, bool clean)
{
	size_t n = 0;

	for (uint32_t i = 0; i < g->node->nsubs; i++) {
		struct sub *s = subs_at(&g->node->subs, g->node->nsubs, i);
		if (effective_qos(s, v->qos) == 0)
			continue; /* its worker's own business */
		if (queue_can_send(s->durable))
			member_add(&n, s, 1, s->durable->session->slot);
	}
	for (unsigned slot = 0; clean && slot < SLOT_MQTT_MAX; slot++) {
		struct interest_hit hit[GROUPS_MAX];
		const struct segment *seg = peer_is_up(slot) ? mesh_peer(self.mesh, slot) : NULL;
		unsigned nhits;

		if (seg == NULL ||
		    atomic_load_explicit(&seg->interest.ngroups, memory_order_acquire) == 0)
			continue;
		nhits = interest_probe_groups(
		    &seg->interest, mesh_tables(self.mesh, slot), t, hit, GROUPS_MAX);
		for (unsigned i = 0; i < nhits; i++)
			if (hit[i].group == g->name && hit[i].clean > 0)
				member_add(&n, NULL, hit[i].clean, slot);
	}
	return n;
}

static uint64_t
load_of(const struct member *m)
{
	return m->sub != NULL ? queue_entries(m->sub->durable) : 0;
}

static const struct member *
pick(struct group *g, size_t n, const struct msg_view *v, const struct session *publisher)
{
	uint64_t at, weight = 0;
	const struct member *best;

	if (n == 0)
		return NULL;
	best = &the.member[0];
	switch (self.conf.shared_policy) {
	case SHARE_sticky:
		return best;
	case SHARE_least_loaded:
		/* From another one each time, so that equals take turns. */
		at = g->turn++;
		best = &the.member[at % n];
		for (size_t i = 1; i < n; i++)
			if (load_of(&the.member[(at + i) % n]) < load_of(best))
				best = &the.member[(at + i) % n];
		return best;
	case SHARE_hash_client:
		at = publisher != NULL ? hash_bytes(&self.key, session_id(publisher)) : 0;
		break;
	case SHARE_hash_topic:
		at = hash_bytes(&self.key, v->topic);
		break;
	default:
		at = g->turn++;
	}
	for (size_t i = 0; i < n; i++)
		weight += the.member[i].weight;
	at %= weight;
	for (best = the.member; at >= best->weight; best++)
		at -= best->weight;
	return best;
}

static void
group_pop(struct group *g, const struct store_entry *e)
{
	uint32_t size = e->size;

	if (store_entry_del(g->queue, e) != 0)
		return;
	the.waiting--;
	count_sub(CNT_queued, 1);
	count_sub(CNT_queued_bytes, size);
}

static struct group *
group_of(uint32_t number)
{
	return the.is_open ? htab_find(&the.by_number, hash_mix(number), number_eq, &number) : NULL;
}

bool
share_drop(struct store_queue *q, const struct store_entry *e)
{
	struct group *g = e->group != 0 ? group_of(e->group) : NULL;

	if (g == NULL || g->queue != q)
		return false;
	group_pop(g, e);
	return true;
}

static enum queued
group_add(struct group *g, struct store_msg *m)
{
	const struct store_queue *q = g->queue;
	struct store_entry e = {
		.seq = q->next_seq,
		.expires_ms = queue_expires_ms(&m->v),
		.group = g->number,
		.size = (uint32_t)msg_view_size(&m->v),
		.qos = m->v.qos,
		.retain = m->v.retain,
	};
	enum limit full;

	while ((full = queue_limit(q, q->entries, e.size)) != LIMIT_NONE ||
	    (full = queue_limit_of_all(1, e.size)) != LIMIT_NONE) {
		struct store_entry old;

		queue_dropped(full);
		if (self.conf.queue_drop != DROP_oldest || !store_entry_next(g->queue, 0, &old))
			return QUEUE_FULL;
		group_pop(g, &old);
	}
	if (store_entry_add(g->queue, &e, m) != 0) {
		count(CNT_dropped__no_memory);
		return QUEUE_NO_MEMORY;
	}
	the.waiting++;
	count_add(CNT_queued, 1);
	count_add(CNT_queued_bytes, e.size);
	return QUEUE_OK;
}

bool
share_fetch(struct durable *d)
{
	if (the.waiting == 0)
		return false;
	for (uint32_t i = 0; i < d->nsubs; i++) {
		const struct sub *s = subs_at(&d->subs, d->nsubs, i);
		struct group *g = s->node->group;
		uint32_t id = s->id;
		struct store_entry e;
		struct queue_item item;

		if (g == NULL || g->queue->entries == 0 || !store_entry_next(g->queue, 0, &e))
			continue;
		if (e.expires_ms != 0 && e.expires_ms <= clock_wall_ms()) {
			queue_expired(g->queue, &e);
			return true;
		}
		item = (struct queue_item){
			.msg = &e.msg,
			.moved = &e,
			.group = g->number,
			.subids = span_of(&id, id != 0 ? sizeof(id) : 0),
			.qos = effective_qos(s, e.qos),
			.retain = e.retain && SUB_AS_PUBLISHED(s),
		};
		if (item.qos == 0 || queue_add(d, &item) != QUEUE_OK)
			continue;
		store_msg_fini(&e.msg);
		group_pop(g, &e);
		return true;
	}
	return false;
}

bool
share_again(struct store_entry *e)
{
	struct group *g = group_of(e->group);
	struct topic_hash t;
	bool given;

	if (g == NULL)
		return false;
	topic_hash(&self.key, e->msg.v.topic, &t);
	given = share_give(g->node, &e->msg, &t, NULL, 0) == QUEUE_OK;
	store_msg_fini(&e->msg);
	return given;
}

unsigned
share_pick_worker(const struct share_hit *hit, unsigned n, uint32_t turn)
{
	uint64_t weight = 0, at;

	for (unsigned i = 0; i < n; i++)
		weight += hit[i].weight;
	if (weight == 0)
		return hit[0].slot;
	at = turn % weight;
	for (; at >= hit->weight; hit++)
		at -= hit->weight;
	return hit->slot;
}
