#include "master/suspects.h"

#include "tests/unit/unit.h"

enum { LIMIT = 3, TIME = 1000, PACKET = 3 };

static struct suspects t;
static uint64_t now;
static const struct suspect *out[2];

static void
start(void)
{
	memset(&t, 0, sizeof(t));
	now = 50;
}

/* How many are kept out by it. */
static unsigned
died(const char *client, const char *from)
{
	struct who who;

	who_set(&who, span_str(client), span_str(from));
	return suspects_died(&t, &who, PACKET, LIMIT, now, TIME, out);
}

static void
two_deaths_are_not_enough(void)
{
	start();
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(died("c", "2.2.2.2"), 0);
	CU_ASSERT_EQUAL(died("d", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(t.nout, 0);
}

static void
the_third_keeps_the_pair_out(void)
{
	start();
	died("c", "1.1.1.1");
	died("d", "1.1.1.1");
	died("c", "1.1.1.1");
	CU_ASSERT_EQUAL_FATAL(died("c", "1.1.1.1"), 1);
	CU_ASSERT_STRING_EQUAL(out[0]->who.client, "c");
	CU_ASSERT_STRING_EQUAL(out[0]->who.from, "1.1.1.1");
	CU_ASSERT_EQUAL(out[0]->deaths, LIMIT);
	CU_ASSERT_EQUAL(out[0]->packet, PACKET);
	CU_ASSERT_EQUAL(t.nout, 1);
}

static void
a_death_counts_only_for_a_while(void)
{
	start();
	died("c", "1.1.1.1");
	now += TIME / 2;
	died("c", "1.1.1.1");
	now += TIME / 2;
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	now += TIME / 2 - 1;
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 1);
}

static void
a_death_of_nobody_neither_counts_nor_takes_room(void)
{
	start();
	died("c", "1.1.1.1");
	died("c", "1.1.1.1");
	for (int i = 0; i < 2 * SUSPECT_DEATHS; i++)
		CU_ASSERT_EQUAL(died("c", ""), 0);
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 1);
}

static void
nine_deaths_keep_an_address_out_under_whatever_names(void)
{
	char name[2] = "a";

	start();
	for (int i = 0; i < 4; i++, name[0]++)
		CU_ASSERT_EQUAL(died(name, "1.1.1.1"), 0);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(died("", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(died("", "1.1.1.10"), 0);
	CU_ASSERT_EQUAL_FATAL(died(name, "1.1.1.1"), 1);
	CU_ASSERT_STRING_EQUAL(out[0]->who.client, "");
	CU_ASSERT_STRING_EQUAL(out[0]->who.from, "1.1.1.1");
	CU_ASSERT_EQUAL(out[0]->deaths, 9);
}

static void
one_death_can_keep_both_out(void)
{
	start();
	for (int i = 0; i < 6; i++)
		died("", "1.1.1.1");
	died("c", "1.1.1.1");
	died("c", "1.1.1.1");
	CU_ASSERT_EQUAL_FATAL(died("c", "1.1.1.1"), 2);
	CU_ASSERT_STRING_EQUAL(out[0]->who.client, "c");
	CU_ASSERT_STRING_EQUAL(out[1]->who.client, "");
}

static void
its_time_ends_and_begins_anew_with_another_death(void)
{
	struct suspect s;

	start();
	for (int i = 0; i < LIMIT; i++)
		died("c", "1.1.1.1");
	now += TIME - 1;
	CU_ASSERT_FALSE(suspects_over(&t, now, TIME, &s));
	/* It was still connected elsewhere. */
	CU_ASSERT_EQUAL_FATAL(died("c", "1.1.1.1"), 1);
	CU_ASSERT_EQUAL(out[0]->deaths, LIMIT + 1);
	CU_ASSERT_EQUAL(t.nout, 1);
	now += TIME - 1;
	CU_ASSERT_FALSE(suspects_over(&t, now, TIME, &s));
	now++;
	CU_ASSERT_TRUE_FATAL(suspects_over(&t, now, TIME, &s));
	CU_ASSERT_STRING_EQUAL(s.who.client, "c");
	CU_ASSERT_FALSE(suspects_over(&t, now, TIME, &s));
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
}

static void
who_is_cleared_has_no_past(void)
{
	struct suspect s;

	start();
	for (int i = 0; i < LIMIT; i++) {
		died("c", "1.1.1.1");
		died("c", "2.2.2.2");
		died("d", "1.1.1.1");
	}
	CU_ASSERT_EQUAL(t.nout, 3);
	CU_ASSERT_FALSE(suspects_clear(&t, "e", &s));
	CU_ASSERT_FALSE(
	    suspects_clear(&t, "1.1.1.1", &s)); /* nothing is known against the address */
	CU_ASSERT_TRUE(suspects_clear(&t, "c", &s));
	CU_ASSERT_STRING_EQUAL(s.who.from, "1.1.1.1");
	CU_ASSERT_TRUE(suspects_clear(&t, "c", &s));
	CU_ASSERT_FALSE(suspects_clear(&t, "c", &s));
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(died("d", "1.1.1.1"), 1); /* it still has */
	CU_ASSERT_TRUE(suspects_clear(&t, NULL, &s));
	CU_ASSERT_STRING_EQUAL(s.who.client, "d");
	CU_ASSERT_FALSE(suspects_clear(&t, NULL, &s));
}

static void
an_address_is_cleared_with_all_that_came_from_there(void)
{
	struct suspect s;

	start();
	for (int i = 0; i < 9; i++)
		died(i < 2 ? "c" : "", "1.1.1.1");
	CU_ASSERT_EQUAL(t.nout, 1);
	CU_ASSERT_TRUE(suspects_clear(&t, "1.1.1.1", &s));
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);
	CU_ASSERT_EQUAL(t.nout, 0);
}

static void
what_is_remembered_is_bounded_and_the_oldest_goes(void)
{
	char name[16];
	struct suspect s;

	start();
	died("c", "1.1.1.1");
	died("c", "1.1.1.1");
	for (int i = 0; i < SUSPECT_DEATHS - 1; i++) {
		snprintf(name, sizeof(name), "%d", i);
		died("", name);
	}
	CU_ASSERT_EQUAL(died("c", "1.1.1.1"), 0);

	for (int i = 0; i <= QUARANTINE_CLIENTS; i++, now++) {
		snprintf(name, sizeof(name), "%d", i);
		for (int d = 0; d < LIMIT; d++)
			died("c", name);
	}
	CU_ASSERT_EQUAL(t.nout, QUARANTINE_CLIENTS);
	CU_ASSERT_TRUE(suspects_clear(&t, NULL, &s));
	CU_ASSERT_STRING_EQUAL(s.who.from, "1");
}

static void
long_names_are_cut_the_same_way_everywhere(void)
{
	char name[2 * WHO_CLIENT_MAX];
	struct suspect s;

	start();
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < LIMIT; i++)
		died(name, "1.1.1.1");
	CU_ASSERT_EQUAL(t.nout, 1);
	CU_ASSERT_TRUE(suspects_clear(&t, name, &s));
}

static void
the_text_is_fit_for_a_line(void)
{
	char text[SUSPECT_TEXT_MAX];
	struct who who;

	who_set(&who, span_str("a\"b\n"), span_str("[::1]"));
	suspect_text(&who, 3, text);
	CU_ASSERT_STRING_EQUAL(text, "client=\"a\\x22b\\x0a\" from=[::1] packet=PUBLISH");
	who_set(&who, span_of(NULL, 0), span_str("1.1.1.1"));
	suspect_text(&who, 1, text);
	CU_ASSERT_STRING_EQUAL(text, "from=1.1.1.1 packet=CONNECT");
}

UNIT_MAIN("master/suspects", TEST(two_deaths_are_not_enough), TEST(the_third_keeps_the_pair_out),
    TEST(a_death_counts_only_for_a_while), TEST(a_death_of_nobody_neither_counts_nor_takes_room),
    TEST(nine_deaths_keep_an_address_out_under_whatever_names), TEST(one_death_can_keep_both_out),
    TEST(its_time_ends_and_begins_anew_with_another_death), TEST(who_is_cleared_has_no_past),
    TEST(an_address_is_cleared_with_all_that_came_from_there),
    TEST(what_is_remembered_is_bounded_and_the_oldest_goes),
    TEST(long_names_are_cut_the_same_way_everywhere), TEST(the_text_is_fit_for_a_line))
