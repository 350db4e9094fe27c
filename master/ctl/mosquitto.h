/*
 * mosquitto.h - a mosquitto.conf made a configuration of ours
 *
 * mosquitto.def has all options of mosquitto 2.0. What became of each one in the file is told, with its line; so is what mosquitto does without an
 * option and we would not. Values are never told of options that may be secrets. What can't be read, or mosquitto would refuse, is wrong, and
 * then there is no configuration.
 *
 * Runs in: tbmqctl.
 * Trusts:  no text: names, numbers and lengths are checked; the result has passed conf_check().
 */
#ifndef CTL_MOSQUITTO_H
#define CTL_MOSQUITTO_H

#include <stdbool.h>
#include <stdio.h>

#include "shared/conf/conf.h"

enum mosquitto_fate {
	MOSQUITTO_TAKEN,
	MOSQUITTO_DIFFERS,     /* taken, but not quite the same */
	MOSQUITTO_STEP,        /* something is left to be done by hand */
	MOSQUITTO_NOTHING,     /* it means nothing here */
	MOSQUITTO_UNSUPPORTED, /* who relies on it loses something */
	MOSQUITTO_WRONG,
	MOSQUITTO_FATES
};

struct mosquitto_said {
	const char *file;
	unsigned line; /* 0: of none */
	const char *option;
	enum mosquitto_fate fate;
	const char *text;
};

typedef void mosquitto_said_fn(void *arg, const struct mosquitto_said *s);

/* is_alone: no other file is read, no name is looked up. 0; -EINVAL: something is wrong, and was told. */
int mosquitto_read(FILE *in, const char *path, bool is_alone, mosquitto_said_fn *said, void *arg,
    struct conf *out);

#endif
