#include "worker/mqtt/inflight.h"

#include "tests/unit/unit.h"

static void
unknown_identifier_is_not_found(void)
{
	struct inflights f = { 0 };

	CU_ASSERT_PTR_NULL(inflight_find(&f, 1));
	CU_ASSERT_PTR_NOT_NULL_FATAL(inflight_add(&f, 7));
	CU_ASSERT_PTR_NULL(inflight_find(&f, 1));
	CU_ASSERT_PTR_NULL(inflight_find(&f, 15)); /* the same place */
	inflights_clear(&f);
}

/* A deletion looks at all that lies behind it without a gap. */
static void
what_lies_side_by_side_is_few(void)
{
	static const unsigned strides[] = { 1, 2, 256, 16384 };

	for (size_t i = 0; i < sizeof(strides) / sizeof(strides[0]); i++) {
		struct inflights f = { 0 };
		uint16_t id = 0;
		unsigned run = 0, longest = 0;

		for (unsigned n = 1; n <= 16384; n++) {
			id = (uint16_t)(id + strides[i]);
			while (id == 0 || inflight_find(&f, id) != NULL)
				id++;
			CU_ASSERT_PTR_NOT_NULL_FATAL(inflight_add(&f, id));
		}
		CU_ASSERT_EQUAL(f.cap, 32768);
		for (uint32_t at = 0; at < f.cap; at++) {
			run = f.at[at].state != INFLIGHT_NONE ? run + 1 : 0;
			longest = run > longest ? run : longest;
		}
		CU_ASSERT_TRUE(longest < 100);
		inflights_clear(&f);
	}
}

static void
all_identifiers_can_be_under_way_and_no_more(void)
{
	struct inflights f = { 0 };
	struct inflight *e;

	for (unsigned i = 1; i <= UINT16_MAX; i++) {
		e = inflight_new(&f, 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_EQUAL(e->id, i);
	}
	CU_ASSERT_PTR_NULL(inflight_new(&f, 1));
	CU_ASSERT_EQUAL(f.bytes, UINT16_MAX);
	inflight_del(&f, inflight_find(&f, 4711));
	CU_ASSERT_EQUAL(f.bytes, UINT16_MAX - 1);
	e = inflight_new(&f, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->id, 4711);
	inflights_clear(&f);
	CU_ASSERT_EQUAL(f.bytes, 0);
	CU_ASSERT_PTR_NULL(f.at);
}

static void
identifier_zero_is_never_handed_out(void)
{
	struct inflights f = { .last = UINT16_MAX };

	CU_ASSERT_EQUAL(inflight_new(&f, 1)->id, 1);
	inflights_clear(&f);
}

static void
one_that_is_stuck_does_not_stop_the_others(void)
{
	struct inflights f = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(inflight_add(&f, 3));
	for (unsigned i = 0; i < 200000; i++) {
		struct inflight *e = inflight_new(&f, 1);

		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_NOT_EQUAL_FATAL(e->id, 3);
		inflight_del(&f, e);
	}
	CU_ASSERT_PTR_NOT_NULL(inflight_find(&f, 3));
	CU_ASSERT_EQUAL(f.n, 1);
	inflights_clear(&f);
}

static void
entries_survive_growing(void)
{
	struct inflights f = { 0 };

	for (unsigned i = 1; i < 5000; i += 7)
		inflight_add(&f, (uint16_t)i)->seq = i * 10;
	for (unsigned i = 1; i < 5000; i += 7) {
		struct inflight *e = inflight_find(&f, (uint16_t)i);

		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_EQUAL(e->seq, i * 10);
	}
	inflights_clear(&f);
}

static void
identifiers_picked_to_meet_take_no_more_room(void)
{
	struct inflights f = { 0 };

	for (unsigned i = 0; i < 500; i++)
		inflight_add(&f, (uint16_t)(i * 128 + 5))->seq = i;
	CU_ASSERT(f.cap <= 1024);
	inflights_clear(&f);
	for (unsigned i = 0; i < 60; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(inflight_add(&f, (uint16_t)(1024 * i + 1023)));
	CU_ASSERT(f.cap <= 128);
	inflights_clear(&f);
}

static void
whatever_is_deleted_the_others_are_found(void)
{
	struct inflights f = { 0 };
	bool there[65536] = { false };
	unsigned id = 1;

	for (unsigned turn = 0; turn < 100000; turn++) {
		struct inflight *e;

		id = (id * 1103515245 + 12345) & 0x7fffffff;
		uint16_t pick = (uint16_t)(id >> 8 & 0xf3f0); /* they meet in small tables */

		e = inflight_find(&f, pick);
		CU_ASSERT_EQUAL_FATAL(e != NULL, there[pick]);
		if (e != NULL) {
			CU_ASSERT_EQUAL_FATAL(e->seq, pick);
			inflight_del(&f, e);
		} else if (f.n < 300) {
			e = inflight_add(&f, pick);
			CU_ASSERT_PTR_NOT_NULL_FATAL(e);
			e->seq = pick;
		} else {
			continue;
		}
		there[pick] = !there[pick];
	}
	for (unsigned i = 0; i < 65536; i++)
		CU_ASSERT_EQUAL_FATAL(inflight_find(&f, (uint16_t)i) != NULL, there[i]);
	inflights_clear(&f);
}

static void
empty_table_gives_its_memory_back_a_used_one_does_not(void)
{
	struct inflights f = { 0 };
	struct inflight *e = inflight_new(&f, 1);

	inflights_trim(&f);
	CU_ASSERT_PTR_NOT_NULL(f.at);
	inflight_del(&f, e);
	inflights_trim(&f);
	CU_ASSERT_PTR_NULL(f.at);
}

UNIT_MAIN("worker/mqtt/inflight", TEST(unknown_identifier_is_not_found),
    TEST(what_lies_side_by_side_is_few), TEST(all_identifiers_can_be_under_way_and_no_more),
    TEST(identifier_zero_is_never_handed_out), TEST(one_that_is_stuck_does_not_stop_the_others),
    TEST(entries_survive_growing), TEST(identifiers_picked_to_meet_take_no_more_room),
    TEST(whatever_is_deleted_the_others_are_found),
    TEST(empty_table_gives_its_memory_back_a_used_one_does_not))
