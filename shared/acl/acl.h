/*
 * acl.h - access rules: who may publish, subscribe to and receive what
 *
 * Rules are text in one of two formats (parse.c, mosquitto.c). They are compiled once into an image: one run of bytes without pointers, in
 * a sealed memfd that all workers map (image.h has the layout). The first rule that decides wins, and a rule's number is its place.
 *
 * Filters of rules are in tries, two for each subject (everybody, one user, one client, one certificate, one group, one regular expression of
 * these): a decision walks those of the subjects that the client is, whatever the number of rules, and takes the lowest
 * number found. Who a client is, is found out once, when it connects: acl_bind(). Regular expressions on topics are tried in order, as long
 * as their number is below the best found.
 *
 * A set is a few images in order; what the first does not decide the next may, and what none does is the set's default.
 *
 * Subscriptions: a filter is allowed if one rule that allows covers all of it before one that denies does. If a rule before that denies a part of
 * it, or a regular expression cannot tell, each message on the subscription has to be checked by its topic (verdict.checked). To say so once too
 * often costs time, never access.
 *
 * Placeholders stand for what the client says of itself: a value that could be more than one level, or a wildcard, or that is missing, makes
 * its rule match nothing; so does one that would begin a topic with '$'.
 *
 * Runs in: the master and tbmqctl (compiling), workers and persist (deciding). One thread.
 * Trusts:  neither the text nor the image: what can't be is -EINVAL with a reason, or -EPROTO.
 */
#ifndef ACL_ACL_H
#define ACL_ACL_H

#include <stdio.h>

#include "shared/base/span.h"

#define ACL_RULES_MAX (1u << 20)
#define ACL_REGEXES_MAX 10000u
#define ACL_LEVELS 256           /* of a rule's filter */
#define ACL_ATTRIBUTE_MAX 64     /* bytes of its name in a placeholder */
#define ACL_LINE_MAX 65536       /* bytes */
#define ACL_FILE_MAX (256 << 20) /* bytes */
#define ACL_IMAGES 2             /* in a set */
#define ACL_NONE UINT32_MAX      /* no rule */

enum acl_format { ACL_TBMQ, ACL_MOSQUITTO };

enum acl_action { ACL_PUBLISH, ACL_SUBSCRIBE, ACL_RECEIVE, ACL_ACTIONS };

struct acl_error {
	char text[512]; /* "/etc/tbmq/acl:12: …" */
};

/* Who a client is. Borrowed spans; empty: it has none. */
struct acl_who {
	struct span client, user, cert; /* cert: the common name of the certificate it has shown */
	const struct span *groups;      /* beside those that the rules themselves put it in */
	size_t ngroups;
	/* What else is known of it, for placeholders: lends a value, or an empty span. May be NULL: nothing. */
	struct span (*attribute)(const void *arg, struct span name);
	const void *arg;
};

struct acl_verdict {
	bool allowed;
	bool checked;     /* a subscription: each of its messages has to be */
	unsigned image;   /* in the set: whose rule it was */
	uint32_t rule;    /* that decided; ACL_NONE: the default */
	uint32_t because; /* checked: of this rule, of that image; ACL_NONE: of none alone */
	unsigned because_image;
};

struct acl_rule {
	struct span text; /* as it was written */
	uint32_t line;
	bool allow;
};

struct acl_image;
struct acl_bound;

struct acl_set {
	uint32_t refs; /* of who has the set, and of all who are bound to it */
	unsigned n;
	bool allow; /* what holds when no rule decides */
	struct acl_image *image[ACL_IMAGES];
};

/* --- compiling --------------------------------------------------------------------------- */

/* Rules from a stream; name is for messages and is kept in the image. The caller frees *out. 0, or -errno with *err. */
int acl_compile(FILE *in, const char *name, enum acl_format format, void **out, size_t *len_out,
    struct acl_error *err);
/* Of a file, as a sealed memfd, the caller's; or -errno with *err. name: the file's, or of the one whose place it is to take. */
int acl_read(const char *path, const char *name, enum acl_format format, struct acl_error *err);

/* --- images and sets --------------------------------------------------------------------- */

/* Checks it all. bytes stay the caller's, and have to be aligned to 8 and stay there. 0, -EPROTO, -ENOMEM. */
int acl_image_new(struct span bytes, struct acl_image **out);
int acl_image_map(int fd, struct acl_image **out); /* checks the seals, too; fd stays open */
void acl_image_free(struct acl_image *im);         /* may be NULL */
bool acl_image_eq(const struct acl_image *a, const struct acl_image *b);
uint32_t acl_image_rules(const struct acl_image *im);
struct span acl_image_name(const struct acl_image *im);
/* n below acl_image_rules(). Borrowed from the image. */
struct acl_rule acl_image_rule(const struct acl_image *im, uint32_t n);

/* Takes the images, which are gone with the last reference. NULL: no memory, they stay the caller's. */
struct acl_set *acl_set_new(struct acl_image *const *image, unsigned n, bool allow);
bool acl_set_uses_cert(const struct acl_set *s); /* else who.cert need not be looked for */
void acl_set_unref(struct acl_set **s);          /* and *s = NULL; NULL is fine */

/* --- deciding ---------------------------------------------------------------------------- */

/* Which rules are about this client. Clients that are the same to the rules share one. NULL: no memory. */
struct acl_bound *acl_bind(struct acl_set *s, const struct acl_who *who);
void acl_unbind(struct acl_bound **b); /* and *b = NULL; NULL is fine */
const struct acl_set *acl_bound_set(const struct acl_bound *b);

/*
 * topic: valid; of ACL_SUBSCRIBE a valid filter without $share/NAME/. who: the one that was bound, with its attributes; certificate and groups
 * need not be there any more.
 */
struct acl_verdict acl_decide(const struct acl_bound *b, const struct acl_who *who,
    enum acl_action action, struct span topic);

/* Regular expressions that gave up since this was last asked: they count as no match where they allow, as one where they deny. */
unsigned acl_errors(void);

#endif
