#include "worker/mqtt/subnode.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/htab.h"
#include "shared/base/must.h"

static struct {
	struct index *index;
	struct htab subs;   /* by node and connection */
	struct htab groups; /* nodes of groups by name */
	uint16_t nth;       /* of the next subscription */
} the;

struct sub_key {
	const struct subnode *node;
	const struct conn *conn;
};

static uint64_t
key_hash(const struct subnode *node, const struct conn *c)
{
	return hash_mix((uintptr_t)node) ^ hash_mix(c->serial * UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t
sub_hash(const void *entry)
{
	const struct sub *s = entry;

	return key_hash(s->node, s->conn);
}

static bool
sub_eq(const void *entry, const void *key)
{
	const struct sub *s = entry;
	const struct sub_key *k = key;

	return s->node == k->node && s->conn == k->conn;
}

static uint64_t
group_hash(const void *entry)
{
	return ((const struct subnode *)entry)->group;
}

static bool
group_eq(const void *entry, const void *key)
{
	return ((const struct subnode *)entry)->group == *(const uint64_t *)key;
}

int
subnode_init(void)
{
	the.index = index_new(&self.key);
	if (the.index == NULL)
		return -ENOMEM;
	htab_init(&the.subs, sub_hash);
	htab_init(&the.groups, group_hash);
	return 0;
}

void
subnode_fini(void)
{
	htab_fini(&the.subs);
	htab_fini(&the.groups);
	if (the.index != NULL)
		index_free(the.index);
}

struct index *
subnode_index(void)
{
	return the.index;
}

struct subnode *
subnode_group(uint64_t group)
{
	return htab_find(&the.groups, group, group_eq, &group);
}

struct sub *
sub_find(struct conn *c, struct span filter, struct span group)
{
	struct index_node *n = index_find(the.index, filter, group);
	struct sub_key key = { .node = (struct subnode *)n, .conn = c };

	return n == NULL ? NULL : htab_find(&the.subs, key_hash(key.node, c), sub_eq, &key);
}

static void
node_interest(struct subnode *n)
{
	struct interest *x = mesh_interest(self.mesh);

	if (n->n.group_len > 0)
		interest_group(
		    x, index_filter(&n->n), index_group(&n->n), n->nsubs, n->nclean, &n->group);
	else if (n->nsubs == 0)
		interest_del(x, index_filter(&n->n));
	else if (n->nsubs == 1)
		interest_add(x, index_filter(&n->n));
}

static void
node_free(struct subnode *n)
{
	struct index_node *node = &n->n;

	if (n->group != 0)
		htab_del(&the.groups, n->group, n);
	if (n->cap > 0)
		free(n->many);
	index_del(the.index, &node);
}

static int
node_push(struct subnode *n, struct sub *s)
{
	if (n->nsubs == 0) {
		n->one = s;
	} else if (n->nsubs >= n->cap) {
		uint32_t cap = n->cap == 0 ? 4 : n->cap * 2;
		struct sub **many =
		    realloc(n->cap == 0 ? NULL : n->many, cap * sizeof(struct sub *));

		if (many == NULL)
			return -ENOMEM;
		if (n->cap == 0)
			many[0] = n->one;
		n->many = many;
		n->cap = cap;
	}
	if (n->cap > 0)
		n->many[n->nsubs] = s;
	s->at = n->nsubs++;
	return 0;
}

/* The last takes the free place; a node with one subscription needs no array. */
static void
node_pull(struct subnode *n, struct sub *s)
{
	struct sub *last = subnode_at(n, --n->nsubs);

	last->at = s->at;
	if (n->cap > 0)
		n->many[s->at] = last;
	if (n->cap > 0 && n->nsubs == 1) {
		struct sub *one = n->many[0];

		free(n->many);
		n->cap = 0;
		n->one = one;
	}
}

struct sub *
sub_add(struct conn *c, struct span filter, struct span group)
{
	struct subnode *n = (struct subnode *)index_find(the.index, filter, group);
	struct sub *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	if (n == NULL) {
		n = (struct subnode *)index_add(the.index, filter, group, sizeof(*n));
		if (n == NULL)
			goto no_memory;
		if (group.len > 0) {
			n->group = interest_group_hash(&self.key, filter, group);
			if (htab_add(&the.groups, n->group, n) != 0) {
				n->group = 0;
				node_free(n);
				goto no_memory;
			}
		}
	}
	*s = (struct sub){ .node = n, .conn = c, .nth = the.nth++ };
	if (node_push(n, s) != 0)
		goto no_place;
	if (htab_add(&the.subs, key_hash(n, c), s) != 0) {
		node_pull(n, s);
		goto no_place;
	}
	list_add_tail(&c->subs, &s->link);
	c->nsubs++;
	node_interest(n);
	count_add(CNT_subscriptions, 1);
	if (group.len > 0)
		count_add(CNT_subscriptions_shared, 1);
	return s;
no_place:
	if (n->nsubs == 0)
		node_free(n);
no_memory:
	free(s);
	return NULL;
}

void
sub_count(struct sub *s, bool is_durable)
{
	struct subnode *n = s->node;
	bool is_clean = !is_durable || s->qos == 0;

	if (n->group == 0 || s->is_clean == is_clean)
		return;
	n->nclean = is_clean ? n->nclean + 1 : n->nclean - 1;
	s->is_clean = is_clean;
	node_interest(n);
}

void
sub_del(struct sub *s)
{
	struct subnode *n = s->node;

	must(htab_del(&the.subs, key_hash(n, s->conn), s));
	list_del(&s->link);
	s->conn->nsubs--;
	count_sub(CNT_subscriptions, 1);
	if (n->n.group_len > 0)
		count_sub(CNT_subscriptions_shared, 1);
	node_pull(n, s);
	if (s->is_clean)
		n->nclean--;
	if (n->n.group_len > 0 || n->nsubs == 0)
		node_interest(n);
	if (n->nsubs == 0)
		node_free(n);
	free(s);
}
