#include "worker/mqtt/quarantine.h"

#include "tests/unit/unit.h"

static struct msg_quarantine q;

static void
add(const char *client, const char *from)
{
	who_set(&q.of[q.n++], span_str(client), span_str(from));
	quarantine_set(&q);
}

static bool
has(const char *client, const char *peer)
{
	return quarantine_has(span_str(client), peer);
}

static void
nobody_is_refused_unless_the_master_says_so(void)
{
	CU_ASSERT_FALSE(has("c", "1.1.1.1:4711"));
	CU_ASSERT_FALSE(has("", "1.1.1.1:4711"));
	CU_ASSERT_FALSE(has("", "local"));
}

static void
a_client_is_refused_by_name_and_address_whatever_its_port(void)
{
	add("c", "1.1.1.1");
	CU_ASSERT_TRUE(has("c", "1.1.1.1:4711"));
	CU_ASSERT_TRUE(has("c", "1.1.1.1:4712"));
	CU_ASSERT_FALSE(has("c", "1.1.1.10:4711"));
	CU_ASSERT_FALSE(has("cc", "1.1.1.1:4711"));
	CU_ASSERT_FALSE(has("", "1.1.1.1:4711"));
}

static void
an_address_is_refused_under_every_name(void)
{
	add("", "[2001:db8::1]");
	CU_ASSERT_TRUE(has("", "[2001:db8::1]:4711"));
	CU_ASSERT_TRUE(has("d", "[2001:db8::1]:4712"));
	CU_ASSERT_FALSE(has("", "[2001:db8::]:4711"));
	CU_ASSERT_TRUE(has("c", "1.1.1.1:4711"));
}

static void
who_is_no_longer_told_of_is_let_in(void)
{
	q.n = 0;
	quarantine_set(&q);
	CU_ASSERT_FALSE(has("c", "1.1.1.1:4711"));
	CU_ASSERT_FALSE(has("", "[2001:db8::1]:4711"));
}

UNIT_MAIN("worker/mqtt/quarantine", TEST(nobody_is_refused_unless_the_master_says_so),
    TEST(a_client_is_refused_by_name_and_address_whatever_its_port),
    TEST(an_address_is_refused_under_every_name), TEST(who_is_no_longer_told_of_is_let_in))
