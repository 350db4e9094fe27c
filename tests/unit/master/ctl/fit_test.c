#include "master/ctl/fit.h"

#include "tests/unit/unit.h"

static struct conf c;
static struct machine m;
static struct need n;
static json_t *found;

/* A machine that has everything. */
static void
rich(void)
{
	conf_defaults(&c);
	m = (struct machine){ .nr_open = 1048576,
		.file_max = NO_LIMIT,
		.files_open = 1000,
		.somaxconn = 4096,
		.syn_backlog = 4096,
		.syncookies = 1,
		.port_first = 32768,
		.port_last = 60999,
		.tcp_bytes = NO_LIMIT,
		.conntrack_max = UNKNOWN,
		.conntrack_count = UNKNOWN,
		.memory = (int64_t)64 << 30,
		.swap = 0,
		.swappiness = 60,
		.overcommit = 0,
		.group_memory = UNKNOWN,
		.group_tasks = UNKNOWN,
		.huge_pages = HUGE_MADVISE };
	n = (struct need){ .conf = &c,
		.connections = 100000,
		.is_firm = true,
		.workers = 4,
		.descriptors = 1048576,
		.conf_file = "/etc/tbmq/tbmq.conf" };
}

static void
look(void)
{
	json_decref(found);
	found = json_array();
	fit_numbers(found, &m, &n);
}

static const json_t *
about(const char *what)
{
	const json_t *f;
	size_t i;

	look();
	json_array_foreach(found, i, f)
		if (strcmp(json_string_value(json_object_get(f, "about")), what) == 0)
			return f;
	return NULL;
}

static const char *
verdict(const char *what)
{
	const char *v = json_string_value(json_object_get(about(what), "verdict"));

	return v != NULL ? v : "none";
}

/* Is there this in what is to be done? */
static bool
says(const char *what, const char *words)
{
	const char *remedy = json_string_value(json_object_get(about(what), "remedy"));

	return remedy != NULL && strstr(remedy, words) != NULL;
}

static void
too_few_descriptors_are_a_problem_if_somebody_counts_on_them(void)
{
	rich();
	n.descriptors = 1024;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "problem");
	CU_ASSERT_TRUE(says("descriptors", "ulimit -Hn 26"));
	n.by_unit = true;
	CU_ASSERT_TRUE(says("descriptors", "LimitNOFILE=26"));
	n.is_firm = false;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "advice");
	n.descriptors = UNKNOWN;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "advice");
}

static void
an_uneven_share_of_connections_is_counted_in(void)
{
	rich();
	n.descriptors = 25100;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "problem");
	n.descriptors = 26500;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "ok");
}

static void
a_master_that_cannot_bind_is_a_problem_in_any_case(void)
{
	rich();
	n.is_firm = false;
	n.connections = 1;
	n.workers = 64;
	c.nlisteners = 32;
	n.descriptors = 1024;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "problem");
}

static void
more_than_the_kernel_gives_a_process_takes_nr_open(void)
{
	rich();
	n.workers = 1;
	n.connections = 2000000;
	n.descriptors = 4000000;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "problem");
	CU_ASSERT_TRUE(says("descriptors", "fs.nr_open = 21"));
	m.nr_open = 4000000;
	CU_ASSERT_STRING_EQUAL(verdict("descriptors"), "ok");
	n.descriptors = 1048576;
	CU_ASSERT_FALSE(says("descriptors", "fs.nr_open"));
	CU_ASSERT_STRING_EQUAL(verdict("open files"), "ok");
	m.file_max = 1999999;
	CU_ASSERT_STRING_EQUAL(verdict("open files"), "problem");
	CU_ASSERT_TRUE(says("open files", "fs.file-max = 25"));
}

static void
a_backlog_that_is_cut_is_told(void)
{
	rich();
	m.somaxconn = 128;
	CU_ASSERT_STRING_EQUAL(verdict("backlog"), "advice");
	CU_ASSERT_TRUE(says("backlog", "net.core.somaxconn = 4096 in /etc/sysctl.d/"));
	c.listener[0].backlog = 100;
	CU_ASSERT_STRING_EQUAL(verdict("backlog"), "ok");
	rich();
	m.syn_backlog = 128;
	CU_ASSERT_STRING_EQUAL(verdict("half-open connections"), "ok");
	m.syncookies = 0;
	CU_ASSERT_STRING_EQUAL(verdict("half-open connections"), "advice");
}

static void
ports_that_others_may_take_are_to_be_reserved(void)
{
	rich();
	c.listener[0].port = 40000;
	CU_ASSERT_STRING_EQUAL(verdict("ports"), "advice");
	CU_ASSERT_TRUE(says("ports", "ip_local_reserved_ports = 40000 "));
	m.reserved[40000 / 8] = 1;
	CU_ASSERT_STRING_EQUAL(verdict("ports"), "ok");
	m.port_first = 1024;
	c.listener[0].port = 1883;
	CU_ASSERT_STRING_EQUAL(verdict("ports"), "advice");
	c.listener[0].type = TRANSPORT_unix;
	CU_ASSERT_STRING_EQUAL(verdict("ports"), "ok");
}

static void
a_firewall_that_forgets_connections_is_a_problem(void)
{
	rich();
	CU_ASSERT_STRING_EQUAL(verdict("tracked connections"), "none");
	m.conntrack_max = 65536;
	CU_ASSERT_STRING_EQUAL(verdict("tracked connections"), "problem");
	CU_ASSERT_TRUE(says("tracked connections", "nf_conntrack_max = 210000"));
	n.connections = 50000;
	CU_ASSERT_STRING_EQUAL(verdict("tracked connections"), "ok");
	m.tcp_bytes = 1 << 20;
	CU_ASSERT_STRING_EQUAL(verdict("memory of TCP"), "advice");
}

static void
memory_is_that_of_the_control_group_if_that_is_less(void)
{
	rich();
	m.memory = (int64_t)2 << 30;
	CU_ASSERT_STRING_EQUAL(verdict("memory"), "ok");
	m.group_memory = (int64_t)512 << 20;
	CU_ASSERT_STRING_EQUAL(verdict("memory"), "problem");
	CU_ASSERT_TRUE(says("memory", "max_connections = "));
	CU_ASSERT_TRUE(says("memory", "MemoryMax"));
	m.group_memory = NO_LIMIT;
	CU_ASSERT_STRING_EQUAL(verdict("memory"), "ok");
}

static void
tls_takes_more_of_it(void)
{
	rich();
	m.memory = (int64_t)2 << 30;
	c.listener[0].type = TRANSPORT_tls;
	CU_ASSERT_STRING_EQUAL(verdict("memory"), "problem");
	m.memory = (int64_t)3 << 30;
	CU_ASSERT_STRING_EQUAL(verdict("memory"), "ok");
}

static void
what_makes_it_slow_is_told(void)
{
	rich();
	m.huge_pages = HUGE_ALWAYS;
	m.overcommit = 2;
	m.swap = 1 << 30;
	CU_ASSERT_STRING_EQUAL(verdict("huge pages"), "advice");
	CU_ASSERT_STRING_EQUAL(verdict("overcommitment"), "advice");
	CU_ASSERT_STRING_EQUAL(verdict("swap"), "advice");
	m.swappiness = 1;
	CU_ASSERT_STRING_EQUAL(verdict("swap"), "ok");
	m.group_tasks = 20;
	CU_ASSERT_STRING_EQUAL(verdict("tasks"), "problem");
	m.group_tasks = 500;
	CU_ASSERT_STRING_EQUAL(verdict("tasks"), "ok");
}

static void
cores_with_keys_are_told(void)
{
	rich();
	strcpy(m.core_pattern, "core");
	CU_ASSERT_STRING_EQUAL(verdict("core files"), "ok");
	c.sandbox = false;
	CU_ASSERT_TRUE(says("core files", "kernel.core_pattern = /var/crash/core.%e.%p"));
	strcpy(m.core_pattern, "|/usr/lib/systemd/systemd-coredump");
	CU_ASSERT_TRUE(says("core files", "sandbox = true"));
}

static void
what_is_no_text_is_told_all_the_same(void)
{
	json_t *to = json_array();
	const json_t *f;

	fit_add(
	    to, FIT_PROBLEM, "configuration", NULL, "%s:1: \xff\x01: unknown key", "a \"file\"");
	f = json_array_get(to, 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(f, "text")),
	    "a \\x22file\\x22:1: \\xff\\x01: unknown key");
	fit_add(to, FIT_PROBLEM, "configuration", "do", "%s", "a \"file\"");
	f = json_array_get(to, 1);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(f, "text")), "a \"file\"");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(f, "remedy")), "do");
	json_decref(to);
}

static void
a_machine_that_says_nothing_is_no_problem(void)
{
	const json_t *f;
	size_t i;

	rich();
	m = (struct machine){ .nr_open = UNKNOWN,
		.file_max = UNKNOWN,
		.files_open = UNKNOWN,
		.somaxconn = UNKNOWN,
		.syn_backlog = UNKNOWN,
		.syncookies = UNKNOWN,
		.port_first = UNKNOWN,
		.port_last = UNKNOWN,
		.tcp_bytes = UNKNOWN,
		.conntrack_max = UNKNOWN,
		.memory = UNKNOWN,
		.swap = UNKNOWN,
		.overcommit = UNKNOWN,
		.group_memory = UNKNOWN,
		.group_tasks = UNKNOWN };
	look();
	json_array_foreach(found, i, f)
		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(f, "verdict")), "ok");
	json_decref(found);
	found = NULL;
}

UNIT_MAIN("master/ctl/fit", TEST(too_few_descriptors_are_a_problem_if_somebody_counts_on_them),
    TEST(an_uneven_share_of_connections_is_counted_in),
    TEST(a_master_that_cannot_bind_is_a_problem_in_any_case),
    TEST(more_than_the_kernel_gives_a_process_takes_nr_open), TEST(a_backlog_that_is_cut_is_told),
    TEST(ports_that_others_may_take_are_to_be_reserved),
    TEST(a_firewall_that_forgets_connections_is_a_problem),
    TEST(memory_is_that_of_the_control_group_if_that_is_less), TEST(tls_takes_more_of_it),
    TEST(what_makes_it_slow_is_told), TEST(cores_with_keys_are_told),
    TEST(what_is_no_text_is_told_all_the_same), TEST(a_machine_that_says_nothing_is_no_problem))
