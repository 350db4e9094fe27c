/*
 * build.h - rules on their way into an image, for the modules of this folder
 *
 * A format's parser hands over one rule after the other, in the order in which they are to decide.
 *
 * Errors: -ENOMEM; -EINVAL, -E2BIG: acl_say() has told where and why.
 */
#ifndef ACL_BUILD_H
#define ACL_BUILD_H

#include "shared/acl/image.h"

struct acl_build;

/* Where a parser is, and where it says what is wrong. */
struct acl_reading {
	FILE *in;
	const char *name;
	uint32_t line;
	char *text; /* the line, without what ends it; NUL terminated */
	size_t len, cap;
	struct acl_build *build;
	struct acl_error *err;
};

struct acl_name { /* of a subject */
	enum acl_subject kind;
	struct span text;
	bool is_regex;
};

struct acl_new_rule {
	struct span text; /* as it was written */
	uint32_t line;
	bool allow;
	uint8_t actions; /* ACL_MASK(…) */
	struct acl_name who;
	struct span topic; /* placeholders are single bytes already */
	bool topic_is_regex;
};

/* The next line that is not empty, in r->text. 1; 0: no more; -errno. */
int acl_next_line(struct acl_reading *r);
int acl_say(struct acl_reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replaces %c, %u, %{cn} by their bytes and %% by %, in place. strict: there is no other '%'. -EINVAL is said. */
int acl_placeholders(struct acl_reading *r, char *topic, size_t *len, bool strict);

int acl_check_filter(struct acl_reading *r, struct span filter); /* -EINVAL is said */

int acl_parse_tbmq(struct acl_reading *r);
int acl_parse_mosquitto(struct acl_reading *r);

int acl_build_rule(struct acl_reading *r, const struct acl_new_rule *n);
int acl_build_member(struct acl_reading *r, struct span group, const struct acl_name *who);
void acl_build_flag(struct acl_build *b, uint32_t flag);

#endif
