/*
 * rules.h - the access rules that a configuration names
 *
 * Runs in: the master and tbmqctl, which may read files; workers and persist get what was made of them.
 */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "shared/conf/conf.h"

struct acl_set;

/* Sealed memfd, the caller's, or -1: it names none. 0, or -errno with *err. */
int rules_read(const struct conf *c, int *fd_out, struct conf_error *err);
int
rules_check(const struct conf *c, struct conf_error *err); /* the same, of which nothing stays */
/* Of a process that is given them: what rules_read() has made of c's; -1: nothing was given. *out NULL: c has none. fd stays open. */
int rules_map(const struct conf *c, int fd, struct acl_set **out);
/* What holds where none decides. */
bool rules_allow(const struct conf *c);

#endif
