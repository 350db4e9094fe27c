/* Texts of /proc, /sys and unit files, with a NUL after each. What is made of them is a number that can be, or UNKNOWN. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/ctl/machine.h"
#include "shared/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = { "/proc/7/limits", "/proc/7/cgroup", "/proc/meminfo",
	"/proc/sys/net/ipv4/ip_local_reserved_ports", "/proc/sys/net/ipv4/tcp_mem",
	"/proc/sys/kernel/core_pattern", "/sys/kernel/mm/transparent_hugepage/enabled",
	"/sys/fs/cgroup/a/memory.max", "/etc/systemd/system/tbmq.service" };

static char root[] = "/dev/shm/tbmq-fuzz.XXXXXX";

static void
remove_root(void)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	(void)!system(cmd);
}

static void
make_root(void)
{
	char path[256];

	must(mkdtemp(root) != NULL);
	atexit(remove_root);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, files[i]);
		for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
			*p = '\0';
			must(mkdir(path, 0700) == 0 || errno == EEXIST);
		}
	}
}

static void
put(const char *file, const void *p, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s%s", root, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, p, len) == (ssize_t)len);
	close(fd);
}

static void
is_number(int64_t n)
{
	must(n >= UNKNOWN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	static struct machine m;

	if (!ready)
		make_root();
	ready = true;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
		size_t len = end != NULL ? (size_t)(end - data) : size;

		put(files[i], data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	machine_read(root, 7, &m);
	is_number(m.memory);
	is_number(m.swap);
	is_number(m.tcp_bytes);
	is_number(m.group_memory);
	is_number(m.group_tasks);
	must(memchr(m.core_pattern, '\0', sizeof(m.core_pattern)) != NULL);
	is_number(machine_descriptors_of(root, 7));
	is_number(machine_descriptors_by_unit(root, "tbmq.service"));
	return 0;
}
