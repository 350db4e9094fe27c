#include "worker/auth/certificate.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static void
rule_that_cannot_be_is_refused(void)
{
	static const char *const bad[] = { "", "common_name", "common_name=", "common_name~",
		"=alice", "cn=alice", "Common_name=alice", "common_name alice",
		"common_name@=alice", "common_name@0=alice", "common_name@10=alice",
		"common_name@anyone=alice", "common_name@any", "common_name@1", "@any=alice",
		"dnsx=a", "dn=a" };
	char text[CERTIFICATE_RULE_MAX + 2];
	struct certificate_rule r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(certificate_parse(bad[i], &r));
	memset(text, 'x', sizeof(text));
	memcpy(text, "dns=", 4);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_FALSE(certificate_parse(text, &r));
	text[sizeof(text) - 2] = '\0';
	CU_ASSERT_TRUE(certificate_parse(text, &r));
}

static void
rule_says_kind_depth_and_text(void)
{
	static const struct {
		const char *rule;
		enum rec_name_kind kind;
		int depth;
		bool is_pattern;
		const char *text;
	} good[] = {
		{ "common_name=alice", NAME_COMMON, 0, false, "alice" },
		{ "subject@any=CN=a,O=b", NAME_SUBJECT, CERTIFICATE_ANY, false, "CN=a,O=b" },
		{ "dns~^a=~$", NAME_DNS, 0, true, "^a=~$" },
		{ "email@9~@example", NAME_EMAIL, 9, true, "@example" },
		{ "uri=~x", NAME_URI, 0, false, "~x" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct certificate_rule r;
		char again[CERTIFICATE_RULE_MAX + 1];

		CU_ASSERT_TRUE_FATAL(certificate_parse(good[i].rule, &r));
		CU_ASSERT_EQUAL(r.kind, good[i].kind);
		CU_ASSERT_EQUAL(r.depth, good[i].depth);
		CU_ASSERT_EQUAL(r.is_pattern, good[i].is_pattern);
		CU_ASSERT_TRUE(span_eq(r.text, span_str(good[i].text)));
		if (r.is_pattern)
			continue;
		CU_ASSERT_TRUE(certificate_rule_of(r.kind, r.depth, r.text, again));
		CU_ASSERT_STRING_EQUAL(again, good[i].rule);
	}
}

static void
name_that_no_rule_can_have_has_none(void)
{
	char out[CERTIFICATE_RULE_MAX + 1];
	static char much[CERTIFICATE_RULE_MAX + 1];

	memset(much, 'x', sizeof(much));
	CU_ASSERT_FALSE(certificate_rule_of(NAME_KINDS, 0, span_str("x"), out));
	CU_ASSERT_FALSE(certificate_rule_of(NAME_DNS, 10, span_str("x"), out));
	CU_ASSERT_FALSE(certificate_rule_of(NAME_DNS, 0, span_str(""), out));
	CU_ASSERT_FALSE(certificate_rule_of(NAME_DNS, 0, span_of("x\0y", 3), out));
	CU_ASSERT_FALSE(
	    certificate_rule_of(NAME_DNS, 0, span_of(much, CERTIFICATE_RULE_MAX - 3), out));
	CU_ASSERT_TRUE(
	    certificate_rule_of(NAME_DNS, 0, span_of(much, CERTIFICATE_RULE_MAX - 4), out));
}

UNIT_MAIN("worker/auth/certificate", TEST(rule_that_cannot_be_is_refused),
    TEST(rule_says_kind_depth_and_text), TEST(name_that_no_rule_can_have_has_none))
