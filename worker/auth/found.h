/*
 * found.h - groups and attributes of a client, from JSON that a provider trusts
 *
 * What is too long, or can't be kept as it is, isn't cut or left out but refused: without one of its groups a client might be allowed more than it should.
 *
 * Runs in: auth's loop.
 */
#ifndef AUTH_FOUND_H
#define AUTH_FOUND_H

#include <jansson.h>

#include "worker/auth/login.h"

#define FOUND_BYTES 4096 /* of either */
#define FOUND_GROUPS 64  /* as many as a worker looks at */

struct found {
	size_t groups_len, attributes_len, ngroups;
	char groups[FOUND_BYTES], attributes[FOUND_BYTES];
};

/* An array of names, or one name. NULL is fine: none. False: it can't be. */
bool found_groups(struct found *f, const json_t *groups);
/* A string, number or boolean; of other types nothing is known. */
bool found_attribute(struct found *f, const char *name, const json_t *value);
void found_tell(const struct found *f, struct login *l); /* l borrows f */

#endif
