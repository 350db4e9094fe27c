#include "shared/mqtt/index.h"

#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"
#include "shared/mqtt/trie.h"

/* A shape in use. */
struct shape_use {
	struct shape shape;
	uint32_t filters;
};

struct index {
	struct hash_key key;
	struct htab nodes;                             /* first node of each hash */
	struct htab groups;                            /* nodes with a group */
	struct shape_use *shapes[2][TOPIC_LEVELS + 1]; /* [ends in #][levels] */
	uint8_t nshapes[2][TOPIC_LEVELS + 1];
	struct trie *others; /* filters without a shape, or beyond the cap */
	size_t count;
};

/* What only a node with a group has, before its text. */
struct in_group {
	struct index_node *prev; /* in the chain */
	uint64_t hash;           /* of filter and group */
};

/* A match under way. */
struct found {
	const struct index *x;
	struct span topic;
	struct index_node **out;
	size_t max, n;
};

static uint64_t
node_hash(const void *entry)
{
	return ((const struct index_node *)entry)->hash;
}

static bool
node_eq(const void *entry, const void *key)
{
	return ((const struct index_node *)entry)->hash == *(const uint64_t *)key;
}

static struct in_group *
in_group(const struct index_node *n)
{
	return (struct in_group *)((uintptr_t)n + n->text - sizeof(struct in_group));
}

static uint64_t
node_group_hash(const void *entry)
{
	return in_group(entry)->hash;
}

struct group_key {
	struct span filter, group;
};

static bool
node_group_eq(const void *entry, const void *key)
{
	const struct group_key *k = key;

	return span_eq(index_filter(entry), k->filter) && span_eq(index_group(entry), k->group);
}

struct index *
index_new(const struct hash_key *key)
{
	struct index *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->others = trie_new(key);
	if (x->others == NULL) {
		free(x);
		return NULL;
	}
	x->key = *key;
	htab_init(&x->nodes, node_hash);
	htab_init(&x->groups, node_group_hash);
	return x;
}

void
index_free(struct index *x)
{
	if (x == NULL)
		return;
	must(x->count == 0);
	for (int h = 0; h < 2; h++)
		for (int l = 0; l <= TOPIC_LEVELS; l++)
			free(x->shapes[h][l]);
	trie_free(x->others);
	htab_fini(&x->nodes);
	htab_fini(&x->groups);
	free(x);
}

size_t
index_count(const struct index *x)
{
	return x->count;
}

/* Of any filter; it finds only those with a shape that is in use. */
static uint64_t
hash_of(const struct index *x, struct span filter, bool *has_shape_out, struct shape *shape_out)
{
	uint64_t hash, first;

	*has_shape_out = filter_hash(&x->key, filter, shape_out, &hash, &first);
	return *has_shape_out ? hash : hash_bytes(&x->key, filter);
}

static uint64_t
group_hash_of(const struct index *x, uint64_t hash, struct span group)
{
	return hash_mix(hash ^ hash_bytes(&x->key, group));
}

static struct index_node *
first_of(const struct index *x, uint64_t hash)
{
	return htab_find(&x->nodes, hash, node_eq, &hash);
}

struct index_node *
index_find(struct index *x, struct span filter, struct span group)
{
	struct group_key key = { filter, group };
	struct index_node *n;
	struct shape shape;
	bool has_shape;
	uint64_t hash = hash_of(x, filter, &has_shape, &shape);

	if (group.len > 0)
		return htab_find(&x->groups, group_hash_of(x, hash, group), node_group_eq, &key);
	for (n = first_of(x, hash); n != NULL && n->group_len == 0; n = n->next)
		if (span_eq(index_filter(n), filter))
			return n;
	return NULL;
}

static bool
shape_add(struct index *x, struct shape s)
{
	struct shape_use *u = x->shapes[s.hash][s.levels], *more;
	uint8_t *n = &x->nshapes[s.hash][s.levels];

	for (unsigned i = 0; i < *n; i++)
		if (u[i].shape.plus == s.plus) {
			u[i].filters++;
			return true;
		}
	if (*n == INDEX_SHAPES)
		return false;
	more = realloc(u, (*n + 1u) * sizeof(*more));
	if (more == NULL)
		return false;
	x->shapes[s.hash][s.levels] = more;
	more[(*n)++] = (struct shape_use){ s, 1 };
	return true;
}

static void
shape_del(struct index *x, struct shape s)
{
	struct shape_use *u = x->shapes[s.hash][s.levels];
	uint8_t *n = &x->nshapes[s.hash][s.levels];

	for (unsigned i = 0; i < *n; i++)
		if (u[i].shape.plus == s.plus) {
			if (--u[i].filters == 0)
				u[i] = u[--*n];
			return;
		}
}

/* Where matches look for it: a shape in use, or the trie. */
static int
place(struct index *x, struct index_node *n)
{
	struct shape shape;
	bool has_shape;

	n->hash = hash_of(x, index_filter(n), &has_shape, &shape);
	n->in_trie = !has_shape || !shape_add(x, shape);
	return n->in_trie ? trie_add(x->others, index_filter(n), n->hash) : 0;
}

static void
unplace(struct index *x, const struct index_node *n)
{
	struct shape shape;
	bool has_shape;

	if (n->in_trie) {
		trie_del(x->others, index_filter(n));
	} else {
		hash_of(x, index_filter(n), &has_shape, &shape);
		shape_del(x, shape);
	}
}

static void
link_behind(struct index_node *before, struct index_node *n)
{
	n->next = before->next;
	if (n->next != NULL && n->next->group_len > 0)
		in_group(n->next)->prev = n;
	before->next = n;
	if (n->group_len > 0)
		in_group(n)->prev = before;
}

/* Groups are behind the first, so that a plain one is found without a walk past them. */
static int
chain(struct index *x, struct index_node *n)
{
	struct index_node *first = first_of(x, n->hash);

	if (first == NULL)
		return htab_add(&x->nodes, n->hash, n);
	if (n->group_len > 0) {
		while (first->next != NULL && first->next->group_len == 0)
			first = first->next;
		link_behind(first, n);
		return 0;
	}
	htab_replace(&x->nodes, n->hash, first, n);
	n->next = first;
	if (first->group_len > 0)
		in_group(first)->prev = n;
	return 0;
}

static void
unchain(struct index *x, struct index_node *n)
{
	struct index_node *first = first_of(x, n->hash), *before = NULL, *next = n->next;

	if (n->group_len > 0)
		before = in_group(n)->prev;
	else
		for (struct index_node *at = first; at != n; at = at->next)
			before = at;
	if (next != NULL && next->group_len > 0)
		in_group(next)->prev = before;
	if (before != NULL)
		before->next = next;
	else if (next != NULL)
		htab_replace(&x->nodes, n->hash, n, next);
	else
		must(htab_del(&x->nodes, n->hash, n));
}

struct index_node *
index_add(struct index *x, struct span filter, struct span group, size_t size)
{
	struct index_node *n;
	char *text;

	if (group.len > 0)
		size = ((size + 7) & ~(size_t)7) + sizeof(struct in_group);
	must(size <= UINT16_MAX);
	n = calloc(1, size + filter.len + group.len);
	if (n == NULL)
		return NULL;
	text = (char *)n + size;
	memcpy(text, filter.p, filter.len);
	if (group.len > 0)
		memcpy(text + filter.len, group.p, group.len);
	n->text = (uint16_t)size;
	n->len = (uint16_t)filter.len;
	n->group_len = (uint16_t)group.len;
	if (place(x, n) != 0)
		goto no_memory;
	if (chain(x, n) != 0)
		goto no_chain;
	if (group.len > 0) {
		in_group(n)->hash = group_hash_of(x, n->hash, group);
		if (htab_add(&x->groups, in_group(n)->hash, n) != 0)
			goto no_group;
	}
	x->count++;
	return n;
no_group:
	unchain(x, n);
no_chain:
	unplace(x, n);
no_memory:
	free(n);
	return NULL;
}

void
index_del(struct index *x, struct index_node **np)
{
	struct index_node *n = *np;

	if (n == NULL)
		return;
	*np = NULL;
	x->count--;
	if (n->group_len > 0)
		must(htab_del(&x->groups, in_group(n)->hash, n));
	unchain(x, n);
	unplace(x, n);
	free(n);
}

/* A filter that was beyond the cap stays in the trie, also when its shape has come into use by others since. */
static void
take(struct found *f, uint64_t hash, bool from_trie)
{
	for (struct index_node *n = first_of(f->x, hash); n != NULL; n = n->next)
		if (n->in_trie == from_trie && topic_match(index_filter(n), f->topic) &&
		    f->n++ < f->max)
			f->out[f->n - 1] = n;
}

static void
take_from_trie(void *arg, uint64_t hash)
{
	take(arg, hash, true);
}

size_t
index_match(const struct index *x, struct span topic, const struct topic_hash *t,
    struct index_node **out, size_t max)
{
	unsigned deepest = t->levels < TOPIC_LEVELS ? t->levels : TOPIC_LEVELS;
	struct found f = { .x = x, .topic = topic, .out = out, .max = max };

	for (unsigned l = 0; l <= deepest; l++)
		for (unsigned h = l == t->levels ? 0 : 1; h < 2; h++) {
			const struct shape_use *u = x->shapes[h][l];

			for (unsigned i = 0; i < x->nshapes[h][l]; i++)
				if (shape_fits(u[i].shape, t))
					take(&f, shape_hash(u[i].shape, t), false);
		}
	trie_match(x->others, topic, t, take_from_trie, &f);
	return f.n;
}

struct index_node *
index_next(const struct index *x, uint64_t *pos)
{
	return htab_next(&x->nodes, pos);
}
