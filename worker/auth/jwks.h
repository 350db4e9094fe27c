/*
 * jwks.h - keys for tokens from a URL (RFC 7517)
 *
 * Fetched at the start, at each reload, every jwt_jwks_refresh, and when a token names a key that isn't there, but not more often than once in some seconds, whatever tokens say. The
 * last good set stays in force while none can be had; that of another URL does not.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_JWKS_H
#define AUTH_JWKS_H

#include "shared/jwt/key.h"
#include "shared/net/auth_files.h"

void jwks_init(void (*news)(void)); /* called when what was asked for has come, or hasn't */
void jwks_fini(void);
/* As of jwt.h. */
int jwks_prepare(const struct conf *next, const struct auth_files *files, char why[256]);
void jwks_commit(void);
void jwks_withdraw(void);

const struct jwt_keys *jwks_keys(void); /* NULL: there are none (yet) */
/* There may be news about a key: they are asked for, or have been. False: not now. */
bool jwks_ask(void);

#endif
