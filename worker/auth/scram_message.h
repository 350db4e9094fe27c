/*
 * scram_message.h - what a client says in SCRAM (RFC 5802, section 7), taken apart
 *
 * Pure. Borrows: spans point into what was parsed. False: the message can't be, or wants what there is not, as channel binding or
 * extensions that must be known; *out is of no use then.
 */
#ifndef AUTH_SCRAM_MESSAGE_H
#define AUTH_SCRAM_MESSAGE_H

#include "shared/base/span.h"

#define SCRAM_MESSAGE_MAX 2048
#define SCRAM_NAME_MAX 1024 /* of a user */
#define SCRAM_NONCE_MAX 256 /* of the client's */
#define SCRAM_NONCE_OURS 24 /* behind it */

struct scram_first {
	struct span
	    header; /* what says of channel binding: "n,,", or with y, or with the name to act as */
	struct span bare; /* the rest */
	struct span nonce;
	size_t name_len;
	char name[SCRAM_NAME_MAX + 1]; /* with its escapes undone, and a NUL */
};

struct scram_final {
	struct span header; /* base64 of the first one's */
	struct span nonce;
	struct span without_proof;
	struct span proof; /* base64 */
};

bool scram_first_parse(struct span text, struct scram_first *out);
bool scram_final_parse(struct span text, struct scram_final *out);

#endif
