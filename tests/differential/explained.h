/*
 * explained.h - what may differ between two brokers that both keep to the standard, and what one of them gets wrong
 *
 * Both lists stay true: what has not been seen in a whole run makes the run fail.
 */
#ifndef DIFFERENTIAL_EXPLAINED_H
#define DIFFERENTIAL_EXPLAINED_H

#include <stddef.h>

#include "tests/lib/wire.h"

/* In this script this came instead of that. All three are patterns as for file names; "-": nothing. */
struct explained {
	const char *script, *theirs, *ours;
	const char *section, *why;
};

extern const struct explained explained[];
extern const size_t nexplained;

/* A property of a packet that each broker may send or not, with the value it likes; NO_MATCHING: reason code 0x10 in place of 0. */
struct liberty {
	enum wire_type type;
	enum wire_prop_id prop;
	const char *section, *why;
};

#define NO_MATCHING ((enum wire_prop_id)0)

extern const struct liberty liberties[];
extern const size_t nliberties;

#define EXPLAINED_MAX 256
#define RANDOM "random" /* the name of all scripts that are drawn */

/* What has been seen, by all processes of the run. */
struct seen {
	_Atomic unsigned next, passed, failed, explained[EXPLAINED_MAX], liberty[EXPLAINED_MAX];
};

extern struct seen *seen;

/* NULL: not explained. */
const struct explained *explained_find(const char *script, const char *theirs, const char *ours);
const struct liberty *liberty_find(enum wire_type type, enum wire_prop_id prop);

#endif
