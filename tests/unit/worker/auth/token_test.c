#include "worker/auth/token.h"

#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/unit/unit.h"

#define SECRET "a secret of more than 32 bytes, of course"
#define CLAIMS "{\"sub\":\"anna\"}"

static struct jwt_keys *keys;
static EVP_PKEY *rsa, *p256, *p521, *edwards, *other;
static struct token got;
static char made[TOKEN_MAX * 2];

static void
base64(const void *p, size_t len)
{
	char text[TOKEN_MAX * 2];
	int n = EVP_EncodeBlock((uint8_t *)text, p, (int)len);

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	text[n] = '\0';
	strcat(made, text);
}

static void
begin_token(const char *head, const char *claims)
{
	made[0] = '\0';
	base64(head, strlen(head));
	strcat(made, ".");
	base64(claims, strlen(claims));
}

static const char *
with_mac(const char *head, const char *claims, const void *secret, size_t len)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n;

	begin_token(head, claims);
	HMAC(EVP_sha256(), secret, (int)len, (uint8_t *)made, strlen(made), mac, &n);
	strcat(made, ".");
	base64(mac, n);
	return made;
}

static const char *
signed_by(EVP_PKEY *key, const char *head, const char *claims, const EVP_MD *md, bool is_pss)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;
	uint8_t sig[1024], raw[1024];
	size_t n = sizeof(sig), half = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
	const uint8_t *p = sig;

	begin_token(head, claims);
	CU_ASSERT_EQUAL_FATAL(EVP_DigestSignInit(ctx, &how, md, NULL, key), 1);
	if (is_pss) {
		EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST);
	}
	CU_ASSERT_EQUAL_FATAL(EVP_DigestSign(ctx, sig, &n, (uint8_t *)made, strlen(made)), 1);
	EVP_MD_CTX_free(ctx);
	strcat(made, ".");
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		ECDSA_SIG *e = d2i_ECDSA_SIG(NULL, &p, (long)n);

		BN_bn2binpad(ECDSA_SIG_get0_r(e), raw, (int)half);
		BN_bn2binpad(ECDSA_SIG_get0_s(e), raw + half, (int)half);
		ECDSA_SIG_free(e);
		base64(raw, 2 * half);
	} else {
		base64(sig, n);
	}
	return made;
}

static void
take_public(EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char why[JWT_WHY_MAX], *p;
	long len;

	PEM_write_bio_PUBKEY(b, key);
	len = BIO_get_mem_data(b, &p);
	CU_ASSERT_EQUAL_FATAL(jwt_keys_add_pem(keys, span_of(p, (size_t)len), why), 0);
	BIO_free(b);
}

static void
begin(void)
{
	char why[JWT_WHY_MAX];

	keys = jwt_keys_new();
	CU_ASSERT_EQUAL_FATAL(jwt_keys_add_secret(keys, span_str(SECRET), false, why), 0);
	rsa = EVP_RSA_gen(2048);
	p256 = EVP_EC_gen("P-256");
	p521 = EVP_EC_gen("P-521");
	edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	other = EVP_EC_gen("P-256");
	take_public(rsa);
	take_public(p256);
	take_public(p521);
	take_public(edwards);
}

static void
end(void)
{
	jwt_keys_free(keys);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p521);
	EVP_PKEY_free(edwards);
	EVP_PKEY_free(other);
}

static enum token_is
check(const char *text)
{
	const struct jwt_keys *const sets[] = { NULL, keys };
	enum token_is is = token_check(span_str(text), sets, 2, &got);

	CU_ASSERT_TRUE((is == TOKEN_GOOD) == (got.claims != NULL && got.why == NULL));
	json_decref(got.claims);
	return is;
}

static void
what_is_no_token_is_left_to_others(void)
{
	static const char *const none[] = { "", ".", "..", "...", "secret", "a.b.c", "e30.e30.e30",
		"e30.e30", "bnVsbA.e30.e30", "W10.e30.e30" };

	begin();
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CU_ASSERT_EQUAL(check(none[i]), TOKEN_NONE);
	/* {"alg":"HS256"} with padding, and what has four parts */
	CU_ASSERT_EQUAL(check("eyJhbGciOiJIUzI1NiJ9=.e30.e30"), TOKEN_NONE);
	CU_ASSERT_EQUAL(check("eyJhbGciOiJIUzI1NiJ9.e30.e30.e30"), TOKEN_NONE);
	with_mac("{\"alg\":7}", CLAIMS, SECRET, strlen(SECRET));
	CU_ASSERT_EQUAL(check(made), TOKEN_NONE);
	/* The algorithm twice: who reads the first and who reads the last would not agree. */
	with_mac("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", CLAIMS, SECRET, strlen(SECRET));
	CU_ASSERT_EQUAL(check(made), TOKEN_NONE);
	end();
}

static void
longer_than_a_token_may_be_is_none(void)
{
	static char claims[TOKEN_MAX];

	begin();
	memset(claims, ' ', sizeof(claims) - 1);
	memcpy(claims, CLAIMS, strlen(CLAIMS));
	claims[sizeof(claims) * 5 / 8] = '\0';
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", claims, SECRET, strlen(SECRET))), TOKEN_GOOD);
	memset(claims + strlen(claims), ' ', sizeof(claims) / 4);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", claims, SECRET, strlen(SECRET))), TOKEN_NONE);
	end();
}

static void
no_signature_is_none_that_counts(void)
{
	static const char *const alg[] = { "none", "None", "nOnE", "NONE", "", "HS255" };
	char head[64];

	begin();
	for (unsigned i = 0; i < sizeof(alg) / sizeof(alg[0]); i++) {
		snprintf(head, sizeof(head), "{\"alg\":\"%s\"}", alg[i]);
		begin_token(head, CLAIMS);
		strcat(made, ".");
		CU_ASSERT_EQUAL(check(made), TOKEN_BAD);
	}
	begin_token("{\"alg\":\"HS256\"}", CLAIMS);
	strcat(made, ".");
	CU_ASSERT_EQUAL(check(made), TOKEN_BAD);
	begin_token("{\"alg\":\"RS256\"}", CLAIMS);
	strcat(made, ".");
	CU_ASSERT_EQUAL(check(made), TOKEN_BAD);
	begin_token("{\"alg\":\"ES256\"}", CLAIMS);
	strcat(made, ".");
	CU_ASSERT_EQUAL(check(made), TOKEN_BAD);
	/* Zeros for both numbers, as was good elsewhere (CVE-2022-21449). */
	for (int i = 0; i < 86; i++)
		strcat(made, "A");
	CU_ASSERT_EQUAL(check(made), TOKEN_BAD);
	end();
}

/* The public key is known to all: it must be no secret. */
static void
public_key_is_not_taken_for_a_secret(void)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	long len;

	begin();
	PEM_write_bio_PUBKEY(b, rsa);
	len = BIO_get_mem_data(b, &p);
	CU_ASSERT_EQUAL(check(with_mac("{\"alg\":\"HS256\"}", CLAIMS, p, (size_t)len)), TOKEN_BAD);
	jwt_keys_free(keys);
	keys = jwt_keys_new();
	take_public(rsa);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", CLAIMS, p, (size_t)len)), TOKEN_NO_KEY);
	BIO_free(b);
	end();
}

static void
signature_of_another_key_or_kind_is_wrong(void)
{
	begin();
	CU_ASSERT_EQUAL(check(with_mac("{\"alg\":\"HS256\"}", CLAIMS, "other", 5)), TOKEN_BAD);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS512\"}", CLAIMS, SECRET, strlen(SECRET))), TOKEN_BAD);
	CU_ASSERT_EQUAL(
	    check(signed_by(other, "{\"alg\":\"ES256\"}", CLAIMS, EVP_sha256(), false)), TOKEN_BAD);
	/* The right key, under another's name, or padded in the other way. */
	CU_ASSERT_EQUAL(check(signed_by(p256, "{\"alg\":\"ES384\"}", CLAIMS, EVP_sha384(), false)),
	    TOKEN_NO_KEY);
	CU_ASSERT_EQUAL(
	    check(signed_by(rsa, "{\"alg\":\"PS256\"}", CLAIMS, EVP_sha256(), false)), TOKEN_BAD);
	CU_ASSERT_EQUAL(
	    check(signed_by(rsa, "{\"alg\":\"RS256\"}", CLAIMS, EVP_sha256(), true)), TOKEN_BAD);
	end();
}

static void
each_byte_that_is_changed_is_seen(void)
{
	char copy[1024];
	size_t len;

	begin();
	snprintf(copy, sizeof(copy), "%s",
	    signed_by(p256, "{\"alg\":\"ES256\"}", CLAIMS, EVP_sha256(), false));
	len = strlen(copy);
	CU_ASSERT_EQUAL(check(copy), TOKEN_GOOD);
	for (size_t i = 0; i < len; i++) {
		char was = copy[i];

		copy[i] = was == 'A' ? 'B' : 'A';
		CU_ASSERT_NOT_EQUAL(check(copy), TOKEN_GOOD);
		copy[i] = was;
	}
	for (size_t i = 0; i < len; i++) {
		char was = copy[i];

		copy[i] = '\0';
		CU_ASSERT_NOT_EQUAL(check(copy), TOKEN_GOOD);
		copy[i] = was;
	}
	end();
}

static void
what_a_header_demands_has_to_be_known(void)
{
	begin();
	CU_ASSERT_EQUAL(check(with_mac("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
			    CLAIMS, SECRET, strlen(SECRET))),
	    TOKEN_BAD);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\",\"kid\":7}", CLAIMS, SECRET, strlen(SECRET))),
	    TOKEN_BAD);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\",\"kid\":\"\"}", CLAIMS, SECRET, strlen(SECRET))),
	    TOKEN_BAD);
	/* A key without a name may be meant by any. */
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\",\"kid\":\"x\"}", CLAIMS, SECRET, strlen(SECRET))),
	    TOKEN_GOOD);
	keys->key[0].kid = strdup("y");
	CU_ASSERT_EQUAL(check(made), TOKEN_NO_KEY);
	CU_ASSERT_STRING_EQUAL(got.kid, "x");
	keys->key[0].alg = strdup("HS512");
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", CLAIMS, SECRET, strlen(SECRET))), TOKEN_NO_KEY);
	end();
}

static void
claims_are_one_object(void)
{
	static const char *const bad[] = { "", "null", "[]", "\"x\"", "{\"sub\":1,\"sub\":2}",
		"{\"sub\":\"\\u0000\"}", "{\"sub\":\"\xff\"}", "{} {}" };
	static char deep[8001];

	begin();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(
		    check(with_mac("{\"alg\":\"HS256\"}", bad[i], SECRET, strlen(SECRET))),
		    TOKEN_BAD);
	memset(deep, '[', sizeof(deep) - 1);
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", deep, SECRET, strlen(SECRET))), TOKEN_BAD);
	memset(deep, '{', sizeof(deep) - 1);
	CU_ASSERT_EQUAL(check(with_mac(deep, CLAIMS, SECRET, strlen(SECRET))), TOKEN_NONE);
	end();
}

static void
all_algorithms_are_known(void)
{
	begin();
	CU_ASSERT_EQUAL(
	    check(with_mac("{\"alg\":\"HS256\"}", CLAIMS, SECRET, strlen(SECRET))), TOKEN_GOOD);
	CU_ASSERT_EQUAL(
	    check(signed_by(rsa, "{\"alg\":\"RS256\"}", CLAIMS, EVP_sha256(), false)), TOKEN_GOOD);
	CU_ASSERT_EQUAL(
	    check(signed_by(rsa, "{\"alg\":\"RS512\"}", CLAIMS, EVP_sha512(), false)), TOKEN_GOOD);
	CU_ASSERT_EQUAL(
	    check(signed_by(rsa, "{\"alg\":\"PS384\"}", CLAIMS, EVP_sha384(), true)), TOKEN_GOOD);
	CU_ASSERT_EQUAL(
	    check(signed_by(p521, "{\"alg\":\"ES512\"}", CLAIMS, EVP_sha512(), false)), TOKEN_GOOD);
	CU_ASSERT_EQUAL(
	    check(signed_by(edwards, "{\"alg\":\"EdDSA\"}", CLAIMS, NULL, false)), TOKEN_GOOD);
	end();
}

/* The example of RFC 7515, A.1, made by others. */
static void
token_of_the_rfc_is_good(void)
{
	static const char secret[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
				     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	char why[JWT_WHY_MAX];

	keys = jwt_keys_new();
	CU_ASSERT_EQUAL(jwt_keys_add_secret(keys, span_str(secret), true, why), 0);
	CU_ASSERT_EQUAL(check("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
			      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
			      "LmNvbS9pc19yb290"
			      "Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
	    TOKEN_GOOD);
	jwt_keys_free(keys);
}

UNIT_MAIN("worker/auth/token", TEST(what_is_no_token_is_left_to_others),
    TEST(longer_than_a_token_may_be_is_none), TEST(no_signature_is_none_that_counts),
    TEST(public_key_is_not_taken_for_a_secret), TEST(signature_of_another_key_or_kind_is_wrong),
    TEST(each_byte_that_is_changed_is_seen), TEST(what_a_header_demands_has_to_be_known),
    TEST(claims_are_one_object), TEST(all_algorithms_are_known), TEST(token_of_the_rfc_is_good))
