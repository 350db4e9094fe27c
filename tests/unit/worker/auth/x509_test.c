#include <stdio.h>

#include "shared/child/child.h"
#include "tests/unit/unit.h"
#include "worker/auth/login.h"

struct self self;

static struct {
	uint8_t p[2000];
	size_t len;
} names;

static void
shows(uint8_t depth, enum rec_name_kind kind, const char *text)
{
	struct rec_name n = {
		.depth = depth, .kind = (uint8_t)kind, .len = (uint16_t)strlen(text)
	};

	memcpy(names.p + names.len, &n, sizeof(n));
	memcpy(names.p + names.len + sizeof(n), text, n.len);
	names.len += sizeof(n) + n.len;
}

static struct credential *
known(const char *name, const char *certificate)
{
	struct credential *c = credential_new();

	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str(name)) &&
	    credential_set(&c->certificate, span_str(certificate)) &&
	    credential_set(&c->groups, span_str(name)));
	CU_ASSERT_PTR_NULL(credential_wrong(c));
	CU_ASSERT_EQUAL_FATAL(credential_put(c), 0);
	return c;
}

static void
known_as(const char *name, const char *certificate, const char *client_id, const char *pattern)
{
	struct credential *c = credential_new();

	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str(name)) &&
	    credential_set(&c->certificate, span_str(certificate)) &&
	    credential_set(&c->client_id, span_str(client_id)) &&
	    credential_set(&c->client_pattern, span_str(pattern)) &&
	    credential_set(&c->groups, span_str(name)));
	CU_ASSERT_EQUAL_FATAL(credential_put(c), 0);
}

/* The name of the credential; "": refused; NULL: nobody that is known. */
static const char *
answer(const char *client_id)
{
	static char found[100];
	struct login l = {
		.client_id = span_str(client_id),
		.names = span_of(names.p, names.len),
	};
	enum verdict v = x509.ask(&l);

	if (v == VERDICT_UNKNOWN)
		return NULL;
	snprintf(found, sizeof(found), "%.*s", (int)l.found.groups.len,
	    l.found.groups.p != NULL ? (const char *)l.found.groups.p : "");
	CU_ASSERT_EQUAL(v, found[0] != '\0' ? VERDICT_ALLOW : VERDICT_DENY);
	return found;
}

static bool
is(const char *client_id, const char *name)
{
	const char *got = answer(client_id);

	return name == NULL || got == NULL ? got == name : strcmp(got, name) == 0;
}

static void
begin(void)
{
	credential_init();
	names.len = 0;
	shows(0, NAME_COMMON, "pump-7");
	shows(0, NAME_DNS, "pump-7.example");
	shows(0, NAME_DNS, "seven.example");
	shows(1, NAME_COMMON, "factory");
	shows(2, NAME_COMMON, "root");
}

static void
names_that_differ_are_nobodys(void)
{
	begin();
	known("a", "common_name=pump");
	known("b", "common_name=PUMP-7");
	known("c", "email=pump-7");
	known("d", "common_name=factory"); /* it is not the client's own */
	known("e", "common_name@2=factory");
	known("f", "common_name@1=pump-7");
	known("g", "dns~^example");
	known("h", "common_name~^factory$");
	CU_ASSERT_TRUE(is("id", NULL));
	names.len = 0;
	known("i", "common_name@any~.*");
	CU_ASSERT_TRUE(is("id", NULL));
	credential_fini();
}

static void
names_that_cannot_be_are_not_read(void)
{
	begin();
	known("i", "common_name@any=root");
	CU_ASSERT_TRUE(is("id", "i"));
	names.len--;
	CU_ASSERT_TRUE(is("id", NULL));
	names.len = 3;
	CU_ASSERT_TRUE(is("id", NULL));
	credential_fini();
}

static void
nearest_name_decides_and_patterns_come_last(void)
{
	begin();
	known("z-pattern", "dns~^seven[.]");
	CU_ASSERT_TRUE(is("id", "z-pattern"));
	known("b-pattern", "common_name@any~^fact");
	CU_ASSERT_TRUE(is("id", "b-pattern")); /* by their names */
	known("root", "common_name@any=root");
	CU_ASSERT_TRUE(is("id", "root"));
	known("factory", "common_name@1=factory");
	CU_ASSERT_TRUE(is("id", "factory"));
	known("dns", "dns=seven.example");
	CU_ASSERT_TRUE(is("id", "dns"));
	known("own", "common_name=pump-7")->is_disabled = true;
	CU_ASSERT_TRUE(is("id", "dns"));
	known("own", "common_name=pump-7");
	CU_ASSERT_TRUE(is("id", "own"));
	/* A pattern that is replaced by none is none any more. */
	CU_ASSERT_TRUE(credential_del(span_str("own")) && credential_del(span_str("dns")) &&
	    credential_del(span_str("factory")) && credential_del(span_str("root")));
	known("b-pattern", "common_name=x");
	CU_ASSERT_TRUE(is("id", "z-pattern"));
	credential_fini();
}

static void
client_identifier_has_to_fit(void)
{
	begin();
	known_as("one", "common_name=pump-7", "id-1", "");
	CU_ASSERT_TRUE(is("id-1", "one") && is("id-2", NULL));
	known_as("some", "common_name=pump-7", "", "^id-[23]$");
	CU_ASSERT_TRUE(is("id-1", "one") && is("id-2", "some") && is("id-4", ""));
	known_as("rest", "common_name@any~root", "", "4");
	CU_ASSERT_TRUE(is("id-4", "rest") && is("id-5", ""));
	credential_fini();
}

static void
pattern_that_takes_too_long_lets_nobody_in(void)
{
	char much[200];

	begin();
	memset(much, 'a', sizeof(much));
	much[sizeof(much) - 2] = 'b';
	much[sizeof(much) - 1] = '\0';
	shows(0, NAME_URI, much);
	known("a", "uri~^(a|aa)+$");
	known("b", "common_name~pump");
	CU_ASSERT_TRUE(is("id", ""));
	credential_fini();
}

static void
what_cannot_be_is_no_credential(void)
{
	struct credential *c = credential_new();

	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str("n")) &&
	    credential_set(&c->certificate, span_str("dns~(")));
	CU_ASSERT_PTR_NOT_NULL(credential_wrong(c));
	CU_ASSERT_TRUE_FATAL(credential_set(&c->certificate, span_str("dns=(")));
	CU_ASSERT_PTR_NULL(credential_wrong(c));
	CU_ASSERT_TRUE_FATAL(credential_set(&c->client_pattern, span_str("[")));
	CU_ASSERT_PTR_NOT_NULL(credential_wrong(c));
	CU_ASSERT_TRUE_FATAL(credential_set(&c->client_pattern, span_str("[a]")));
	CU_ASSERT_PTR_NULL(credential_wrong(c));
	CU_ASSERT_TRUE_FATAL(credential_set(&c->user_name, span_str("u")));
	CU_ASSERT_PTR_NOT_NULL(credential_wrong(c));
	CU_ASSERT_TRUE_FATAL(credential_set(&c->user_name, span_str("")) &&
	    credential_set(&c->certificate, span_str("")) &&
	    credential_set(&c->client_id, span_str("id")));
	CU_ASSERT_PTR_NOT_NULL(credential_wrong(c)); /* a pattern, and no certificate */
	credential_free(c);
}

static void
two_with_the_same_rule_are_refused(void)
{
	struct credential *c = credential_new();

	credential_init();
	known("a", "dns=x");
	known("b", "dns~x");
	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str("c")) &&
	    credential_set(&c->certificate, span_str("dns~x")));
	CU_ASSERT_TRUE(credential_put(c) < 0);
	credential_free(c);
	credential_fini();
}

UNIT_MAIN("worker/auth/x509", TEST(names_that_differ_are_nobodys),
    TEST(names_that_cannot_be_are_not_read), TEST(nearest_name_decides_and_patterns_come_last),
    TEST(client_identifier_has_to_fit), TEST(pattern_that_takes_too_long_lets_nobody_in),
    TEST(what_cannot_be_is_no_credential), TEST(two_with_the_same_rule_are_refused))
