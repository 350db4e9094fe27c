#include "shared/base/htab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shared/base/must.h"

/*
 * Linear probing. An entry's home is the upper bits of its order, so that the entries sorted by home
 * are sorted by order too, at every capacity. That is what lets htab_next() go on after a resize:
 * its position is an order, not a slot.
 *
 * While old drains into now, its slots below `drained` hold nothing alive, whatever they say.
 */
#define CAP_MIN 8
#define SLICE 32           /* slots of old looked at by each htab_add() and htab_del() */
#define MMAP_MIN (1 << 20) /* bytes from which slots come as zero pages: no call clears megabytes */

#define EMPTY 0u
#define DEAD 1u /* an entry was here: probes go on */
#define POINTER ((UINT64_C(1) << 48) - 1)
#define TAG (~POINTER)

static int part_init(struct htab_part *t, size_t cap);
static void part_fini(struct htab_part *t);
static uint64_t slot_of(uint64_t order, const void *entry);
static void part_put(struct htab_part *t, uint64_t order, const void *entry);
static uint64_t *
part_find(const struct htab_part *t, size_t gone, uint64_t order, htab_eq_fn *eq, const void *key);
static void part_del(struct htab_part *t, uint64_t *slot);
static void *part_least(
    const struct htab *h, const struct htab_part *t, size_t gone, uint64_t from, uint64_t *least);
static int resize(struct htab *h, size_t cap);
static void drain(struct htab *h);

/* Multiplying spreads hashes that are just small numbers. The lowest bit stays free for htab_next(). */
static inline uint64_t
order_of(uint64_t hash)
{
	return hash * 0x9e3779b97f4a7c15u & ~UINT64_C(1);
}

static inline size_t
home_of(const struct htab_part *t, uint64_t order)
{
	return order >> (64 - __builtin_ctzll(t->cap));
}

static inline uint64_t
tag_of(uint64_t order)
{
	return order << 47 & TAG; /* its lower bits: the upper ones are in the home */
}

static inline void *
entry_of(uint64_t slot)
{
	return (void *)(uintptr_t)(slot & POINTER);
}

static bool
is_same(const void *entry, const void *key)
{
	return entry == key;
}

void
htab_init(struct htab *h, uint64_t (*hash_of)(const void *entry))
{
	*h = (struct htab){ .hash_of = hash_of };
}

void
htab_fini(struct htab *h)
{
	part_fini(&h->now);
	part_fini(&h->old);
}

size_t
htab_count(const struct htab *h)
{
	return h->now.used + h->old.used;
}

void *
htab_find(const struct htab *h, uint64_t hash, htab_eq_fn *eq, const void *key)
{
	uint64_t order = order_of(hash);
	const uint64_t *slot = part_find(&h->now, 0, order, eq, key);

	if (slot == NULL)
		slot = part_find(&h->old, h->drained, order, eq, key);
	return slot == NULL ? NULL : entry_of(*slot);
}

int
htab_add(struct htab *h, uint64_t hash, void *entry)
{
	size_t count = htab_count(h) + 1, cap = CAP_MIN;
	int err;

	if ((h->now.used + h->now.dead + 1) * 4 > h->now.cap * 3) {
		/*
		 * At most half full afterwards, and not less than a quarter as large: so a slice
		 * of 32 slots a call has emptied old long before now fills up.
		 */
		while (cap < count * 2 || cap < h->now.cap / 4)
			cap *= 2;
		err = resize(h, cap);
		if (err != 0)
			return err;
	}
	drain(h);
	part_put(&h->now, order_of(hash), entry);
	return 0;
}

bool
htab_del(struct htab *h, uint64_t hash, const void *entry)
{
	struct htab_part *t = &h->now;
	uint64_t *slot = part_find(t, 0, order_of(hash), is_same, entry);

	if (slot == NULL) {
		t = &h->old;
		slot = part_find(t, h->drained, order_of(hash), is_same, entry);
	}
	if (slot == NULL)
		return false;
	part_del(t, slot);
	drain(h);
	/* Without memory for a smaller table the larger one stays. */
	if (h->old.cap == 0 && h->now.cap > CAP_MIN && h->now.used < h->now.cap / 8)
		(void)resize(h, h->now.cap / 2);
	return true;
}

void
htab_replace(struct htab *h, uint64_t hash, const void *entry, const void *by)
{
	uint64_t order = order_of(hash);
	uint64_t *slot = part_find(&h->now, 0, order, is_same, entry);

	if (slot == NULL)
		slot = part_find(&h->old, h->drained, order, is_same, entry);
	must(slot != NULL);
	*slot = slot_of(order, by);
}

void *
htab_next(const struct htab *h, uint64_t *pos)
{
	uint64_t least = UINT64_MAX;
	void *old = part_least(h, &h->old, h->drained, *pos, &least);
	void *now = part_least(h, &h->now, 0, *pos, &least);

	if (now == NULL && old == NULL)
		return NULL;
	*pos = least + 1;
	return now == NULL ? old : now;
}

static int
part_init(struct htab_part *t, size_t cap)
{
	size_t len = cap * sizeof(*t->slot);
	void *p;

	if (len >= MMAP_MIN) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return -ENOMEM;
	} else {
		p = calloc(1, len);
		if (p == NULL)
			return -ENOMEM;
	}
	*t = (struct htab_part){ .slot = p, .cap = cap };
	return 0;
}

static void
part_fini(struct htab_part *t)
{
	size_t len = t->cap * sizeof(*t->slot);

	if (len >= MMAP_MIN)
		munmap(t->slot, len);
	else
		free(t->slot);
	*t = (struct htab_part){ 0 };
}

static uint64_t
slot_of(uint64_t order, const void *entry)
{
	uint64_t p = (uintptr_t)entry;

	must(p > DEAD && (p & TAG) == 0);
	return tag_of(order) | p;
}

static void
part_put(struct htab_part *t, uint64_t order, const void *entry)
{
	size_t i = home_of(t, order);

	while (t->slot[i] > DEAD)
		i = (i + 1) & (t->cap - 1);
	if (t->slot[i] == DEAD)
		t->dead--;
	t->slot[i] = slot_of(order, entry);
	t->used++;
}

/* gone: slots below are empty in truth; a probe that comes there goes on behind them. */
static uint64_t *
part_find(const struct htab_part *t, size_t gone, uint64_t order, htab_eq_fn *eq, const void *key)
{
	uint64_t slot, tag = tag_of(order);
	size_t i;

	if (t->used == 0)
		return NULL;
	i = home_of(t, order);
	for (size_t n = gone; n < t->cap; n++, i = (i + 1) & (t->cap - 1)) {
		if (i < gone)
			i = gone;
		slot = t->slot[i];
		if (slot == EMPTY)
			return NULL;
		if (slot != DEAD && (slot & TAG) == tag && eq(entry_of(slot), key))
			return &t->slot[i];
	}
	return NULL;
}

/* Where a run ends nobody probes further: what is dead at its end can be empty again. */
static void
part_del(struct htab_part *t, uint64_t *slot)
{
	size_t mask = t->cap - 1, i = (size_t)(slot - t->slot);

	t->slot[i] = DEAD;
	t->used--;
	t->dead++;
	if (t->slot[(i + 1) & mask] != EMPTY)
		return;
	for (; t->slot[i] == DEAD; i = (i - 1) & mask) {
		t->slot[i] = EMPTY;
		t->dead--;
	}
}

/*
 * The entry of least order that is neither below `from` nor above *least, which becomes its order. All
 * entries whose home is between a slot and the next empty one lie between them, so the least of such
 * a stretch is the least of all. What was pushed over the table's end to its start is met last.
 */
static void *
part_least(
    const struct htab *h, const struct htab_part *t, size_t gone, uint64_t from, uint64_t *least)
{
	size_t start, end, i;
	uint64_t order;
	void *entry, *best = NULL;
	bool wrapped;

	if (t->used == 0)
		return NULL;
	start = home_of(t, from);
	end = home_of(t, *least); /* an empty slot from here on ends the search */
	for (size_t n = start < gone ? gone : start; n < t->cap * 2; n++) {
		if (n == t->cap)
			n += gone;
		wrapped = n >= t->cap;
		i = n & (t->cap - 1);
		if (t->slot[i] == EMPTY && (best != NULL || n >= end))
			break;
		if (t->slot[i] <= DEAD)
			continue;
		entry = entry_of(t->slot[i]);
		order = order_of(h->hash_of(entry));
		if (order < from || order > *least || (home_of(t, order) > i) != wrapped)
			continue;
		*least = order;
		best = entry;
	}
	return best;
}

static int
resize(struct htab *h, size_t cap)
{
	struct htab_part next;
	int err;

	must(h->old.cap == 0);
	err = part_init(&next, cap);
	if (err != 0)
		return err;
	h->old = h->now;
	h->now = next;
	h->drained = 0;
	return 0;
}

static void
drain(struct htab *h)
{
	struct htab_part *old = &h->old;
	uint64_t slot;

	if (old->cap == 0)
		return;
	for (unsigned n = 0; n < SLICE && old->used > 0; n++) {
		slot = old->slot[h->drained++];
		if (slot <= DEAD)
			continue;
		part_put(&h->now, order_of(h->hash_of(entry_of(slot))), entry_of(slot));
		old->used--;
	}
	if (old->used == 0) {
		part_fini(old);
		h->drained = 0;
	}
}
