#include "shared/base/secrets.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* In a process of its own; its exit code says what was wrong, 0 nothing. */
static int
in_child(int (*fn)(void))
{
	int status = 0;

	if (fork() == 0)
		_exit(fn());
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static rlim_t
core_limit(void)
{
	struct rlimit lim = { 0 };

	getrlimit(RLIMIT_CORE, &lim);
	return lim.rlim_cur;
}

static bool
is_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE) == 1;
}

static int
keep_twice_and_let_go(void)
{
	struct rlimit lim;

	getrlimit(RLIMIT_CORE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_CORE, &lim);
	secrets_keep(true);
	secrets_keep(true);
	if (core_limit() != 0)
		return 1;
#ifndef __SANITIZE_ADDRESS__
	if (is_dumpable())
		return 2;
#endif
	secrets_keep(false);
	return core_limit() == lim.rlim_max && is_dumpable() ? 0 : 3;
}

static int
let_go_at_first(void)
{
	rlim_t was = core_limit();

	secrets_keep(false);
	return core_limit() == was && is_dumpable() ? 0 : 1;
}

static void
no_core_and_no_reader_until_it_is_let_go(void)
{
	CU_ASSERT_EQUAL(in_child(keep_twice_and_let_go), 0);
}

static void
what_was_never_kept_stays_as_it_was(void)
{
	CU_ASSERT_EQUAL(in_child(let_go_at_first), 0);
}

UNIT_MAIN("shared/base/secrets", TEST(no_core_and_no_reader_until_it_is_let_go),
    TEST(what_was_never_kept_stays_as_it_was))
