#include "shared/mqtt/index.h"

#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"

#define LIST_GIVEN 2u /* position of index_next() behind the list */

/* A shape in use. */
struct shape_use {
	struct shape shape;
	uint32_t filters;
};

struct index {
	struct hash_key key;
	struct htab nodes;                             /* first node of each hash */
	struct shape_use *shapes[2][TOPIC_LEVELS + 1]; /* [ends in #][levels] */
	uint8_t nshapes[2][TOPIC_LEVELS + 1];
	struct index_node *others; /* without a shape, or beyond the cap */
	size_t count, nothers;
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

struct index *
index_new(const struct hash_key *key)
{
	struct index *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->key = *key;
	htab_init(&x->nodes, node_hash);
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
	htab_fini(&x->nodes);
	free(x);
}

size_t
index_count(const struct index *x)
{
	return x->count;
}

static bool
is_it(const struct index_node *n, struct span filter, struct span group)
{
	return span_eq(index_filter(n), filter) && span_eq(index_group(n), group);
}

struct index_node *
index_find(struct index *x, struct span filter, struct span group)
{
	struct index_node *n;
	struct shape shape;
	uint64_t hash, first;

	if (filter_hash(&x->key, filter, &shape, &hash, &first))
		for (n = htab_find(&x->nodes, hash, node_eq, &hash); n != NULL; n = n->next)
			if (is_it(n, filter, group))
				return n;
	for (n = x->others; n != NULL; n = n->next)
		if (is_it(n, filter, group))
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

struct index_node *
index_add(struct index *x, struct span filter, struct span group, size_t size)
{
	struct index_node *n = calloc(1, size + filter.len + group.len), *first;

	if (n == NULL)
		return NULL;
	n->text = (char *)n + size;
	memcpy(n->text, filter.p, filter.len);
	if (group.len > 0)
		memcpy(n->text + filter.len, group.p, group.len);
	n->len = (uint16_t)filter.len;
	n->group_len = (uint16_t)group.len;
	if (filter_hash(&x->key, filter, &n->shape, &n->hash, &n->first) &&
	    shape_add(x, n->shape)) {
		first = htab_find(&x->nodes, n->hash, node_eq, &n->hash);
		if (first != NULL) {
			n->next = first->next;
			first->next = n;
		} else if (htab_add(&x->nodes, n->hash, n) != 0) {
			shape_del(x, n->shape);
			free(n);
			return NULL;
		}
	} else if (x->nothers == INDEX_OTHERS) {
		free(n);
		return NULL;
	} else {
		n->hash = 0;
		n->next = x->others;
		x->others = n;
		x->nothers++;
	}
	x->count++;
	return n;
}

void
index_del(struct index *x, struct index_node **np)
{
	struct index_node *n = *np, *first, **at;

	if (n == NULL)
		return;
	*np = NULL;
	x->count--;
	if (n->hash == 0) {
		for (at = &x->others; *at != n; at = &(*at)->next)
			;
		*at = n->next;
		x->nothers--;
		free(n);
		return;
	}
	first = htab_find(&x->nodes, n->hash, node_eq, &n->hash);
	if (first == n) {
		must(htab_del(&x->nodes, n->hash, n));
		if (n->next != NULL)
			(void)htab_add(&x->nodes, n->hash, n->next);
	} else {
		for (at = &first->next; *at != n; at = &(*at)->next)
			;
		*at = n->next;
	}
	shape_del(x, n->shape);
	free(n);
}

size_t
index_match(const struct index *x, struct span topic, const struct topic_hash *t,
    struct index_node **out, size_t max)
{
	unsigned deepest = t->levels < TOPIC_LEVELS ? t->levels : TOPIC_LEVELS;
	struct index_node *n;
	size_t found = 0;

	for (unsigned l = 0; l <= deepest; l++)
		for (unsigned h = l == t->levels ? 0 : 1; h < 2; h++) {
			const struct shape_use *u = x->shapes[h][l];

			for (unsigned i = 0; i < x->nshapes[h][l]; i++) {
				uint64_t hash;

				if (!shape_fits(u[i].shape, t))
					continue;
				hash = shape_hash(u[i].shape, t);
				for (n = htab_find(&x->nodes, hash, node_eq, &hash); n != NULL;
				     n = n->next)
					if (topic_match(index_filter(n), topic) && found++ < max)
						out[found - 1] = n;
			}
		}
	for (n = x->others; n != NULL; n = n->next)
		if (topic_match(index_filter(n), topic) && found++ < max)
			out[found - 1] = n;
	return found;
}

/* Positions of the table are 0 or odd: an even one says that only the list is left, or nothing. */
struct index_node *
index_next(const struct index *x, uint64_t *pos)
{
	struct index_node *n;

	if (*pos == LIST_GIVEN)
		return NULL;
	n = htab_next(&x->nodes, pos);
	if (n != NULL)
		return n;
	*pos = LIST_GIVEN;
	return x->others;
}
