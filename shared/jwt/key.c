#include "shared/jwt/key.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7518, 3.2. A shorter one can be guessed by whoever has a token. */
#define SECRET_MIN 32
#define SECRET_MAX 4096
/* RFC 7518, 3.3; beyond the maximum a check would take milliseconds of auth's loop. */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define TEXT_MAX 255 /* bytes of a key's name */

static int add(struct jwt_keys *s, EVP_PKEY *key, char why[JWT_WHY_MAX]);
static EVP_PKEY *read_block(const char *name, const uint8_t *p, long len);
static EVP_PKEY *of_jwk(const json_t *k);
static int wrong(char why[JWT_WHY_MAX], const char *what);

struct jwt_keys *
jwt_keys_new(void)
{
	return calloc(1, sizeof(struct jwt_keys));
}

void
jwt_keys_free(struct jwt_keys *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct jwt_key *k = &s->key[i];

		EVP_PKEY_free(k->key);
		OPENSSL_clear_free(k->secret, k->secret_len);
		free(k->kid);
		free(k->alg);
	}
	free(s);
}

bool
jwt_keys_has(const struct jwt_keys *s, const char *kid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->key[i].kid != NULL && strcmp(s->key[i].kid, kid) == 0)
			return true;
	return false;
}

static int
wrong(char why[JWT_WHY_MAX], const char *what)
{
	snprintf(why, JWT_WHY_MAX, "%s", what);
	ERR_clear_error();
	return -EINVAL;
}

/* The end of a line is an editor's, not the secret's. */
static struct span
without_newline(struct span s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

static size_t
any_base64(struct span text, uint8_t *out)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	int n = 0, rest = 0;
	bool ok = ctx != NULL;

	if (ok) {
		EVP_DecodeInit(ctx);
		ok = EVP_DecodeUpdate(ctx, out, &n, text.p, (int)text.len) >= 0 &&
		    EVP_DecodeFinal(ctx, out + n, &rest) >= 0;
	}
	EVP_ENCODE_CTX_free(ctx);
	return ok ? (size_t)(n + rest) : jwt_base64(text, out);
}

int
jwt_keys_add_secret(struct jwt_keys *s, struct span file, bool is_base64, char why[JWT_WHY_MAX])
{
	struct span text = without_newline(file);
	uint8_t *secret;
	size_t len = text.len;

	if (text.len > SECRET_MAX || s->n == JWT_KEYS_MAX)
		return wrong(why, "is longer than a secret may be");
	secret = OPENSSL_malloc(text.len + 4);
	if (secret == NULL)
		return -ENOMEM;
	if (is_base64)
		len = any_base64(text, secret);
	else if (len > 0)
		memcpy(secret, text.p, len);
	if (len == SIZE_MAX || len < SECRET_MIN) {
		OPENSSL_clear_free(secret, text.len + 4);
		return wrong(why,
		    len == SIZE_MAX ? "is not in base64" : "has a secret of less than 32 bytes");
	}
	s->key[s->n++] = (struct jwt_key){ .kind = JWT_HMAC, .secret = secret, .secret_len = len };
	return 0;
}

int
jwt_keys_add_pem(struct jwt_keys *s, struct span file, char why[JWT_WHY_MAX])
{
	BIO *b = BIO_new_mem_buf(file.p, (int)file.len);
	size_t before = s->n;
	char *name, *head;
	uint8_t *data;
	long len;
	int err = 0;

	if (b == NULL)
		return -ENOMEM;
	while (err == 0 && PEM_read_bio(b, &name, &head, &data, &len) == 1) {
		if (strstr(name, "PRIVATE KEY") != NULL)
			err = wrong(why, "has a private key; the public one is all that is needed");
		else
			err = add(s, read_block(name, data, len), why);
		OPENSSL_clear_free(data, (size_t)len);
		OPENSSL_free(name);
		OPENSSL_free(head);
	}
	BIO_free(b);
	if (err == 0 && s->n == before)
		err = wrong(why, "has no public key in PEM");
	ERR_clear_error();
	return err;
}

static EVP_PKEY *
read_block(const char *name, const uint8_t *p, long len)
{
	EVP_PKEY *key = NULL;
	X509 *x;

	if (strcmp(name, "PUBLIC KEY") == 0)
		return d2i_PUBKEY(NULL, &p, len);
	if (strcmp(name, "RSA PUBLIC KEY") == 0)
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);
	if (strcmp(name, "CERTIFICATE") != 0 || (x = d2i_X509(NULL, &p, len)) == NULL)
		return NULL;
	key = X509_get_pubkey(x);
	X509_free(x);
	return key;
}

/* The kind of signature that the key is for, or -1. */
static int
kind_of(const EVP_PKEY *key)
{
	char group[64];
	int bits;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		bits = EVP_PKEY_get_bits(key);
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? JWT_RSA : -1;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return JWT_EDWARDS;
	case EVP_PKEY_EC:
		/* By name: others have as many bits. */
		if (EVP_PKEY_get_group_name((EVP_PKEY *)key, group, sizeof(group), NULL) != 1)
			return -1;
		return strcmp(group, "prime256v1") == 0 ? JWT_P256
		    : strcmp(group, "secp384r1") == 0   ? JWT_P384
		    : strcmp(group, "secp521r1") == 0   ? JWT_P521
							: -1;
	default:
		return -1;
	}
}

/* Takes key. */
static int
add(struct jwt_keys *s, EVP_PKEY *key, char why[JWT_WHY_MAX])
{
	int kind = key != NULL ? kind_of(key) : -1;

	if (kind >= 0 && s->n < JWT_KEYS_MAX) {
		s->key[s->n++] = (struct jwt_key){ .kind = (enum jwt_kind)kind, .key = key };
		return 0;
	}
	EVP_PKEY_free(key);
	return wrong(why,
	    kind < 0 ? "has what is no key of RSA (2048 to 8192 bits), P-256, P-384, P-521 or EdDSA"
		     : "has more than 64 keys");
}

/* --- JWKS --------------------------------------------------------------------------------- */

int
jwt_keys_add_jwks(struct jwt_keys *s, struct span text, char why[JWT_WHY_MAX])
{
	json_error_t bad;
	json_t *all = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, &bad), *k;
	json_t *keys = json_object_get(all, "keys");
	size_t before = s->n, i;

	if (!json_is_array(keys)) {
		json_decref(all);
		return wrong(why, "is no set of keys (RFC 7517)");
	}
	json_array_foreach(keys, i, k) {
		const char *kid = json_string_value(json_object_get(k, "kid"));
		const char *alg = json_string_value(json_object_get(k, "alg"));
		const char *use = json_string_value(json_object_get(k, "use"));
		char ignored[JWT_WHY_MAX];
		struct jwt_key *now;

		if ((use != NULL && strcmp(use, "sig") != 0) ||
		    (kid != NULL && strlen(kid) > TEXT_MAX) || s->n == JWT_KEYS_MAX ||
		    add(s, of_jwk(k), ignored) != 0)
			continue;
		now = &s->key[s->n - 1];
		if ((kid != NULL && (now->kid = strdup(kid)) == NULL) ||
		    (alg != NULL && (now->alg = strdup(alg)) == NULL)) {
			json_decref(all);
			return wrong(why, "needs more memory than there is");
		}
	}
	json_decref(all);
	ERR_clear_error();
	return s->n > before ? 0 : wrong(why, "has no key that is known");
}

/* The bytes of a member, OPENSSL_free()d by the caller; NULL: there are none. */
static uint8_t *
member(const json_t *k, const char *name, size_t *len_out)
{
	const json_t *v = json_object_get(k, name);
	size_t len = json_string_length(v), n;
	uint8_t *p = len > 0 && len <= 2048 ? OPENSSL_malloc(len) : NULL;

	if (p == NULL)
		return NULL;
	n = jwt_base64(span_of(json_string_value(v), len), p);
	if (n == SIZE_MAX || n == 0) {
		OPENSSL_free(p);
		return NULL;
	}
	*len_out = n;
	return p;
}

static EVP_PKEY *
of_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *
rsa_of(struct span n, struct span e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *bn = BN_bin2bn(n.p, (int)n.len, NULL), *be = BN_bin2bn(e.p, (int)e.len, NULL);
	EVP_PKEY *key = NULL;

	/* A long exponent only costs time. */
	if (build != NULL && bn != NULL && be != NULL && BN_num_bits(be) <= 64 &&
	    BN_num_bits(bn) <= RSA_BITS_MAX &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		key = of_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(bn);
	BN_free(be);
	return key;
}

/* OpenSSL sees to it that the point is on the curve. */
static EVP_PKEY *
ec_of(const char *curve, struct span x, struct span y)
{
	static const struct {
		const char *name, *group;
		size_t len;
	} curves[] = {
		{ "P-256", "prime256v1", 32 },
		{ "P-384", "secp384r1", 48 },
		{ "P-521", "secp521r1", 66 },
	};
	OSSL_PARAM_BLD *build;
	EVP_PKEY *key = NULL;
	uint8_t point[1 + 2 * 66] = { 4 };
	size_t i = 0;

	while (i < 3 && strcmp(curves[i].name, curve) != 0)
		i++;
	if (i == 3 || x.len != curves[i].len || y.len != curves[i].len)
		return NULL;
	memcpy(point + 1, x.p, x.len);
	memcpy(point + 1 + x.len, y.p, y.len);
	build = OSSL_PARAM_BLD_new();
	if (build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(
		build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * x.len) == 1)
		key = of_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	return key;
}

/* NULL: none that is known. A secret in there ("oct") has been read by others, too. */
static EVP_PKEY *
of_jwk(const json_t *k)
{
	const char *type = json_string_value(json_object_get(k, "kty"));
	const char *curve = json_string_value(json_object_get(k, "crv"));
	bool is_rsa = type != NULL && strcmp(type, "RSA") == 0;
	size_t a_len = 0, b_len = 0;
	uint8_t *a = member(k, is_rsa ? "n" : "x", &a_len);
	uint8_t *b = member(k, is_rsa ? "e" : "y", &b_len);
	EVP_PKEY *key = NULL;

	if (is_rsa && a != NULL && b != NULL)
		key = rsa_of(span_of(a, a_len), span_of(b, b_len));
	else if (type == NULL || curve == NULL || a == NULL)
		key = NULL;
	else if (strcmp(type, "EC") == 0 && b != NULL)
		key = ec_of(curve, span_of(a, a_len), span_of(b, b_len));
	else if (strcmp(type, "OKP") == 0 && strcmp(curve, "Ed25519") == 0)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, a, a_len);
	else if (strcmp(type, "OKP") == 0 && strcmp(curve, "Ed448") == 0)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED448, NULL, a, a_len);
	OPENSSL_free(a);
	OPENSSL_free(b);
	return key;
}

static int
digit(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A'
	    : c >= 'a' && c <= 'z'  ? c - 'a' + 26
	    : c >= '0' && c <= '9'  ? c - '0' + 52
	    : c == '-'              ? 62
	    : c == '_'              ? 63
				    : -1;
}

size_t
jwt_base64(struct span text, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int d = digit(text.p[i]);

		if (d < 0)
			return SIZE_MAX;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
			bits &= (1U << have) - 1;
		}
	}
	/* What is left over has to be nothing, or a token could be written in more than one way. */
	return have >= 6 || bits != 0 ? SIZE_MAX : n;
}
