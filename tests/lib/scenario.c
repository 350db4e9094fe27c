#include "tests/lib/scenario.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a test leaves behind is of no interest; the broker's own processes are looked at. */
int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return 1;
}

#define LIMIT_S 150 /* of one run; longer with sanitizers and SCALE */

pid_t scenario_helper;

static int nworkers = 1;
static pid_t runner;

int
workers(void)
{
	return nworkers;
}

int
scale(void)
{
	const char *s = getenv("SCALE");
	int n = s != NULL ? atoi(s) : 1;

	return n > 0 ? n : 1;
}

/* Sanitizer builds and busy machines are slow, not broken. */
static int
slow(void)
{
	const char *bin = getenv("TBMQ_BIN");

	return bin != NULL && strstr(bin, "san-") != NULL ? 4 : 1;
}

int
many(int n)
{
	return n * scale() / (slow() > 1 ? 5 : 1);
}

void
take_minutes(int n)
{
	alarm((unsigned)(n * 60));
}

int
deadline_ms(void)
{
	return 30000 * slow();
}

uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
nap(void)
{
	poll(NULL, 0, 10);
}

static void
clean_up(bool failed)
{
	char cmd[400];

	if (scenario_helper > 0) /* its broker is about to stop */
		kill(scenario_helper, SIGKILL);
	if (broker.dir[0] == '\0')
		return;
	if (broker.runs && broker.pid > 0) {
		kill(broker.pid, SIGTERM);
		for (int i = 0; i < 1000 && kill(broker.pid, 0) == 0; i++)
			nap();
		kill(broker.pid, SIGKILL);
	}
	if (failed) {
		printf("    --- end of %s/log/tbmq.log\n", broker.dir);
		fflush(stdout);
		snprintf(cmd, sizeof(cmd),
		    "tail -n 25 %s/log/tbmq.log %s/err 2>/dev/null | sed 's/^/    /'", broker.dir,
		    broker.dir);
		(void)!system(cmd);
		return;
	}
	snprintf(cmd, sizeof(cmd), "rm -rf %s", broker.dir);
	(void)!system(cmd);
}

void
fail_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("    %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (getpid() == runner) {
		clean_up(true);
		fflush(stdout);
	}
	exit(1);
}

static void
on_alarm(int sig)
{
	static const char text[] = "    the scenario did not end in time\n";

	(void)sig;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	if (broker.pid > 0)
		kill(broker.pid, SIGTERM);
	_exit(1);
}

static bool
run_one(const char *name, int n)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		runner = getpid();
		nworkers = n;
		signal(SIGPIPE, SIG_IGN);
		signal(SIGALRM, on_alarm);
		alarm((unsigned)(LIMIT_S * slow() * scale()));
		scenario_run();
		if (broker.runs)
			broker_stop();
		clean_up(false);
		exit(0);
	}
	waitpid(pid, &status, 0);
	status = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	printf("%-7s %s workers=%d\n", status ? "ok" : "FAILED", name, n);
	return status;
}

int
main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "scenario/");
	int passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; scenario_workers[i] != 0; i++) {
		if (argc > 1 && atoi(argv[1]) != scenario_workers[i])
			continue;
		if (run_one(name != NULL ? name + 9 : argv[0], scenario_workers[i]))
			passed++;
		else
			failed++;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
