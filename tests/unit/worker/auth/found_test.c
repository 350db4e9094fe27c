#include "worker/auth/found.h"

#include "tests/unit/unit.h"

static struct found f;

static bool
groups(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
	bool ok;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	f.groups_len = f.attributes_len = f.ngroups = 0;
	ok = found_groups(&f, j);
	json_decref(j);
	return ok;
}

static bool
attribute(const char *name, const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
	bool ok = found_attribute(&f, name, j);

	json_decref(j);
	return ok;
}

static void
groups_that_cannot_be_kept_are_refused(void)
{
	static char many[4096];

	CU_ASSERT_FALSE(groups("[\"a,b\"]"));
	CU_ASSERT_FALSE(groups("[\"\"]"));
	CU_ASSERT_FALSE(groups("[\"a\", 1]"));
	CU_ASSERT_FALSE(groups("[[\"a\"]]"));
	CU_ASSERT_FALSE(groups("{\"a\":1}"));
	CU_ASSERT_FALSE(groups("true"));
	strcpy(many, "[\"g\"");
	for (unsigned i = 1; i < FOUND_GROUPS; i++)
		strcat(many, ",\"g\"");
	strcat(many, "]");
	CU_ASSERT_TRUE(groups(many));
	many[strlen(many) - 1] = '\0';
	strcat(many, ",\"g\"]");
	CU_ASSERT_FALSE(groups(many));
	memset(many, 'x', sizeof(many) - 1);
	many[0] = many[sizeof(many) - 2] = '"';
	CU_ASSERT_TRUE(groups(many));
}

static void
groups_have_commas_between_them(void)
{
	CU_ASSERT_TRUE(groups("[\"a\",\"b c\",\"d\"]"));
	CU_ASSERT_TRUE(span_eq(span_of(f.groups, f.groups_len), span_str("a,b c,d")));
	CU_ASSERT_TRUE(groups("\"one\""));
	CU_ASSERT_TRUE(span_eq(span_of(f.groups, f.groups_len), span_str("one")));
	CU_ASSERT_TRUE(groups("[]"));
	CU_ASSERT_TRUE(groups("null"));
	CU_ASSERT_EQUAL(f.groups_len, 0);
	CU_ASSERT_TRUE(found_groups(&f, NULL));
}

static void
attributes_are_text(void)
{
	static const char wanted[] = "s\0x\0n\0-5\0b\0true\0r\0"
				     "1.5";
	static char much[FOUND_BYTES];

	f.attributes_len = 0;
	CU_ASSERT_TRUE(attribute("s", "\"x\"") && attribute("n", "-5") && attribute("b", "true") &&
	    attribute("r", "1.5") && attribute("a", "[1]") && attribute("o", "{}") &&
	    attribute("z", "null"));
	CU_ASSERT_TRUE(
	    span_eq(span_of(f.attributes, f.attributes_len), span_of(wanted, sizeof(wanted))));
	CU_ASSERT_FALSE(attribute("", "1"));
	memset(much, 'x', sizeof(much) - 1);
	much[0] = much[sizeof(much) - 2] = '"';
	CU_ASSERT_FALSE(attribute("s", much));
}

UNIT_MAIN("worker/auth/found", TEST(groups_that_cannot_be_kept_are_refused),
    TEST(groups_have_commas_between_them), TEST(attributes_are_text))
