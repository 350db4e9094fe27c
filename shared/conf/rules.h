/*
 * rules.h - the access rules of a configuration: those that administrators have added while the broker runs, then those of its file
 *
 * Runs in: the master and tbmqctl, which may read files; workers and persist get what was made of them.
 */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "shared/conf/conf.h"

struct acl_set;

enum rules_from { RULES_KEPT, RULES_FILE, RULES_FROM }; /* in the order in which they decide */

/* What a process was given for the configuration that comes next. All zero: nothing. */
struct rules_given {
	struct {
		int fd;
		bool is_there;
	} of[RULES_FROM];
};

/* The file's, as a sealed memfd, the caller's, or -1: it names none. 0, or -errno with *err. */
int rules_read(const struct conf *c, int *fd_out, struct conf_error *err);
int
rules_check(const struct conf *c, struct conf_error *err); /* the same, of which nothing stays */

void rules_give(struct rules_given *g, enum rules_from from, int fd); /* fd is taken */
void rules_drop(struct rules_given *g);
/* What c's rules are by what was given, which is dropped. *out NULL: there are none. -EPROTO, -ENOMEM. */
int rules_map(const struct conf *c, struct rules_given *g, struct acl_set **out);

#endif
