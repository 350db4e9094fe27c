/*
 * doctor.h - what `doctor` looks at beside numbers: files and file systems
 *
 * Runs in: tbmqctl. Looks at owners and modes, opens nothing.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <jansson.h>

#include "shared/conf/conf.h"

struct household {             /* whose broker it is */
	bool is_private;       /* it runs as its caller */
	const char *conf_file; /* "": there is none yet */
	const char *data_dir;
	const struct conf *conf;
};

/* The user there has to be, who owns and may read what, and where the store is. */
void doctor_files(json_t *findings, const struct household *h);

#endif
