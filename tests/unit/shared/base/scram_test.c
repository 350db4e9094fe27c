#include "shared/base/scram.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit.h"

/* RFC 7677, section 3, and the same with SHA-512: "pencil". */
static const char pencil[] =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= "
    "SCRAM-SHA-512$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==:"
    "jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==";

static void
text_that_cannot_be_is_refused(void)
{
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define GOOD "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER
	static const char *const bad[] = {
		"",
		" ",
		"SCRAM-SHA-256",
		"SCRAM-SHA-256$4096",
		"SCRAM-SHA-256$4096:" SALT "$" STORED,
		"SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-512$4096:" SALT "$" STORED ":" SERVER, /* shorter than its hashes */
		"SCRAM-SHA-256$4095:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$10000001:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$99999999999999999999:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$04096:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$-4096:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$:" SALT "$" STORED ":" SERVER,
		"SCRAM-SHA-256$4096:$" STORED ":" SERVER,
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ$" STORED ":" SERVER, /* no padding */
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gR==$" STORED
		":" SERVER, /* bits too many */
		"SCRAM-SHA-256$4096:" SALT "$" STORED ":",
		GOOD " ",
		" " GOOD,
		GOOD " " GOOD,
		GOOD "=",
		GOOD "\n",
		GOOD " SCRAM-SHA-512$4096",
	};
	char text[SCRAM_TEXT_MAX + 10];

	CU_ASSERT_TRUE(scram_text_is_valid(GOOD));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(scram_text_is_valid(bad[i]));
		if (scram_text_is_valid(bad[i]))
			fprintf(stderr, "taken: %s\n", bad[i]);
	}
	memset(text, 'A', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_FALSE(scram_text_is_valid(text));
}

static void
iterations_are_bounded(void)
{
	char text[SCRAM_TEXT_MAX];

	CU_ASSERT_EQUAL(scram_make(span_str("x"), SCRAM_ITERATIONS_MIN - 1, text), -EINVAL);
	CU_ASSERT_EQUAL(scram_make(span_str("x"), SCRAM_ITERATIONS_MAX + 1, text), -EINVAL);
}

static void
base64_has_one_way_to_be_written(void)
{
	static const char *const bad[] = { "A", "AA", "AAA", "AA=", "AB==", "AAB=", "=",
		"====", "A===", " AA=", "AA=\n", "AA==AAAA", "AA-_" };
	uint8_t out[3];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(scram_from_base64(span_str(bad[i]), out, sizeof(out)), -1);
	CU_ASSERT_EQUAL(
	    scram_from_base64(span_str("AAAAAAAA"), out, sizeof(out)), -1); /* no room */
	CU_ASSERT_EQUAL(scram_from_base64(span_str(""), out, sizeof(out)), 0);
	CU_ASSERT_EQUAL(scram_from_base64(span_str("//79"), out, sizeof(out)), 3);
	CU_ASSERT_EQUAL(memcmp(out, "\xff\xfe\xfd", 3), 0);
	CU_ASSERT_EQUAL(scram_from_base64(span_str("YQ=="), out, sizeof(out)), 1);
}

static bool
are_same(const struct scram_keys *a, const struct scram_keys *b)
{
	return a->iterations == b->iterations && a->salt_len == b->salt_len &&
	    memcmp(a->salt, b->salt, sizeof(a->salt)) == 0 &&
	    memcmp(a->stored, b->stored, sizeof(a->stored)) == 0 &&
	    memcmp(a->server, b->server, sizeof(a->server)) == 0;
}

static void
keys_are_those_of_the_rfc(void)
{
	for (enum scram_kind kind = 0; kind < SCRAM_KINDS; kind++) {
		struct scram_keys kept, made;

		CU_ASSERT_TRUE_FATAL(scram_parse(pencil, kind, &kept));
		CU_ASSERT_EQUAL(kept.iterations, 4096);
		made = (struct scram_keys){ .iterations = 4096, .salt_len = kept.salt_len };
		memcpy(made.salt, kept.salt, sizeof(made.salt));
		CU_ASSERT_EQUAL(scram_derive(kind, span_str("pencil"), &made), 0);
		CU_ASSERT_TRUE(are_same(&made, &kept));
		CU_ASSERT_EQUAL(scram_derive(kind, span_str("Pencil"), &made), 0);
		CU_ASSERT_FALSE(are_same(&made, &kept));
	}
}

static void
what_is_made_is_of_each_kind_and_never_the_same(void)
{
	char text[SCRAM_TEXT_MAX], other[SCRAM_TEXT_MAX];

	CU_ASSERT_EQUAL_FATAL(scram_make(span_str("secret"), SCRAM_ITERATIONS_MIN, text), 0);
	CU_ASSERT_EQUAL_FATAL(scram_make(span_str("secret"), SCRAM_ITERATIONS_MIN, other), 0);
	CU_ASSERT_TRUE(scram_text_is_valid(text));
	CU_ASSERT_STRING_NOT_EQUAL(text, other);
	for (enum scram_kind kind = 0; kind < SCRAM_KINDS; kind++) {
		struct scram_keys kept, made;

		CU_ASSERT_TRUE_FATAL(scram_parse(text, kind, &kept));
		made = kept;
		CU_ASSERT_EQUAL(scram_derive(kind, span_str("secret"), &made), 0);
		CU_ASSERT_TRUE(are_same(&made, &kept));
	}
	/* One kind alone is one. */
	*strchr(text, ' ') = '\0';
	CU_ASSERT_TRUE(scram_parse(text, SCRAM_SHA_256, &(struct scram_keys){ 0 }));
	CU_ASSERT_FALSE(scram_parse(text, SCRAM_SHA_512, &(struct scram_keys){ 0 }));
}

UNIT_MAIN("shared/base/scram", TEST(text_that_cannot_be_is_refused), TEST(iterations_are_bounded),
    TEST(base64_has_one_way_to_be_written), TEST(keys_are_those_of_the_rfc),
    TEST(what_is_made_is_of_each_kind_and_never_the_same))
