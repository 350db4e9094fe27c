#include "shared/ipc/interest.h"

#include <stdlib.h>

#include "shared/base/log.h"
#include "shared/base/must.h"

#define EMPTY 0u
#define DEAD 1u
#define ANY_GROUP 2u /* key of groups whose filter has no shape: every topic asks for them */
#define PROBES_MAX                                                                                 \
	4096 /* a table that makes us look longer is broken: then interest is taken for granted */
#define SLICE 4096 /* slots handled by one interest_step() */
#define ADD_SLICE                                                                                  \
	64 /* and by each interest_add(), so that a rebuild ends before the table is full */

typedef _Atomic uint64_t word;

struct table {
	word *key;
	uint8_t *filters; /* how many of ours have this hash; one, but for collisions */
	uint64_t cap, used, dead;
	unsigned class, area;
};

struct interest {
	struct interest_head *head;
	uint8_t *tables;
	struct hash_key key;
	struct table now, next;  /* next.cap is 0: no rebuild under way */
	uint64_t cleared, moved; /* slots of next set to empty; slots of now copied */
	uint64_t switches;
	uint32_t shapes[2][TOPIC_LEVELS + 1][INTEREST_SHAPES]; /* filters of each */
	uint64_t dirty[2]; /* slots of each area that have been used before */
};

/* Two areas, used in turn: all that a table ever touched is what it has now and half of it again, since holes can't be punched. */
static uint64_t
area_at(unsigned area)
{
	return area * (UINT64_C(8) << INTEREST_CLASS_MAX);
}

static uint64_t
groups_at(void)
{
	return area_at(2);
}

size_t
interest_size(void)
{
	return groups_at() + INTEREST_GROUP_SLOTS * sizeof(struct interest_group);
}

static void
bump(word *version)
{
	atomic_store_explicit(
	    version, atomic_load_explicit(version, memory_order_relaxed) + 1, memory_order_release);
}

static void
bump_for(struct interest *x, uint64_t first)
{
	bump(first == 0 ? &x->head->wild : &x->head->version[first % INTEREST_BUCKETS]);
}

/* --- the owner's table ------------------------------------------------------------------- */

static int
table_open(struct interest *x, struct table *t, unsigned class, unsigned area)
{
	*t = (struct table){
		.key = (word *)(void *)(x->tables + area_at(area)),
		.filters = calloc(1, (size_t)1 << class),
		.cap = UINT64_C(1) << class,
		.class = class,
		.area = area,
	};
	if (t->filters != NULL)
		return 0;
	t->cap = 0;
	return -1;
}

static void
table_show(struct interest *x)
{
	atomic_store_explicit(&x->head->cur, ++x->switches << 16 | x->now.class << 1 | x->now.area,
	    memory_order_release);
	if (x->dirty[x->now.area] < x->now.cap)
		x->dirty[x->now.area] = x->now.cap;
}

/* The key's slot, or where it can go; cap: no place. */
static uint64_t
table_slot(const struct table *t, uint64_t key)
{
	uint64_t mask = t->cap - 1, free = t->cap, i = key & mask;

	for (uint64_t n = 0; n < t->cap; n++, i = (i + 1) & mask) {
		uint64_t k = atomic_load_explicit(&t->key[i], memory_order_relaxed);

		if (k == key)
			return i;
		if (k == DEAD && free == t->cap)
			free = i;
		if (k == EMPTY)
			return free != t->cap ? free : i;
	}
	return free;
}

static bool
table_add(struct table *t, uint64_t key, uint8_t filters)
{
	uint64_t i = table_slot(t, key), k;

	if (i == t->cap)
		return false;
	k = atomic_load_explicit(&t->key[i], memory_order_relaxed);
	if (k == key) {
		if (t->filters[i] > UINT8_MAX - filters)
			return false;
		t->filters[i] += filters;
		return true;
	}
	t->used++;
	t->dead -= k == DEAD;
	t->filters[i] = filters;
	atomic_store_explicit(&t->key[i], key, memory_order_release);
	return true;
}

static bool
table_has(const struct table *t, uint64_t key)
{
	uint64_t i;

	if (t->cap == 0)
		return false;
	i = table_slot(t, key);
	return i < t->cap && atomic_load_explicit(&t->key[i], memory_order_relaxed) == key;
}

/* Nobody probes beyond the end of a run: what is deleted there can be empty again. */
static void
table_del(struct table *t, uint64_t key)
{
	uint64_t mask = t->cap - 1, i = table_slot(t, key);

	if (--t->filters[i] > 0)
		return;
	t->used--;
	t->dead++;
	atomic_store_explicit(&t->key[i], DEAD, memory_order_release);
	if (atomic_load_explicit(&t->key[(i + 1) & mask], memory_order_relaxed) != EMPTY)
		return;
	for (; atomic_load_explicit(&t->key[i], memory_order_relaxed) == DEAD; i = (i - 1) & mask) {
		atomic_store_explicit(&t->key[i], EMPTY, memory_order_release);
		t->dead--;
	}
}

static void
rebuild_begin(struct interest *x)
{
	unsigned class = x->now.class + (x->now.used > x->now.cap / 4);

	if (class > INTEREST_CLASS_MAX) {
		class = INTEREST_CLASS_MAX;
		if (x->now.dead < x->now.cap / 8)
			return; /* nothing to gain */
	}
	if (x->next.cap != 0 || table_open(x, &x->next, class, !x->now.area) != 0)
		return;
	x->cleared = x->moved = 0;
	/* Who still reads that area and finds it changed must also find `cur` changed. */
	atomic_thread_fence(memory_order_release);
}

/* True: there is more. */
static bool
rebuild_some(struct interest *x, uint64_t slots)
{
	struct table *next = &x->next;
	uint64_t dirty;

	if (next->cap == 0)
		return false;
	dirty = x->dirty[next->area] < next->cap ? x->dirty[next->area] : next->cap;
	for (; slots > 0 && x->cleared < dirty; slots--)
		atomic_store_explicit(&next->key[x->cleared++], EMPTY, memory_order_relaxed);
	if (x->cleared >= dirty)
		x->cleared = next->cap;
	for (; slots > 0 && x->cleared == next->cap && x->moved < x->now.cap; slots--) {
		uint64_t i = x->moved++,
			 key = atomic_load_explicit(&x->now.key[i], memory_order_relaxed);

		if (key > DEAD)
			must(table_add(next, key, x->now.filters[i]));
	}
	if (x->moved < x->now.cap)
		return true;
	free(x->now.filters);
	x->now = *next;
	*next = (struct table){ 0 };
	table_show(x);
	return false;
}

/* While a rebuild is under way a key is in next only if its slot has been moved. */
static bool
is_moved(const struct interest *x, uint64_t key)
{
	return x->next.cap != 0 && x->cleared == x->next.cap && table_slot(&x->now, key) < x->moved;
}

/* --- shapes ------------------------------------------------------------------------------ */

static int
shape_find(const struct interest *x, struct shape s, int *free_out)
{
	int free = -1;

	for (int i = 0; i < INTEREST_SHAPES; i++) {
		uint64_t w = atomic_load_explicit(
		    &x->head->shape[s.hash][s.levels][i], memory_order_relaxed);

		if (w == shape_pack(s))
			return i;
		if (w == 0 && free < 0)
			free = i;
	}
	if (free_out != NULL)
		*free_out = free;
	return -1;
}

static bool
shape_add(struct interest *x, struct shape s)
{
	_Atomic uint32_t *n = &x->head->nshapes[s.hash][s.levels];
	int free, i = shape_find(x, s, &free);

	if (i < 0 && (i = free) < 0)
		return false;
	x->shapes[s.hash][s.levels][i]++;
	atomic_store_explicit(
	    &x->head->shape[s.hash][s.levels][i], shape_pack(s), memory_order_release);
	if (atomic_load_explicit(n, memory_order_relaxed) < (uint32_t)i + 1)
		atomic_store_explicit(n, (uint32_t)i + 1, memory_order_release);
	return true;
}

static void
shape_del(struct interest *x, struct shape s)
{
	int i = shape_find(x, s, NULL);

	must(i >= 0 && x->shapes[s.hash][s.levels][i] > 0);
	if (--x->shapes[s.hash][s.levels][i] == 0)
		atomic_store_explicit(
		    &x->head->shape[s.hash][s.levels][i], 0, memory_order_release);
}

/* --- the owner --------------------------------------------------------------------------- */

struct interest *
interest_new(struct interest_head *head, void *tables, const struct hash_key *key)
{
	struct interest *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->head = head;
	x->tables = tables;
	x->key = *key;
	if (table_open(x, &x->now, INTEREST_CLASS_MIN, 0) != 0) {
		free(x);
		return NULL;
	}
	table_show(x);
	return x;
}

void
interest_free(struct interest *x)
{
	if (x == NULL)
		return;
	free(x->now.filters);
	free(x->next.filters);
	free(x);
}

void
interest_add(struct interest *x, struct span filter)
{
	struct shape s;
	uint64_t hash, first;

	if (!filter_hash(&x->key, filter, &s, &hash, &first))
		goto fallback;
	if ((x->now.used + x->now.dead + 1) * 2 > x->now.cap)
		rebuild_begin(x);
	rebuild_some(x, ADD_SLICE);
	if (!shape_add(x, s))
		goto fallback;
	if (x->now.used + x->now.dead + 1 >= x->now.cap || !table_add(&x->now, hash, 1)) {
		shape_del(x, s);
		goto fallback;
	}
	if (is_moved(x, hash))
		must(table_add(&x->next, hash, 1));
	bump_for(x, first);
	return;
fallback:
	atomic_fetch_add_explicit(&x->head->fallback, 1, memory_order_release);
	bump(&x->head->wild);
}

void
interest_del(struct interest *x, struct span filter)
{
	struct shape s;
	uint64_t hash, first;

	if (!filter_hash(&x->key, filter, &s, &hash, &first) || !table_has(&x->now, hash)) {
		atomic_fetch_sub_explicit(&x->head->fallback, 1, memory_order_release);
		bump(&x->head->wild);
		return;
	}
	if (is_moved(x, hash))
		table_del(&x->next, hash);
	table_del(&x->now, hash);
	shape_del(x, s);
	bump_for(x, first);
}

bool
interest_step(struct interest *x)
{
	return rebuild_some(x, SLICE);
}

uint64_t
interest_group_hash(const struct hash_key *key, struct span filter, struct span name)
{
	uint64_t hash = hash_mix(hash_bytes(key, filter) * 3 + hash_mix(hash_bytes(key, name)));

	return hash > 1 ? hash : hash + 2;
}

static struct interest_group *
group_table(struct interest *x)
{
	return (struct interest_group *)(void *)(x->tables + groups_at());
}

/* The entry of a group below a key, or NULL; *free_out: where it can go, or NULL. */
static struct interest_group *
group_find(struct interest *x, uint64_t key, uint64_t group, struct interest_group **free_out)
{
	struct interest_group *table = group_table(x);

	*free_out = NULL;
	for (uint64_t n = 0; n < INTEREST_GROUP_SLOTS; n++) {
		struct interest_group *g = &table[(key + n) % INTEREST_GROUP_SLOTS];
		uint64_t k = atomic_load_explicit(&g->key, memory_order_relaxed);

		if (k == key && atomic_load_explicit(&g->group, memory_order_relaxed) == group)
			return g;
		if (k <= DEAD && *free_out == NULL)
			*free_out = g;
		if (k == EMPTY)
			break;
	}
	return NULL;
}

static void
group_set(struct interest_group *g, uint32_t weight, uint32_t clean)
{
	atomic_store_explicit(&g->weight, weight, memory_order_relaxed);
	atomic_store_explicit(&g->clean, clean, memory_order_relaxed);
}

static void
group_del(struct interest *x, struct interest_group *e)
{
	struct interest_group *table = group_table(x), *next;
	uint64_t i = (uint64_t)(e - table);

	atomic_store_explicit(&e->key, DEAD, memory_order_release);
	atomic_fetch_sub_explicit(&x->head->ngroups, 1, memory_order_release);
	next = &table[(i + 1) % INTEREST_GROUP_SLOTS];
	if (atomic_load_explicit(&next->key, memory_order_relaxed) != EMPTY)
		return;
	for (; atomic_load_explicit(&table[i].key, memory_order_relaxed) == DEAD;
	     i = (i + INTEREST_GROUP_SLOTS - 1) % INTEREST_GROUP_SLOTS)
		atomic_store_explicit(&table[i].key, EMPTY, memory_order_release);
}

void
interest_group(struct interest *x, struct span filter, struct span name, uint32_t weight,
    uint32_t clean, uint64_t *group_out)
{
	uint64_t group = interest_group_hash(&x->key, filter, name), key = ANY_GROUP, first = 0;
	struct interest_group *e = NULL, *place;
	struct shape s;
	bool shaped = filter_hash(&x->key, filter, &s, &key, &first);

	*group_out = group;
	if (shaped)
		e = group_find(x, key, group, &place);
	if (e == NULL) { /* one that has come in without a place for its shape stays so */
		e = group_find(x, ANY_GROUP, group, &place);
		shaped = shaped && e == NULL;
	}
	if (e != NULL && weight > 0) {
		group_set(e, weight, clean);
	} else if (e != NULL) {
		group_del(x, e);
		if (shaped)
			shape_del(x, s);
	} else if (weight > 0) {
		if (atomic_load_explicit(&x->head->ngroups, memory_order_relaxed) >=
		    INTEREST_GROUP_SLOTS / 2) {
			log_every(10, LOG_ERR,
			    "interest: no place for another group of shared subscriptions: it gets "
			    "nothing from other processes");
			return;
		}
		if (!shaped || !shape_add(x, s))
			key = ANY_GROUP;
		(void)group_find(x, key, group, &place);
		must(place != NULL);
		atomic_store_explicit(&place->group, group, memory_order_relaxed);
		group_set(place, weight, clean);
		atomic_store_explicit(&place->key, key, memory_order_release);
		atomic_fetch_add_explicit(&x->head->ngroups, 1, memory_order_release);
	}
	bump_for(x, first);
}

/* --- readers: every value is another process's ------------------------------------------- */

uint64_t
interest_version(const struct interest_head *h, const struct topic_hash *t)
{
	return atomic_load_explicit(&h->wild, memory_order_acquire) +
	    atomic_load_explicit(&h->version[t->first % INTEREST_BUCKETS], memory_order_acquire);
}

/* Calls for each hash that a filter of a shape in use would have to match the topic. */
#define FOR_SHAPES(h, t, hash)                                                                     \
	for (unsigned l_ = 0; l_ <= ((t)->levels < TOPIC_LEVELS ? (t)->levels : TOPIC_LEVELS);     \
	     l_++)                                                                                 \
		for (unsigned x_ = l_ == (t)->levels ? 0 : 1; x_ < 2; x_++)                        \
			for (unsigned i_ = 0, n_ = shapes_of(h, x_, l_); i_ < n_; i_++)            \
				if ((hash = hash_at(h, x_, l_, i_, t)) != 0)

static unsigned
shapes_of(const struct interest_head *h, unsigned x, unsigned levels)
{
	uint32_t n = atomic_load_explicit(&h->nshapes[x][levels], memory_order_acquire);

	return n < INTEREST_SHAPES ? n : INTEREST_SHAPES;
}

static uint64_t
hash_at(const struct interest_head *h, unsigned x, unsigned levels, unsigned i,
    const struct topic_hash *t)
{
	uint64_t w = atomic_load_explicit(&h->shape[x][levels][i], memory_order_acquire);
	struct shape s = { .plus = (uint32_t)w & (uint32_t)((UINT64_C(1) << levels) - 1),
		.levels = (uint8_t)levels,
		.hash = x };

	return w != 0 && shape_fits(s, t) ? shape_hash(s, t) : 0;
}

/* 1: the key is there, 0: it isn't, -1: can't tell. */
static int
probe(const word *table, unsigned class, uint64_t key)
{
	uint64_t mask = (UINT64_C(1) << class) - 1, i = key & mask;

	for (unsigned n = 0; n < PROBES_MAX; n++, i = (i + 1) & mask) {
		uint64_t k = atomic_load_explicit(&table[i], memory_order_acquire);

		if (k == key)
			return 1;
		if (k == EMPTY)
			return 0;
	}
	return -1;
}

bool
interest_probe(const struct interest_head *h, const void *tables, const struct topic_hash *t)
{
	uint64_t hash;

	if (atomic_load_explicit(&h->fallback, memory_order_acquire) != 0)
		return true;
	for (int try = 0; try < 2; try++) {
		uint64_t cur = atomic_load_explicit(&h->cur, memory_order_acquire);
		unsigned class = cur >> 1 & 0x7fff;

		if (cur == 0)
			return false; /* not set up yet: nobody has subscribed */
		if (class < INTEREST_CLASS_MIN || class > INTEREST_CLASS_MAX)
			return true;
		FOR_SHAPES(h, t, hash)
			if (probe((const word *)(const void *)((const uint8_t *)tables +
				      area_at(cur & 1)),
				class, hash) != 0)
				return true;
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&h->cur, memory_order_relaxed) == cur)
			return false;
	}
	return true;
}

/* *budget: slots that may still be looked at, whatever the table says. */
static unsigned
groups_at_key(const struct interest_group *table, uint64_t key, struct interest_hit *out,
    unsigned max, int *budget)
{
	unsigned found = 0;

	for (uint64_t n = 0; found < max && (*budget)-- > 0; n++) {
		const struct interest_group *g = &table[(key + n) % INTEREST_GROUP_SLOTS];
		uint64_t k = atomic_load_explicit(&g->key, memory_order_acquire);
		struct interest_hit hit;

		if (k == EMPTY)
			break;
		if (k != key)
			continue;
		hit.group = atomic_load_explicit(&g->group, memory_order_relaxed);
		hit.weight = atomic_load_explicit(&g->weight, memory_order_relaxed);
		hit.clean = atomic_load_explicit(&g->clean, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&g->key, memory_order_relaxed) == key && hit.weight > 0)
			out[found++] = hit;
	}
	return found;
}

unsigned
interest_probe_groups(const struct interest_head *h, const void *tables, const struct topic_hash *t,
    struct interest_hit *out, unsigned max)
{
	const struct interest_group *table = (const void *)((const uint8_t *)tables + groups_at());
	unsigned found = 0;
	int budget = INTEREST_GROUP_SLOTS;
	uint64_t hash;

	if (atomic_load_explicit(&h->ngroups, memory_order_acquire) == 0)
		return 0;
	FOR_SHAPES(h, t, hash)
		found += groups_at_key(table, hash, out + found, max - found, &budget);
	return found + groups_at_key(table, ANY_GROUP, out + found, max - found, &budget);
}
