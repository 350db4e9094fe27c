/*
 * bind.h - what was found of a client, for the modules of this folder
 */
#ifndef ACL_BIND_H
#define ACL_BIND_H

#include "shared/acl/image.h"

struct acl_ref {
	uint32_t root;
	uint8_t image;
	bool deny_only; /* a regular expression gave up: what denies is taken for a match */
	uint8_t spare[2];
};

struct acl_bound {
	uint32_t refs, n;
	uint64_t hash;
	struct acl_set *set;
	struct span cert; /* behind ref[]; empty: no rule asks for it */
	struct acl_ref ref[];
};

void acl_gave_up(void); /* a regular expression */

#endif
