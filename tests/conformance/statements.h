/*
 * statements.h - the list of all that is demanded, each with its check
 */
#ifndef CONFORMANCE_STATEMENTS_H
#define CONFORMANCE_STATEMENTS_H

#include "tests/conformance/check.h"

enum who { SERVER, CLIENT, BOTH };

struct statement {
	int version;
	const char *id;
	enum who who;
	const char *text, *why_not; /* why_not: nothing can be checked */
	const struct check *check;
};

extern struct statement statements[];
extern const size_t nstatements;

/* Finds the check of each; false: prints what is missing, named twice, or unknown. */
bool statements_link(void);
const char *
statement_name(const struct statement *s); /* MQTT-3.1.2-1; borrowed until the next call */
const char *version_name(int version);
void statements_page(void); /* prints COVERAGE.md */

#endif
