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

static int
by_group(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return (int)x->slot - (int)y->slot;
}

/* Groups of one process, appended to *f. */
static int
find_groups(const struct segment *seg, unsigned slot, const struct topic_hash *t, struct found **f,
    size_t *n)
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
	more = realloc(*f, (*n + got) * sizeof(*more));
	if (more == NULL)
		return -1;
	*f = more;
	for (unsigned i = 0; i < got; i++)
		more[(*n)++] = (struct found){ hit[i].group, hit[i].weight, (uint16_t)slot };
	return 0;
}

static struct route *
route_make(struct span topic, uint64_t hash)
{
	struct route_version version[SLOTS + 1];
	struct route r = { .hash = hash, .topic_len = (uint32_t)topic.len };
	struct found *found = NULL;
	size_t nfound = 0, n, size;
	struct topic_hash t;
	struct route *out = NULL;
	uint8_t *p;

	if (the.cap == 0) {
		the.node = malloc(NODES * sizeof(struct index_node *));
		if (the.node == NULL)
			return NULL;
		the.cap = NODES;
	}
	topic_hash(&self.key, topic, &t);
	r.first = t.first;
	r.dollar = t.dollar;
	/* Versions are read before what they stand for. */
	version[r.nversions++] = (struct route_version){ &mesh_segment(self.mesh)->interest,
		interest_version(&mesh_segment(self.mesh)->interest, &t) };
	if (find_groups(mesh_segment(self.mesh), self.slot, &t, &found, &nfound) != 0)
		goto out;
	for (unsigned i = 0; i < the.npeers; i++) {
		unsigned slot = the.peer[i];
		const struct segment *seg = mesh_peer(self.mesh, slot);

		if (seg == NULL)
			continue;
		version[r.nversions++] =
		    (struct route_version){ &seg->interest, interest_version(&seg->interest, &t) };
		if (interest_probe(&seg->interest, mesh_tables(self.mesh, slot), &t)) {
			if (slot == SLOT_PERSIST)
				r.persist = true;
			else if (slot < SLOT_MQTT_MAX)
				r.workers |= UINT64_C(1) << slot;
		}
		if (find_groups(seg, slot, &t, &found, &nfound) != 0)
			goto out;
	}
	n = match_here(topic, &t);
	r.nnodes = (uint32_t)n;
	if (nfound > 1)
		qsort(found, nfound, sizeof(*found), by_group);

	size = sizeof(r) + n * sizeof(struct subnode *) +
	    nfound * (sizeof(struct route_group) + sizeof(struct route_member)) +
	    r.nversions * sizeof(version[0]) + topic.len;
	out = malloc(size);
	if (out == NULL)
		goto out;
	*out = r;
	out->size = (uint32_t)size;
	p = (uint8_t *)(out + 1);
	out->node = (struct subnode **)p;
	p += n * sizeof(struct subnode *);
	out->version = (struct route_version *)p;
	p += r.nversions * sizeof(version[0]);
	out->group = (struct route_group *)p;
	p += nfound * sizeof(struct route_group);
	out->member = (struct route_member *)p;
	p += nfound * sizeof(struct route_member);
	out->topic = (char *)p;
	memcpy(out->topic, topic.p, topic.len);
	memcpy(out->version, version, r.nversions * sizeof(version[0]));
	for (size_t i = 0, shared = n; i < n; i++) { /* plain ones in front */
		struct subnode *node = (struct subnode *)the.node[i];

		if (node->group == 0)
			out->node[out->plain++] = node;
		else
			out->node[--shared] = node;
	}
	for (size_t i = 0; i < nfound; i++) {
		struct route_group *g = out->ngroups > 0 ? &out->group[out->ngroups - 1] : NULL;

		if (g == NULL || g->group != found[i].group) {
			g = &out->group[out->ngroups++];
			*g = (struct route_group){ .group = found[i].group,
				.first = (uint16_t)out->nmembers };
		}
		if (found[i].slot == SLOT_PERSIST) {
			g->durable = true;
			continue;
		}
		if (found[i].slot >= SLOT_MQTT_MAX)
			continue;
		out->member[out->nmembers++] =
		    (struct route_member){ found[i].slot, found[i].weight };
		g->weight += found[i].weight;
		g->n++;
	}
out:
	free(found);
	return out;
}
