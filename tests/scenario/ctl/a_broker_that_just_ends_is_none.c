/*
 * Who asks while the control socket is closed finds itself in a backlog that nobody reads any more.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct pollfd p = { .events = POLLIN };
	int status;
	pid_t pid;

	check(broker_sh("mkdir -p $DIR/run") == 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/run/control.sock", broker.dir);
	p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(p.fd >= 0 && bind(p.fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(p.fd, 8) == 0);
	pid = fork();
	if (pid == 0) {
		poll(&p, 1, -1);
		_exit(unlink(at.sun_path));
	}
	close(p.fd);
	check(
	    broker_sh(
		"$CTL status 2>$DIR/said; test $? = 3 && grep 'no broker runs in' $DIR/said") == 0);
	check(waitpid(pid, &status, 0) == pid && status == 0);
}
