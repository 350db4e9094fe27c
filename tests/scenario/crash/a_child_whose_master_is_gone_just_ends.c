#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/ipc/chan.h"
#include "tests/lib/scenario.h"

/* Born by a master that has died before it said a word. */
static void
ends(const char *executable, const char *title)
{
	char path[400];
	int pair[2], status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", broker.bin, executable);
	check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	close(pair[1]);
	pid = fork();
	scenario_helper = pid;
	check(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR), chan = fcntl(pair[0], F_DUPFD, 50);

		dup2(null, STDERR_FILENO);
		dup2(chan, CHILD_CHAN_FD);
		dup2(null, CHILD_LOCK_FD);
		execl(path, executable, title, NULL);
		_exit(127);
	}
	close(pair[0]);
	check(waitpid(pid, &status, 0) == pid);
	scenario_helper = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		fail("%s: status 0x%x", executable, (unsigned)status);
}

SCENARIO(1)
{
	broker_start();
	ends("tbmq-mqtt", "mqtt/0");
	ends("tbmq-persist", "persist/0");
	ends("tbmq-auth", "auth/0");
}
