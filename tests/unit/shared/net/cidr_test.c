#include "shared/net/cidr.h"

#include <errno.h>

#include "tests/unit/unit.h"

static char why[256];

static const char *
canonical(const char *text)
{
	static char out[CIDR_TEXT_MAX];
	struct cidr c;

	if (cidr_parse(text, &c, why) != 0)
		return "";
	cidr_text(&c, out);
	return out;
}

static bool
holds(const char *prefix, const char *peer)
{
	struct cidr p, c;

	CU_ASSERT_EQUAL_FATAL(cidr_parse(prefix, &p, why), 0);
	CU_ASSERT_FATAL(cidr_of_peer(peer, &c));
	return cidr_holds(&p, &c);
}

static void
what_is_no_prefix_is_refused(void)
{
	static const char *const bad[] = { "", "x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/",
		"1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/ 8", "1.2.3.4/8x", "1.2.3.4/4294967296",
		"1.2.3.4/99999999999999999999", "/8", "::/129", "1::2::3", "[::1]", "::1%lo", "*",
		" 1.2.3.4", "1.2.3.4 ", "localhost",
		"1111111111111111111111111111111111111111111111111111111111111111/8" };
	struct cidr c = { .bits = 77 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (cidr_parse(bad[i], &c, why) == 0)
			printf("\n    \"%s\" ", bad[i]);
		CU_ASSERT_EQUAL(cidr_parse(bad[i], &c, why), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i][0] != '1' ? "\"" : "\"1"));
	}
	CU_ASSERT_EQUAL(c.bits, 77);
	CU_ASSERT_FALSE(cidr_of_peer("local", &c));
	CU_ASSERT_FALSE(cidr_of_peer("", &c));
	CU_ASSERT_FALSE(cidr_of_peer("[]:1", &c));
}

static void
the_same_prefix_is_written_in_one_way(void)
{
	CU_ASSERT_STRING_EQUAL(canonical("192.0.2.7"), "192.0.2.7");
	CU_ASSERT_STRING_EQUAL(canonical("192.0.2.7/32"), "192.0.2.7");
	CU_ASSERT_STRING_EQUAL(canonical("192.0.2.7/25"), "192.0.2.0/25");
	CU_ASSERT_STRING_EQUAL(canonical("255.255.255.255/0"), "0.0.0.0/0");
	CU_ASSERT_STRING_EQUAL(canonical("2001:DB8:0:0::1"), "2001:db8::1");
	CU_ASSERT_STRING_EQUAL(canonical("2001:db8:ffff::1/33"), "2001:db8:8000::/33");
	CU_ASSERT_STRING_EQUAL(canonical("::1/0"), "::/0");
	CU_ASSERT_STRING_EQUAL(canonical("::ffff:192.0.2.7"), "192.0.2.7");
	CU_ASSERT_STRING_EQUAL(canonical("::ffff:192.0.2.7/120"), "192.0.2.0/24");
	CU_ASSERT_STRING_EQUAL(canonical("::ffff:0:0/95"), "::fffe:0:0/95");
}

static void
a_prefix_holds_what_begins_as_it(void)
{
	CU_ASSERT(holds("192.0.2.7", "192.0.2.7:1883"));
	CU_ASSERT_FALSE(holds("192.0.2.7", "192.0.2.6:1883"));
	CU_ASSERT(holds("192.0.2.0/25", "192.0.2.127:1"));
	CU_ASSERT_FALSE(holds("192.0.2.0/25", "192.0.2.128:1"));
	CU_ASSERT(holds("0.0.0.0/0", "255.255.255.255:1"));
	CU_ASSERT(holds("2001:db8::/33", "[2001:db8:7fff::1]:1883"));
	CU_ASSERT_FALSE(holds("2001:db8::/33", "[2001:db8:8000::1]:1883"));
	CU_ASSERT(holds("::1", "[::1]:9"));
	/* All of one version are none of the other. */
	CU_ASSERT_FALSE(holds("::/0", "1.2.3.4:1"));
	CU_ASSERT_FALSE(holds("::/0", "[::ffff:1.2.3.4]:1"));
	CU_ASSERT(holds("1.0.0.0/8", "[::ffff:1.2.3.4]:1"));
	CU_ASSERT_FALSE(holds("0.0.0.0/0", "[::1]:1"));
}

UNIT_MAIN("shared/net/cidr", TEST(what_is_no_prefix_is_refused),
    TEST(the_same_prefix_is_written_in_one_way), TEST(a_prefix_holds_what_begins_as_it))
