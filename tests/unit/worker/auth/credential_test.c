#include "worker/auth/credential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/child/child.h"
#include "tests/unit/unit.h"

struct self self;

static const char kept[] =
    "$7$101$z4pMbgxAeYzXBH7g$QRvCduoo0XUPk0skGZPSee5W9vhFlLO8WbGH6jqKb/eGk788/"
    "WQhGlXLn2Z/3Z5IpI1hapxZ8H47Y4A8aaowIg==";

static struct credential *
made(const char *name, const char *client_id, const char *user_name)
{
	struct credential *c = credential_new();

	CU_ASSERT_TRUE_FATAL(c != NULL && credential_set(&c->name, span_str(name)) &&
	    credential_set(&c->client_id, span_str(client_id)) &&
	    credential_set(&c->user_name, span_str(user_name)));
	return c;
}

static bool
is(const struct credential *c, const char *name)
{
	return c != NULL && strcmp(c->name, name) == 0;
}

static void
record_that_cannot_be_is_refused(void)
{
	static const struct {
		const char *record;
		size_t len;
	} bad[] = {
		{ "", 0 }, { "\x01", 1 },                  /* neither identifier nor user name */
		{ "\x02\x01\x00\x01x", 5 },                /* another version */
		{ "\x01\x01\x00\x05x", 5 },                /* shorter than it says */
		{ "\x01\x01\x00\x01x\x63", 6 },            /* half a field */
		{ "\x01\x01\x00\x01x\x63\x00\x00", 8 },    /* a field that nobody knows */
		{ "\x01\x01\x00\x02x\x00", 6 },            /* with a NUL */
		{ "\x01\x01\x00\x01\xff", 5 },             /* no UTF-8 */
		{ "\x01\x01\x00\x01x\x03\x00\x02no", 10 }, /* what is kept of no password */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_PTR_NULL(
		    credential_decode(span_str("name"), span_of(bad[i].record, bad[i].len)));
	CU_ASSERT_PTR_NULL(
	    credential_decode(span_of("na\0me", 5), span_of("\x01\x01\x00\x01x", 5)));
}

static void
record_says_all_of_it(void)
{
	struct credential *c = made("anna", "id", "user"), *d;
	uint8_t record[1000];
	size_t len;

	CU_ASSERT_TRUE(credential_set(&c->password, span_str(kept)));
	CU_ASSERT_TRUE(credential_set(&c->groups, span_str("a,b")));
	c->is_disabled = true;
	CU_ASSERT_EQUAL(credential_encode(c, record, 20), 0);
	len = credential_encode(c, record, sizeof(record));
	CU_ASSERT_TRUE_FATAL(len > 0);
	d = credential_decode(span_str("anna"), span_of(record, len));
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_STRING_EQUAL(d->client_id, "id");
	CU_ASSERT_STRING_EQUAL(d->user_name, "user");
	CU_ASSERT_STRING_EQUAL(d->password, kept);
	CU_ASSERT_STRING_EQUAL(d->groups, "a,b");
	CU_ASSERT_TRUE(d->is_disabled);
	credential_free(d);
	d = credential_dup(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_STRING_EQUAL(d->groups, "a,b");
	CU_ASSERT_TRUE(d->is_disabled);
	credential_free(d);
	credential_free(c);
}

static void
two_with_the_same_to_show_are_refused(void)
{
	struct credential *second = made("second", "", "user");

	credential_init();
	CU_ASSERT_EQUAL(credential_put(made("first", "", "user")), 0);
	CU_ASSERT_EQUAL(credential_put(second), -EEXIST);
	credential_free(second);
	CU_ASSERT_EQUAL(credential_put(made("third", "id", "user")), 0);
	CU_ASSERT_EQUAL(credential_put(made("fourth", "id", "")), 0);
	CU_ASSERT_EQUAL(credential_count(), 3);
	CU_ASSERT_TRUE(is(credential_match(NULL, "user"), "first"));
	CU_ASSERT_TRUE(is(credential_match("id", "user"), "third"));
	CU_ASSERT_TRUE(is(credential_match("id", NULL), "fourth"));
	CU_ASSERT_PTR_NULL(credential_match("user", NULL));
	CU_ASSERT_PTR_NULL(credential_match("id", "another"));
	credential_fini();
}

static void
one_of_the_same_name_takes_its_place(void)
{
	uint64_t serial;

	credential_init();
	CU_ASSERT_EQUAL(credential_put(made("a", "", "old")), 0);
	serial = credential_find(span_str("a"))->serial;
	CU_ASSERT_EQUAL(credential_put(made("a", "", "old")), 0);
	CU_ASSERT_NOT_EQUAL(credential_find(span_str("a"))->serial, serial);
	CU_ASSERT_EQUAL(credential_put(made("a", "", "new")), 0);
	CU_ASSERT_EQUAL(credential_count(), 1);
	CU_ASSERT_PTR_NULL(credential_match(NULL, "old"));
	CU_ASSERT_TRUE(is(credential_match(NULL, "new"), "a"));
	CU_ASSERT_TRUE(credential_del(span_str("a")));
	CU_ASSERT_FALSE(credential_del(span_str("a")));
	CU_ASSERT_PTR_NULL(credential_match(NULL, "new"));
	credential_fini();
}

static void
walk_meets_each_once_while_others_come(void)
{
	bool seen[200] = { false };
	struct credential *c;
	char name[16], user[16];
	uint64_t pos = 0;
	unsigned n = 0;

	credential_init();
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%u", i);
		CU_ASSERT_EQUAL(credential_put(made(name, "", name)), 0);
	}
	while ((c = credential_next(&pos)) != NULL) {
		unsigned which = (unsigned)atoi(c->name);

		CU_ASSERT_FALSE(seen[which]);
		seen[which] = true;
		if (n < 100) {
			snprintf(name, sizeof(name), "%u", 100 + n);
			snprintf(user, sizeof(user), "u%u", n);
			CU_ASSERT_EQUAL(credential_put(made(name, "", user)), 0);
		}
		n++;
	}
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_TRUE(seen[i]);
	credential_fini();
}

UNIT_MAIN("worker/auth/credential", TEST(record_that_cannot_be_is_refused),
    TEST(record_says_all_of_it), TEST(two_with_the_same_to_show_are_refused),
    TEST(one_of_the_same_name_takes_its_place), TEST(walk_meets_each_once_while_others_come))
