#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

/* As the service starts: its socket is a new one under the old name. */
static int
service(void)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(a.sun_path);
	check(fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0);
	check(chmod(a.sun_path, 0666) == 0);
	return fd;
}

/* A line that begins and goes on like this, sooner or later. */
static void
need(int fd, const char *begin, const char *rest)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[4096];
	ssize_t n;

	do {
		if (poll(&p, 1, deadline_ms()) != 1)
			fail("never came: %s… %s", begin, rest);
		n = recv(fd, line, sizeof(line) - 1, 0);
		check(n > 0);
		line[n] = '\0';
	} while (strncmp(line, begin, strlen(begin)) != 0 || strstr(line, rest) == NULL);
	check(strchr(line, '\n') == NULL);
}

SCENARIO(1)
{
	enum machine machine = machine_own();
	const char *user = machine == MACHINE_OF_ROOT ? "user=" : "user=tbmq";
	int fd;

	if (machine == MACHINE_NONE) {
		broker_start("log_target=syslog"); /* whether there is one or not */
		return;
	}
	/* A /dev in which we may make a socket. */
	check(broker_sh("mkdir /run/dev && cd /run/dev && for f in null zero random urandom; do\n"
			"touch $f && mount --bind /dev/$f $f || exit; done\n"
			"mount --rbind /run/dev /dev") == 0);
	fd = service();
	broker_start("log_target=syslog", "log_level=info", user);
	need(fd, "<29>tbmq[", "]: master: main: ready version=");
	mq_disconnect(mq_connect(.id = "m"));
	need(fd, "<30>tbmq[", "]: mqtt/0: conn: connected id=m ");
	close(fd);
	fd = service();
	mq_disconnect(mq_connect(.id = "again"));
	need(fd, "<30>tbmq[", "]: mqtt/0: conn: connected id=again ");
	check(ctl("log-level", "notice") == 0);
	need(fd, "<29>tbmq[", "]: master: control: log level=notice");
	broker_stop();
	need(fd, "<29>tbmq[", "]: master: main: stopped");
	check(access("/var/log/tbmq/tbmq.log", F_OK) != 0);
}
