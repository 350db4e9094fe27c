#include "shared/net/forwarded.h"

#include <errno.h>

#include "tests/unit/unit.h"

#define TRUSTED "10.0.0.0/8, 192.0.2.7 ,2001:db8::/32"
#define BALANCER "10.1.2.3:4444"

static void
each_list_says_who_it_was(void)
{
	static const struct {
		const char *peer, *list, *who;
	} cases[] = {
		/* Nobody is believed who isn't trusted. */
		{ "192.0.2.8:1", "198.51.100.1", "192.0.2.8:1" },
		{ "unix:0:1", "198.51.100.1", "unix:0:1" },
		{ BALANCER, "", BALANCER },
		{ BALANCER, " , ", BALANCER },
		{ BALANCER, "198.51.100.1,", BALANCER },
		{ BALANCER, "unknown", BALANCER },
		{ BALANCER, "*", BALANCER },
		{ BALANCER, "198.51.100.1 2", BALANCER },
		{ BALANCER, "198.51.100.1:", BALANCER },
		{ BALANCER, "198.51.100.1:65536", BALANCER },
		{ BALANCER, "198.51.100.1:-1", BALANCER },
		{ BALANCER, "[2001:db9::1", BALANCER },
		{ BALANCER, "[2001:db9::1]x", BALANCER },
		{ BALANCER, "2001:db9::1%eth0", BALANCER },
		/* What a client has put there itself comes before its address. */
		{ BALANCER, "127.0.0.1, 198.51.100.1", "198.51.100.1:0" },
		{ BALANCER, "rubbish, 198.51.100.1", "198.51.100.1:0" },
		{ BALANCER, "198.51.100.1, rubbish, 192.0.2.7", "192.0.2.7:0" },
		{ BALANCER, "198.51.100.1, 192.0.2.7,10.0.0.1", "198.51.100.1:0" },
		{ BALANCER, "10.9.9.9, 192.0.2.7", "10.9.9.9:0" },
		{ BALANCER, "\t198.51.100.1:5555\t", "198.51.100.1:5555" },
		{ BALANCER, "2001:db9::1", "[2001:db9::1]:0" },
		{ BALANCER, "[2001:db9::1]", "[2001:db9::1]:0" },
		{ BALANCER, "[2001:db9::1]:5555", "[2001:db9::1]:5555" },
		{ BALANCER, "::ffff:198.51.100.1", "198.51.100.1:0" },
		{ "[2001:db8::5]:1", "198.51.100.1", "198.51.100.1:0" },
	};
	char who[SOCK_TEXT_MAX], longest[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		forwarded_client(TRUSTED, cases[i].peer, cases[i].list, who);
		CU_ASSERT_STRING_EQUAL(who, cases[i].who);
	}
	forwarded_client("", BALANCER, "198.51.100.1", who);
	CU_ASSERT_STRING_EQUAL(who, BALANCER);
	memset(longest, '1', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	forwarded_client(TRUSTED, BALANCER, longest, who);
	CU_ASSERT_STRING_EQUAL(who, BALANCER);
}

static int
check_of(const char *trusted, enum conf_transport type)
{
	static struct conf c;
	struct conf_error err;

	conf_defaults(&c);
	c.listener[0].type = type;
	snprintf(c.listener[0].trusted_proxies.s, sizeof(c.listener[0].trusted_proxies.s), "%s",
	    trusted);
	return forwarded_check(&c, &err);
}

static void
what_is_no_list_of_addresses_is_refused(void)
{
	CU_ASSERT_EQUAL(check_of("", TRANSPORT_tcp), 0);
	CU_ASSERT_EQUAL(check_of(TRUSTED, TRANSPORT_ws), 0);
	CU_ASSERT_EQUAL(check_of(TRUSTED, TRANSPORT_wss), 0);
	CU_ASSERT_EQUAL(check_of(TRUSTED, TRANSPORT_tcp), -EINVAL);
	CU_ASSERT_EQUAL(check_of("balancer", TRANSPORT_ws), -EINVAL);
	CU_ASSERT_EQUAL(check_of("10.0.0.0/33", TRANSPORT_ws), -EINVAL);
	CU_ASSERT_EQUAL(check_of("10.0.0.1 10.0.0.2", TRANSPORT_ws), -EINVAL);
	CU_ASSERT_EQUAL(check_of("10.0.0.1,,10.0.0.2", TRANSPORT_ws), -EINVAL);
}

UNIT_MAIN("shared/net/forwarded", TEST(what_is_no_list_of_addresses_is_refused),
    TEST(each_list_says_who_it_was))
