/*
 * fit.h - does a machine have what a configuration takes? What is found, and what to do about it
 *
 * A finding is an object of JSON: what it is about, a verdict, a text, and the remedy if there is one. A problem is what keeps the broker from
 * starting or from what it is configured for; advice is for what would be faster, safer or more durable otherwise.
 *
 * Runs in: tbmqctl. Reads nothing: who calls has looked.
 */
#ifndef CTL_FIT_H
#define CTL_FIT_H

#include <jansson.h>

#include "master/ctl/machine.h"
#include "shared/conf/conf.h"

enum verdict { FIT_OK, FIT_ADVICE, FIT_PROBLEM };

struct need {
	const struct conf *conf;
	int64_t connections; /* of the whole broker */
	bool is_firm;        /* somebody has said so; else it is what servers often have */
	unsigned workers;
	int64_t descriptors; /* that each process may have; UNKNOWN */
	bool by_unit;        /* the service manager says so */
	const char *conf_file;
};

extern const char *const verdict_name[];

/* remedy NULL: there is none. */
void fit_add(json_t *findings, enum verdict v, const char *about, const char *remedy,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* All that numbers tell. */
void fit_numbers(json_t *findings, const struct machine *m, const struct need *n);

#endif
