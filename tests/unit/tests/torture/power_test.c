#include "tests/torture/power.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/unit/unit.h"

#define CUTS 24
#define LEN 16384
#define SECTOR 512
#define RECORD 100

static char dir[64];

/* --- what is watched: this executable, started again with a number ------------------------- */

#define NUMBER "POWER_TEST_PROGRAM"

static void
fill(int fd, char with, size_t len, off_t at)
{
	char p[LEN];

	memset(p, with, len);
	if (pwrite(fd, p, len, at) != (ssize_t)len)
		_exit(1);
}

static void
sync_path(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fsync(fd) != 0)
		_exit(1);
	close(fd);
}

/* A file that is on the disk as a whole. */
static int
safe_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	fill(fd, 'a', LEN, 0);
	if (fdatasync(fd) != 0)
		_exit(1);
	sync_path(".");
	return fd;
}

static void
overwrites_half(void)
{
	fill(safe_file("f"), 'b', LEN / 2, 0);
}

static void
appends_records(void)
{
	int fd = safe_file("f");

	if (lseek(fd, 0, SEEK_END) < 0)
		_exit(1);
	for (int i = 0; i < 60; i++) {
		char p[RECORD];

		memset(p, 'A' + i, sizeof(p));
		if (write(fd, p, sizeof(p)) != sizeof(p))
			_exit(1);
	}
}

static void
truncates(void)
{
	if (ftruncate(safe_file("f"), LEN / 4) != 0)
		_exit(1);
}

static void
writes_with_dsync(void)
{
	int fd = safe_file("f"), sync = open("f", O_WRONLY | O_DSYNC);

	fill(fd, 'b', LEN / 4, 0);
	fill(sync, 'c', SECTOR, 0);
	fill(sync, 'c', SECTOR, LEN);
	fill(fd, 'd', SECTOR, SECTOR);
}

static void
syncs_while_it_goes_on(void)
{
	int fd = safe_file("f");

	fill(fd, 'b', LEN / 2, 0);
	fsync(fd);
	fill(fd, 'c', LEN / 4, 0);
}

static void
creates(void)
{
	int fd = open("f", O_WRONLY | O_CREAT, 0600);

	fill(fd, 'a', LEN, 0);
	fsync(fd);
}

static void
removes(void)
{
	safe_file("f");
	unlink("f");
}

static void
removes_for_good(void)
{
	removes();
	sync_path(".");
}

static void
renames(void)
{
	safe_file("f");
	rename("f", "g");
}

/* Over a file that has been on the disk for long: what it says isn't synced. */
static void
replaces(void)
{
	safe_file("f");
	fill(open("g", O_WRONLY | O_CREAT, 0600), 'b', LEN, 0);
	rename("g", "f");
	sync_path(".");
}

static void
makes_directories(void)
{
	mkdir("d", 0700);
	sync_path(".");
	if (chdir("d") == 0)
		safe_file("f");
	mkdir("e", 0700);
}

static void
starts_another(void)
{
	char name[] = "another", number[] = NUMBER "=0", asan[1200];

	/* See power_env(). */
	snprintf(asan, sizeof(asan), "ASAN_OPTIONS=%s", getenv("ASAN_OPTIONS"));
	execve("/proc/self/exe", (char *[]){ name, NULL }, (char *[]){ number, asan, NULL });
}

static void
maps(void)
{
	int fd = safe_file("f");
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	memset(p, 'm', 10);
}

static void (*const program[])(void) = { overwrites_half, appends_records, truncates,
	writes_with_dsync, syncs_while_it_goes_on, creates, removes, removes_for_good, renames,
	replaces, makes_directories, starts_another, maps };

__attribute__((constructor)) static void
run_program(void)
{
	const char *number = getenv(NUMBER);

	if (number == NULL)
		return;
	program[atoi(number)]();
	raise(SIGKILL);
}

/* --- cuts ---------------------------------------------------------------------------------- */

static void
make_dir(void)
{
	if (dir[0] != '\0')
		return;
	strcpy(dir, "/tmp/tbmq-power-test-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
}

static void
path_of(const char *name, char out[128])
{
	snprintf(out, 128, "%s/store/%s", dir, name);
}

/* A store with nothing in it, whose directory is on the disk, is done this to until the power goes. */
static void
cut(void (*what)(void))
{
	char store[256], number[16];
	size_t n = 0;
	pid_t pid;

	make_dir();
	snprintf(store, sizeof(store), "rm -rf %s/store && mkdir %s/store", dir, dir);
	CU_ASSERT_FATAL(system(store) == 0);
	snprintf(store, sizeof(store), "%s/store", dir);
	power_init(store, "../../../libpower.so");
	while (program[n] != what)
		n++;
	pid = fork();
	if (pid == 0) {
		snprintf(number, sizeof(number), "%zu", n);
		setenv(NUMBER, number, 1);
		power_env();
		if (chdir(store) == 0)
			execl("/proc/self/exe", "program", (char *)NULL);
		_exit(1);
	}
	CU_ASSERT_FATAL(waitpid(pid, &(int){ 0 }, 0) == pid);
	power_cut();
	power_fini();
}

static char content[LEN * 2];

/* How long the file is, or -1; what is above is zeros. */
static int
read_back(const char *name)
{
	char path[128];
	int fd;
	ssize_t n;

	path_of(name, path);
	memset(content, 0, sizeof(content));
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	n = read(fd, content, sizeof(content));
	close(fd);
	return (int)n;
}

static bool
is_all(char c, size_t from, size_t to)
{
	while (from < to && content[from] == c)
		from++;
	return from == to;
}

static void
sectors_of_one_write_are_old_or_new(void)
{
	int torn = 0, olds = 0, news = 0;

	for (int i = 0; i < CUTS; i++) {
		int old = 0, new = 0;

		cut(overwrites_half);
		CU_ASSERT_EQUAL(read_back("f"), LEN);
		for (size_t s = 0; s < LEN / 2; s += SECTOR) {
			old += is_all('a', s, s + SECTOR);
			new += is_all('b', s, s + SECTOR);
		}
		CU_ASSERT_EQUAL(old + new, LEN / 2 / SECTOR);
		CU_ASSERT(is_all('a', LEN / 2, LEN));
		torn += old > 0 && new > 0;
		olds += new == 0;
		news += old == 0;
	}
	CU_ASSERT(torn > 0 && olds > 0);
	CU_ASSERT(torn + olds + news == CUTS);
}

static void
a_sector_has_nothing_without_what_was_written_before(void)
{
	int whole = 0, partial = 0, longer_than_written = 0;

	for (int i = 0; i < CUTS; i++) {
		int len;

		cut(appends_records);
		len = read_back("f");
		CU_ASSERT(len >= LEN && (len - LEN) % RECORD == 0);
		CU_ASSERT(is_all('a', 0, LEN));
		for (int s = LEN; s < len; s += SECTOR) {
			int to = s + SECTOR < len ? s + SECTOR : len, at = s;

			while (at < to && content[at] == 'A' + (at - LEN) / RECORD)
				at++;
			CU_ASSERT(is_all(0, (size_t)at, (size_t)to));
			whole += at == to;
			partial += at > s && at < to;
			longer_than_written += at == s;
		}
	}
	CU_ASSERT(whole > 0 && partial > 0 && longer_than_written > 0);
}

static void
a_size_is_old_or_new(void)
{
	int old = 0;

	for (int i = 0; i < CUTS; i++) {
		int len;

		cut(truncates);
		len = read_back("f");
		CU_ASSERT(len == LEN || len == LEN / 4);
		CU_ASSERT(is_all('a', 0, LEN / 4));
		old += len == LEN;
	}
	CU_ASSERT(old > 0 && old < CUTS);
}

static void
what_was_written_with_dsync_is_there(void)
{
	int others = 0;

	for (int i = 0; i < CUTS; i++) {
		cut(writes_with_dsync);
		CU_ASSERT_EQUAL(read_back("f"), LEN + SECTOR);
		CU_ASSERT(is_all('c', 0, SECTOR));
		CU_ASSERT(is_all('c', LEN, LEN + SECTOR));
		others += is_all('a', 2 * SECTOR, LEN / 4);
	}
	CU_ASSERT(others > 0);
}

static void
what_was_synced_is_there_whatever_comes_behind(void)
{
	for (int i = 0; i < CUTS; i++) {
		cut(syncs_while_it_goes_on);
		CU_ASSERT_EQUAL(read_back("f"), LEN);
		for (size_t s = 0; s < LEN / 4; s += SECTOR)
			CU_ASSERT(is_all('b', s, s + SECTOR) || is_all('c', s, s + SECTOR));
		CU_ASSERT(is_all('b', LEN / 4, LEN / 2));
	}
}

/* How often there was a file of that name, which then has to have this in it. */
static int
files(void (*what)(void), const char *name, char c)
{
	int there = 0;

	for (int i = 0; i < CUTS; i++) {
		int len;

		cut(what);
		len = read_back(name);
		CU_ASSERT(len < 0 || (len == LEN && is_all(c, 0, LEN)));
		there += len >= 0;
	}
	return there;
}

static void
a_file_that_was_synced_goes_with_its_name(void)
{
	int there = files(creates, "f", 'a');

	CU_ASSERT(there > 0 && there < CUTS);
}

static void
what_was_removed_may_come_back(void)
{
	int there = files(removes, "f", 'a');

	CU_ASSERT(there > 0 && there < CUTS);
	CU_ASSERT_EQUAL(files(removes_for_good, "f", 'a'), 0);
}

static void
a_renamed_file_has_one_of_both_names(void)
{
	int old = 0;

	for (int i = 0; i < CUTS; i++) {
		int f, g;

		cut(renames);
		g = read_back("g");
		f = read_back("f");
		CU_ASSERT((f < 0) != (g < 0));
		CU_ASSERT(f < 0 || is_all('a', 0, LEN));
		old += f >= 0;
	}
	CU_ASSERT(old > 0 && old < CUTS);
}

static void
a_name_says_nothing_of_what_is_in_the_file(void)
{
	int empty = 0;

	for (int i = 0; i < CUTS; i++) {
		int len;

		cut(replaces);
		len = read_back("f");
		CU_ASSERT(len >= 0 && read_back("g") < 0);
		read_back("f");
		CU_ASSERT(is_all(0, (size_t)len, LEN));
		empty += len == 0;
	}
	CU_ASSERT(empty > 0 && empty < CUTS);
}

static void
directories_are_entries_too(void)
{
	int there = 0;

	for (int i = 0; i < CUTS; i++) {
		char path[128];

		cut(makes_directories);
		CU_ASSERT_EQUAL(read_back("d/f"), LEN);
		CU_ASSERT(is_all('a', 0, LEN));
		path_of("d/e", path);
		there += access(path, F_OK) == 0;
	}
	CU_ASSERT(there > 0 && there < CUTS);
}

static void
a_program_with_an_environment_of_its_own_is_watched(void)
{
	int old = 0;

	for (int i = 0; i < CUTS; i++) {
		cut(starts_another);
		CU_ASSERT_EQUAL(read_back("f"), LEN);
		old += is_all('a', 0, LEN);
	}
	CU_ASSERT(old > 0);
}

static void
what_escapes_is_noticed(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		cut(maps);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == TOOL_BAD);
}

static void
the_whole_store_goes_with_its_name(void)
{
	char store[128], rm[160];
	int there = 0;

	make_dir();
	snprintf(store, sizeof(store), "%s/new", dir);
	for (int i = 0; i < CUTS; i++) {
		pid_t pid;

		power_init(store, "../../../libpower.so");
		pid = fork();
		if (pid == 0) {
			power_env();
			execlp("mkdir", "mkdir", store, (char *)NULL);
			_exit(1);
		}
		CU_ASSERT_FATAL(waitpid(pid, &(int){ 0 }, 0) == pid);
		CU_ASSERT(access(store, F_OK) == 0);
		power_cut();
		power_fini();
		there += access(store, F_OK) == 0;
		snprintf(rm, sizeof(rm), "rm -rf %s", store);
		CU_ASSERT_FATAL(system(rm) == 0);
	}
	CU_ASSERT(there > 0 && there < CUTS);
}

static void
nothing_stays_behind(void)
{
	char rm[128];

	snprintf(rm, sizeof(rm), "rm -r %s", dir);
	CU_ASSERT(dir[0] == '\0' || system(rm) == 0);
}

UNIT_MAIN("tests/torture/power", TEST(sectors_of_one_write_are_old_or_new),
    TEST(a_sector_has_nothing_without_what_was_written_before), TEST(a_size_is_old_or_new),
    TEST(what_was_written_with_dsync_is_there),
    TEST(what_was_synced_is_there_whatever_comes_behind),
    TEST(a_file_that_was_synced_goes_with_its_name), TEST(what_was_removed_may_come_back),
    TEST(a_renamed_file_has_one_of_both_names), TEST(a_name_says_nothing_of_what_is_in_the_file),
    TEST(directories_are_entries_too), TEST(a_program_with_an_environment_of_its_own_is_watched),
    TEST(what_escapes_is_noticed), TEST(the_whole_store_goes_with_its_name),
    TEST(nothing_stays_behind))
