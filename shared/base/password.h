/*
 * password.h - what is kept of a password, and whether one fits it
 *
 * What is kept is text that names its method and cost: ours is scrypt, which costs memory too ("$scrypt$ln=12,r=8,p=1$SALT$HASH", with
 * base64). Files of mosquitto have "$7$ITERATIONS$SALT$HASH" (PBKDF2 with SHA-512) and "$6$SALT$HASH" (SHA-512 of password and salt).
 *
 * Takes milliseconds and, for scrypt, megabytes, on purpose: never in an event loop.
 *
 * Runs in: auth's threads (verify), tbmqctl (hash). No state.
 * Trusts:  no text: costs are bounded before anything is computed.
 */
#ifndef BASE_PASSWORD_H
#define BASE_PASSWORD_H

#include "shared/base/span.h"

#define PASSWORD_TEXT_MAX 512
#define PASSWORD_COST 12 /* 4 MiB, some 10 ms */
#define PASSWORD_COST_MIN 10
#define PASSWORD_COST_MAX 18

/* cost: log2 of scrypt's N. 0; -EINVAL: cost; -EIO, -ENOMEM: OpenSSL could not. */
int password_hash(struct span password, unsigned cost, char out[PASSWORD_TEXT_MAX]);
/* Can it be verified at all? text is NUL terminated. */
bool password_text_is_valid(const char *text);
/* False: another password, or text that can't be. */
bool password_fits(const char *text, struct span password);

#endif
