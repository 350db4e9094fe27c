#include "shared/jwt/key.h"

#include <errno.h>
#include <openssl/pem.h>

#include "tests/unit/unit.h"

static struct jwt_keys *keys;
static char why[JWT_WHY_MAX];

static int
secret(const char *text, bool is_base64)
{
	jwt_keys_free(keys);
	keys = jwt_keys_new();
	return jwt_keys_add_secret(keys, span_str(text), is_base64, why);
}

static int
jwks(const char *text)
{
	jwt_keys_free(keys);
	keys = jwt_keys_new();
	return jwt_keys_add_jwks(keys, span_str(text), why);
}

/* Of what is written into memory as PEM. */
static int
pem_of(EVP_PKEY *key, bool is_private)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	long len;
	int err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	if (is_private)
		PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(b, key);
	len = BIO_get_mem_data(b, &p);
	jwt_keys_free(keys);
	keys = jwt_keys_new();
	err = jwt_keys_add_pem(keys, span_of(p, (size_t)len), why);
	BIO_free(b);
	EVP_PKEY_free(key);
	return err;
}

static void
secret_that_can_be_guessed_is_refused(void)
{
	CU_ASSERT_EQUAL(secret("", false), -EINVAL);
	CU_ASSERT_EQUAL(secret("0123456789012345678901234567890", false), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "less than 32 bytes"));
	CU_ASSERT_EQUAL(secret("0123456789012345678901234567890\n", false), -EINVAL);
	CU_ASSERT_EQUAL(secret("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==", true), -EINVAL);
	CU_ASSERT_EQUAL(secret("!!!!MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", true), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "base64"));
	jwt_keys_free(keys);
	keys = NULL;
}

static void
secret_is_the_same_in_each_way_to_write_it(void)
{
	static const char text[] = "01234567890123456789012345678901";
	static const struct {
		const char *file;
		bool is_base64;
	} way[] = {
		{ "01234567890123456789012345678901", false },
		{ "01234567890123456789012345678901\r\n", false },
		{ "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", true },
		{ "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE", true },
	};

	for (unsigned i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		CU_ASSERT_EQUAL(secret(way[i].file, way[i].is_base64), 0);
		CU_ASSERT_EQUAL(keys->n, 1);
		CU_ASSERT_TRUE(
		    span_eq(span_of(keys->key[0].secret, keys->key[0].secret_len), span_str(text)));
	}
	jwt_keys_free(keys);
	keys = NULL;
}

static void
keys_that_are_weak_or_not_public_are_refused(void)
{
	CU_ASSERT_EQUAL(pem_of(EVP_RSA_gen(1024), false), -EINVAL);
	CU_ASSERT_EQUAL(pem_of(EVP_EC_gen("secp256k1"), false), -EINVAL);
	CU_ASSERT_EQUAL(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), false), -EINVAL);
	CU_ASSERT_EQUAL(pem_of(EVP_EC_gen("P-256"), true), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "private"));
	CU_ASSERT_EQUAL(pem_of(EVP_EC_gen("P-384"), false), 0);
	CU_ASSERT_EQUAL(keys->key[0].kind, JWT_P384);
	CU_ASSERT_EQUAL(pem_of(EVP_RSA_gen(2048), false), 0);
	CU_ASSERT_EQUAL(keys->key[0].kind, JWT_RSA);
	CU_ASSERT_EQUAL(jwt_keys_add_pem(keys, span_str("nothing"), why), -EINVAL);
	CU_ASSERT_EQUAL(
	    jwt_keys_add_pem(keys,
		span_str("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), why),
	    -EINVAL);
	jwt_keys_free(keys);
	keys = NULL;
}

/* The keys are those of RFC 7517, A.1, and RFC 8037, A.2. */
#define RFC_EC                                                                                     \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"," \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"%s\",\"kid\":\"1\"}"
#define RFC_ED                                                                                     \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                              \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""                                                          \
	",\"alg\":\"EdDSA\"}"

static void
set_has_what_is_known_and_passes_over_the_rest(void)
{
	char text[2048];

	snprintf(text, sizeof(text),
	    "{\"keys\":[" RFC_EC "," RFC_EC "," RFC_ED
	    ",{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
	    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
	    "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":7},null,[]]}",
	    "sig", "enc");
	CU_ASSERT_EQUAL(jwks(text), 0);
	CU_ASSERT_EQUAL_FATAL(keys->n, 2);
	CU_ASSERT_TRUE(keys->key[0].kind == JWT_P256 && jwt_keys_has(keys, "1"));
	CU_ASSERT_TRUE(keys->key[1].kind == JWT_EDWARDS && keys->key[1].kid == NULL);
	CU_ASSERT_STRING_EQUAL(keys->key[1].alg, "EdDSA");
	CU_ASSERT_FALSE(jwt_keys_has(keys, "2"));
	jwt_keys_free(keys);
	keys = NULL;
}

static void
set_without_a_key_is_refused(void)
{
	CU_ASSERT_EQUAL(jwks(""), -EINVAL);
	CU_ASSERT_EQUAL(jwks("[]"), -EINVAL);
	CU_ASSERT_EQUAL(jwks("{\"keys\":{}}"), -EINVAL);
	CU_ASSERT_EQUAL(jwks("{\"keys\":[]}"), -EINVAL);
	/* A point that is not on the curve. */
	CU_ASSERT_EQUAL(jwks("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
			     "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
			     "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyA\"}]}"),
	    -EINVAL);
	jwt_keys_free(keys);
	keys = NULL;
}

static void
base64_is_read_in_one_way_only(void)
{
	uint8_t out[16];

	CU_ASSERT_EQUAL(jwt_base64(span_str(""), out), 0);
	CU_ASSERT_EQUAL(jwt_base64(span_str("_-8"), out), 2);
	CU_ASSERT_TRUE(out[0] == 0xff && out[1] == 0xef);
	CU_ASSERT_EQUAL(jwt_base64(span_str("_-8="), out), SIZE_MAX);
	CU_ASSERT_EQUAL(jwt_base64(span_str("_-9"), out), SIZE_MAX);
	CU_ASSERT_EQUAL(jwt_base64(span_str("/+8"), out), SIZE_MAX);
	CU_ASSERT_EQUAL(jwt_base64(span_str("AAAAA"), out), SIZE_MAX);
	CU_ASSERT_EQUAL(jwt_base64(span_str("AA A"), out), SIZE_MAX);
}

UNIT_MAIN("shared/jwt/key", TEST(secret_that_can_be_guessed_is_refused),
    TEST(keys_that_are_weak_or_not_public_are_refused), TEST(set_without_a_key_is_refused),
    TEST(base64_is_read_in_one_way_only), TEST(secret_is_the_same_in_each_way_to_write_it),
    TEST(set_has_what_is_known_and_passes_over_the_rest))
