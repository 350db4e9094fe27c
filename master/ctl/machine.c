#include "master/ctl/machine.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT 16384

static const char *const unit_dirs[] = { "/usr/lib/systemd/system", "/lib/systemd/system",
	"/usr/local/lib/systemd/system", "/run/systemd/system",
	"/etc/systemd/system" }; /* a later one comes before */

#define UNIT_DIRS (sizeof(unit_dirs) / sizeof(unit_dirs[0]))

static bool read_text(const char *root, const char *path, char out[TEXT]);
static int64_t to_number(const char *text, const char **end);
static int64_t number(const char *root, const char *path, unsigned nth);
static int64_t of_meminfo(const char *text, const char *name);
static void read_reserved(const char *text, uint8_t *out);
static int64_t of_groups(
    const char *root, const char *groups, const char *controller, const char *v1, const char *v2);
static void at_most(int64_t *least, int64_t n);

void
machine_read(const char *root, pid_t pid, struct machine *out)
{
	struct machine m = { 0 };
	char text[TEXT], path[64];
	int64_t pages;

	m.nr_open = number(root, "/proc/sys/fs/nr_open", 0);
	m.file_max = number(root, "/proc/sys/fs/file-max", 0);
	m.files_open = number(root, "/proc/sys/fs/file-nr", 0);
	m.somaxconn = number(root, "/proc/sys/net/core/somaxconn", 0);
	m.syn_backlog = number(root, "/proc/sys/net/ipv4/tcp_max_syn_backlog", 0);
	m.syncookies = number(root, "/proc/sys/net/ipv4/tcp_syncookies", 0);
	m.port_first = number(root, "/proc/sys/net/ipv4/ip_local_port_range", 0);
	m.port_last = number(root, "/proc/sys/net/ipv4/ip_local_port_range", 1);
	if (read_text(root, "/proc/sys/net/ipv4/ip_local_reserved_ports", text))
		read_reserved(text, m.reserved);
	pages = number(root, "/proc/sys/net/ipv4/tcp_mem", 2);
	m.tcp_bytes = pages < 0                         ? UNKNOWN
	    : pages > INT64_MAX / sysconf(_SC_PAGESIZE) ? NO_LIMIT
							: pages * sysconf(_SC_PAGESIZE);
	m.conntrack_max = number(root, "/proc/sys/net/netfilter/nf_conntrack_max", 0);
	m.conntrack_count = number(root, "/proc/sys/net/netfilter/nf_conntrack_count", 0);
	m.swappiness = number(root, "/proc/sys/vm/swappiness", 0);
	m.overcommit = number(root, "/proc/sys/vm/overcommit_memory", 0);
	m.memory = m.swap = UNKNOWN;
	if (read_text(root, "/proc/meminfo", text)) {
		m.memory = of_meminfo(text, "MemTotal:");
		m.swap = of_meminfo(text, "SwapTotal:");
	}
	if (read_text(root, "/sys/kernel/mm/transparent_hugepage/enabled", text))
		m.huge_pages = strstr(text, "[always]") != NULL ? HUGE_ALWAYS
		    : strstr(text, "[madvise]") != NULL         ? HUGE_MADVISE
		    : strstr(text, "[never]") != NULL           ? HUGE_NEVER
								: HUGE_UNKNOWN;
	if (read_text(root, "/proc/sys/kernel/core_pattern", text))
		snprintf(
		    m.core_pattern, sizeof(m.core_pattern), "%.*s", (int)strcspn(text, "\n"), text);
	if (pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/cgroup");
	m.group_memory = m.group_tasks = UNKNOWN;
	if (read_text(root, path, text)) {
		m.group_memory =
		    of_groups(root, text, "memory", "memory.limit_in_bytes", "memory.max");
		m.group_tasks = of_groups(root, text, "pids", "pids.max", "pids.max");
	}
	*out = m;
}

bool
machine_reserves(const struct machine *m, unsigned port)
{
	return port < 65536 && (m->reserved[port / 8] & 1 << port % 8) != 0;
}

int64_t
machine_descriptors_of(const char *root, pid_t pid)
{
	char text[TEXT], path[64];
	const char *line;

	if (pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/limits");
	if (!read_text(root, path, text) || (line = strstr(text, "\nMax open files ")) == NULL)
		return UNKNOWN;
	line += strlen("\nMax open files ");
	if (to_number(line, &line) < 0)
		return UNKNOWN;
	return to_number(line, &line);
}

bool
machine_has_unit(const char *root, const char *unit)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < UNIT_DIRS; i++) {
		snprintf(path, sizeof(path), "%s%s/%s", root, unit_dirs[i], unit);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* As systemd writes limits: "1048576", "512K", "infinity". */
static int64_t
limit(const char *text, const char **end)
{
	static const char units[] = "KMG";
	int64_t n;

	*end = text + strlen("infinity");
	if (strncmp(text, "infinity", strlen("infinity")) == 0)
		return NO_LIMIT;
	n = to_number(text, end);
	if (n >= 0 && **end != '\0' && strchr(units, **end) != NULL) {
		int shift = 10 * (int)(strchr(units, *(*end)++) - units + 1);

		n = n > INT64_MAX >> shift ? NO_LIMIT : n << shift;
	}
	return n;
}

/* "N", or "SOFT:HARD"; the last that a text has. */
static void
take_nofile(const char *text, int64_t *n)
{
	static const char key[] = "LimitNOFILE=";

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		int64_t soft, hard;
		const char *end;

		line += strspn(line, "\n \t");
		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		soft = hard = limit(line + sizeof(key) - 1, &end);
		if (*end == ':')
			hard = limit(end + 1, &end);
		if (soft >= 0 && hard >= 0)
			*n = hard;
	}
}

int64_t
machine_descriptors_by_unit(const char *root, const char *unit)
{
	char text[TEXT], path[PATH_MAX];
	int64_t n = UNKNOWN;
	glob_t found;

	for (size_t i = 0; i < UNIT_DIRS; i++) {
		snprintf(path, sizeof(path), "%s/%s", unit_dirs[i], unit);
		if (!read_text(root, path, text))
			continue;
		n = UNKNOWN; /* a whole unit takes the place of another */
		take_nofile(text, &n);
	}
	for (size_t i = 0; i < UNIT_DIRS; i++) {
		snprintf(path, sizeof(path), "%s%s/%s.d/*.conf", root, unit_dirs[i], unit);
		if (glob(path, 0, NULL, &found) != 0)
			continue;
		for (size_t k = 0; k < found.gl_pathc; k++)
			if (read_text("", found.gl_pathv[k], text))
				take_nofile(text, &n);
		globfree(&found);
	}
	return n;
}

/* --- texts -------------------------------------------------------------------------------- */

/* False: there is none, or it is too long to be one of these. */
static bool
read_text(const char *root, const char *path, char out[TEXT])
{
	char whole[PATH_MAX];
	size_t len = 0;
	ssize_t n = 1;
	int fd;

	if ((size_t)snprintf(whole, sizeof(whole), "%s%s", root, path) >= sizeof(whole))
		return false;
	fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	while (len < TEXT && (n = read(fd, out + len, TEXT - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (n != 0 || memchr(out, '\0', len) != NULL)
		return false;
	out[len] = '\0';
	return true;
}

/* A number of digits alone, or what stands for no limit. *end: what is behind it. */
static int64_t
to_number(const char *text, const char **end)
{
	int64_t n = 0;

	text += strspn(text, " \t");
	*end = text;
	for (size_t i = 0; i < 2; i++) {
		const char *word = i == 0 ? "max" : "unlimited";

		if (strncmp(text, word, strlen(word)) == 0) {
			*end = text + strlen(word);
			return NO_LIMIT;
		}
	}
	if (*text < '0' || *text > '9')
		return UNKNOWN;
	for (; *text >= '0' && *text <= '9'; text++) /* the kernel has some beyond ours */
		n = n > (INT64_MAX - 9) / 10 ? NO_LIMIT : n * 10 + (*text - '0');
	*end = text;
	return n;
}

static int64_t
number(const char *root, const char *path, unsigned nth)
{
	char text[TEXT];
	const char *at = text;
	int64_t n = UNKNOWN;

	if (!read_text(root, path, text))
		return UNKNOWN;
	for (unsigned i = 0; i <= nth; i++)
		n = to_number(at, &at);
	return n;
}

static int64_t
of_meminfo(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	int64_t kib = UNKNOWN;

	if (at != NULL && (at == text || at[-1] == '\n'))
		kib = to_number(at + strlen(name), &at);
	return kib < 0 || kib > INT64_MAX / 1024 ? UNKNOWN : kib * 1024;
}

/* "8080,9148-9200" */
static void
read_reserved(const char *text, uint8_t *out)
{
	while (*text != '\0' && *text != '\n') {
		int64_t first = to_number(text, &text), last = first;

		if (*text == '-')
			last = to_number(text + 1, &text);
		if (first < 0 || last > 65535)
			return;
		for (int64_t p = first; p <= last; p++)
			out[p / 8] |= (uint8_t)(1 << p % 8);
		if (*text == ',')
			text++;
		else if (*text != '\n')
			return;
	}
}

static void
at_most(int64_t *least, int64_t n)
{
	if (n >= 0 && (*least < 0 || n < *least))
		*least = n;
}

/*
 * A line is "ID:CONTROLLERS:PATH", without controllers in the one hierarchy of version 2. A limit holds for all that is
 * beneath it, and a container has its own at the root, whatever the path says.
 */
static int64_t
of_groups(
    const char *root, const char *groups, const char *controller, const char *v1, const char *v2)
{
	int64_t least = UNKNOWN;
	char name[64], path[PATH_MAX / 2], file[PATH_MAX];
	const char *next;

	for (const char *line = groups; *line != '\0'; line = next) {
		bool has_names;

		next = line + strcspn(line, "\n");
		next += *next == '\n';
		name[0] = path[0] = '\0';
		if (sscanf(line, "%*u::%2047[^\n]", path) == 1)
			has_names = false;
		else if (sscanf(line, "%*u:%63[^:\n]:%2047[^\n]", name, path) == 2 &&
		    strcmp(name, controller) == 0)
			has_names = true;
		else
			continue;
		while (true) {
			char *slash = strrchr(path, '/');

			if (strstr(path, "..") == NULL) {
				snprintf(file, sizeof(file), "/sys/fs/cgroup%s%s%s/%s",
				    has_names ? "/" : "", has_names ? name : "", path,
				    has_names ? v1 : v2);
				at_most(&least, number(root, file, 0));
			}
			if (slash == NULL)
				break;
			*slash = '\0';
		}
	}
	return least;
}
