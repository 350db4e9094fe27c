#include "shared/net/blocks.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static struct blocks set;
static char why[256];

static void
begin(void)
{
	blocks_init(&set, &(struct hash_key){ { 1, 2 } });
}

static void
add(enum block_kind kind, const char *value, uint64_t until_ms)
{
	struct block *x = block_new(kind, value, "because", 1, until_ms, why);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT_EQUAL(blocks_put(&set, x, why), 0);
}

static const char *
blocked(const char *client, const char *user, const char *peer, uint64_t now_ms)
{
	struct blocked_who who = { .client = span_str(client) };
	const struct block *x;

	if (user != NULL)
		who.user = span_str(user);
	if (peer != NULL)
		CU_ASSERT(cidr_of_peer(peer, &who.address));
	x = blocks_match(&set, &who, now_ms);
	return x != NULL ? x->value : "";
}

static int
apply(const char *line)
{
	const struct block *added;

	return blocks_apply(&set, line, strlen(line), &added, why);
}

#define REST "\"since\":1,\"until\":0,\"reason\":\"\"}"

static void
lines_that_can_not_be_change_nothing(void)
{
	static const char *const bad[] = {
		"", "+", "-", "x", "+{}", "-{}", "+[]", "{}",
		"*{\"kind\":\"client\",\"value\":\"a\"," REST,
		"+{\"kind\":\"nobody\",\"value\":\"a\"," REST,
		"+{\"kind\":\"client\",\"value\":\"\"," REST,
		"+{\"kind\":\"client\",\"value\":7," REST,
		"+{\"kind\":\"client\",\"value\":\"a\",\"since\":-1,\"until\":0,\"reason\":\"\"}",
		"+{\"kind\":\"client\",\"value\":\"a\",\"since\":1,\"until\":\"x\",\"reason\":"
		"\"\"}",
		"+{\"kind\":\"client\",\"value\":\"a\",\"since\":1,\"until\":0}",
		"+{\"kind\":\"client\",\"value\":\"a\\u0000\"," REST,
		"+{\"kind\":\"client\",\"value\":\"a\",\"value\":\"b\"," REST,
		"+{\"kind\":\"address\",\"value\":\"a\"," REST,
		"+{\"kind\":\"user_regex\",\"value\":\"(\"," REST,
		"+{\"kind\":\"client\",\"value\":\"a\",\"since\":1,\"until\":0,\"reason\":\"\"} x"
	};

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		if (apply(bad[i]) != -EINVAL)
			printf("\n    %s ", bad[i]);
		CU_ASSERT_EQUAL(apply(bad[i]), -EINVAL);
		CU_ASSERT_NOT_EQUAL(why[0], '\0');
	}
	CU_ASSERT_EQUAL(set.n, 0);
	blocks_fini(&set);
}

static void
what_is_too_long_or_too_many_is_refused(void)
{
	static char text[BLOCK_VALUE_MAX + 2];
	struct block *x;

	begin();
	memset(text, 'a', BLOCK_VALUE_MAX + 1);
	CU_ASSERT_PTR_NULL(block_new(BLOCK_CLIENT, text, "", 1, 0, why));
	text[BLOCK_VALUE_MAX] = '\0';
	add(BLOCK_CLIENT, text, 0);
	text[BLOCK_REASON_MAX + 1] = '\0';
	CU_ASSERT_PTR_NULL(block_new(BLOCK_CLIENT, "a", text, 1, 0, why));
	for (int i = 0; i < BLOCKS_REGEX_MAX; i++) {
		snprintf(text, sizeof(text), "x%d", i);
		add(i % 2 ? BLOCK_CLIENT_REGEX : BLOCK_USER_REGEX, text, 0);
	}
	x = block_new(BLOCK_CLIENT_REGEX, "one more", "", 1, 0, why);
	CU_ASSERT_EQUAL(blocks_put(&set, x, why), -ENOSPC);
	block_free(x);
	add(BLOCK_CLIENT_REGEX, "x1", 5); /* in place of another */
	CU_ASSERT_EQUAL(set.n, BLOCKS_REGEX_MAX + 1);
	blocks_fini(&set);
}

static void
each_kind_blocks_whom_it_is_about(void)
{
	begin();
	CU_ASSERT_STRING_EQUAL(blocked("a", "u", "192.0.2.7:1", 5), "");
	add(BLOCK_CLIENT, "a", 0);
	add(BLOCK_USER, "u", 0);
	add(BLOCK_ADDRESS, "192.0.2.0/24", 0);
	add(BLOCK_ADDRESS, "192.0.0.0/16", 0);
	add(BLOCK_ADDRESS, "2001:db8::/32", 0);
	add(BLOCK_CLIENT_REGEX, "^bot-", 0);
	add(BLOCK_USER_REGEX, "z$", 0);
	CU_ASSERT_STRING_EQUAL(blocked("a", NULL, NULL, 5), "a");
	CU_ASSERT_STRING_EQUAL(blocked("u", "a", "10.0.0.1:1", 5), "");
	CU_ASSERT_STRING_EQUAL(blocked("b", "u", NULL, 5), "u");
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, "192.0.2.9:1", 5), "192.0.2.0/24");
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, "192.0.9.9:1", 5), "192.0.0.0/16");
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, "[2001:db8::9]:1", 5), "2001:db8::/32");
	CU_ASSERT_STRING_EQUAL(blocked("bot-1", NULL, NULL, 5), "^bot-");
	CU_ASSERT_STRING_EQUAL(blocked("z", "xz", NULL, 5), "z$");
	CU_ASSERT_STRING_EQUAL(blocked("z", "zx", NULL, 5), "");
	blocks_del(&set, blocks_find(&set, BLOCK_ADDRESS, "192.0.2.77/24"));
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, "192.0.2.9:1", 5), "192.0.0.0/16");
	blocks_fini(&set);
}

/* As one can write that no search can be sure of: then it is no way in. */
static void
who_cannot_be_told_is_blocked(void)
{
	begin();
	add(BLOCK_CLIENT_REGEX, "^(a+)+$", 0);
	CU_ASSERT_STRING_EQUAL(
	    blocked("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL, NULL, 5), "^(a+)+$");
	blocks_fini(&set);
}

static void
its_time_ends_it(void)
{
	begin();
	add(BLOCK_CLIENT, "a", 100);
	add(BLOCK_CLIENT, "b", 50);
	add(BLOCK_CLIENT, "c", 0);
	add(BLOCK_CLIENT_REGEX, "d", 60);
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, NULL, 49), "b");
	CU_ASSERT_STRING_EQUAL(blocked("b", NULL, NULL, 50), "");
	CU_ASSERT_STRING_EQUAL(blocked("d", NULL, NULL, 60), "");
	CU_ASSERT_EQUAL(blocks_expire(&set, 49), 0);
	CU_ASSERT_EQUAL(blocks_expire(&set, 60), 2);
	CU_ASSERT_EQUAL(set.next_until_ms, 100);
	CU_ASSERT_EQUAL(blocks_expire(&set, 1000), 1);
	CU_ASSERT_EQUAL(blocks_expire(&set, 2000), 0);
	CU_ASSERT_EQUAL(set.n, 1);
	blocks_fini(&set);
}

static void
a_line_does_what_was_done(void)
{
	const struct block *x;
	char *line, *removal;

	begin();
	add(BLOCK_CLIENT, "a\"\n\\\xc3\xa4", 77);
	x = blocks_find(&set, BLOCK_CLIENT, "a\"\n\\\xc3\xa4");
	line = block_line(x, false);
	removal = block_line(x, true);
	CU_ASSERT_PTR_NULL(strchr(line, '\n'));
	blocks_fini(&set);
	begin();
	CU_ASSERT_EQUAL(apply(removal), 0); /* is not there: as it is to be */
	CU_ASSERT_EQUAL(apply(line), 0);
	x = blocks_find(&set, BLOCK_CLIENT, "a\"\n\\\xc3\xa4");
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT(x->since_ms == 1 && x->until_ms == 77 && strcmp(x->reason, "because") == 0);
	CU_ASSERT_EQUAL(apply(line), 0);
	CU_ASSERT_EQUAL(set.n, 1);
	CU_ASSERT_EQUAL(apply(removal), 0);
	CU_ASSERT_EQUAL(set.n, 0);
	free(line);
	free(removal);
	blocks_fini(&set);
}

UNIT_MAIN("shared/net/blocks", TEST(lines_that_can_not_be_change_nothing),
    TEST(what_is_too_long_or_too_many_is_refused), TEST(who_cannot_be_told_is_blocked),
    TEST(each_kind_blocks_whom_it_is_about), TEST(its_time_ends_it),
    TEST(a_line_does_what_was_done))
