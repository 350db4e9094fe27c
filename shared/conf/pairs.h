/*
 * pairs.h - keys of the configuration that have more than one thing in them
 *
 * "name=value, name=value", or names alone; values may be patterns, in which %c and the like stand for what is known of a client, and %% for a per cent sign.
 *
 * Runs in: whoever has a configuration.
 */
#ifndef CONF_PAIRS_H
#define CONF_PAIRS_H

#include "shared/base/span.h"

/* Cuts the next one off *rest. 1; 0: there is no more; -EINVAL: it has no name. value->p NULL: no "=" follows. */
int pairs_next(struct span *rest, struct span *name, struct span *value);
/* Do all of them have a value that is a pattern with these letters, or, letters NULL, none? */
bool pairs_are_valid(const char *text, const char *letters);
bool pattern_is_valid(struct span text, const char *letters);

#endif
