#include "worker/auth/text.h"

#include "tests/unit/unit.h"
#include "worker/auth/login.h"

static struct login *
client(const char *id, const char *user, const char *password, const char *peer)
{
	static struct login l;

	l.client_id = span_str(id);
	l.user_name = span_str(user);
	l.password = span_str(password);
	l.peer = span_str(peer);
	l.listener = span_str("default");
	return &l;
}

static bool
is(const char *pattern, const struct login *l, enum text_form form, const char *wanted)
{
	struct text t = { 0 };
	bool same;

	text_add_pattern(&t, span_str(pattern), l, form);
	same = wanted == NULL ? t.is_bad : !t.is_bad && t.p != NULL && strcmp(t.p, wanted) == 0;
	text_free(&t);
	return same;
}

static void
steps_of_a_path_lead_nowhere_else(void)
{
	struct login *l = client("..", ".", "../x", "");

	CU_ASSERT_TRUE(is("/auth/%c/x", l, TEXT_URL, NULL));
	CU_ASSERT_TRUE(is("/auth/%u", l, TEXT_URL, NULL));
	CU_ASSERT_TRUE(is("/auth/%P", l, TEXT_URL, "/auth/..%2Fx"));
	CU_ASSERT_TRUE(is("%c", l, TEXT_FORM, ".."));
}

static void
text_that_is_no_utf8_is_no_json(void)
{
	struct login *l = client("c", "u", "\xff", "");

	CU_ASSERT_TRUE(is("%P", l, TEXT_JSON, NULL));
	CU_ASSERT_TRUE(is("%P", l, TEXT_URL, "%FF"));
	CU_ASSERT_TRUE(is("%P", l, TEXT_PLAIN, "\xff"));
}

static void
value_is_never_more_than_a_value(void)
{
	struct login *l = client("a\"b\\c\n\x7f", "a&b=c d/?#%+\r\n", "%u", "");

	CU_ASSERT_TRUE(is("%c", l, TEXT_JSON, "a\\u0022b\\u005cc\\u000a\\u007f"));
	CU_ASSERT_TRUE(is("x?u=%u&y", l, TEXT_URL, "x?u=a%26b%3Dc%20d%2F%3F%23%25%2B%0D%0A&y"));
	/* What stands for a pattern is none itself. */
	CU_ASSERT_TRUE(is("%P%%u", l, TEXT_PLAIN, "%u%u"));
}

static void
address_has_no_port(void)
{
	CU_ASSERT_TRUE(
	    is("%a %l", client("", "", "", "10.0.0.1:5"), TEXT_PLAIN, "10.0.0.1 default"));
	CU_ASSERT_TRUE(is("%a", client("", "", "", "[2001:db8::1]:5"), TEXT_PLAIN, "2001:db8::1"));
	CU_ASSERT_TRUE(is("%a", client("", "", "", "local"), TEXT_PLAIN, "local"));
	CU_ASSERT_TRUE(is("%a", client("", "", "", ""), TEXT_PLAIN, ""));
}

static void
long_text_is_whole(void)
{
	static char pattern[40001], wanted[20001];
	struct login *l = client("x", "", "", "");

	for (unsigned i = 0; i < 20000; i++)
		memcpy(pattern + 2 * (size_t)i, "%c", 2);
	memset(wanted, 'x', 20000);
	CU_ASSERT_TRUE(is(pattern, l, TEXT_PLAIN, wanted));
}

UNIT_MAIN("worker/auth/text", TEST(steps_of_a_path_lead_nowhere_else),
    TEST(text_that_is_no_utf8_is_no_json), TEST(value_is_never_more_than_a_value),
    TEST(address_has_no_port), TEST(long_text_is_whole))
