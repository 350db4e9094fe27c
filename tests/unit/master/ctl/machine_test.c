#include "master/ctl/machine.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char root[64];
static struct machine m;

static void
put_bytes(const char *path, const void *p, size_t len)
{
	char whole[PATH_MAX], cmd[PATH_MAX + 32];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	snprintf(cmd, sizeof(cmd), "mkdir -p $(dirname %s)", whole);
	if (system(cmd) != 0 || (f = fopen(whole, "w")) == NULL)
		abort();
	fwrite(p, 1, len, f);
	fclose(f);
}

static void
put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void
fresh(void)
{
	char cmd[100];

	if (root[0] == '\0') {
		strcpy(root, "/tmp/machine.XXXXXX");
		if (mkdtemp(root) == NULL)
			abort();
	}
	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", root);
	if (system(cmd) != 0)
		abort();
}

static void
read_it(void)
{
	machine_read(root, 7, &m);
}

static void
what_is_not_there_is_unknown(void)
{
	fresh();
	read_it();
	CU_ASSERT_EQUAL(m.nr_open, UNKNOWN);
	CU_ASSERT_EQUAL(m.somaxconn, UNKNOWN);
	CU_ASSERT_EQUAL(m.tcp_bytes, UNKNOWN);
	CU_ASSERT_EQUAL(m.memory, UNKNOWN);
	CU_ASSERT_EQUAL(m.group_memory, UNKNOWN);
	CU_ASSERT_EQUAL(m.huge_pages, HUGE_UNKNOWN);
	CU_ASSERT_EQUAL(m.core_pattern[0], '\0');
	CU_ASSERT_EQUAL(machine_descriptors_of(root, 7), UNKNOWN);
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), UNKNOWN);
	CU_ASSERT_FALSE(machine_has_unit(root, "tbmq.service"));
}

static void
what_is_no_number_is_unknown(void)
{
	char *long_text = malloc(100000);

	fresh();
	put("/proc/sys/fs/nr_open", "");
	put("/proc/sys/fs/file-max", "many\n");
	put("/proc/sys/net/core/somaxconn", "-1\n");
	put_bytes("/proc/sys/vm/swappiness", "6\0", 2);
	memset(long_text, '1', 100000);
	put_bytes("/proc/sys/vm/overcommit_memory", long_text, 100000);
	free(long_text);
	put("/proc/sys/net/ipv4/tcp_mem", "1 2\n");
	put("/proc/sys/net/ipv4/ip_local_port_range", "1000 x\n");
	put("/proc/meminfo", "XMemTotal: 5 kB\nSwapTotal: 9223372036854775807 kB\n");
	put("/proc/7/limits", "Limit   Soft\nMax open files  \nMax other 1 2\n");
	read_it();
	CU_ASSERT_EQUAL(m.nr_open, UNKNOWN);
	CU_ASSERT_EQUAL(m.file_max, UNKNOWN);
	CU_ASSERT_EQUAL(m.somaxconn, UNKNOWN);
	CU_ASSERT_EQUAL(m.swappiness, UNKNOWN);
	CU_ASSERT_EQUAL(m.overcommit, UNKNOWN);
	CU_ASSERT_EQUAL(m.tcp_bytes, UNKNOWN);
	CU_ASSERT_EQUAL(m.port_last, UNKNOWN);
	CU_ASSERT_EQUAL(m.memory, UNKNOWN);
	CU_ASSERT_EQUAL(m.swap, UNKNOWN);
	CU_ASSERT_EQUAL(machine_descriptors_of(root, 7), UNKNOWN);
}

static void
numbers_beyond_ours_are_no_limit(void)
{
	fresh();
	put("/proc/sys/fs/file-max", "18446744073709551615\n");
	put("/proc/sys/net/ipv4/tcp_mem", "1 2 18446744073709551615\n");
	put("/proc/7/limits",
	    "Max cpu time unlimited unlimited seconds\n"
	    "Max open files            1024                 unlimited            files\n");
	read_it();
	CU_ASSERT_EQUAL(m.file_max, NO_LIMIT);
	CU_ASSERT_EQUAL(m.tcp_bytes, NO_LIMIT);
	CU_ASSERT_EQUAL(machine_descriptors_of(root, 7), NO_LIMIT);
}

static void
the_hard_limit_counts(void)
{
	fresh();
	put("/proc/7/limits",
	    "Limit                     Soft Limit           Hard Limit           Units\n"
	    "Max open files            1024                 524288               files\n");
	CU_ASSERT_EQUAL(machine_descriptors_of(root, 7), 524288);
}

static void
numbers_of_the_kernel_are_read(void)
{
	fresh();
	put("/proc/sys/fs/file-nr", "960\t0\t2470938\n");
	put("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
	put("/proc/sys/net/ipv4/tcp_mem", "1\t2\t30\n");
	put("/proc/meminfo", "MemTotal:       24731936 kB\nMemFree: 1 kB\nSwapTotal:  1024 kB\n");
	put("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
	put("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P\n");
	read_it();
	CU_ASSERT_EQUAL(m.files_open, 960);
	CU_ASSERT_EQUAL(m.port_first, 32768);
	CU_ASSERT_EQUAL(m.port_last, 60999);
	CU_ASSERT_EQUAL(m.tcp_bytes, 30 * sysconf(_SC_PAGESIZE));
	CU_ASSERT_EQUAL(m.memory, (int64_t)24731936 * 1024);
	CU_ASSERT_EQUAL(m.swap, 1048576);
	CU_ASSERT_EQUAL(m.huge_pages, HUGE_ALWAYS);
	CU_ASSERT_STRING_EQUAL(m.core_pattern, "|/usr/lib/systemd/systemd-coredump %P");
}

static void
reserved_ports_are_single_ones_and_ranges(void)
{
	fresh();
	put("/proc/sys/net/ipv4/ip_local_reserved_ports", "1883,8883-8885,65535\n");
	read_it();
	CU_ASSERT_TRUE(machine_reserves(&m, 1883));
	CU_ASSERT_FALSE(machine_reserves(&m, 1884));
	CU_ASSERT_FALSE(machine_reserves(&m, 8882));
	CU_ASSERT_TRUE(machine_reserves(&m, 8883));
	CU_ASSERT_TRUE(machine_reserves(&m, 8885));
	CU_ASSERT_FALSE(machine_reserves(&m, 8886));
	CU_ASSERT_TRUE(machine_reserves(&m, 65535));
	CU_ASSERT_FALSE(machine_reserves(&m, 65536));
	put("/proc/sys/net/ipv4/ip_local_reserved_ports", "5,65000-65536,6\n");
	read_it();
	CU_ASSERT_TRUE(machine_reserves(&m, 5));
	CU_ASSERT_FALSE(machine_reserves(&m, 65000));
	CU_ASSERT_FALSE(machine_reserves(&m, 6));
}

static void
the_least_of_the_groups_above_counts(void)
{
	fresh();
	put("/proc/7/cgroup", "0::/system.slice/tbmq.service\n");
	put("/sys/fs/cgroup/system.slice/tbmq.service/memory.max", "max\n");
	put("/sys/fs/cgroup/system.slice/tbmq.service/pids.max", "200\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "1000000\n");
	put("/sys/fs/cgroup/memory.max", "2000000\n");
	read_it();
	CU_ASSERT_EQUAL(m.group_memory, 1000000);
	CU_ASSERT_EQUAL(m.group_tasks, 200);
	put("/proc/7/cgroup", "9:name=systemd:/\n4:memory:/a/b\n8:pids:/p\n0::/\n");
	put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "5000000\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n");
	put("/sys/fs/cgroup/pids/p/pids.max", "max\n");
	put("/sys/fs/cgroup/memory.max", "max\n");
	read_it();
	CU_ASSERT_EQUAL(m.group_memory, 4000000);
	CU_ASSERT_EQUAL(m.group_tasks, NO_LIMIT);
}

static void
groups_lead_nowhere_else(void)
{
	fresh();
	put("/proc/7/cgroup", "0::/../x\nnonsense\n0:\n:\n3:memory\n4:memory:\n");
	put("/sys/fs/x/memory.max", "1\n");
	put("/sys/fs/x/pids.max", "1\n");
	put("/sys/fs/cgroup/other/pids.max", "1\n"); /* so that the way out is there */
	read_it();
	CU_ASSERT_EQUAL(m.group_memory, UNKNOWN);
	CU_ASSERT_EQUAL(m.group_tasks, UNKNOWN);
}

static void
what_is_put_over_a_unit_comes_last(void)
{
	static const char unit[] = "/usr/lib/systemd/system/tbmq.service",
			  over[] = "/etc/systemd/system/tbmq.service.d/10-limits.conf",
			  later[] = "/etc/systemd/system/tbmq.service.d/20-limits.conf";

	fresh();
	put(unit, "[Service]\nType=notify\nLimitNOFILE=1048576\n#LimitNOFILE=5\n");
	CU_ASSERT_TRUE(machine_has_unit(root, "tbmq.service"));
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), 1048576);
	put(over, "[Service]\n  LimitNOFILE=1024:512K\n");
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), 524288);
	put(later, "LimitNOFILE=nonsense\nXLimitNOFILE=3\n");
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), 524288);
	put(later, "LimitNOFILE=infinity");
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), NO_LIMIT);
	fresh();
	put(unit, "LimitNOFILE=100\n");
	put("/etc/systemd/system/tbmq.service", "[Service]\n");
	CU_ASSERT_EQUAL(machine_descriptors_by_unit(root, "tbmq.service"), UNKNOWN);
}

static void
it_leaves_nothing(void)
{
	fresh();
	CU_ASSERT_EQUAL(rmdir(root), 0);
}

UNIT_MAIN("master/ctl/machine", TEST(what_is_not_there_is_unknown),
    TEST(what_is_no_number_is_unknown), TEST(numbers_beyond_ours_are_no_limit),
    TEST(the_hard_limit_counts), TEST(numbers_of_the_kernel_are_read),
    TEST(reserved_ports_are_single_ones_and_ranges), TEST(the_least_of_the_groups_above_counts),
    TEST(groups_lead_nowhere_else), TEST(what_is_put_over_a_unit_comes_last),
    TEST(it_leaves_nothing))
