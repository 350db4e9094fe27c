/*
 * token.h - a JSON web token (RFC 7519) in its compact form, and whether its signature is good
 *
 * Its claims are not so much as looked at before that. What the header says decides nothing: it must fit the key.
 *
 * Runs in: auth's loop; pure. What is most expensive, a signature of P-521, takes a millisecond; RSA and P-256 less than a tenth of it.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include <jansson.h>

#include "shared/jwt/key.h"

#define TOKEN_MAX 16384
#define TOKEN_KID_MAX 256

enum token_is {
	TOKEN_NONE, /* something else */
	TOKEN_GOOD,
	TOKEN_NO_KEY, /* none fits what its header says */
	TOKEN_BAD     /* forged, or not as it should be */
};

struct token {
	json_t *claims;          /* an object, the caller's, if it is good */
	char kid[TOKEN_KID_MAX]; /* of the key, as the token says; empty: it doesn't */
	const char *why;         /* it is not good, in words */
};

/* Any of the sets may be NULL. */
enum token_is
token_check(struct span text, const struct jwt_keys *const sets[], size_t n, struct token *out);

#endif
