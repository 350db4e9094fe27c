/*
 * credential.h - who may come in, and what is to be known of it
 *
 * A table in memory, by name and by what a client shows: identifier and user name, either of which a credential may leave open, or identifier and a name in a
 * certificate. Persist has the same on disk
 * (keep.h), as records whose format is here: a version, then fields, each with its number.
 *
 * Runs in: auth's loop.
 * Errors:  -ENOMEM, -EEXIST; nothing changed then.
 */
#ifndef AUTH_CREDENTIAL_H
#define AUTH_CREDENTIAL_H

#include "shared/base/list.h"
#include "shared/base/password.h"
#include "shared/base/span.h"

#define CREDENTIAL_NAME_MAX 256
#define CREDENTIAL_GROUPS_MAX 1024
#define CREDENTIAL_RECORD_MAX 65535

struct credential { /* texts are NUL terminated, and belong to it */
	char *name;
	char *client_id, *user_name; /* NULL: any. One of them is there */
	char *password;              /* as password.h keeps it; NULL: none is needed, see below */
	char *scram; /* as scram.h keeps it: only by that can it be shown, without a password */
	char
	    *certificate; /* instead of a user name: as certificate.h has it; NULL: not about one */
	char *
	    client_pattern; /* with it: a regular expression on the client identifier; NULL: none */
	struct regex *name_regex, *client_regex; /* of the two, while it is in the table */
	struct list link;                        /* likewise, with name_regex */
	char *groups;                            /* with commas between them; NULL: none */
	bool is_disabled;
	uint64_t serial; /* never used twice: which one it is, since it came into the table */
};

struct credential *credential_new(void);                       /* empty; NULL: no memory */
struct credential *credential_dup(const struct credential *c); /* NULL: no memory */
void credential_free(struct credential *c); /* one that is not in the table; NULL is fine */
/* Sets one of its texts; an empty span: none. False: no memory. */
bool credential_set(char **text, struct span to);
/* What is wrong with it; NULL: nothing. */
const char *credential_wrong(const struct credential *c);

/* Does it let clients in that show identifier, user name and password, as they are? */
bool credential_is_plain(const struct credential *c);
bool credential_shows_same(const struct credential *a, const struct credential *b);

/* Bytes written, or 0: it is longer than room. */
size_t credential_encode(const struct credential *c, uint8_t *to, size_t room);
struct credential *credential_decode(struct span name, struct span record); /* NULL: it can't be */

void credential_init(void);
void credential_fini(void);
/* Takes c, which replaces the one of its name. -EEXIST: another has its identifier and user name. */
int credential_put(struct credential *c);
bool credential_del(struct span name);
struct credential *credential_find(struct span name); /* lent; or NULL */
/* The one for just this identifier and user name, NULL for one that it leaves open; or NULL. */
struct credential *credential_match(const char *client_id, const char *user_name);
/* The one that shows the same as c; or NULL. */
struct credential *credential_match_same(const struct credential *c);
/* Likewise for this identifier, or NULL, and this rule about certificates. */
struct credential *credential_match_certificate(const char *client_id, const char *certificate);
/* Those with a pattern for names in certificates, by their names; NULL: from the first. NULL: the end. */
struct credential *credential_next_pattern(const struct credential *c);
/* In no order: *pos starts at 0. NULL: the end. */
struct credential *credential_next(uint64_t *pos);
size_t credential_count(void);

#endif
