#include "shared/base/secrets.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void
secrets_keep(bool keep)
{
	static struct rlimit was;
	static bool kept;

#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer needs to trace us */
	prctl(PR_SET_DUMPABLE, keep ? 0 : 1);
#endif
	/* Whoever collects cores may be told to do so whatever we say of ourselves. */
	if (keep && !kept && getrlimit(RLIMIT_CORE, &was) == 0)
		kept = setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, was.rlim_max }) == 0;
	else if (!keep && kept)
		kept = setrlimit(RLIMIT_CORE, &was) != 0;
}
