/*
 * quiet.h - fuzz targets in whose process nobody reads the log
 */
#ifndef FUZZ_QUIET_H
#define FUZZ_QUIET_H

#include <fcntl.h>

#include "shared/base/log.h"

/* What the store has to say about what it is given is for operators. */
static inline void
be_quiet(void)
{
	static bool is_quiet;

	if (!is_quiet)
		log_to(LOG_TO_FD, open("/dev/null", O_WRONLY | O_CLOEXEC));
	is_quiet = true;
}

#endif
