#include "shared/base/password.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit.h"

/* Made by mosquitto_passwd of "secret". */
static const char pbkdf2[] =
    "$7$101$z4pMbgxAeYzXBH7g$QRvCduoo0XUPk0skGZPSee5W9vhFlLO8WbGH6jqKb/eGk7"
    "88/WQhGlXLn2Z/3Z5IpI1hapxZ8H47Y4A8aaowIg==";
static const char sha512[] =
    "$6$/kwoH5d5QJlg+5aN$wGeyL9r+zaUbmr3mH3a654i0U2S0fMToUWdZBp8PNH/HyN1H37"
    "cbm+6eEPGVSs5PiCu/AeFlsf8GA5ccw7JgFA==";

/* RFC 7914, section 12: the second vector. */
static const char scrypt[] = "$scrypt$ln=10,r=8,p=16$TmFDbA$"
			     "/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyev"
			     "uUqD7m2DYMvfoswGQA==";

static void
text_that_cannot_be_is_refused(void)
{
	static const char *const bad[] = {
		"",
		"secret",
		"$6$",
		"$6$AAAA",
		"$6$AAAA$",
		"$6$AAAA$AAAA",
		"$7$AAAA$AAAA",
		"$7$0$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$7$-1$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$7$99999999999999999999$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$7$10000001$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$7$101$AAA*AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$7$101$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA$",
		"$7$101$AAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
		"$scrypt$ln=64,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$scrypt$ln=18,r=64,p=64$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$scrypt$ln=12,r=8$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$scrypt$ln=12,r=8,p=1$$AAAAAAAAAAAAAAAAAAAAAA",
		"$2y$10$abcdefghijklmnopqrstuv",
	};
	char longer[PASSWORD_TEXT_MAX + 100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(password_text_is_valid(bad[i]));
		CU_ASSERT_FALSE(password_fits(bad[i], span_str("")));
		CU_ASSERT_FALSE(password_fits(bad[i], span_str("secret")));
	}
	memset(longer, 'A', sizeof(longer));
	memcpy(longer, "$6$", 3);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_FALSE(password_text_is_valid(longer));
}

static void
another_password_does_not_fit(void)
{
	static const char *const text[] = { pbkdf2, sha512 };

	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_FALSE(password_fits(text[i], span_str("Secret")));
		CU_ASSERT_FALSE(password_fits(text[i], span_str("secret ")));
		CU_ASSERT_FALSE(password_fits(text[i], span_of(NULL, 0)));
	}
}

static void
what_mosquitto_keeps_fits(void)
{
	CU_ASSERT_TRUE(password_text_is_valid(pbkdf2));
	CU_ASSERT_TRUE(password_fits(pbkdf2, span_str("secret")));
	CU_ASSERT_TRUE(password_text_is_valid(sha512));
	CU_ASSERT_TRUE(password_fits(sha512, span_str("secret")));
}

static void
scrypt_is_that_of_the_rfc(void)
{
	CU_ASSERT_TRUE(password_fits(scrypt, span_str("password")));
	CU_ASSERT_FALSE(password_fits(scrypt, span_str("Password")));
}

static void
what_is_made_fits_only_its_own(void)
{
	char a[PASSWORD_TEXT_MAX], b[PASSWORD_TEXT_MAX];

	CU_ASSERT_EQUAL(password_hash(span_str("one"), PASSWORD_COST_MIN, a), 0);
	CU_ASSERT_EQUAL(password_hash(span_str("one"), PASSWORD_COST_MIN, b), 0);
	CU_ASSERT_STRING_NOT_EQUAL(a, b); /* its salt differs */
	CU_ASSERT_TRUE(password_fits(a, span_str("one")));
	CU_ASSERT_TRUE(password_fits(b, span_str("one")));
	CU_ASSERT_FALSE(password_fits(a, span_str("two")));
	CU_ASSERT_EQUAL(password_hash(span_of(NULL, 0), PASSWORD_COST_MIN, a), 0);
	CU_ASSERT_TRUE(password_fits(a, span_str("")));
	CU_ASSERT_EQUAL(password_hash(span_str("one"), PASSWORD_COST_MIN - 1, a), -EINVAL);
	CU_ASSERT_EQUAL(password_hash(span_str("one"), PASSWORD_COST_MAX + 1, a), -EINVAL);
	CU_ASSERT_EQUAL(password_hash(span_str("one"), PASSWORD_COST_MAX, a), 0);
	CU_ASSERT_TRUE(password_fits(a, span_str("one")));
}

UNIT_MAIN("shared/base/password", TEST(text_that_cannot_be_is_refused),
    TEST(another_password_does_not_fit), TEST(what_mosquitto_keeps_fits),
    TEST(scrypt_is_that_of_the_rfc), TEST(what_is_made_fits_only_its_own))
