#include "tests/unit/worker/persist/fake.h"

static void
numbers_out_of_range_are_nobodys(void)
{
	fake_start();
	CU_ASSERT_PTR_NULL(directory_at(0));
	CU_ASSERT_PTR_NULL(directory_at(SESSION_NUMBERS));
	CU_ASSERT_PTR_NULL(directory_at(UINT32_MAX));
	CU_ASSERT_PTR_NULL(directory_add(span_str("x"), SESSION_NUMBERS));
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

static void
a_number_in_use_is_not_given_twice(void)
{
	struct session *s[10], *given;
	char id[16];

	fake_start();
	given = directory_add(span_str("given"), 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(given);
	CU_ASSERT_PTR_NULL(directory_add(span_str("other"), 3));
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		s[i] = directory_add(span_str(id), SESSION_NO_NUMBER);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s[i]);
		CU_ASSERT_NOT_EQUAL(s[i]->number, 3);
		CU_ASSERT_PTR_EQUAL(directory_at(s[i]->number), s[i]);
		CU_ASSERT_PTR_EQUAL(directory_find(span_str(id)), s[i]);
	}
	directory_del(given);
	directory_del(s[5]);
	CU_ASSERT_PTR_NULL(directory_find(span_str("c5")));
	given = directory_add(span_str("a"), SESSION_NO_NUMBER);
	s[5] = directory_add(span_str("b"), SESSION_NO_NUMBER);
	CU_ASSERT_NOT_EQUAL(given->number, s[5]->number);
	CU_ASSERT_TRUE(given->number <= 10 && s[5]->number <= 10); /* used again */
	CU_ASSERT_EQUAL(directory_count(), 11);
	fake_stop();
}

static void
a_walk_in_slices_meets_all(void)
{
	uint32_t number = 0, calls = 0, met = 0;
	char id[16];

	fake_start();
	for (int i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		directory_add(span_str(id), SESSION_NO_NUMBER);
	}
	directory_add(span_str("far"), SESSION_NUMBERS - 1);
	for (uint32_t n = 0; n < 10000; n++)
		if (n % 3 != 0)
			directory_del(directory_at(n));
	while (number < directory_end() && ++calls < 1000000)
		met += directory_next(&number, 100) != NULL;
	CU_ASSERT_EQUAL(met, directory_count());
	fake_stop();
}

UNIT_MAIN("worker/persist/directory", TEST(numbers_out_of_range_are_nobodys),
    TEST(a_number_in_use_is_not_given_twice), TEST(a_walk_in_slices_meets_all))
