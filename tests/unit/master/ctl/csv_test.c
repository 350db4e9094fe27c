#include "master/ctl/csv.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct csv_line line;
static char text[512], *at;
static const char *why;

static int
next_of(const char *s)
{
	strcpy(text, s);
	at = text;
	return csv_next(&at, &line, &why);
}

#define FIELD(i, s) CU_ASSERT_STRING_EQUAL(line.field[i], s)

static void
quote_that_is_not_closed_is_refused(void)
{
	CU_ASSERT_EQUAL(next_of("a,\"b"), -EINVAL);
	CU_ASSERT_EQUAL(next_of("\""), -EINVAL);
	CU_ASSERT_EQUAL(next_of("\"a\"\""), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "a quote isn't closed");
}

static void
text_behind_a_quote_is_refused(void)
{
	CU_ASSERT_EQUAL(next_of("\"a\"b,c"), -EINVAL);
	CU_ASSERT_EQUAL(next_of("\"a\" ,c"), -EINVAL);
	CU_ASSERT_EQUAL(next_of("a\rb"), -EINVAL);
}

static void
more_fields_than_there_is_room_for_are_refused(void)
{
	CU_ASSERT_EQUAL(next_of("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"), 1);
	CU_ASSERT_EQUAL(line.n, 16);
	CU_ASSERT_EQUAL(next_of("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"), -EINVAL);
}

static void
end_and_empty_lines_are_told_apart(void)
{
	CU_ASSERT_EQUAL(next_of(""), 0);
	CU_ASSERT_EQUAL(next_of("\r\n\nx"), 1);
	CU_ASSERT_EQUAL(line.n, 0);
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 1);
	CU_ASSERT_EQUAL(line.n, 0);
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 1);
	CU_ASSERT_EQUAL(line.n, 1);
	FIELD(0, "x");
	CU_ASSERT_EQUAL(line.ends, 0);
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 0);
}

static void
fields_may_be_empty(void)
{
	CU_ASSERT_EQUAL(next_of(",a,\n,"), 1);
	CU_ASSERT_EQUAL(line.n, 3);
	FIELD(0, "");
	FIELD(1, "a");
	FIELD(2, "");
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 1);
	CU_ASSERT_EQUAL(line.n, 2);
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 0);
	CU_ASSERT_EQUAL(next_of("\"\"\n"), 1);
	CU_ASSERT_EQUAL(line.n, 0);
}

static void
quotes_hold_commas_quotes_and_line_ends(void)
{
	CU_ASSERT_EQUAL(next_of("\"a,\"\"b\"\"\",\"c\r\nd\",e\r\nf"), 1);
	CU_ASSERT_EQUAL(line.n, 3);
	FIELD(0, "a,\"b\"");
	FIELD(1, "c\r\nd");
	FIELD(2, "e");
	CU_ASSERT_EQUAL(line.ends, 2);
	CU_ASSERT_EQUAL(csv_next(&at, &line, &why), 1);
	FIELD(0, "f");
}

UNIT_MAIN("master/ctl/csv", TEST(quote_that_is_not_closed_is_refused),
    TEST(text_behind_a_quote_is_refused), TEST(more_fields_than_there_is_room_for_are_refused),
    TEST(end_and_empty_lines_are_told_apart), TEST(fields_may_be_empty),
    TEST(quotes_hold_commas_quotes_and_line_ends))
