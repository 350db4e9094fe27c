#include "worker/auth/token.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#define SIGNATURE_MAX 1024 /* of RSA with 8192 bits */
#define TRIES_MAX 8        /* keys, if the token doesn't say which */

static const struct algorithm {
	const char *name;
	enum jwt_kind kind;
	const EVP_MD *(*digest)(void);
	bool is_pss;
} algorithms[] = {
	{ "HS256", JWT_HMAC, EVP_sha256, false },
	{ "HS384", JWT_HMAC, EVP_sha384, false },
	{ "HS512", JWT_HMAC, EVP_sha512, false },
	{ "RS256", JWT_RSA, EVP_sha256, false },
	{ "RS384", JWT_RSA, EVP_sha384, false },
	{ "RS512", JWT_RSA, EVP_sha512, false },
	{ "PS256", JWT_RSA, EVP_sha256, true },
	{ "PS384", JWT_RSA, EVP_sha384, true },
	{ "PS512", JWT_RSA, EVP_sha512, true },
	{ "ES256", JWT_P256, EVP_sha256, false },
	{ "ES384", JWT_P384, EVP_sha384, false },
	{ "ES512", JWT_P521, EVP_sha512, false },
	{ "EdDSA", JWT_EDWARDS, NULL, false },
};

struct parts {
	struct span head, claims, signature;
	struct span to_sign; /* head and claims as they came */
};

static bool split(struct span text, struct parts *out);
static json_t *object_of(struct span text);
static bool is_signed_by(const struct jwt_key *k, const struct algorithm *a, struct span text,
    const uint8_t *signature, size_t len);

static const struct algorithm *
algorithm_find(const char *name)
{
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static enum token_is
is(struct token *t, enum token_is what, const char *why)
{
	t->why = why;
	return what;
}

static bool
may_be(const struct jwt_key *k, const struct algorithm *a, const char *kid)
{
	return k->kind == a->kind && (k->alg == NULL || strcmp(k->alg, a->name) == 0) &&
	    (kid[0] == '\0' || k->kid == NULL || strcmp(k->kid, kid) == 0);
}

static enum token_is
try_keys(const struct parts *p, const struct algorithm *a, const struct jwt_keys *const sets[],
    size_t n, struct token *out)
{
	uint8_t signature[SIGNATURE_MAX * 2];
	unsigned tries = 0;
	size_t len;

	if (p->signature.len > sizeof(signature) ||
	    (len = jwt_base64(p->signature, signature)) == SIZE_MAX)
		return is(out, TOKEN_BAD, "its signature can't be one");
	for (size_t s = 0; s < n; s++)
		for (size_t i = 0; sets[s] != NULL && i < sets[s]->n; i++) {
			const struct jwt_key *k = &sets[s]->key[i];

			if (!may_be(k, a, out->kid))
				continue;
			if (tries++ == TRIES_MAX)
				return is(out, TOKEN_BAD, "none of the first keys has signed it");
			if (is_signed_by(k, a, p->to_sign, signature, len))
				return is(out, TOKEN_GOOD, NULL);
		}
	return tries > 0 ? is(out, TOKEN_BAD, "its signature is wrong")
			 : is(out, TOKEN_NO_KEY, "there is no key for its algorithm and kid");
}

/* What the header says, all of which has to be understood. */
static enum token_is
read_head(const json_t *head, struct token *out, const struct algorithm **algorithm_out)
{
	const json_t *alg = json_object_get(head, "alg"), *kid = json_object_get(head, "kid");

	if (!json_is_string(alg))
		return is(out, TOKEN_NONE, "it has no algorithm");
	*algorithm_out = algorithm_find(json_string_value(alg));
	if (*algorithm_out == NULL)
		return is(out, TOKEN_BAD, "its algorithm is none of a signature");
	if (json_object_get(head, "crit") != NULL) /* RFC 7515, 4.1.11 */
		return is(out, TOKEN_BAD, "it demands what is not known here");
	if (kid != NULL &&
	    (!json_is_string(kid) || json_string_length(kid) == 0 ||
		json_string_length(kid) >= TOKEN_KID_MAX))
		return is(out, TOKEN_BAD, "its kid can't be one");
	if (kid != NULL)
		strcpy(out->kid, json_string_value(kid));
	return TOKEN_GOOD;
}

enum token_is
token_check(struct span text, const struct jwt_keys *const sets[], size_t n, struct token *out)
{
	const struct algorithm *a = NULL;
	struct parts p;
	enum token_is got;
	json_t *head;

	out->claims = NULL;
	out->kid[0] = '\0';
	if (text.len > TOKEN_MAX || !split(text, &p) || (head = object_of(p.head)) == NULL)
		return is(out, TOKEN_NONE, "it is no token");
	got = read_head(head, out, &a);
	json_decref(head);
	if (got == TOKEN_GOOD)
		got = try_keys(&p, a, sets, n, out);
	if (got != TOKEN_GOOD)
		return got;
	out->claims = object_of(p.claims);
	return out->claims != NULL ? TOKEN_GOOD
				   : is(out, TOKEN_BAD, "its claims are no object, or there twice");
}

static bool
split(struct span text, struct parts *out)
{
	const uint8_t *end = text.p + text.len, *one, *two;

	if (text.len == 0 || (one = memchr(text.p, '.', text.len)) == NULL ||
	    (two = memchr(one + 1, '.', (size_t)(end - one - 1))) == NULL ||
	    memchr(two + 1, '.', (size_t)(end - two - 1)) != NULL)
		return false;
	*out = (struct parts){
		.head = span_of(text.p, (size_t)(one - text.p)),
		.claims = span_of(one + 1, (size_t)(two - one - 1)),
		.signature = span_of(two + 1, (size_t)(end - two - 1)),
		.to_sign = span_of(text.p, (size_t)(two - text.p)),
	};
	return true;
}

static json_t *
object_of(struct span text)
{
	uint8_t plain[TOKEN_MAX];
	size_t len = jwt_base64(text, plain);
	json_error_t bad;
	json_t *j;

	if (len == SIZE_MAX)
		return NULL;
	j = json_loadb((const char *)plain, len, JSON_REJECT_DUPLICATES, &bad);
	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

static bool
is_mac(const struct jwt_key *k, const struct algorithm *a, struct span text,
    const uint8_t *signature, size_t len)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return HMAC(a->digest(), k->secret, (int)k->secret_len, text.p, text.len, mac, &n) !=
	    NULL &&
	    len == n && CRYPTO_memcmp(mac, signature, n) == 0;
}

/* Two numbers of the same length, RFC 7518, 3.4; the length of the other form, or 0. */
static size_t
ecdsa_der(const struct jwt_key *k, const uint8_t *signature, size_t len, uint8_t out[SIGNATURE_MAX])
{
	size_t half = ((size_t)EVP_PKEY_get_bits(k->key) + 7) / 8;
	ECDSA_SIG *sig = len == 2 * half ? ECDSA_SIG_new() : NULL;
	BIGNUM *r, *s;
	int n = 0;

	if (sig == NULL)
		return 0;
	r = BN_bin2bn(signature, (int)half, NULL);
	s = BN_bin2bn(signature + half, (int)half, NULL);
	if (r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		n = i2d_ECDSA_SIG(sig, &out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static bool
is_signed_by(const struct jwt_key *k, const struct algorithm *a, struct span text,
    const uint8_t *signature, size_t len)
{
	uint8_t der[SIGNATURE_MAX];
	EVP_PKEY_CTX *how = NULL;
	EVP_MD_CTX *ctx;
	bool ok;

	if (a->kind == JWT_HMAC)
		return is_mac(k, a, text, signature, len);
	if (a->kind != JWT_RSA && a->kind != JWT_EDWARDS) {
		len = ecdsa_der(k, signature, len, der);
		signature = der;
	}
	if (len == 0 || (ctx = EVP_MD_CTX_new()) == NULL)
		return false;
	ok = EVP_DigestVerifyInit(
		 ctx, &how, a->digest != NULL ? a->digest() : NULL, NULL, k->key) == 1 &&
	    (!a->is_pss ||
		(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	    EVP_DigestVerify(ctx, signature, len, text.p, text.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
