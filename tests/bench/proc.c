#include "tests/bench/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

struct proc {
	pid_t pid, parent;
	uint64_t reaped_ns; /* CPU time of children it waited for */
	bool is_ours;
};

typedef uint64_t measure_fn(const struct proc *p);

static bool
slurp(pid_t pid, const char *file, char *buf, size_t room)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, room - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
proc_read(pid_t pid, struct proc *out)
{
	unsigned long user, sys;
	char buf[1024], *p;
	int parent;

	/* The name is in brackets and may hold anything, brackets too. */
	if (!slurp(pid, "stat", buf, sizeof(buf)) || (p = strrchr(buf, ')')) == NULL)
		return false;
	if (sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &parent,
		&user, &sys) != 3)
		return false;
	*out = (struct proc){ .pid = pid, .parent = parent };
	out->reaped_ns = (user + sys) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

/* Adds up what fn says of root and its descendants. */
static bool
tree_sum(pid_t root, measure_fn *fn, uint64_t *out)
{
	size_t n = 0, cap = 256;
	struct proc *all = grab(cap, sizeof(*all));
	DIR *dir = opendir("/proc");
	bool found = false, grew = true;
	uint64_t sum = 0;
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) || !proc_read(atoi(e->d_name), &all[n]))
			continue;
		all[n].is_ours = all[n].pid == root;
		found |= all[n].is_ours;
		if (++n == cap) {
			cap *= 2;
			all = realloc(all, cap * sizeof(*all));
			if (all == NULL)
				fail("no memory");
		}
	}
	if (dir != NULL)
		closedir(dir);
	while (grew) { /* a child may stand before its parent: identifiers wrap */
		grew = false;
		for (size_t i = 0; i < n; i++) {
			for (size_t k = 0; k < n && !all[i].is_ours; k++) {
				if (all[k].is_ours && all[k].pid == all[i].parent)
					grew = all[i].is_ours = true;
			}
		}
	}
	for (size_t i = 0; i < n; i++)
		sum += all[i].is_ours ? fn(&all[i]) : 0;
	free(all);
	if (found)
		*out = sum;
	return found;
}

static uint64_t
cpu_of(const struct proc *p)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(p->pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return p->reaped_ns; /* ended a moment ago */
	return p->reaped_ns + (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t
pss_of(const struct proc *p)
{
	char buf[4096], *at;

	if (!slurp(p->pid, "smaps_rollup", buf, sizeof(buf)) ||
	    (at = strstr(buf, "\nPss:")) == NULL)
		return 0;
	return strtoull(at + 5, NULL, 10) * 1024;
}

bool
proc_cpu_ns(pid_t root, uint64_t *out)
{
	return tree_sum(root, cpu_of, out);
}

bool
proc_pss(pid_t root, uint64_t *out)
{
	uint64_t pss = 0;

	if (!tree_sum(root, pss_of, &pss) || pss == 0)
		return false;
	*out = pss;
	return true;
}
