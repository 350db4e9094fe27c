/*
 * dirs.h - where an instance of the broker has its files
 *
 * A private instance (--dir) has everything below one directory; the installed one is where the system wants it.
 *
 * Runs in: master, tbmqctl.
 */
#ifndef CONF_DIRS_H
#define CONF_DIRS_H

#include <limits.h>
#include <stdbool.h>

struct dirs {
	bool is_private; /* --dir: no change of user */
	bool
	    is_own_conf; /* the configuration file is where it is looked for, not one that was named */
	char dir[PATH_MAX / 2]; /* absolute; "" for the installed one */
	char conf[PATH_MAX], run[PATH_MAX], data[PATH_MAX], log[PATH_MAX];
	char control[PATH_MAX], lock[PATH_MAX], pid[PATH_MAX], logfile[PATH_MAX];
};

/* dir and conf may be NULL. -ENAMETOOLONG: a socket below dir, or conf, could not be named. */
int dirs_init(struct dirs *d, const char *dir, const char *conf);

#endif
