#include "tests/lib/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/tool.h"

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
	char buf[1024], *name, *p, state;
	int parent;

	/* The name is in brackets and may hold anything, brackets too. */
	if (!slurp(pid, "stat", buf, sizeof(buf)) || (name = strchr(buf, '(')) == NULL ||
	    (p = strrchr(buf, ')')) == NULL)
		return false;
	if (sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &state,
		&parent, &user, &sys) != 4)
		return false;
	*out = (struct proc){ .pid = pid, .parent = parent, .is_ended = state == 'Z' };
	out->reaped_ns = (user + sys) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	*p = '\0';
	snprintf(out->name, sizeof(out->name), "%s", name + 1);
	return true;
}

static void
swap(struct proc *a, struct proc *b)
{
	struct proc t = *a;

	*a = *b;
	*b = t;
}

static struct proc *
proc_all(size_t *n_out)
{
	struct proc *all = NULL;
	size_t n = 0, cap = 0;
	DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (n == cap)
			all = grab_more(all, &cap, sizeof(*all));
		if (isdigit((unsigned char)e->d_name[0]) && proc_read(atoi(e->d_name), &all[n]))
			n++;
	}
	if (dir != NULL)
		closedir(dir);
	*n_out = n;
	return all;
}

/* What is known to belong gathers at the front: each one there is asked for its children once. */
size_t
proc_tree(pid_t root, struct proc **out)
{
	size_t n, ours = 0;
	struct proc *all = proc_all(&n);

	for (size_t i = 0; i < n && ours == 0; i++)
		if (all[i].pid == root)
			swap(&all[ours++], &all[i]);
	for (size_t k = 0; k < ours; k++)
		for (size_t i = ours; i < n; i++)
			if (all[i].parent == all[k].pid)
				swap(&all[ours++], &all[i]);
	*out = all;
	return ours;
}

/* Adds up what fn says of root and its descendants. */
static bool
tree_sum(pid_t root, measure_fn *fn, uint64_t *out)
{
	struct proc *tree;
	size_t n = proc_tree(root, &tree);
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += fn(&tree[i]);
	free(tree);
	if (n > 0)
		*out = sum;
	return n > 0;
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
