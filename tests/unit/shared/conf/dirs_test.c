#include "shared/conf/dirs.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define SUN_PATH 108 /* with the NUL, sys/un.h */
#define TAIL ((int)sizeof("/run/control.sock") - 1)

static void
directory_too_deep_for_a_socket_is_refused(void)
{
	char dir[PATH_MAX * 2];
	struct dirs d;

	memset(dir, 'x', sizeof(dir));
	dir[0] = '/';
	dir[SUN_PATH - TAIL] = '\0';
	CU_ASSERT_EQUAL(dirs_init(&d, dir, NULL), -ENAMETOOLONG);
	dir[SUN_PATH - TAIL - 1] = '\0';
	CU_ASSERT_EQUAL(dirs_init(&d, dir, NULL), 0);
	CU_ASSERT_EQUAL(strlen(d.control), SUN_PATH - 1);
}

static void
directory_of_any_length_is_refused_not_cut(void)
{
	char *dir = malloc(PATH_MAX * 2);
	struct dirs d;

	for (size_t len = 100; len < PATH_MAX * 2; len += 97)
		for (unsigned relative = 0; relative < 2; relative++) {
			memset(dir, 'x', len);
			dir[len] = '\0';
			if (!relative)
				dir[0] = '/';
			CU_ASSERT_EQUAL(dirs_init(&d, dir, NULL), -ENAMETOOLONG);
		}
	free(dir);
}

static void
configuration_too_long_to_be_named_is_refused(void)
{
	static char conf[PATH_MAX + 1];
	struct dirs d;

	memset(conf, 'x', PATH_MAX);
	CU_ASSERT_EQUAL(dirs_init(&d, "/d", conf), -ENAMETOOLONG);
	conf[PATH_MAX - 1] = '\0';
	CU_ASSERT_EQUAL(dirs_init(&d, "/d", conf), 0);
	CU_ASSERT_STRING_EQUAL(d.conf, conf);
}

static void
private_instance_has_all_below_its_directory(void)
{
	struct dirs d;

	CU_ASSERT_EQUAL(dirs_init(&d, "/some/dir", NULL), 0);
	CU_ASSERT_TRUE(d.is_private);
	CU_ASSERT_STRING_EQUAL(d.dir, "/some/dir");
	CU_ASSERT_STRING_EQUAL(d.conf, "/some/dir/tbmq.conf");
	CU_ASSERT_STRING_EQUAL(d.run, "/some/dir/run");
	CU_ASSERT_STRING_EQUAL(d.data, "/some/dir/data");
	CU_ASSERT_STRING_EQUAL(d.log, "/some/dir/log");
	CU_ASSERT_STRING_EQUAL(d.control, "/some/dir/run/control.sock");
	CU_ASSERT_STRING_EQUAL(d.lock, "/some/dir/run/lock");
	CU_ASSERT_STRING_EQUAL(d.pid, "/some/dir/run/tbmqd.pid");
	CU_ASSERT_STRING_EQUAL(d.logfile, "/some/dir/log/tbmq.log");
}

static void
relative_directory_is_made_absolute(void)
{
	struct dirs d;

	CU_ASSERT_EQUAL_FATAL(chdir("/tmp"), 0);
	CU_ASSERT_EQUAL(dirs_init(&d, "x/y", NULL), 0);
	CU_ASSERT_STRING_EQUAL(d.dir, "/tmp/x/y");
	CU_ASSERT_STRING_EQUAL(d.lock, "/tmp/x/y/run/lock");
}

static void
installed_instance_is_where_the_system_wants_it(void)
{
	struct dirs d;

	CU_ASSERT_EQUAL(dirs_init(&d, NULL, NULL), 0);
	CU_ASSERT_FALSE(d.is_private);
	CU_ASSERT_STRING_EQUAL(d.dir, "");
	CU_ASSERT_STRING_EQUAL(d.conf, TBMQ_SYSCONFDIR "/tbmq/tbmq.conf");
	CU_ASSERT_STRING_EQUAL(d.control, "/run/tbmq/control.sock");
	CU_ASSERT_STRING_EQUAL(d.data, "/var/lib/tbmq");
	CU_ASSERT_STRING_EQUAL(d.logfile, "/var/log/tbmq/tbmq.log");
}

static void
configuration_may_be_elsewhere(void)
{
	struct dirs d;

	CU_ASSERT_EQUAL(dirs_init(&d, "/d", "/etc/other.conf"), 0);
	CU_ASSERT_STRING_EQUAL(d.conf, "/etc/other.conf");
	CU_ASSERT_STRING_EQUAL(d.run, "/d/run");
}

UNIT_MAIN("shared/conf/dirs", TEST(directory_too_deep_for_a_socket_is_refused),
    TEST(directory_of_any_length_is_refused_not_cut),
    TEST(configuration_too_long_to_be_named_is_refused),
    TEST(private_instance_has_all_below_its_directory), TEST(relative_directory_is_made_absolute),
    TEST(installed_instance_is_where_the_system_wants_it), TEST(configuration_may_be_elsewhere))
