#include "shared/acl/who.h"

#include "tests/unit/unit.h"

static uint8_t bytes[300000];
static struct acl_known got;

static struct span
written(const struct acl_who *who, struct span attributes)
{
	struct wr w = wr_of(bytes, sizeof(bytes));

	acl_who_write(&w, who, attributes);
	CU_ASSERT_FALSE(w.over);
	return span_of(bytes, acl_who_len(who, attributes));
}

static void
what_is_cut_short_is_refused(void)
{
	struct acl_who who = { .client = span_str("client"),
		.user = span_str("user"),
		.groups = (struct span[]){ span_str("one") },
		.ngroups = 1 };
	struct span s = written(&who, span_of(NULL, 0));

	for (size_t len = 0; len < s.len; len++)
		CU_ASSERT_FALSE(acl_who_read(span_of(s.p, len), &got));
	CU_ASSERT_TRUE(acl_who_read(s, &got));
}

static void
more_groups_than_there_is_room_for_are_refused(void)
{
	struct span many[ACL_WHO_GROUPS + 1];
	struct acl_who who = { .groups = many, .ngroups = ACL_WHO_GROUPS };
	struct wr w = wr_of(bytes, sizeof(bytes));

	for (size_t i = 0; i <= ACL_WHO_GROUPS; i++)
		many[i] = span_str("g");
	CU_ASSERT_TRUE(acl_who_read(written(&who, span_of(NULL, 0)), &got));
	CU_ASSERT_EQUAL(got.who.ngroups, ACL_WHO_GROUPS);
	who.ngroups++;
	acl_who_write(&w, &who, span_of(NULL, 0));
	CU_ASSERT_TRUE(w.over);
	bytes[6] = ACL_WHO_GROUPS + 1;
	CU_ASSERT_FALSE(acl_who_read(span_of(bytes, sizeof(bytes)), &got));
}

static void
it_is_read_as_it_was_written(void)
{
	static uint8_t longest[65535];
	struct acl_who who = { .client = span_of(longest, sizeof(longest)),
		.user = span_str(""),
		.cert = span_str("cn"),
		.groups = (struct span[]){ span_str("one"), span_str("two") },
		.ngroups = 2 };

	CU_ASSERT_TRUE_FATAL(acl_who_read(written(&who, span_of("a\0x\0bc\0yz", 9)), &got));
	CU_ASSERT_TRUE(span_eq(got.who.client, who.client) && got.who.user.len == 0);
	CU_ASSERT_TRUE(span_eq(got.who.cert, who.cert) && got.who.ngroups == 2);
	CU_ASSERT_TRUE(span_eq(got.who.groups[1], span_str("two")));
	CU_ASSERT_TRUE(span_eq(got.who.attribute(got.who.arg, span_str("bc")), span_str("yz")));
	CU_ASSERT_EQUAL(got.who.attribute(got.who.arg, span_str("b")).len, 0);
}

UNIT_MAIN("shared/acl/who", TEST(what_is_cut_short_is_refused),
    TEST(more_groups_than_there_is_room_for_are_refused), TEST(it_is_read_as_it_was_written))
