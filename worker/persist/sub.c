#include "worker/persist/sub.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"
#include "worker/persist/retained.h"
#include "worker/persist/share.h"

static struct {
	struct index *index;
	struct htab several; /* by node and session, of filters that several have */
	size_t count;
	struct subnode **match;
	size_t cap;
	bool queue_qos0; /* as the interest table was made */
} the;

struct sub_key {
	const struct subnode *node;
	const struct durable *durable;
};

static void sub_free(struct sub *s, bool forget);
static void node_free(struct subnode *n, bool forget);
static void node_show(struct subnode *n, int change);

static uint64_t
key_hash(const struct subnode *n, const struct durable *d)
{
	return hash_mix((uint64_t)(uintptr_t)n ^ hash_mix((uint64_t)(uintptr_t)d));
}

static uint64_t
sub_hash(const void *entry)
{
	const struct sub *s = entry;

	return key_hash(s->node, s->durable);
}

static bool
sub_eq(const void *entry, const void *key)
{
	const struct sub *s = entry;
	const struct sub_key *k = key;

	return s->node == k->node && s->durable == k->durable;
}

int
sub_init(void)
{
	the.index = index_new(&self.key);
	if (the.index == NULL)
		return -ENOMEM;
	htab_init(&the.several, sub_hash);
	the.count = 0;
	the.queue_qos0 = self.conf.queue_qos0;
	return 0;
}

void
sub_fini(void)
{
	if (the.index == NULL)
		return;
	htab_fini(&the.several);
	index_free(the.index);
	the.index = NULL;
	free(the.match);
	the.match = NULL;
	the.cap = 0;
}

size_t
sub_count(void)
{
	return the.count;
}

bool
sub_is_shown(const struct sub *s)
{
	return SUB_QOS(s) > 0 || the.queue_qos0;
}

static struct subnode *
node_find(struct span filter)
{
	struct span group = span_of(NULL, 0), inner = filter;

	filter_share(filter, &group, &inner);
	return (struct subnode *)index_find(the.index, inner, group);
}

struct sub *
sub_find(struct durable *d, struct span filter)
{
	struct sub_key key = { .node = node_find(filter), .durable = d };

	if (key.node == NULL)
		return NULL;
	if (key.node->nsubs > 1)
		return htab_find(&the.several, key_hash(key.node, d), sub_eq, &key);
	return key.node->subs.one->durable == d ? key.node->subs.one : NULL;
}

static struct subnode *
node_get(struct span filter)
{
	struct span group = span_of(NULL, 0), inner = filter;
	struct subnode *n = node_find(filter);

	if (n != NULL)
		return n;
	filter_share(filter, &group, &inner);
	n = (struct subnode *)index_add(the.index, inner, group, sizeof(*n));
	if (n != NULL && group.len > 0 && share_new(n) != 0) {
		node_free(n, true);
		return NULL;
	}
	return n;
}

static int
subs_push(union subs *x, uint32_t *n, struct sub *s)
{
	struct sub **many = x->many;

	if (*n == 1)
		many = malloc(4 * sizeof(struct sub *));
	else if (*n >= 4 && (*n & (*n - 1)) == 0)
		many = realloc(many, *n * 2 * sizeof(struct sub *));
	if (*n > 0 && many == NULL)
		return -ENOMEM;
	if (*n == 1)
		many[0] = x->one;
	if (*n == 0) {
		x->one = s;
	} else {
		many[*n] = s;
		x->many = many;
	}
	++*n;
	return 0;
}

/* The last takes the free place: that one, or NULL. */
static struct sub *
subs_pop(union subs *x, uint32_t *n, uint32_t at)
{
	struct sub *last = subs_at(x, *n, *n - 1), *moved = NULL;

	if (at < --*n)
		moved = x->many[at] = last;
	if (*n == 1) {
		last = x->many[0];
		free(x->many);
		x->one = last;
	}
	return moved;
}

static int
several_add(struct sub *s)
{
	return htab_add(&the.several, key_hash(s->node, s->durable), s);
}

static void
several_del(struct sub *s)
{
	must(htab_del(&the.several, key_hash(s->node, s->durable), s));
}

static int
node_push(struct subnode *n, struct sub *s)
{
	if (n->nsubs == 1 && several_add(n->subs.one) != 0)
		return -ENOMEM;
	if (n->nsubs > 0 && several_add(s) != 0)
		goto no_memory;
	s->at = n->nsubs & (SUB_PLACES - 1);
	if (subs_push(&n->subs, &n->nsubs, s) == 0)
		return 0;
	several_del(s);
no_memory:
	if (n->nsubs == 1)
		several_del(n->subs.one);
	return -ENOMEM;
}

static void
node_pop(struct subnode *n, struct sub *s)
{
	struct sub *last;

	if (n->nsubs > 1)
		several_del(s);
	last = subs_pop(&n->subs, &n->nsubs, s->at);
	if (last != NULL)
		last->at = s->at;
	if (n->nsubs == 1)
		several_del(n->subs.one);
}

static void
set_options(struct sub *s, uint8_t options, uint32_t id)
{
	s->options = options & 0xf;
	s->handling = options >> 4 & 3;
	s->id = id & MQTT_SUBID_MAX;
}

/* loaded: it comes from the store. */
static enum mqtt_reason
sub_set(struct durable *d, struct span filter, uint8_t options, uint32_t id, bool loaded,
    bool *existed_out)
{
	struct sub *s = sub_find(d, filter);
	struct subnode *n;
	bool was;

	if (!loaded &&
	    store_sub_put(d->session->number, &(struct store_sub){ filter, id, options }) != 0)
		return MQTT_QUOTA_EXCEEDED;
	*existed_out = s != NULL;
	if (s != NULL) {
		was = sub_is_shown(s);
		set_options(s, options, id);
		if (was != sub_is_shown(s))
			node_show(s->node, was ? -1 : 1);
		return MQTT_SUCCESS;
	}
	n = node_get(filter);
	s = n != NULL ? malloc(sizeof(*s)) : NULL;
	if (s == NULL)
		goto no_memory;
	*s = (struct sub){ .node = n, .durable = d, .nth = d->nsubs };
	set_options(s, options, id);
	if (node_push(n, s) != 0)
		goto no_memory;
	if (subs_push(&d->subs, &d->nsubs, s) != 0) {
		node_pop(n, s);
		goto no_memory;
	}
	the.count++;
	if (n->group != NULL) {
		d->has_groups = true;
		queue_ready(d); /* messages may wait for a member */
	}
	if (sub_is_shown(s))
		node_show(n, 1);
	return MQTT_SUCCESS;
no_memory:
	free(s);
	if (n != NULL && n->nsubs == 0)
		node_free(n, true);
	if (!loaded)
		store_sub_del(d->session->number, filter);
	count(CNT_dropped__no_memory);
	return MQTT_QUOTA_EXCEEDED;
}

enum mqtt_reason
sub_put(struct durable *d, struct span filter, uint8_t options, uint32_t id, bool *existed_out)
{
	return sub_set(d, filter, options, id, false, existed_out);
}

static void
on_loaded(void *arg, const struct store_sub *s)
{
	bool existed;

	(void)sub_set(arg, s->filter, s->options, s->id, true, &existed);
}

void
sub_load(struct durable *d)
{
	store_sub_each(d->session->number, on_loaded, d);
}

bool
sub_remove(struct durable *d, struct span filter)
{
	struct sub *s = sub_find(d, filter);

	if (s == NULL)
		return false;
	store_sub_del(d->session->number, filter);
	sub_free(s, true);
	return true;
}

void
sub_drop_all(struct durable *d, bool forget)
{
	static char text[SUB_TEXT_MAX];

	while (d->nsubs > 0) {
		struct sub *s = subs_at(&d->subs, d->nsubs, d->nsubs - 1);

		if (forget)
			store_sub_del(d->session->number, sub_text(s, text));
		sub_free(s, forget);
	}
}

static void
sub_free(struct sub *s, bool forget)
{
	struct subnode *n = s->node;
	struct durable *d = s->durable;
	struct sub *last = subs_pop(&d->subs, &d->nsubs, s->nth);

	if (last != NULL)
		last->nth = s->nth;
	if (d->nsubs == 0)
		d->has_groups = false;
	node_pop(n, s);
	the.count--;
	if (sub_is_shown(s))
		node_show(n, -1);
	free(s);
	if (n->nsubs == 0)
		node_free(n, forget);
}

static void
node_free(struct subnode *n, bool forget)
{
	struct index_node *node = &n->n;

	if (n->group != NULL)
		share_free(n, forget);
	index_del(the.index, &node);
}

static void
node_show(struct subnode *n, int change)
{
	struct interest *x = mesh_interest(self.mesh);

	n->nshown += (uint32_t)change;
	if (n->group != NULL) {
		uint64_t group;

		interest_group(x, index_filter(&n->n), index_group(&n->n), n->nshown, 0, &group);
	} else if (n->nshown == 0) {
		interest_del(x, index_filter(&n->n));
	} else if (n->nshown == 1 && change > 0) {
		interest_add(x, index_filter(&n->n));
	}
}

void
sub_show_all(void)
{
	struct index_node *chain;
	uint64_t pos = 0;

	if (the.queue_qos0 == self.conf.queue_qos0)
		return;
	/*
	 * What was hidden before shows now, or the other way round: a node met twice is told by its
	 * count.
	 */
	the.queue_qos0 = self.conf.queue_qos0;
	while ((chain = index_next(the.index, &pos)) != NULL)
		for (; chain != NULL; chain = chain->next) {
			struct subnode *n = (struct subnode *)chain;
			uint32_t shown = 0;

			for (uint32_t i = 0; i < n->nsubs; i++)
				shown += sub_is_shown(subs_at(&n->subs, n->nsubs, i));
			while (n->nshown != shown)
				node_show(n, n->nshown < shown ? 1 : -1);
		}
}

size_t
sub_match(struct span topic, const struct topic_hash *t, struct subnode ***out)
{
	size_t n;

	if (the.count == 0)
		return 0;
	for (;;) {
		n = index_match(the.index, topic, t, (struct index_node **)the.match, the.cap);
		if (n <= the.cap)
			break;
		struct subnode **match = realloc(the.match, n * 2 * sizeof(struct subnode *));

		if (match == NULL) {
			count(CNT_dropped__no_memory);
			n = the.cap;
			break;
		}
		the.match = match;
		the.cap = n * 2;
	}
	*out = the.match;
	return n;
}

struct span
sub_text(const struct sub *s, char *buf)
{
	return span_of(buf, filter_write(index_group(&s->node->n), index_filter(&s->node->n), buf));
}
