/*
 * restart.c - for how long nobody is served when the broker is killed and started again
 *
 * A client that watches tells when the broker is gone and when it serves: from the end of its
 * connection until it gets a CONNACK. What the command does beyond that doesn't count.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/lib/client.h"
#include "tests/lib/tool.h"

#define LOOK_NS 1000000u /* between two attempts, while nobody listens */
#define AWAY_MAX_NS UINT64_C(600000000000)

static const struct client_hooks watch_hooks = { .role = "watch" };

static bool
nothing_more(void)
{
	return true;
}

/* Its output is no part of the figures. */
static pid_t
run(const char *command)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* True: the command has ended. */
static bool
has_ended(pid_t *pid, int flags)
{
	int status;

	if (*pid == 0)
		return true;
	if (waitpid(*pid, &status, flags) != *pid)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("the command that restarts the broker failed");
	*pid = 0;
	return true;
}

uint64_t
restart_broker(const char *command)
{
	struct client watch = { .hooks = &watch_hooks };
	uint64_t gone, until = now_ns() + AWAY_MAX_NS;
	pid_t pid;

	clients_open(&watch, 1, nothing_more);
	pid = run(command);
	while (watch.state == CLIENT_UP) {
		bool ended = has_ended(&pid, WNOHANG);

		clients_turn(LOOK_NS);
		if (interrupted || (ended && watch.state == CLIENT_UP))
			fail("the broker was not killed");
	}
	gone = clients.now;
	while (watch.state != CLIENT_UP) {
		if (watch.state == CLIENT_CLOSED)
			client_open(&watch);
		clients_turn(LOOK_NS);
		has_ended(&pid, WNOHANG);
		if (interrupted || clients.now > until)
			fail("the broker did not come back");
	}
	gone = clients.now - gone;
	has_ended(&pid, 0);
	client_close(&watch);
	clients.dropped = 0; /* that was the kill */
	return gone;
}
