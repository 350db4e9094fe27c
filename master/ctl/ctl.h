/*
 * ctl.h - what the commands of tbmqctl share: which broker, and how to ask it
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "shared/conf/dirs.h"

struct ctl {
	struct dirs dirs;
	bool json;
};

extern struct ctl ctl;

bool ctl_is_running(void);
/* One request, one answer. 0; 3: nobody listens; 4: no answer in time; 1: errno. *out is the caller's. */
int ctl_ask(const char *text, json_t **out);
void ctl_find(const char *exe, char out[PATH_MAX]); /* next to us, in ../sbin, or by PATH */

#endif
