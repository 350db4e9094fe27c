#include <stdatomic.h>
#include <sys/statvfs.h>

#include "tests/unit/worker/persist/kv_model.h"

#define NAP_MS 20

static char copy_dir[96];
static _Atomic bool is_slow, is_full;
static _Atomic uint64_t moves, awaited; /* so many there are, and a copy waits for half-way */
static struct {
	bool is_watched;
	_Atomic uint64_t bytes;
	uint64_t most;     /* while a job ran */
	uint64_t at_copy;  /* when its copy began */
	uint64_t wanted;   /* a backup that has its copy waits for no more */
	_Atomic bool fell; /* to that, before the copy was done */
} logs;

static bool
is_copied(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", copy_dir, name);
	return access(path, F_OK) == 0;
}

static bool
has_copied_log(void)
{
	DIR *d = opendir(copy_dir);
	struct dirent *e;
	bool has = false;

	while (d != NULL && (e = readdir(d)) != NULL)
		has |= strncmp(e->d_name, "log.", 4) == 0;
	if (d != NULL)
		closedir(d);
	return has;
}

/*
 * What a copy asks before each piece. Half-way is in a table without changes, since the pages of a
 * piece aren't written meanwhile and a checkpoint would wait for them.
 */
int
statvfs(const char *path, struct statvfs *out)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);
	bool is_copy = strcmp(path, copy_dir) == 0;

	if (is_copy && is_slow)
		poll(NULL, 0, NAP_MS);
	if (is_copy && is_copied("group.db") && !is_copied("msg.db"))
		while (moves < awaited && clock_now_us() < until)
			poll(NULL, 0, 1);
	if (is_copy && logs.is_watched && logs.at_copy == 0 && has_copied_log()) {
		logs.at_copy = logs.bytes;
		for (uint64_t then = moves + 6; moves < then && clock_now_us() < until;)
			poll(NULL, 0, 1);
	}
	*out = (struct statvfs){ .f_frsize = 4096, .f_bavail = is_copy && is_full ? 1 : 1 << 30 };
	return 0;
}

/* The last thing of a backup: its manifest gets its name. */
int
rename(const char *from, const char *to)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);

	while (logs.is_watched && logs.bytes > logs.wanted && clock_now_us() < until)
		poll(NULL, 0, 1);
	logs.fell = logs.bytes <= logs.wanted;
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void
copy_start(void)
{
	store_start();
	snprintf(copy_dir, sizeof(copy_dir), "%s.copy", store.dir);
	is_slow = is_full = false;
	awaited = 0;
	logs.is_watched = false;
}

static void
copy_stop(void)
{
	each_file(copy_dir, remove_file, NULL);
	rmdir(copy_dir);
	store_stop();
}

/* Batches and moves go on until the job has ended. */
static bool
write_until_done(void)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);

	while (job().is_running && clock_now_us() < until) {
		if (!do_batch(true) || !write_safe() || kv_turn() < 0)
			return false;
		moves = kv_numbers().moves;
		logs.bytes = kv_numbers().log_bytes;
		if (logs.bytes > logs.most)
			logs.most = logs.bytes;
	}
	return !job().is_running;
}

/* Some of it is in the trees then. */
static bool
fill(uint64_t n)
{
	for (n += kv_numbers().moves; kv_numbers().moves < n;)
		if (!do_batch(true) || !write_safe() || kv_turn() < 0)
			return false;
	return true;
}

/* A byte in the middle of each page but the first: the file's, not what is in memory of it. */
static bool
spoil(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, n = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	for (off_t at = 4096 + 2000; at < st.st_size; at += 4096, n++) {
		uint8_t b;

		if (pread(fd, &b, 1, at) != 1)
			break;
		b ^= 0x10;
		if (pwrite(fd, &b, 1, at) != 1)
			break;
	}
	close(fd);
	return n > 0;
}

static void
a_directory_with_something_in_it_is_refused(void)
{
	copy_start();
	store_open();
	CU_ASSERT_EQUAL(kv_backup(store.dir), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, -ENOTEMPTY);
	CU_ASSERT_PTR_NOT_NULL(strstr(job().why, "not empty"));
	CU_ASSERT_TRUE(do_batch(true) && write_safe()); /* nothing of it has gone */
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_as_model_after(store_batch()));
	kv_close();
	copy_stop();
}

static void
a_directory_that_can_not_be_made_is_told(void)
{
	copy_start();
	store_open();
	CU_ASSERT_EQUAL(kv_backup("/proc/none/backup"), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(job().why, "/proc/none/backup"));
	kv_close();
	copy_stop();
}

static void
without_room_there_is_no_copy(void)
{
	copy_start();
	store_open();
	is_full = true;
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, -ENOSPC);
	CU_ASSERT_NOT_EQUAL(access(copy_dir, F_OK), 0);
	is_full = false;
	/* It may also end on the way. */
	is_slow = true;
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	while (job().is_running && job().done == 0)
		CU_ASSERT_TRUE(do_batch(true) && write_safe());
	is_full = true;
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, -ENOSPC);
	CU_ASSERT_NOT_EQUAL(access(copy_dir, F_OK), 0);
	kv_close();
	copy_stop();
}

static void
one_at_a_time(void)
{
	uint32_t first;

	copy_start();
	store_open();
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	first = job().number;
	if (job().is_running && kv_verify() != -EBUSY)
		CU_ASSERT_FALSE(job().number == first); /* it had ended just then */
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(kv_verify(), 0);
	CU_ASSERT_TRUE(job().number > first);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, 0);
	kv_close();
	copy_stop();
}

/* Round after round, with moves, checkpoints and trims meanwhile. */
static void
a_backup_under_load_is_a_state_no_older_than_its_beginning(void)
{
	copy_start();
	for (int i = 0; i < 5 * test_scale(); i++) {
		uint64_t begun, got;

		store_open();
		model_at(store_batch());
		CU_ASSERT_TRUE(fill((uint64_t)i % 3));
		begun = model.batch;
		moves = kv_numbers().moves;
		awaited = moves + (uint64_t)i % 2 * 2;
		CU_ASSERT_EQUAL_FATAL(kv_backup(copy_dir), 0);
		CU_ASSERT_TRUE(write_until_done());
		CU_ASSERT_EQUAL_FATAL(job().err, 0);
		CU_ASSERT_TRUE(job().bytes > 0);
		CU_ASSERT_TRUE(moves >= awaited);
		kv_close();

		store.o.dir = copy_dir;
		store_open();
		CU_ASSERT_EQUAL(store.found.damaged, 0);
		got = store_batch();
		CU_ASSERT_TRUE(got >= begun);
		CU_ASSERT_TRUE(is_as_model_after(got));
		CU_ASSERT_TRUE(fill(2)); /* and it can be gone on with */
		CU_ASSERT_TRUE(is_as_model());
		kv_close();
		store.o.dir = store.dir;
		each_file(copy_dir, remove_file, NULL);
	}
	copy_stop();
}

/* A file each for their names, and their sizes in *arg. */
static void
add_log(const char *path, const char *name, void *arg)
{
	struct stat st;

	if (strncmp(name, "log.", 4) == 0 && stat(path, &st) == 0)
		*(uint64_t *)arg += (uint64_t)st.st_size;
}

static void
the_log_is_kept_only_while_it_is_copied(void)
{
	uint64_t file, usual = 0, copied = 0;

	copy_start();
	store_open();
	file = store.o.log_file_size;
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_TRUE(fill(1));
		if (kv_numbers().log_bytes > usual)
			usual = kv_numbers().log_bytes;
	}
	moves = kv_numbers().moves;
	awaited = moves + 10;
	logs.at_copy = logs.most = 0;
	logs.wanted = usual + file;
	logs.is_watched = true;
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, 0);
	/* Ten moves would have taken them away; and after the copy was taken one has. */
	CU_ASSERT_TRUE(logs.most > usual + 2 * file);
	CU_ASSERT_TRUE(logs.fell);
	each_file(copy_dir, add_log, &copied);
	/* What came while it was copied isn't in there, or a backup under load would not end. */
	CU_ASSERT_TRUE(copied > usual && copied <= logs.at_copy + file);
	kv_close();
	copy_stop();
}

static void
closing_cuts_a_backup_off_and_leaves_nothing(void)
{
	copy_start();
	store_open();
	CU_ASSERT_TRUE(fill(3));
	is_slow = true;
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	kv_close();
	CU_ASSERT_EQUAL(job().err, -ECANCELED);
	CU_ASSERT_NOT_EQUAL(access(copy_dir, F_OK), 0);
	store_open();
	CU_ASSERT_TRUE(is_as_model_after(store_batch()));
	kv_close();
	copy_stop();
}

static void
verify_finds_nothing_in_a_good_store(void)
{
	char path[PATH_MAX];

	copy_start();
	store_open();
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(fill((uint64_t)i));
		CU_ASSERT_EQUAL(kv_verify(), 0);
		CU_ASSERT_TRUE(write_until_done());
		CU_ASSERT_EQUAL(job().err, 0);
		CU_ASSERT_FALSE(job().is_damaged);
	}
	snprintf(path, sizeof(path), "%s/verify", store.dir);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	kv_close();
	copy_stop();
}

static void
verify_names_the_table_with_a_flipped_byte(void)
{
	struct kv_job j;

	copy_start();
	store_open();
	CU_ASSERT_TRUE(fill(3));
	CU_ASSERT_TRUE(spoil(store.dir, "queue.db"));
	CU_ASSERT_EQUAL(kv_verify(), 0);
	CU_ASSERT_TRUE(write_until_done());
	j = job();
	CU_ASSERT_EQUAL(j.err, 0);
	CU_ASSERT_TRUE(j.is_damaged && j.damaged[KV_QUEUE]);
	CU_ASSERT_FALSE(j.journal_damaged || j.damaged[KV_SESSION] || j.damaged[KV_RXID]);
	kv_close();
	copy_stop();
}

/* Without a move: Berkeley DB may read what is damaged then, and that would be the end. */
static bool
is_done(void)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);

	while (job().is_running && clock_now_us() < until)
		poll(NULL, 0, 1);
	return !job().is_running;
}

static void
verify_names_the_journal_with_a_flipped_byte(void)
{
	copy_start();
	store_open();
	for (int i = 0; i < 20; i++)
		CU_ASSERT_TRUE(do_batch(true) && write_safe());
	CU_ASSERT_TRUE(spoil(store.dir, "log.0000000001"));
	CU_ASSERT_EQUAL(kv_verify(), 0);
	CU_ASSERT_TRUE(is_done());
	CU_ASSERT_EQUAL(job().err, 0);
	CU_ASSERT_TRUE(job().is_damaged && job().journal_damaged);
	CU_ASSERT_FALSE(job().damaged[KV_QUEUE]);
	/* Nor is it handed on as a backup. */
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	CU_ASSERT_TRUE(is_done());
	CU_ASSERT_EQUAL(job().err, -EUCLEAN);
	CU_ASSERT_NOT_EQUAL(access(copy_dir, F_OK), 0);
	kv_close();
	copy_stop();
}

UNIT_MAIN("worker/persist/kv_admin", TEST(a_directory_with_something_in_it_is_refused),
    TEST(a_directory_that_can_not_be_made_is_told), TEST(without_room_there_is_no_copy),
    TEST(one_at_a_time), TEST(a_backup_under_load_is_a_state_no_older_than_its_beginning),
    TEST(the_log_is_kept_only_while_it_is_copied),
    TEST(closing_cuts_a_backup_off_and_leaves_nothing), TEST(verify_finds_nothing_in_a_good_store),
    TEST(verify_names_the_table_with_a_flipped_byte),
    TEST(verify_names_the_journal_with_a_flipped_byte))
