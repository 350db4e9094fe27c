#include "shared/base/regex.h"

#include "tests/unit/unit.h"

static void
what_is_none_is_refused_with_the_place(void)
{
	char why[256] = "";

	CU_ASSERT_PTR_NULL(regex_new(span_str("a(b"), why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "at character 4: missing closing parenthesis"));
	CU_ASSERT_PTR_NULL(regex_new(span_str("\\C"), why)); /* half a character */
	CU_ASSERT_PTR_NULL(regex_new(span_str("\xff"), why));
	regex_free(NULL);
}

static int
find(const char *pattern, const char *text)
{
	char why[256];
	struct regex *re = regex_new(span_str(pattern), why);
	int found;

	CU_ASSERT_PTR_NOT_NULL_FATAL(re);
	found = regex_find(re, span_str(text));
	regex_free(re);
	return found;
}

static void
one_that_could_take_for_ever_is_given_up(void)
{
	CU_ASSERT_EQUAL(
	    find("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), -1);
	CU_ASSERT_EQUAL(find("a", "\xff"), -1); /* no text */
}

static void
it_is_found_anywhere_without_anchors(void)
{
	CU_ASSERT_EQUAL(find("bot[0-9]+", "a-bot7-b"), 1);
	CU_ASSERT_EQUAL(find("^bot[0-9]+$", "a-bot7-b"), 0);
	CU_ASSERT_EQUAL(find("^$", ""), 1);
	CU_ASSERT_EQUAL(find("^.$", "\xc3\xa4"), 1);
}

UNIT_MAIN("shared/base/regex", TEST(what_is_none_is_refused_with_the_place),
    TEST(one_that_could_take_for_ever_is_given_up), TEST(it_is_found_anywhere_without_anchors))
