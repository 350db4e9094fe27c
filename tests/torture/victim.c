/*
 * victim.c - starts and kills the broker
 *
 * We are the subreaper of whatever the start command leaves behind: the broker's first process becomes
 * our child, and when it dies its children do. So the broker is all that is below us, and it is dead
 * when we have no child.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/chance.h"
#include "tests/lib/proc.h"
#include "tests/lib/tool.h"
#include "tests/torture/power.h"
#include "tests/torture/torture.h"

static struct {
	pid_t starter; /* 0: no start under way */
	bool is_up;
	unsigned refused;  /* starts that failed in a row */
	uint64_t again_ns; /* not before */
} v;

#define STARTS_MAX 20
#define START_PAUSE_MS 200

void
victim_init(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		fail("prctl: %s", strerror(errno));
}

static void
start(void)
{
	v.starter = fork();
	if (v.starter < 0)
		fail("fork: %s", strerror(errno));
	if (v.starter > 0)
		return;
	dup2(STDERR_FILENO, STDOUT_FILENO);
	power_env();
	execl("/bin/sh", "sh", "-c", opt.start, (char *)NULL);
	_exit(127);
}

static void
started(int status)
{
	v.starter = 0;
	v.is_up = status == 0;
	v.refused = v.is_up ? 0 : v.refused + 1;
	if (v.refused == STARTS_MAX)
		fail("%s: failed %d times", opt.start, STARTS_MAX);
	v.again_ns = v.is_up ? 0 : after_ms(START_PAUSE_MS, START_PAUSE_MS);
}

void
victim_turn(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == v.starter)
			started(status);
	if (pid == 0 || clients.now < v.again_ns)
		return;
	v.is_up = false;
	start();
}

bool
victim_is_up(void)
{
	return v.is_up;
}

static bool
is_meant(const struct proc *p, const char *what)
{
	if (p->is_ended || p->pid == getpid() || p->pid == v.starter)
		return false;
	if (strcmp(what, "all") == 0)
		return true;
	if (strcmp(what, "master") == 0)
		return p->parent == getpid();
	return strcmp(what, p->name) == 0;
}

/* How many. They are dead then: so long they may still write. */
static size_t
kill_meant(const char *what)
{
	struct proc *p;
	size_t n = proc_tree(getpid(), &p), meant = 0;
	struct pollfd *dead;

	for (size_t i = 0; i < n; i++)
		if (is_meant(&p[i], what))
			p[meant++] = p[i];
	if (strcmp(what, "all") != 0 && meant > 1) {
		p[0] = p[between(0, meant - 1)];
		meant = 1;
	}
	dead = grab(meant, sizeof(*dead));
	for (size_t i = 0; i < meant; i++)
		dead[i] = (struct pollfd){ .fd = pidfd_open(p[i].pid, 0), .events = POLLIN };
	for (size_t i = 0; i < meant; i++)
		pidfd_send_signal(dead[i].fd, SIGKILL, NULL, 0);
	for (size_t i = 0; i < meant; i++) {
		while (dead[i].fd >= 0 && poll(&dead[i], 1, -1) < 0)
			;
		close(dead[i].fd);
	}
	free(dead);
	free(p);
	return meant;
}

bool
victim_kill(const char *what)
{
	bool is_power = strcmp(what, "power") == 0, any = false;

	power_hold();
	if (is_power) {
		/* Also those that had just been started. */
		while (kill_meant("all") > 0)
			any = true;
		if (any)
			power_cut();
	} else {
		any = kill_meant(what) > 0;
	}
	power_let_go();
	return any;
}

bool
victim_end(void)
{
	uint64_t until = now_ns() + opt.deadline * 1000000000;
	bool killed = false;
	struct proc *p;
	size_t n = proc_tree(getpid(), &p);

	for (size_t i = 0; i < n; i++)
		if (is_meant(&p[i], "master"))
			kill(p[i].pid, SIGTERM);
	free(p);
	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		if (!killed && now_ns() > until)
			killed = victim_kill("all");
		usleep(1000);
	}
	return !killed;
}
