#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

enum { NOBODY = 65534 };

#ifdef __SANITIZE_ADDRESS__
enum { IS_TRACED = true }; /* leaks are found that way */
#else
enum { IS_TRACED = false };
#endif

static bool
can_read_memory(int pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		check(errno == EACCES);
	else
		close(fd);
	return fd >= 0;
}

static bool
can_trace(int pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0) {
		check(errno == EPERM);
		return false;
	}
	check(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return true;
}

/* Root may read everything, so nobody special is who asks; what is looked at is one's own. */
SCENARIO(1)
{
	static const char *const title[] = { "mqtt/0", "persist/0" };
	pid_t child;

	if (geteuid() == 0)
		check(setgid(NOBODY) == 0 && setuid(NOBODY) == 0 &&
		    prctl(PR_SET_DUMPABLE, 1) == 0); /* which a change of user has ended */
	if (broker_sh("test -x $BIN/tbmqd") != 0)
		return; /* a build in somebody's home, which nobody can't see */
	broker_start();
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (true)
			pause();
	}
	/* Of another process of the same user it would be seen. */
	check(can_read_memory(child) && can_trace(child));
	if (IS_TRACED)
		return;
	for (size_t i = 0; i < 2; i++)
		check(!can_read_memory(broker_pid_of(title[i])) &&
		    !can_trace(broker_pid_of(title[i])));
	check(!can_read_memory(broker.pid) && !can_trace(broker.pid));
}
