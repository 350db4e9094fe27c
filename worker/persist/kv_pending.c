#include "worker/persist/kv_int.h"

#include <endian.h>
#include <stdlib.h>

#include "shared/base/must.h"

#define LEVELS 12 /* a quarter of the nodes have one more than the rest: good for 16 million */
#define SPARE                                                                                      \
	256 /* bytes a value may have too many, so that a key rewritten in about its size stays where it is */

static struct {
	struct kv_node *head[KV_ALL][LEVELS];
	struct kv_node *last[KV_ALL]; /* used last: what comes next is near */
	struct list changed;
	uint64_t keys, bytes;
	uint64_t random;
} the;

static struct kv_node *seek(enum kv_table t, struct span key, struct kv_node **link[LEVELS]);
static struct kv_node *node_new(enum kv_table t, struct span key, uint8_t levels, size_t len);
static void node_free(struct kv_node *n);
static size_t node_size(const struct kv_node *n);
static inline int node_cmp(struct kv_node *n, struct span key, uint64_t start);
static uint64_t start_of(struct span key);
static uint8_t random_levels(void);

void
pending_init(void)
{
	memset(&the, 0, sizeof(the));
	list_init(&the.changed);
	the.random = UINT64_C(
	    0x9e3779b97f4a7c15); /* nobody chooses keys to hurt us: they are our own numbers, or hashed */
}

void
pending_fini(void)
{
	for (enum kv_table t = 0; t < KV_ALL; t++)
		for (struct kv_node *n = the.head[t][0], *next; n != NULL; n = next) {
			next = n->next[0];
			free(n);
		}
	pending_init();
}

struct kv_node *
pending_find(enum kv_table t, struct span key)
{
	struct kv_node *n = the.last[t];
	uint64_t start = start_of(key);

	if (n == NULL || node_cmp(n, key, start) != 0)
		n = seek(t, key, NULL);
	if (n == NULL || node_cmp(n, key, start) != 0)
		return NULL;
	return the.last[t] = n;
}

struct kv_node *
pending_set(enum kv_table t, struct span key, size_t len, bool *added_out)
{
	struct kv_node *last = the.last[t], *n, *old = NULL, **link[LEVELS];
	uint8_t levels = random_levels();
	uint64_t start = start_of(key);

	must(key.len > 0 && key.len <= KV_KEY_MAX && len < UINT32_MAX);
	/* What is appended behind the last one, as queues are, mostly needs no search. */
	if (levels == 1 && last != NULL && node_cmp(last, key, start) < 0 &&
	    (last->next[0] == NULL || node_cmp(last->next[0], key, start) > 0)) {
		link[0] = &last->next[0];
	} else {
		old = seek(t, key, link);
		if (old != NULL && node_cmp(old, key, start) != 0)
			old = NULL;
	}
	if (old != NULL && len <= old->cap && old->cap - len <= SPARE) {
		old->len = (uint32_t)len;
		*added_out = false;
		return the.last[t] = old;
	}
	n = node_new(t, key, old != NULL ? old->levels : levels, len);
	if (n == NULL)
		return NULL;
	for (uint8_t l = 0; l < n->levels; l++) {
		n->next[l] = old != NULL ? old->next[l] : *link[l];
		*link[l] = n;
	}
	if (old != NULL) {
		n->batch = old->batch;
		n->gone = old->gone;
		n->journaled = old->journaled;
		n->in_tree = old->in_tree;
		if (!list_is_empty(&old->changed))
			list_add(&old->changed, &n->changed);
		node_free(old);
	}
	*added_out = old == NULL;
	return the.last[t] = n;
}

void
pending_drop(struct kv_node *n)
{
	struct kv_node **link[LEVELS];

	must(seek(n->table, kv_node_span(n), link) == n);
	for (uint8_t l = 0; l < n->levels; l++)
		*link[l] = n->next[l];
	node_free(n);
}

struct kv_node *
pending_next(enum kv_table t, struct span key, bool above)
{
	struct kv_node *n = the.last[t];
	uint64_t start = start_of(key);

	if (n == NULL || node_cmp(n, key, start) != 0)
		n = seek(t, key, NULL);
	if (n != NULL && above && node_cmp(n, key, start) == 0)
		n = n->next[0];
	return n != NULL ? the.last[t] = n : NULL;
}

struct kv_node *
pending_prev(enum kv_table t, struct span key)
{
	struct kv_node **at = the.head[t], *below = NULL;
	uint64_t start = start_of(key);

	for (int l = LEVELS - 1; l >= 0; l--)
		while (at[l] != NULL && node_cmp(at[l], key, start) < 0) {
			below = at[l];
			at = below->next;
		}
	return below;
}

void
pending_touch(struct kv_node *n, uint64_t batch)
{
	n->batch = batch;
	if (list_is_empty(&n->changed))
		list_add_tail(&the.changed, &n->changed);
}

struct list *
pending_changed(void)
{
	return &the.changed;
}

void
pending_touch_all(uint64_t batch)
{
	for (enum kv_table t = 0; t < KV_TABLES; t++)
		for (struct kv_node *n = the.head[t][0]; n != NULL; n = n->next[0])
			pending_touch(n, batch);
}

uint64_t
pending_keys(void)
{
	return the.keys;
}

uint64_t
pending_bytes(void)
{
	return the.bytes;
}

/* --- helpers ------------------------------------------------------------------------------ */

/* The first node at or above key; link, if not NULL: what points, or would, to a node of the key. */
static struct kv_node *
seek(enum kv_table t, struct span key, struct kv_node **link[LEVELS])
{
	struct kv_node **at = the.head[t], *bound = NULL;
	uint64_t start = start_of(key);

	for (int l = LEVELS - 1; l >= 0; l--) {
		/* What was too far on one level is so on the next. */
		while (at[l] != bound && node_cmp(at[l], key, start) < 0)
			at = at[l]->next;
		bound = at[l];
		if (link != NULL)
			link[l] = &at[l];
	}
	return bound;
}

static struct kv_node *
node_new(enum kv_table t, struct span key, uint8_t levels, size_t len)
{
	struct kv_node *n;

	n = malloc(sizeof(*n) + levels * sizeof(n->next[0]) + key.len + len);
	if (n == NULL)
		return NULL;
	*n = (struct kv_node){
		.start = start_of(key),
		.len = (uint32_t)len,
		.cap = (uint32_t)len,
		.key_len = (uint16_t)key.len,
		.table = (uint8_t)t,
		.levels = levels,
	};
	list_init(&n->changed);
	memcpy(kv_node_key(n), key.p, key.len);
	the.keys++;
	the.bytes += node_size(n);
	return n;
}

static void
node_free(struct kv_node *n)
{
	if (the.last[n->table] == n)
		the.last[n->table] = NULL;
	list_del(&n->changed);
	the.keys--;
	the.bytes -= node_size(n);
	free(n);
}

static size_t
node_size(const struct kv_node *n)
{
	return sizeof(*n) + n->levels * sizeof(n->next[0]) + n->key_len + n->cap;
}

static inline int
node_cmp(struct kv_node *n, struct span key, uint64_t start)
{
	if (n->start != start)
		return n->start < start ? -1 : 1;
	return span_cmp(kv_node_span(n), key);
}

/* What is shorter is less, as if there were zeros; who differs in those only has the same start. */
static uint64_t
start_of(struct span key)
{
	uint64_t start = 0;

	if (key.len >= sizeof(start))
		memcpy(&start, key.p, sizeof(start));
	else if (key.len > 0)
		memcpy(&start, key.p, key.len);
	return be64toh(start);
}

static uint8_t
random_levels(void)
{
	the.random ^= the.random << 13;
	the.random ^= the.random >> 7;
	the.random ^= the.random << 17;
	return (uint8_t)(__builtin_ctzll(the.random | UINT64_C(1) << (2 * LEVELS - 2)) / 2 + 1);
}
