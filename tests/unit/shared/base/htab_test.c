#include "shared/base/htab.h"

#include <errno.h>
#include <time.h>

#include "shared/base/hash.h"
#include "tests/unit/unit.h"

#define MILLION 1000000u

struct item {
	uint64_t hash;
	uint32_t key, met;
};

static uint64_t
item_hash(const void *entry)
{
	return ((const struct item *)entry)->hash;
}

static bool
item_eq(const void *entry, const void *key)
{
	return ((const struct item *)entry)->key == *(const uint32_t *)key;
}

static struct item *
items_new(uint32_t n)
{
	static const struct hash_key k = { { 3, 4 } };
	struct item *it = calloc(n, sizeof(*it));

	for (uint32_t i = 0; it != NULL && i < n; i++)
		it[i] = (struct item){ .key = i, .hash = hash_bytes(&k, span_of(&i, sizeof(i))) };
	return it;
}

static struct item *
find(const struct htab *h, uint64_t hash, uint32_t key)
{
	return htab_find(h, hash, item_eq, &key);
}

static void
empty_table_finds_deletes_and_walks_nothing(void)
{
	struct htab h;
	struct item it = { .hash = 5 };
	uint64_t pos = 0;

	htab_init(&h, item_hash);
	CU_ASSERT_PTR_NULL(find(&h, 5, 0));
	CU_ASSERT_FALSE(htab_del(&h, 5, &it));
	CU_ASSERT_PTR_NULL(htab_next(&h, &pos));
	CU_ASSERT_EQUAL(htab_count(&h), 0);
	htab_fini(&h);
}

static void
deleting_twice_says_false_and_changes_nothing(void)
{
	struct htab h;
	struct item a = { .hash = 7, .key = 1 }, b = { .hash = 7, .key = 2 };

	htab_init(&h, item_hash);
	CU_ASSERT_EQUAL(htab_add(&h, 7, &a), 0);
	CU_ASSERT_EQUAL(htab_add(&h, 7, &b), 0);
	CU_ASSERT_TRUE(htab_del(&h, 7, &a));
	CU_ASSERT_FALSE(htab_del(&h, 7, &a));
	CU_ASSERT_EQUAL(htab_count(&h), 1);
	CU_ASSERT_PTR_NULL(find(&h, 7, 1));
	CU_ASSERT_PTR_EQUAL(find(&h, 7, 2), &b);
	htab_fini(&h);
}

static void
entries_of_equal_hash_are_told_apart_by_eq(void)
{
	struct htab h;
	struct item it[50];

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < 50; i++) {
		it[i] = (struct item){ .hash = 0xffffffffffffffffu, .key = i };
		CU_ASSERT_EQUAL(htab_add(&h, it[i].hash, &it[i]), 0);
	}
	for (uint32_t i = 0; i < 50; i += 2)
		CU_ASSERT_TRUE(htab_del(&h, it[i].hash, &it[i]));
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT_PTR_EQUAL(find(&h, it[i].hash, i), i % 2 == 0 ? NULL : &it[i]);
	htab_fini(&h);
}

static void
hashes_that_are_small_numbers_do_no_harm(void)
{
	struct htab h;
	struct item *it = items_new(100000);
	struct timespec a, b;

	htab_init(&h, item_hash);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (uint32_t i = 0; i < 100000; i++) {
		it[i].hash = i;
		htab_add(&h, i, &it[i]);
	}
	for (uint32_t i = 0; i < 100000; i++)
		if (find(&h, i, i) != &it[i])
			CU_FAIL("not found");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	/* All in one run would be 10^10 steps. */
	CU_ASSERT(b.tv_sec - a.tv_sec < 5);
	htab_fini(&h);
	free(it);
}

static void
random_adds_and_deletes_agree_with_a_plain_array(void)
{
	enum { N = 3000 };
	struct htab h;
	struct item *it = items_new(N);
	bool in[N] = { false };
	size_t count = 0;
	unsigned wrong = 0, seed = 1;

	htab_init(&h, item_hash);
	for (unsigned step = 0; step < 400000; step++) {
		/* The crowd swells and shrinks, so that every size is grown and shrunk to. */
		unsigned wish = step / 20000 % 2 == 0 ? 80 : 15;
		uint32_t i = (uint32_t)rand_r(&seed) % N;

		wrong += find(&h, it[i].hash, i) != (in[i] ? &it[i] : NULL);
		if (in[i] && (unsigned)rand_r(&seed) % 100 >= wish) {
			wrong += !htab_del(&h, it[i].hash, &it[i]);
			in[i] = false;
			count--;
		} else if (!in[i] && (unsigned)rand_r(&seed) % 100 < wish) {
			wrong += htab_add(&h, it[i].hash, &it[i]) != 0;
			in[i] = true;
			count++;
		}
		wrong += htab_count(&h) != count;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	htab_fini(&h);
	free(it);
}

static void
walk_meets_all_once_while_the_table_is_resized(void)
{
	enum { STAY = 5000, COME = 60000 };
	struct htab h;
	struct item *it = items_new(STAY + COME), *e;
	unsigned missed = 0, again = 0, ghosts = 0;
	uint32_t added = STAY, gone = STAY;
	uint64_t pos = 0;

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < STAY; i++)
		htab_add(&h, it[i].hash, &it[i]);
	for (unsigned met = 0; (e = htab_next(&h, &pos)) != NULL; met++) {
		e->met++;
		ghosts += e->key == UINT32_MAX;
		/* Grows to more than ten times while the first part is met, then shrinks. */
		for (unsigned k = 0; k < 30 && added < STAY + COME; k++, added++)
			htab_add(&h, it[added].hash, &it[added]);
		for (unsigned k = 0; k < 40 && met > 4000 && gone < added; k++, gone++) {
			htab_del(&h, it[gone].hash, &it[gone]);
			it[gone].key = UINT32_MAX;
		}
	}
	CU_ASSERT_EQUAL(gone, STAY + COME);
	for (uint32_t i = 0; i < STAY; i++) {
		missed += it[i].met == 0;
		again += it[i].met > 1;
	}
	CU_ASSERT_EQUAL(missed, 0);
	CU_ASSERT_EQUAL(again, 0);
	CU_ASSERT_EQUAL(ghosts, 0);
	htab_fini(&h);
	free(it);
}

static void
walk_may_delete_what_it_meets(void)
{
	struct htab h;
	struct item *it = items_new(2000), *e;
	uint64_t pos = 0;
	unsigned met = 0;

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < 2000; i++)
		htab_add(&h, it[i].hash, &it[i]);
	for (; (e = htab_next(&h, &pos)) != NULL; met++)
		CU_ASSERT_TRUE(htab_del(&h, e->hash, e));
	CU_ASSERT_EQUAL(met, 2000);
	CU_ASSERT_EQUAL(htab_count(&h), 0);
	htab_fini(&h);
	free(it);
}

/* Slots that are filled from both ends of a table: the run goes over its end. */
static void
walk_meets_entries_pushed_over_the_end(void)
{
	struct htab h;
	struct item it[6], *e;
	/* The inverse of the multiplier in htab.c: hashes whose order is all ones but the lowest bits. */
	const uint64_t inverse = 0xf1de83e19937733du;
	uint64_t pos = 0;
	unsigned met = 0;

	htab_init(&h, item_hash);
	/* The least in the last slot, the greatest there can be among those pushed over the end. */
	for (uint32_t i = 6; i-- > 0;) {
		it[i] = (struct item){ .key = i, .hash = (UINT64_MAX - 2 * i) * inverse };
		htab_add(&h, it[i].hash, &it[i]);
	}
	CU_ASSERT_EQUAL(h.now.cap, 8);
	CU_ASSERT_EQUAL(0x9e3779b97f4a7c15u * inverse, 1);
	for (; (e = htab_next(&h, &pos)) != NULL; met++)
		CU_ASSERT_EQUAL(e->met++, 0);
	CU_ASSERT_EQUAL(met, 6);
	htab_fini(&h);
}

static void
no_call_on_a_million_entries_moves_more_than_a_slice(void)
{
	struct htab h;
	struct item *it = items_new(MILLION);
	size_t before, drained, most = 0;
	unsigned wrong = 0;

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < MILLION; i++) {
		before = h.now.used;
		htab_add(&h, it[i].hash, &it[i]);
		drained = h.now.used < before ? h.now.used : h.now.used - before;
		if (drained > most)
			most = drained;
	}
	CU_ASSERT(most <= 64);
	CU_ASSERT_EQUAL(htab_count(&h), MILLION);
	for (uint32_t i = 0; i < MILLION; i++)
		wrong += find(&h, it[i].hash, i) != &it[i];
	CU_ASSERT_EQUAL(wrong, 0);

	for (uint32_t i = 0; i < MILLION; i++)
		wrong += !htab_del(&h, it[i].hash, &it[i]);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(htab_count(&h), 0);
	CU_ASSERT(h.now.cap <= 64); /* memory came back */
	htab_fini(&h);
	free(it);
}

static void
churn_of_few_entries_does_not_grow_the_table(void)
{
	struct htab h;
	struct item *it = items_new(MILLION);

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < MILLION; i++) {
		htab_add(&h, it[i].hash, &it[i]);
		if (i >= 100)
			htab_del(&h, it[i - 100].hash, &it[i - 100]);
	}
	CU_ASSERT_EQUAL(htab_count(&h), 100);
	CU_ASSERT(h.now.cap <= 512);
	htab_fini(&h);
	free(it);
}

static void
replacing_is_seen_by_find_walk_and_delete_also_while_the_table_is_resized(void)
{
	enum { N = 3000 };
	struct item *it = items_new(N), *by = items_new(N), *met;
	uint64_t pos = 0;
	struct htab h;

	htab_init(&h, item_hash);
	for (uint32_t i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(htab_add(&h, it[i].hash, &it[i]), 0);
		if (i % 2 == 1)
			htab_replace(&h, it[i / 2].hash, &it[i / 2], &by[i / 2]);
	}
	CU_ASSERT_EQUAL(htab_count(&h), N);
	for (uint32_t i = 0; i < N; i++)
		CU_ASSERT_PTR_EQUAL(find(&h, it[i].hash, i), i < N / 2 ? &by[i] : &it[i]);
	while ((met = htab_next(&h, &pos)) != NULL)
		met->met++;
	for (uint32_t i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(i < N / 2 ? by[i].met : it[i].met, 1);
		CU_ASSERT_EQUAL(htab_del(&h, it[i].hash, &it[i]), i >= N / 2);
		CU_ASSERT_EQUAL(htab_del(&h, it[i].hash, &by[i]), i < N / 2);
	}
	htab_fini(&h);
	free(it);
	free(by);
}

UNIT_MAIN("shared/base/htab", TEST(empty_table_finds_deletes_and_walks_nothing),
    TEST(deleting_twice_says_false_and_changes_nothing),
    TEST(entries_of_equal_hash_are_told_apart_by_eq),
    TEST(hashes_that_are_small_numbers_do_no_harm),
    TEST(random_adds_and_deletes_agree_with_a_plain_array),
    TEST(walk_meets_all_once_while_the_table_is_resized), TEST(walk_may_delete_what_it_meets),
    TEST(replacing_is_seen_by_find_walk_and_delete_also_while_the_table_is_resized),
    TEST(walk_meets_entries_pushed_over_the_end),
    TEST(no_call_on_a_million_entries_moves_more_than_a_slice),
    TEST(churn_of_few_entries_does_not_grow_the_table))
