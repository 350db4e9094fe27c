/*
 * who.h - who a client is to the access rules, as bytes: for who has to decide about it when it has long gone
 *
 * Client identifier, user name, common name of its certificate, how many groups (a byte) and these, each with its length (two bytes, the high one
 * first), then its attributes. It is part of records on disk.
 *
 * Trusts:  no bytes: all lengths are checked.
 */
#ifndef ACL_WHO_H
#define ACL_WHO_H

#include "shared/acl/acl.h"
#include "shared/mqtt/packet.h"

#define ACL_WHO_GROUPS 64

struct acl_known {
	struct acl_who who; /* lent by the rest, so it stays where it is */
	struct span groups[ACL_WHO_GROUPS];
	struct span attributes;
};

/* attributes: each a name, a NUL, its value, a NUL; those of who.attribute, which is not asked. */
size_t acl_who_len(const struct acl_who *who, struct span attributes);
void acl_who_write(struct wr *w, const struct acl_who *who,
    struct span attributes); /* over: there is no room, or are more groups */
/* False: it can't be. All that is in there is lent by s. */
bool acl_who_read(struct span s, struct acl_known *out);
/* The value of the attribute of that name; empty: there is none. */
struct span acl_attribute(struct span attributes, struct span name);

#endif
