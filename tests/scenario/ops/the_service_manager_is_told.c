#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

static int manager; /* our NOTIFY_SOCKET */

static void
manager_open(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/notify", broker.dir);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(bind(manager, (struct sockaddr *)&a, sizeof(a)) == 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
}

/* The next that is no ping, or the next ping. */
static const char *
told(bool ping)
{
	static char text[512];
	struct pollfd p = { .fd = manager, .events = POLLIN };
	ssize_t n;

	do {
		check(poll(&p, 1, deadline_ms()) == 1);
		n = recv(manager, text, sizeof(text) - 1, 0);
		check(n > 0);
		text[n] = '\0';
	} while ((strcmp(text, "WATCHDOG=1") == 0) != ping);
	return text;
}

static bool
is_ready(const char *text)
{
	return strncmp(text, "READY=1\n", 8) == 0 && strstr(text, "\nSTATUS=") != NULL;
}

static void
need_reload(void)
{
	uint64_t before = now_ms() - 1000; /* it may have been a while ago on a busy machine */
	char *end;
	const char *text = told(false);

	check(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	check(strtoull(text + 27, &end, 10) / 1000 <= now_ms() && *end == '\0');
	check(strtoull(text + 27, NULL, 10) / 1000 >= before - (uint64_t)deadline_ms());
	check(is_ready(told(false)));
}

/* Executables of its own, of which persist waits for a file before it starts. */
static void
slow_persist(void)
{
	check(broker_sh("mkdir $DIR/bin && cp $BIN/tbmq* $DIR/bin && cd $DIR/bin\n"
			"mv tbmq-persist persist && cat >tbmq-persist <<END\n"
			"#!/bin/sh\n"
			"while [ ! -e $DIR/go ]; do sleep 0.05; done\n"
			"exec $DIR/bin/persist \"\\$@\"\n"
			"END\n"
			"chmod 755 tbmq-persist") == 0);
	snprintf(broker.bin, sizeof(broker.bin), "%s/bin", broker.dir);
}

/* Beside broker_start(), which waits: nothing is told while one process doesn't serve. */
static pid_t
watch_the_start(void)
{
	pid_t pid = fork();
	char c;

	check(pid >= 0);
	if (pid > 0)
		return pid;
	wait_for(ctl("status") == 0 && broker_pid_of("persist/0") != 0);
	check(broker_pid_of("mqtt/0") == 0); /* nobody is let in before it has recovered */
	while (recv(manager, &c, 1, MSG_DONTWAIT) > 0)
		check(c == 'W');
	check(broker_sh("touch $DIR/go") == 0);
	exit(0);
}

SCENARIO(2)
{
	int status;
	pid_t pid;

	check(ctl("status") == 3);
	manager_open();
	slow_persist();
	pid = watch_the_start();
	broker_start();
	check(waitpid(pid, &status, 0) == pid && status == 0);
	check(is_ready(told(false)));
	told(true);
	told(true);
	check(ctl("reload") == 0);
	need_reload();
	check(kill(broker.pid, SIGHUP) == 0);
	need_reload();
	/* A manager that has sent HUP waits for both words, also if the file is refused. */
	broker_conf("inflight_max", "inflght_max = 10;");
	check(kill(broker.pid, SIGHUP) == 0);
	need_reload();
	broker_stop();
	check(strcmp(told(false), "STOPPING=1") == 0);
}
