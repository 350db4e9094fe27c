/*
 * scram.h - what is kept of a password for SCRAM (RFC 5802, RFC 7677), and the arithmetic of it
 *
 * What is kept is text, as PostgreSQL has it: "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY", with base64; for several methods
 * one behind the other, with a blank between them. Who reads it can pretend to be the broker, and try passwords, but not to be the client.
 *
 * Passwords are taken as they are, in UTF-8: of SASLprep only what leaves ASCII alone is done.
 *
 * Runs in: auth's loop (nothing there takes long), tbmqctl (scram_make() takes long on purpose). No state.
 * Trusts:  no text.
 */
#ifndef BASE_SCRAM_H
#define BASE_SCRAM_H

#include <sys/types.h>

#include "shared/base/span.h"

enum scram_kind { SCRAM_SHA_256, SCRAM_SHA_512, SCRAM_KINDS };

#define SCRAM_HASH_MAX 64
#define SCRAM_SALT_MAX 64
#define SCRAM_SALT 16
#define SCRAM_ITERATIONS 15000
#define SCRAM_ITERATIONS_MIN 4096 /* RFC 7677, 4 */
#define SCRAM_ITERATIONS_MAX 10000000
#define SCRAM_BASE64_MAX 92 /* of a hash or salt, with a NUL */
#define SCRAM_TEXT_MAX 1024 /* of all kinds */

struct scram_keys {
	unsigned iterations;
	size_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX], stored[SCRAM_HASH_MAX], server[SCRAM_HASH_MAX];
};

const char *scram_name(enum scram_kind kind);      /* of the method: "SCRAM-SHA-256" */
enum scram_kind scram_kind_of(struct span method); /* SCRAM_KINDS: another */
size_t scram_hash_len(enum scram_kind kind);

/* Of a password and a salt that is in *k already, as are its iterations. 0, -EIO. */
int scram_derive(enum scram_kind kind, struct span password, struct scram_keys *k);
/* What is to be kept of it, with a salt of its own for each kind. 0, -EINVAL: iterations, -EIO. */
int scram_make(struct span password, unsigned iterations, char out[SCRAM_TEXT_MAX]);
/* False: there is none of that kind in text, or text can't be. */
bool scram_parse(const char *text, enum scram_kind kind, struct scram_keys *out);
bool scram_text_is_valid(const char *text);

/* Out has room for a hash; false: OpenSSL could not. */
bool scram_hash(enum scram_kind kind, struct span of, uint8_t *out);
bool scram_hmac(enum scram_kind kind, struct span key, struct span of, uint8_t *out);

void scram_base64(struct span of, char out[SCRAM_BASE64_MAX]); /* of 66 bytes at most */
/* Bytes; -1: no base64 as scram_base64() would write it, or more than room. */
ssize_t scram_from_base64(struct span text, uint8_t *out, size_t room);

#endif
