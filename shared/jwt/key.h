/*
 * key.h - keys that signatures of JSON web tokens are checked with
 *
 * A set has secrets, public keys in PEM, and those of a JWKS document (RFC 7517). A key knows the one kind of signature that it is for: what a token says of its
 * algorithm only has to agree with that, so a public key can't be taken for a secret, whatever the token says.
 *
 * OpenSSL and jansson, and not libjwt: what distributions have of that (1.10) lets the token's header choose the algorithm, knows neither JWKS nor sets of keys, and
 * wants text that ends with a NUL, none of which is what a client's bytes should meet.
 *
 * Runs in: auth; tbmqctl and the master, which look whether files are what they should be.
 */
#ifndef JWT_KEY_H
#define JWT_KEY_H

#include <openssl/evp.h>

#include "shared/base/span.h"

#define JWT_KEYS_MAX 64
#define JWT_WHY_MAX 128

enum jwt_kind { JWT_HMAC, JWT_RSA, JWT_P256, JWT_P384, JWT_P521, JWT_EDWARDS };

struct jwt_key {
	enum jwt_kind kind;
	EVP_PKEY *key; /* not JWT_HMAC */
	uint8_t *secret;
	size_t secret_len;
	char *kid; /* its name; NULL: it has none, and may be meant by any */
	char *alg; /* the only one it is for; NULL: all of its kind */
};

struct jwt_keys {
	size_t n;
	struct jwt_key key[JWT_KEYS_MAX];
};

struct jwt_keys *jwt_keys_new(void); /* none; NULL: no memory */
void jwt_keys_free(struct jwt_keys *s);
/* 0, or -errno with the reason; the set is to be given up then. */
int
jwt_keys_add_secret(struct jwt_keys *s, struct span file, bool is_base64, char why[JWT_WHY_MAX]);
int jwt_keys_add_pem(struct jwt_keys *s, struct span file, char why[JWT_WHY_MAX]);
/* Those of the document that are for signatures and of a kind that is known; others are passed over. */
int jwt_keys_add_jwks(struct jwt_keys *s, struct span text, char why[JWT_WHY_MAX]);
bool jwt_keys_has(const struct jwt_keys *s, const char *kid);

/* base64url without padding (RFC 7515, 2); out has room for text.len bytes. SIZE_MAX: it isn't. */
size_t jwt_base64(struct span text, uint8_t *out);

#endif
