#include "shared/base/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[64];
static struct {
	bool fails;
	int count;
	struct stat st; /* of what was synced last */
} synced;

/* What is asked of the disk. */
int
fsync(int fd)
{
	synced.count++;
	fstat(fd, &synced.st);
	errno = EIO;
	return synced.fails ? -1 : 0;
}

static const char *
below(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", dir, name);
	return p;
}

static bool
was_synced(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == synced.st.st_ino &&
	    st.st_dev == synced.st.st_dev;
}

static void
make(const char *name)
{
	int fd = open(below(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CU_ASSERT_TRUE(fd >= 0 && close(fd) == 0);
}

static void
start(void)
{
	memset(&synced, 0, sizeof(synced));
	snprintf(dir, sizeof(dir), "/tmp/dir_test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void
a_sync_that_cannot_be_is_told(void)
{
	char path[PATH_MAX];

	start();
	CU_ASSERT_EQUAL(dir_sync(below("none")), -ENOENT);
	CU_ASSERT_EQUAL(dir_sync_parent(below("none")), -ENOENT);
	make("file");
	CU_ASSERT_EQUAL(dir_sync(below("file")), -ENOTDIR);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(dir_sync_parent(path), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(synced.count, 0);
	synced.fails = true;
	CU_ASSERT_EQUAL(dir_sync(dir), -EIO);
	dir_empty(dir);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
what_is_synced_is_the_directory_or_the_one_it_is_in(void)
{
	start();
	CU_ASSERT_EQUAL(mkdir(below("inner"), 0700), 0);
	CU_ASSERT_EQUAL(dir_sync(below("inner")), 0);
	CU_ASSERT_TRUE(was_synced(below("inner")));
	CU_ASSERT_EQUAL(dir_sync_parent(below("inner")), 0);
	CU_ASSERT_TRUE(was_synced(dir));
	CU_ASSERT_EQUAL(symlink(below("inner"), below("link")), 0);
	CU_ASSERT_EQUAL(dir_sync_parent(below("link")), 0);
	CU_ASSERT_TRUE(was_synced(dir));
	unlink(below("link"));
	rmdir(below("inner"));
	rmdir(dir);
}

static void
all_files_go_and_directories_stay(void)
{
	start();
	dir_empty(below("none"));
	make("file");
	make(".hidden");
	CU_ASSERT_EQUAL(mkdir(below("inner"), 0700), 0);
	make("inner/file");
	CU_ASSERT_EQUAL(symlink(below("inner/file"), below("link")), 0);
	dir_empty(dir);
	CU_ASSERT_EQUAL(access(below("inner/file"), F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(below("file"), F_OK), 0);
	dir_empty(below("inner"));
	CU_ASSERT_EQUAL(rmdir(below("inner")), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

UNIT_MAIN("shared/base/dir", TEST(a_sync_that_cannot_be_is_told),
    TEST(what_is_synced_is_the_directory_or_the_one_it_is_in),
    TEST(all_files_go_and_directories_stay))
