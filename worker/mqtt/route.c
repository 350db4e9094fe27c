#include "worker/mqtt/route.h"

#include <stdlib.h>

#include "shared/base/log.h"

#define CACHE_SETS 4096 /* of two routes each: 2 MiB for usual topics */
#define WAYS 2
#define CACHE_BYTES (UINT64_C(8) << 20) /* of all routes; or the one that is larger */
#define NODES 256  /* filters that match one topic; beyond it the array is made larger */
#define GROUPS 256 /* groups that match one topic, in one process */

static struct {
	struct route *set[CACHE_SETS][WAYS];
	uint64_t bytes;
	unsigned hand; /* the set that gives way next */
	uint8_t peer[SLOTS];
	unsigned npeers;
	struct index_node **node;
	size_t cap;
} the;

static struct route *route_make(struct span topic, uint64_t hash);
static bool route_is_valid(const struct route *r);
static void route_drop(struct route **r);
static void route_make_way(const struct route *for_it);

const struct route *
route_find(struct span topic)
{
	uint64_t hash = hash_bytes(&self.key, topic);
	struct route **set = the.set[hash % CACHE_SETS];
	struct route *r;
	int place = WAYS - 1; /* who has it gives way */

	for (int i = 0; i < WAYS; i++) {
		r = set[i];
		if (r == NULL || r->hash != hash ||
		    !span_eq(span_of(r->topic, r->topic_len), topic))
			continue;
		if (route_is_valid(r)) {
			count(CNT_route_hits);
			return r;
		}
		place = i;
		break;
	}
	count(CNT_route_misses);
	r = route_make(topic, hash);
	if (r == NULL)
		return NULL;
	route_drop(&set[place]);
	for (; place > 0; place--)
		set[place] = set[place - 1];
	set[0] = r;
	the.bytes += r->size;
	route_make_way(r);
	return r;
}

void
route_flush(void)
{
	for (int i = 0; i < CACHE_SETS; i++)
		for (int j = 0; j < WAYS; j++)
			route_drop(&the.set[i][j]);
}

void
route_fini(void)
{
	route_flush();
	free(the.node);
	the.node = NULL;
	the.cap = 0;
}

void
route_peer(unsigned slot, bool up)
{
	unsigned n = 0;

	for (unsigned i = 0; i < the.npeers; i++)
		if (the.peer[i] != slot)
			the.peer[n++] = the.peer[i];
	if (up)
		the.peer[n++] = (uint8_t)slot;
	the.npeers = n;
	route_flush();
}

static void
route_drop(struct route **r)
{
	if (*r != NULL)
		the.bytes -= (*r)->size;
	free(*r);
	*r = NULL;
}

static void
route_make_way(const struct route *for_it)
{
	while (the.bytes > CACHE_BYTES && the.bytes > for_it->size) {
		struct route **set = the.set[the.hand++ % CACHE_SETS];

		for (int i = 0; i < WAYS; i++)
			if (set[i] != for_it)
				route_drop(&set[i]);
	}
}

static bool
route_is_valid(const struct route *r)
{
	struct topic_hash t;

	t.first = r->first;
	t.dollar = r->dollar;
	for (uint32_t i = 0; i < r->nversions; i++)
		if (interest_version(r->version[i].head, &t) != r->version[i].version)
			return false;
	return true;
}

static bool
has_nodes(void)
{
	if (the.cap == 0) {
		the.node = malloc(NODES * sizeof(struct index_node *));
		if (the.node != NULL)
			the.cap = NODES;
	}
	return the.cap > 0;
}

/* Filters of our own that match, into the.node; answers how many. */
static size_t
match_here(struct span topic, const struct topic_hash *t)
{
	size_t n;

	for (;;) {
		n = index_match(subnode_index(), topic, t, the.node, the.cap);
		if (n <= the.cap)
			return n;
		struct index_node **node = realloc(the.node, n * 2 * sizeof(struct index_node *));

		if (node == NULL)
			return the.cap; /* those that fit */
		the.node = node;
		the.cap = n * 2;
	}
}

struct found {
	uint64_t group;
	uint32_t weight;
	uint16_t slot;
};

/* What all processes have said of a topic. */
struct draft {
	struct route route; /* without its arrays */
	struct route_version version[SLOTS + 1];
	struct found *found;
	size_t nfound;
};

static int
by_group(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (int)x->slot - (int)y->slot;
}

static int
find_groups(struct draft *d, const struct segment *seg, unsigned slot, const struct topic_hash *t)
{
	struct interest_hit hit[GROUPS];
	const void *tables = mesh_tables(self.mesh, slot);
	unsigned got = interest_probe_groups(&seg->interest, tables, t, hit, GROUPS);
	struct found *more;

	if (got == 0)
		return 0;
	if (got == GROUPS) {
		count(CNT_dropped__no_member);
		log_every(60, LOG_WARNING,
		    "route: a topic matches %u groups of shared subscriptions of process=%s, "
		    "further ones get nothing",
		    got, proc_title(slot));
	}
	more = realloc(d->found, (d->nfound + got) * sizeof(*more));
	if (more == NULL)
		return -1;
	d->found = more;
	for (unsigned i = 0; i < got; i++)
		more[d->nfound++] = (struct found){ hit[i].group, hit[i].weight, (uint16_t)slot };
	return 0;
}

/* The version is read before what it stands for. What this process wants of its own is in its index. */
static int
ask_process(struct draft *d, const struct segment *seg, unsigned slot, const struct topic_hash *t)
{
	struct route *r = &d->route;

	d->version[r->nversions++] =
	    (struct route_version){ &seg->interest, interest_version(&seg->interest, t) };
	if (slot != self.slot && interest_probe(&seg->interest, mesh_tables(self.mesh, slot), t)) {
		if (slot == SLOT_PERSIST)
			r->persist = true;
		else if (slot < SLOT_MQTT_MAX)
			r->workers |= UINT64_C(1) << slot;
	}
	return find_groups(d, seg, slot, t);
}

static int
ask_all(struct draft *d, const struct topic_hash *t)
{
	if (ask_process(d, mesh_segment(self.mesh), self.slot, t) != 0)
		return -1;
	for (unsigned i = 0; i < the.npeers; i++) {
		const struct segment *seg = mesh_peer(self.mesh, the.peer[i]);

		if (seg != NULL && ask_process(d, seg, the.peer[i], t) != 0)
			return -1;
	}
	if (d->nfound > 1)
		qsort(d->found, d->nfound, sizeof(*d->found), by_group);
	return 0;
}

/* In one piece: the route, then its arrays, which are still to be filled but for versions and topic. */
static struct route *
route_alloc(const struct draft *d, struct span topic)
{
	const struct route *r = &d->route;
	size_t nodes = r->nnodes * sizeof(struct subnode *);
	size_t versions = r->nversions * sizeof(struct route_version);
	size_t groups = d->nfound * sizeof(struct route_group);
	size_t members = d->nfound * sizeof(struct route_member);
	size_t size = sizeof(*r) + nodes + versions + groups + members + topic.len;
	struct route *out = malloc(size);
	uint8_t *p;

	if (out == NULL)
		return NULL;
	p = (uint8_t *)(out + 1);
	*out = *r;
	out->size = (uint32_t)size;
	out->node = (struct subnode **)p;
	p += nodes;
	out->version = (struct route_version *)p;
	p += versions;
	out->group = (struct route_group *)p;
	p += groups;
	out->member = (struct route_member *)p;
	p += members;
	out->topic = (char *)p;
	memcpy(out->topic, topic.p, topic.len);
	memcpy(out->version, d->version, versions);
	return out;
}

/* Plain ones in front. */
static void
fill_nodes(struct route *r)
{
	for (uint32_t i = 0, shared = r->nnodes; i < r->nnodes; i++) {
		struct subnode *node = (struct subnode *)the.node[i];

		if (node->group == 0)
			r->node[r->plain++] = node;
		else
			r->node[--shared] = node;
	}
}

static void
fill_groups(struct route *r, const struct found *found, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct route_group *g = r->ngroups > 0 ? &r->group[r->ngroups - 1] : NULL;

		if (g == NULL || g->group != found[i].group) {
			g = &r->group[r->ngroups++];
			*g = (struct route_group){ .group = found[i].group,
				.first = (uint16_t)r->nmembers };
		}
		if (found[i].slot == SLOT_PERSIST) {
			g->durable = true;
			continue;
		}
		if (found[i].slot >= SLOT_MQTT_MAX)
			continue;
		r->member[r->nmembers++] = (struct route_member){ found[i].slot, found[i].weight };
		g->weight += found[i].weight;
		g->n++;
	}
}

static struct route *
route_make(struct span topic, uint64_t hash)
{
	struct route *out = NULL;
	struct topic_hash t;
	struct draft d; /* of whose versions only those that are set count */

	topic_hash(&self.key, topic, &t);
	d.route = (struct route){
		.hash = hash, .topic_len = (uint32_t)topic.len, .first = t.first, .dollar = t.dollar
	};
	d.found = NULL;
	d.nfound = 0;
	if (has_nodes() && ask_all(&d, &t) == 0) {
		d.route.nnodes = (uint32_t)match_here(topic, &t);
		out = route_alloc(&d, topic);
	}
	if (out != NULL) {
		fill_nodes(out);
		fill_groups(out, d.found, d.nfound);
	}
	free(d.found);
	return out;
}
