#include "shared/base/password.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 128 /* of a salt or hash */
#define TEXT64_MAX (BYTES_MAX * 4 / 3 + 4)
#define OUR_SALT 16
#define OUR_HASH 32
#define OUR_R 8
#define OUR_P 1
#define MEMORY_MAX (UINT64_C(256) << 20)
#define ITERATIONS_MAX 10000000

enum method { SHA512_ONCE, PBKDF2, SCRYPT };

struct kept {
	enum method method;
	unsigned cost, r, p; /* scrypt: log2 of N; PBKDF2: cost is the number of iterations */
	uint8_t salt[BYTES_MAX], hash[BYTES_MAX];
	size_t salt_len, hash_len;
};

static bool
derive(const struct kept *k, struct span password, uint8_t *out)
{
	const char *name = k->method == SCRYPT ? "SCRYPT" : "PBKDF2";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	uint64_t n = k->method == SCRYPT ? UINT64_C(1) << k->cost : 0, r = k->r, p = k->p,
		 most = MEMORY_MAX + (1 << 20), iterations = k->cost;
	OSSL_PARAM at[8], *to = at;
	bool done;

	*to++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
	    (void *)(password.len > 0 ? (const char *)password.p : ""), password.len);
	*to++ =
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)k->salt, k->salt_len);
	if (k->method == SCRYPT) {
		*to++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n);
		*to++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_R, &r);
		*to++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_P, &p);
		*to++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &most);
	} else {
		*to++ =
		    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA512", 0);
		*to++ = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &iterations);
	}
	*to = OSSL_PARAM_construct_end();
	done = ctx != NULL && EVP_KDF_derive(ctx, out, k->hash_len, at) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return done;
}

static bool
digest(const struct kept *k, struct span password, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha512(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, password.p, password.len) == 1 &&
	    EVP_DigestUpdate(ctx, k->salt, k->salt_len) == 1 &&
	    EVP_DigestFinal_ex(ctx, out, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return done;
}

/* A part up to '$' or the end, from base64 with or without its padding. Moves *text behind it. */
static bool
take_base64(const char **text, uint8_t out[BYTES_MAX], size_t *len_out)
{
	size_t len = strcspn(*text, "$"), bare = len;
	uint8_t bytes[TEXT64_MAX];
	char padded[TEXT64_MAX + 4];
	int n;

	while (bare > 0 && len - bare < 2 && (*text)[bare - 1] == '=')
		bare--;
	if (bare == 0 || bare > BYTES_MAX * 4 / 3 || (len > bare && len % 4 != 0))
		return false;
	memcpy(padded, *text, bare);
	for (len = bare; len % 4 != 0; len++)
		padded[len] = '=';
	n = EVP_DecodeBlock(bytes, (const uint8_t *)padded, (int)len) - (int)(len - bare);
	if (n <= 0 || n > BYTES_MAX)
		return false;
	memcpy(out, bytes, (size_t)n);
	*len_out = (size_t)n;
	*text += strcspn(*text, "$");
	*text += **text == '$';
	return true;
}

static bool
take_number(const char **text, const char *before, unsigned long most, unsigned *out)
{
	size_t len = strlen(before);
	unsigned long n;
	char *end;

	if (strncmp(*text, before, len) != 0 || (*text)[len] < '0' || (*text)[len] > '9')
		return false;
	errno = 0;
	n = strtoul(*text + len, &end, 10);
	if (errno != 0 || n == 0 || n > most)
		return false;
	*out = (unsigned)n;
	*text = end;
	return true;
}

static bool
parse(const char *text, struct kept *out)
{
	struct kept k = { .method = SHA512_ONCE };
	bool good;

	if (strlen(text) >= PASSWORD_TEXT_MAX)
		return false;
	if (strncmp(text, "$6$", 3) == 0) {
		text += 3;
		good = true;
	} else if (strncmp(text, "$7$", 3) == 0) {
		text += 2;
		k.method = PBKDF2;
		good = take_number(&text, "$", ITERATIONS_MAX, &k.cost) && *text++ == '$';
	} else {
		k.method = SCRYPT;
		good = take_number(&text, "$scrypt$ln=", PASSWORD_COST_MAX, &k.cost) &&
		    take_number(&text, ",r=", 64, &k.r) && take_number(&text, ",p=", 64, &k.p) &&
		    *text++ == '$' && (UINT64_C(128) * k.r << k.cost) * k.p <= MEMORY_MAX;
	}
	if (!good || !take_base64(&text, k.salt, &k.salt_len) ||
	    !take_base64(&text, k.hash, &k.hash_len) || *text != '\0' || text[-1] == '$' ||
	    k.hash_len < 16 || (k.method == SHA512_ONCE && k.hash_len != 64))
		return false;
	*out = k;
	return true;
}

bool
password_text_is_valid(const char *text)
{
	struct kept k;

	return parse(text, &k);
}

bool
password_fits(const char *text, struct span password)
{
	uint8_t hash[BYTES_MAX];
	struct kept k;
	bool fits;

	if (!parse(text, &k))
		return false;
	fits =
	    (k.method == SHA512_ONCE ? digest(&k, password, hash) : derive(&k, password, hash)) &&
	    CRYPTO_memcmp(hash, k.hash, k.hash_len) == 0;
	OPENSSL_cleanse(hash, sizeof(hash));
	return fits;
}

int
password_hash(struct span password, unsigned cost, char out[PASSWORD_TEXT_MAX])
{
	struct kept k = { .method = SCRYPT,
		.cost = cost,
		.r = OUR_R,
		.p = OUR_P,
		.salt_len = OUR_SALT,
		.hash_len = OUR_HASH };
	uint8_t salt[TEXT64_MAX], hash[TEXT64_MAX];

	if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX ||
	    UINT64_C(128) * OUR_R * OUR_P << cost > MEMORY_MAX)
		return -EINVAL;
	if (RAND_bytes(k.salt, OUR_SALT) != 1 || !derive(&k, password, k.hash))
		return -EIO;
	EVP_EncodeBlock(salt, k.salt, OUR_SALT);
	EVP_EncodeBlock(hash, k.hash, OUR_HASH);
	snprintf(out, PASSWORD_TEXT_MAX, "$scrypt$ln=%u,r=%u,p=%u$%s$%s", cost, k.r, k.p,
	    (const char *)salt, (const char *)hash);
	return 0;
}
