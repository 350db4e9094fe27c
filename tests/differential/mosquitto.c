#include "tests/differential/mosquitto.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/port.h"
#include "tests/lib/tool.h"
#include "tests/lib/wire.h"

#define STARTS_MS 10000
#define PORTS 20

static struct {
	char dir[200];
	pid_t pid;
} mosquitto;

/* As ours where the standard leaves it open and the file can say it. */
static void
configure(const char *path, const char *acl, int port)
{
	const struct passwd *user = getpwuid(geteuid());
	FILE *f = fopen(path, "w");

	if (f == NULL || user == NULL)
		fail("%s: %s", path, strerror(errno));
	fprintf(f,
	    "listener %d 127.0.0.1\nallow_anonymous true\nuser %s\npersistence false\n"
	    "log_dest file %s/log\nlog_type error\nset_tcp_nodelay true\nsys_interval 0\n"
	    "max_inflight_messages 100\nmax_queued_messages 1000\n"
	    "allow_duplicate_messages false\n",
	    port, user->pw_name, mosquitto.dir);
	if (acl != NULL)
		fprintf(f, "acl_file %s\n", acl);
	if (fclose(f) != 0)
		fail("%s: %s", path, strerror(errno));
}

static bool
answers(int port)
{
	int64_t until = wire_now_ms() + STARTS_MS;

	while (wire_now_ms() < until) {
		struct wire *w = wire_open("127.0.0.1", port, 5);

		/* It has ended if the port was not free: then somebody else answers. */
		if (waitpid(mosquitto.pid, NULL, WNOHANG) != 0) {
			wire_close(w);
			mosquitto.pid = 0;
			return false;
		}
		if (w != NULL) {
			wire_close(w);
			return true;
		}
		poll(NULL, 0, 10);
	}
	return false;
}

int
mosquitto_start(const char *program, const char *acl)
{
	const char *tmp = getenv("TMPDIR");
	char path[240];

	snprintf(mosquitto.dir, sizeof(mosquitto.dir), "%s/tbmq-differential-XXXXXX",
	    tmp != NULL && strlen(tmp) < 100 ? tmp : "/tmp");
	if (mkdtemp(mosquitto.dir) == NULL)
		fail("%s: %s", mosquitto.dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/conf", mosquitto.dir);
	for (int i = 0; i < PORTS; i++) {
		int port =
		    port_free(); /* if somebody else gets it before mosquitto does, another is tried */

		if (port < 0)
			fail("no free port: %s", strerror(-port));
		configure(path, acl, port);
		mosquitto.pid = fork();
		if (mosquitto.pid < 0)
			fail("no process: %s", strerror(errno));
		if (mosquitto.pid == 0) {
			int null = open("/dev/null", O_RDWR);

			prctl(PR_SET_PDEATHSIG, SIGTERM);
			dup2(null, 1);
			dup2(null, 2);
			execlp(program, program, "-c", path, (char *)NULL);
			_exit(127);
		}
		if (answers(port))
			return port;
		mosquitto_stop();
	}
	fail("%s does not start; is it installed, and the path to it known?", program);
}

void
mosquitto_stop(void)
{
	char path[240];

	if (mosquitto.pid > 0) {
		kill(mosquitto.pid, SIGTERM);
		waitpid(mosquitto.pid, NULL, 0);
		mosquitto.pid = 0;
	}
	snprintf(path, sizeof(path), "%s/conf", mosquitto.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/log", mosquitto.dir);
	unlink(path);
	rmdir(mosquitto.dir);
}
