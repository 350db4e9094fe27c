#include "shared/net/psk.h"

#include <errno.h>

#include "tests/unit/unit.h"

static char why[128];

static int
parse(const char *text, struct psks **out)
{
	why[0] = '\0';
	return psks_parse(span_str(text), out, why);
}

static void
what_is_no_line_is_told_by_its_number(void)
{
	static const char *const texts[][2] = {
		{ "\n#\nrubbish", "line 3: must be" },
		{ "a:00\n:00", "line 2: must be" },
		{ "a:", "line 1: a key has" },
		{ "a:0", "line 1: a key has" },
		{ "a:0g", "line 1: the key is not" },
		{ "a: 00", "line 1: a key has" },
		{ "a:00\nb:00\na:01\n", "line 3: the identity is there twice" },
		{ "\xff:00", "line 1: the identity is no text" },
		{ "a\tb:00", "line 1: the identity is no text" },
	};
	struct psks *p = NULL;
	char text[700];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL(parse(texts[i][0], &p), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, texts[i][1]));
	}
	memset(text, '0', sizeof(text));
	text[0] = 'a';
	text[1] = ':';
	text[2 + 2 * PSK_KEY_MAX + 2] = '\0';
	CU_ASSERT_EQUAL(parse(text, &p), -EINVAL);
	text[2 + 2 * PSK_KEY_MAX] = '\0';
	CU_ASSERT_EQUAL(parse(text, &p), 0);
	psks_free(p);
	memset(text, 'a', PSK_IDENTITY_MAX + 1);
	strcpy(text + PSK_IDENTITY_MAX + 1, ":00");
	CU_ASSERT_EQUAL(parse(text, &p), -EINVAL);
	strcpy(text + PSK_IDENTITY_MAX, ":00");
	CU_ASSERT_EQUAL(parse(text, &p), 0);
	psks_free(p);
}

static void
keys_are_found_by_their_identity(void)
{
	struct psks *p = NULL;
	struct span key = { 0 };

	CU_ASSERT_EQUAL_FATAL(parse("# ours\r\nbob:00ff\r\n\nalice:DEADbeef\nurn:dev:1:0a", &p), 0);
	CU_ASSERT_FALSE(psks_find(p, span_str(""), &key));
	CU_ASSERT_FALSE(psks_find(p, span_str("bo"), &key));
	CU_ASSERT_FALSE(psks_find(p, span_str("bobo"), &key));
	CU_ASSERT_FALSE(psks_find(p, span_of("bob", 4), &key));
	CU_ASSERT_TRUE(psks_find(p, span_str("bob"), &key));
	CU_ASSERT_TRUE(span_eq(key, span_of("\0\xff", 2)));
	CU_ASSERT_TRUE(psks_find(p, span_str("alice"), &key));
	CU_ASSERT_TRUE(span_eq(key, span_of("\xde\xad\xbe\xef", 4)));
	CU_ASSERT_TRUE(psks_find(p, span_str("urn:dev:1"), &key));
	CU_ASSERT_TRUE(span_eq(key, span_of("\n", 1)));
	psks_free(p);
	CU_ASSERT_EQUAL_FATAL(parse("", &p), 0);
	CU_ASSERT_FALSE(psks_find(p, span_str("bob"), &key));
	psks_free(p);
	psks_free(NULL);
}

UNIT_MAIN("shared/net/psk", TEST(what_is_no_line_is_told_by_its_number),
    TEST(keys_are_found_by_their_identity))
