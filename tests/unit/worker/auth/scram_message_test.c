#include "worker/auth/scram_message.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static bool
is(struct span s, const char *text)
{
	return span_eq(s, span_str(text));
}

static void
first_that_cannot_be_is_refused(void)
{
	static const char *const bad[] = {
		"",
		"n",
		"n,",
		"n,,",
		"n,,n=user",
		"n,,n=user,",
		"n,,r=abc,n=user", /* another order */
		"n,,n=,r=abc",
		"n,,n=user,r=",
		"n,,n=user,r=abc,",
		"n,,n=user,r=a c",
		"n,,n=user,r=a\x7f",
		"n,,m=x,n=user,r=abc",        /* an extension that must be known */
		"p=tls-unique,,n=user,r=abc", /* channel binding */
		"x,,n=user,r=abc",
		"n,n=user,r=abc",
		"n,a=,n=user,r=abc",
		"n,a=other,n=user,r=abc",
		"n,b=user,n=user,r=abc",
		"n,,n=us=er,r=abc",
		"n,,n=user=2,r=abc",
		"n,,n=user=2c,r=abc",
		"n,,n=\xff,r=abc",
		"n,,N=user,r=abc",
		"n,,n=user,r=abc,xy",
		"n,,n=user,r=abc,=y",
		"n,,n=user,r=abc,x=",
		"n,,n=user,r=abc,1=y",
		",,n=user,r=abc",
	};
	char text[SCRAM_MESSAGE_MAX + 100] = "n,,n=";
	struct scram_first f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(scram_first_parse(span_str(bad[i]), &f));
		if (scram_first_parse(span_str(bad[i]), &f))
			fprintf(stderr, "taken: %s\n", bad[i]);
	}
	CU_ASSERT_FALSE(scram_first_parse(span_of("n,,n=u\0r,r=abc", 14), &f));
	/* A name and a nonce of just the length, and one more. */
	for (size_t more = 0; more < 2; more++) {
		size_t n = SCRAM_NAME_MAX + more;

		memset(text + 5, 'u', n);
		snprintf(text + 5 + n, sizeof(text) - 5 - n, ",r=abc");
		CU_ASSERT_EQUAL(scram_first_parse(span_str(text), &f), more == 0);
		n = SCRAM_NONCE_MAX + more;
		snprintf(text, sizeof(text), "n,,n=u,r=");
		memset(text + 9, 'r', n);
		text[9 + n] = '\0';
		CU_ASSERT_EQUAL(scram_first_parse(span_str(text), &f), more == 0);
		snprintf(text, sizeof(text), "n,,n=u,r=abc,x=");
		n = SCRAM_MESSAGE_MAX - 15 + more;
		memset(text + 15, 'x', n);
		text[15 + n] = '\0';
		CU_ASSERT_EQUAL(scram_first_parse(span_str(text), &f), more == 0);
		snprintf(text, sizeof(text), "n,,n=");
	}
}

static void
first_is_taken_apart(void)
{
	struct scram_first f;

	CU_ASSERT_TRUE_FATAL(
	    scram_first_parse(span_str("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), &f));
	CU_ASSERT_TRUE(is(f.header, "n,,") && is(f.bare, "n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
	CU_ASSERT_TRUE(is(f.nonce, "fyko+d2lbbFgONRv9qkxdawL"));
	CU_ASSERT_STRING_EQUAL(f.name, "user");
	CU_ASSERT_EQUAL(f.name_len, 4);
	CU_ASSERT_TRUE_FATAL(
	    scram_first_parse(span_str("y,a=a=2Cb=3D,n=a=2Cb=3D,r=abc,x=1,Y=a=b"), &f));
	CU_ASSERT_TRUE(is(f.header, "y,a=a=2Cb=3D,"));
	CU_ASSERT_STRING_EQUAL(f.name, "a,b=");
}

static void
final_that_cannot_be_is_refused(void)
{
	static const char *const bad[] = { "", "c", "p=x", ",p=x", "c=biws,p=x", "c=biws,r=abc",
		"c=biws,r=abc,p=", "c=biws,r=abc,p=x,", "c=biws,r=abc,p=x,x=1", /* not the last */
		"r=abc,c=biws,p=x", "c=,r=abc,p=x", "c=biws,r=,p=x", "c=biws,r=a c,p=x",
		"c=biws,r=abc,xy,p=x", "c=biws,,r=abc,p=x", "n,,n=user,r=abc" };
	char text[SCRAM_MESSAGE_MAX + 100] = "c=biws,r=abc,p=";
	struct scram_final f;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(scram_final_parse(span_str(bad[i]), &f));
		if (scram_final_parse(span_str(bad[i]), &f))
			fprintf(stderr, "taken: %s\n", bad[i]);
	}
	memset(text + 15, 'p', SCRAM_MESSAGE_MAX - 14);
	CU_ASSERT_FALSE(scram_final_parse(span_str(text), &f));
	text[SCRAM_MESSAGE_MAX] = '\0';
	CU_ASSERT_TRUE(scram_final_parse(span_str(text), &f));
}

static void
final_is_taken_apart(void)
{
	struct scram_final f;

	CU_ASSERT_TRUE_FATAL(
	    scram_final_parse(span_str("c=biws,r=abc,x=1,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), &f));
	CU_ASSERT_TRUE(is(f.header, "biws") && is(f.nonce, "abc"));
	CU_ASSERT_TRUE(is(f.without_proof, "c=biws,r=abc,x=1"));
	CU_ASSERT_TRUE(is(f.proof, "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="));
}

UNIT_MAIN("worker/auth/scram_message", TEST(first_that_cannot_be_is_refused),
    TEST(first_is_taken_apart), TEST(final_that_cannot_be_is_refused), TEST(final_is_taken_apart))
