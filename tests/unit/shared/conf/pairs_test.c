#include "shared/conf/pairs.h"

#include <errno.h>

#include "tests/unit/unit.h"

static struct span rest, name, value;

static bool
gives(const char *n, const char *v)
{
	return pairs_next(&rest, &name, &value) == 1 && span_eq(name, span_str(n)) &&
	    (v == NULL) == (value.p == NULL) && (v == NULL || span_eq(value, span_str(v)));
}

static void
one_without_a_name_is_wrong(void)
{
	static const char *const bad[] = { "=x", " = x", ",", ",a=1", "a=1,,b=2" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(pairs_are_valid(bad[i], "cu"));
	rest = span_str("a=1,,");
	CU_ASSERT_TRUE(gives("a", "1"));
	CU_ASSERT_EQUAL(pairs_next(&rest, &name, &value), -EINVAL);
}

static void
values_are_patterns_or_there_are_none(void)
{
	CU_ASSERT_TRUE(pairs_are_valid("", "cu"));
	CU_ASSERT_TRUE(pairs_are_valid("", NULL));
	CU_ASSERT_TRUE(pairs_are_valid("a=%c, b=x%%%u", "cu"));
	CU_ASSERT_TRUE(pairs_are_valid("a=", "cu"));
	CU_ASSERT_FALSE(pairs_are_valid("a=%P", "cu"));
	CU_ASSERT_FALSE(pairs_are_valid("a=%", "cu"));
	CU_ASSERT_FALSE(pairs_are_valid("a=%c, b", "cu"));
	CU_ASSERT_TRUE(pairs_are_valid("a, b", NULL));
	CU_ASSERT_FALSE(pairs_are_valid("a, b=1", NULL));
}

static void
blanks_around_are_not_part_of_it(void)
{
	rest = span_str("  a = x y , b,c=d=e ");
	CU_ASSERT_TRUE(gives("a", "x y"));
	CU_ASSERT_TRUE(gives("b", NULL));
	CU_ASSERT_TRUE(gives("c", "d=e"));
	CU_ASSERT_EQUAL(pairs_next(&rest, &name, &value), 0);
}

UNIT_MAIN("shared/conf/pairs", TEST(one_without_a_name_is_wrong),
    TEST(values_are_patterns_or_there_are_none), TEST(blanks_around_are_not_part_of_it))
