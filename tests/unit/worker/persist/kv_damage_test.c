#include "worker/persist/kv.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "tests/unit/worker/persist/kv_model.h"
#include "worker/persist/kv_bdb_int.h"

/* --- the machine's moods: these take the place of the C library's -------------------------- */

static struct {
	bool no_space;             /* but for what the ballast gives back */
	bool stays_on;             /* no sync is needed then */
	_Atomic int writes, syncs; /* so many work, then none; negative: all */
	_Atomic int dir_syncs;
	int error;
} machine = { .writes = -1, .syncs = -1 };

static bool
fails(_Atomic int *left)
{
	int n = *left;

	while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	if (n == 0)
		errno = machine.error;
	return n == 0;
}

static bool
is_full(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/ballast", store.dir);
	return machine.no_space && access(path, F_OK) == 0;
}

int
statvfs(const char *path, struct statvfs *out)
{
	(void)path;
	*out = (struct statvfs){ .f_frsize = 4096, .f_bavail = machine.no_space ? 10 : 1 << 20 };
	return 0;
}

int
fdatasync(int fd)
{
	if (machine.stays_on)
		return 0;
	return fails(&machine.syncs) ? -1 : syscall(SYS_fdatasync, fd);
}

/* Of directories only. */
int
fsync(int fd)
{
	machine.dir_syncs++;
	if (machine.stays_on)
		return 0;
	return fails(&machine.syncs) ? -1 : syscall(SYS_fsync, fd);
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
	return fails(&machine.writes) ? -1 : syscall(SYS_pwrite64, fd, p, len, at);
}

ssize_t
write(int fd, const void *p, size_t len)
{
	bool is_ours = fd > STDERR_FILENO, full = is_ours && is_full();

	if (!full && !(is_ours && fails(&machine.writes)))
		return syscall(SYS_write, fd, p, len);
	if (full)
		errno = ENOSPC;
	return -1;
}

/* --- stores to damage --------------------------------------------------------------------- */

#define BATCHES 40

static struct {
	char log[PATH_MAX]; /* the last */
	unsigned logs, aside;
} seen;

static void
see_file(const char *path, const char *name, void *arg)
{
	(void)arg;
	if (strstr(name, ".damaged-") != NULL) {
		seen.aside++;
	} else if (strncmp(name, "log.", 4) == 0) {
		seen.logs++;
		if (strcmp(path, seen.log) > 0)
			snprintf(seen.log, sizeof(seen.log), "%s", path);
	}
}

static void
see(void)
{
	memset(&seen, 0, sizeof(seen));
	each_file(store.dir, see_file, NULL);
}

/* What was put aside is told from what is, whatever the directory looked like. */
static void
copy_file(const char *path, const char *name, void *arg)
{
	char to[PATH_MAX], command[2 * PATH_MAX + 64];

	snprintf(to, sizeof(to), "%s/%s", (const char *)arg, name);
	snprintf(command, sizeof(command), "cp --sparse=always %s %s", path, to);
	CU_ASSERT_EQUAL(system(command), 0);
}

/*
 * A store whose process died: BATCHES batches, each safe before the next. With moves it has some
 * in trees and the rest in more than one log file.
 */
static void
make_store(bool moves, unsigned batches)
{
	int status;

	store_start();
	if (!moves)
		store.o.log_file_size = 8 << 20;
	if (fork() == 0) {
		if (kv_open(&store.o, &store.found) != 0)
			_exit(1);
		while (model.batch < batches) {
			if (!do_batch(true) || !write_safe())
				_exit(2);
			for (int i = 0; moves && i < 3; i++)
				if (kv_turn() < 0)
					_exit(3);
		}
		_exit(moves && !wait_moved() ? 4 : 0);
	}
	wait(&status);
	CU_ASSERT_EQUAL_FATAL(status, 0);
}

/* The same store again, to be damaged another way. */
static void
take_copy(char original[64])
{
	strcpy(original, store.dir);
	snprintf(store.dir, sizeof(store.dir), "/tmp/kv_test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(store.dir));
	each_file(original, copy_file, store.dir);
	store.o.dir = store.dir;
}

static void
drop_copy(const char original[64])
{
	store_stop();
	strcpy(store.dir, original);
}

static off_t
data_end(const char *path)
{
	int fd = open(path, O_RDONLY);
	uint8_t p[4096];
	off_t end = lseek(fd, 0, SEEK_END), n;

	/* Berkeley DB makes a file as long as it will be: zeros aren't data. */
	while (end > 0) {
		off_t at = (end - 1) / (off_t)sizeof(p) * (off_t)sizeof(p);

		n = pread(fd, p, (size_t)(end - at), at);
		while (n > 0 && p[n - 1] == 0)
			n--;
		if (n > 0) {
			end = at + n;
			break;
		}
		end = at;
	}
	close(fd);
	return end;
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	CU_ASSERT_EQUAL(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Opens with salvage, and without before that, which must change nothing. */
static int
open_damaged(void)
{
	int err;

	store.o.salvage = false;
	err = kv_open(&store.o, &store.found);
	if (err == 0)
		return 0;
	CU_ASSERT_EQUAL(err, -EUCLEAN);
	store.o.salvage = true;
	err = kv_open(&store.o, &store.found);
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT_TRUE(err != 0 || store.found.damaged > 0);
	return err;
}

/* What is opened can be written, closed and opened, and isn't damaged any more. */
static void
works_again(void)
{
	uint64_t b = store_batch();

	model_at(b);
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	kv_close();
	store.o.salvage = false;
	CU_ASSERT_EQUAL_FATAL(kv_open(&store.o, &store.found), 0);
	CU_ASSERT_TRUE(store.found.clean);
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_EQUAL(store_batch(), b + 1);
	kv_close();
}

static void
a_flipped_bit_in_the_last_log_costs_whole_batches_and_is_reported(void)
{
	const int n = 24;
	char original[64];
	off_t end;

	make_store(false, BATCHES);
	see();
	end = data_end(seen.log);
	for (int i = 1; i <= n; i++) {
		uint64_t b;

		take_copy(original);
		see();
		flip(seen.log, end * i / n - 1);
		if (open_damaged() == 0) {
			b = store_batch();
			CU_ASSERT_TRUE(b <= BATCHES);
			/* Nothing in the log tells that its last batch was safe. */
			CU_ASSERT_TRUE(b >= BATCHES - 1 || store.found.damaged > 0);
			see();
			CU_ASSERT_EQUAL(seen.aside > 0, store.found.damaged > 0);
			CU_ASSERT_TRUE(is_as_model_after(b));
			works_again();
		}
		drop_copy(original);
	}
	store_stop();
}

static void
cut_short(bool moves, unsigned batches)
{
	const int n = 24;
	char original[64];
	off_t end;

	make_store(moves, batches);
	see();
	end = data_end(seen.log);
	for (int i = 0; i < n; i++) {
		take_copy(original);
		see();
		CU_ASSERT_EQUAL(truncate(seen.log, end * i / n), 0);
		if (open_damaged() == 0) {
			/* Trees may know more than what is left of the log, but not without a word. */
			CU_ASSERT_TRUE(is_as_model_after(store_batch()) || store.found.damaged > 0);
			works_again();
		}
		drop_copy(original);
	}
	store_stop();
}

static void
a_log_cut_short_costs_whole_batches(void)
{
	cut_short(false, BATCHES);
	cut_short(true, 4 * BATCHES);
}

static void
other_damage_to_logs_opens_or_says_so(void)
{
	const int n = 12;
	char original[64], path[PATH_MAX];
	unsigned last;

	make_store(true, 4 * BATCHES);
	see();
	CU_ASSERT_TRUE(seen.logs > 1);
	last = (unsigned)strtoul(strrchr(seen.log, '.') + 1, NULL, 10);
	for (int i = 0; i < n; i++) {
		take_copy(original);
		snprintf(path, sizeof(path), "%s/log.%010u", store.dir, last - 1);
		if (i == 0)
			CU_ASSERT_EQUAL(unlink(path), 0);
		if (i > 0)
			flip(path, data_end(path) * i / n - 1);
		if (open_damaged() == 0) {
			CU_ASSERT_TRUE(store_batch() <= 4 * BATCHES);
			works_again();
		}
		drop_copy(original);
	}
	store_stop();
}

static void
a_flipped_bit_in_a_table_costs_what_was_on_its_page(void)
{
	const char *const name[] = { "queue.db", "meta.db", "session.db" };
	char original[64], path[PATH_MAX];
	struct stat st;

	make_store(true, 4 * BATCHES);
	for (unsigned i = 0; i < 24; i++) {
		take_copy(original);
		snprintf(path, sizeof(path), "%s/%s", store.dir, name[i % 3]);
		CU_ASSERT_EQUAL(stat(path, &st), 0);
		flip(path, (st.st_size * (i / 3) / 8 + 2000) % st.st_size);
		/* Only a read may meet it; then the next start looks at all pages. */
		if (open_damaged() == 0) {
			is_as_model();
			for (int j = 0; j < 3; j++)
				is_as_model_at(j % MODEL_TABLES, 150);
			kv_close();
			if (open_damaged() == 0)
				works_again();
		}
		drop_copy(original);
	}
	store_stop();
}

static void
tables_that_are_no_tables_are_set_aside(void)
{
	char path[PATH_MAX];
	int fd;

	make_store(true, BATCHES);
	/* What was written last would heal them in part. */
	snprintf(path, sizeof(path), "%s/pages", store.dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/queue.db", store.dir);
	CU_ASSERT_EQUAL(truncate(path, 100), 0);
	snprintf(path, sizeof(path), "%s/rxid.db", store.dir);
	fd = open(path, O_WRONLY | O_TRUNC);
	for (int i = 0; i < 3000; i++)
		CU_ASSERT_EQUAL(write(fd, "nonsense", 8), 8);
	close(fd);
	if (open_damaged() == 0) {
		CU_ASSERT_EQUAL(store.found.damaged, 2);
		CU_ASSERT_EQUAL(store_batch(), BATCHES);
		works_again();
	}
	store_stop();
}

/* Opens what was closed by a crash; nothing may be missing. */
static void
opens_whole(void)
{
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_EQUAL(store_batch(), BATCHES);
	CU_ASSERT_TRUE(is_as_model_after(BATCHES));
	kv_close();
	store_stop();
}

static void
pages_torn_by_a_power_cut_are_written_once_more(void)
{
	uint32_t name[2];
	uint64_t count = 0;
	char path[PATH_MAX], half[BDB_PAGE_SIZE / 2] = { 0 };
	int pages, tree;

	make_store(true, BATCHES);
	snprintf(path, sizeof(path), "%s/pages", store.dir);
	pages = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(pread(pages, &count, sizeof(count), BDB_PAGE_SIZE + 8), sizeof(count));
	CU_ASSERT_TRUE(count > 0);
	for (uint64_t i = 0; i < le64toh(count); i++) {
		CU_ASSERT_EQUAL_FATAL(pread(pages, name, sizeof(name),
					  (off_t)(BDB_PAGE_SIZE + 16 + i * sizeof(name))),
		    sizeof(name));
		snprintf(path, sizeof(path), "%s/%s", store.dir, bdb_table_file[le32toh(name[0])]);
		tree = open(path, O_WRONLY);
		CU_ASSERT_EQUAL(pwrite(tree, half, sizeof(half),
				    (off_t)le32toh(name[1]) * BDB_PAGE_SIZE + sizeof(half)),
		    sizeof(half));
		close(tree);
	}
	close(pages);
	opens_whole();
}

static void
pages_that_were_not_yet_to_be_written_are_not(void)
{
	char path[PATH_MAX];

	make_store(true, BATCHES);
	snprintf(path, sizeof(path), "%s/pages", store.dir);
	flip(path, 5 * BDB_PAGE_SIZE);
	opens_whole();
}

/* --- each file, in each way --------------------------------------------------------------- */

enum way { FLIP, CUT, GONE, WAYS };

static struct {
	char name[32][64];
	unsigned n;
} all;

static void
add_file(const char *path, const char *name, void *arg)
{
	const char *end = arg;
	size_t len = strlen(name), n = strlen(end);

	(void)path;
	if (strcmp(end, "log.") == 0 ? strncmp(name, end, n) == 0
				     : len > n && strcmp(name + len - n, end) == 0)
		snprintf(all.name[all.n++], sizeof(all.name[0]), "%s", name);
}

static void
damage(const char *path, enum way way, off_t at)
{
	if (way == FLIP)
		flip(path, at);
	else
		CU_ASSERT_EQUAL(way == CUT ? truncate(path, at) : unlink(path), 0);
}

/*
 * Opened, whatever it takes, it is as it was, or something is reported: true. With may_be_older it is as it was after some batch: of an end that isn't
 * there nothing tells.
 */
static bool
opens_or_says_so(bool may_be_older, const char *what)
{
	bool is_same = false;

	/* A read may be the first to meet it; then the next start looks at all pages. */
	for (int i = 0; i < 2 && open_damaged() == 0; i++) {
		uint64_t b = store_batch();

		is_same =
		    (may_be_older || b == 4 * BATCHES) && b <= 4 * BATCHES && is_as_model_after(b);
		if (store.found.damaged > 0) {
			works_again();
			return true;
		}
		kv_close();
	}
	if (!is_same) {
		printf("\nsilently lost: %s ", what);
		CU_FAIL("damage that nobody was told of");
	}
	return false;
}

static void
each_of(const char *end)
{
	char original[64], path[PATH_MAX], what[128];
	unsigned damaged = 0;

	machine.stays_on = true;
	make_store(true, 4 * BATCHES);
	all.n = 0;
	each_file(store.dir, add_file, (void *)(uintptr_t)end);
	CU_ASSERT_TRUE(all.n > 1);
	for (unsigned f = 0; f < all.n; f++) {
		bool is_end;
		off_t size;

		snprintf(path, sizeof(path), "%s/%s", store.dir, all.name[f]);
		size = data_end(path);
		see();
		is_end = strcmp(path, seen.log) == 0;
		const struct {
			enum way way;
			off_t at;
		} one[] = {
			{ GONE, 0 },
			{ CUT, 0 },
			{ CUT, 20 },
			{ CUT, size / 2 },
			{ CUT, size / 2 / 4096 * 4096 },
			{ CUT, (size - 1) / 4096 * 4096 },
			{ CUT, size - 1 },
			{ FLIP, 0 },
			{ FLIP, 9 },
			{ FLIP, 13 },
			{ FLIP, 21 },
			{ FLIP, 40 },
			{ FLIP, 100 },
			{ FLIP, size / 3 },
			{ FLIP, size / 2 },
			{ FLIP, size / 2 / 4096 * 4096 },
			{ FLIP, size - 1 },
		};
		for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
			take_copy(original);
			snprintf(path, sizeof(path), "%s/%s", store.dir, all.name[f]);
			snprintf(what, sizeof(what), "%s way=%d at=%ld of=%ld", all.name[f],
			    (int)one[i].way, (long)one[i].at, (long)size);
			damage(path, one[i].way, one[i].at);
			damaged += opens_or_says_so(
			    is_end && (one[i].way == CUT || one[i].at == size - 1), what);
			drop_copy(original);
		}
	}
	CU_ASSERT_TRUE(damaged > all.n);
	store_stop();
	machine.stays_on = false;
}

static void
whatever_is_wrong_with_a_table_it_opens_or_says_so(void)
{
	each_of(".db");
}

static void
whatever_is_wrong_with_a_log_it_opens_or_says_so(void)
{
	each_of("log.");
}

static void
with_a_full_disk_nothing_is_written_and_later_it_is(void)
{
	store_start();
	store_open();
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	machine.no_space = true;
	CU_ASSERT_TRUE(do_batch(true));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(kv_write(), -ENOSPC);
	CU_ASSERT_TRUE(kv_is_idle());
	CU_ASSERT_EQUAL(kv_batch(), 2);
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_MEMORY), 1);
	CU_ASSERT_TRUE(is_as_model());
	machine.no_space = false;
	CU_ASSERT_TRUE(write_safe());
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_POWER), 2);
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_as_model());
	kv_close();
	store_stop();
}

static void
of_the_reserve_half_is_for_what_is_pending(void)
{
	const uint64_t free_bytes = UINT64_C(4096) << 20;

	store_start();
	store_open();
	CU_ASSERT_FALSE(kv_is_full());
	kv_set_reserve(free_bytes / 2 * 3);
	CU_ASSERT_TRUE(kv_is_full());
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	kv_set_reserve(free_bytes * 2);
	CU_ASSERT_TRUE(do_batch(true));
	CU_ASSERT_EQUAL(kv_write(), -ENOSPC);
	kv_set_reserve(0);
	CU_ASSERT_FALSE(kv_is_full());
	CU_ASSERT_TRUE(write_safe());
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_as_model());
	kv_close();
	store_stop();
}

static void
the_ballast_makes_room_for_recovery(void)
{
	char path[PATH_MAX];

	make_store(true, BATCHES);
	snprintf(path, sizeof(path), "%s/ballast", store.dir);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	machine.no_space = true;
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_TRUE(is_as_model_after(BATCHES));
	CU_ASSERT_TRUE(do_batch(true));
	CU_ASSERT_EQUAL(kv_write(), -ENOSPC);
	machine.no_space = false;
	kv_close();
	store_open();
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_TRUE(is_as_model_after(BATCHES + 1));
	kv_close();
	store_stop();
}

static void
a_full_disk_is_not_taken_for_damage(void)
{
	make_store(true, BATCHES);
	store.o.salvage = true;
	machine.error = ENOSPC;
	for (int n = 0; n < 100; n += 4) {
		machine.writes = n;
		if (kv_open(&store.o, &store.found) == 0) {
			CU_ASSERT_EQUAL(store.found.damaged, 0);
			kv_close();
		}
		machine.writes = -1;
		see();
		CU_ASSERT_EQUAL(seen.aside, 0);
	}
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_TRUE(is_as_model_after(BATCHES));
	kv_close();
	store_stop();
}

static void
a_sync_that_failed_is_the_end(void)
{
	store_start();
	store_open();
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	machine.syncs = 0;
	machine.error = EIO;
	CU_ASSERT_TRUE(do_batch(true));
	CU_ASSERT_EQUAL(kv_write(), 0);
	CU_ASSERT_FALSE(wait_synced());
	machine.syncs = -1;
	CU_ASSERT_EQUAL(kv_synced(), -EIO);
	CU_ASSERT_EQUAL(kv_write(), -EIO);
	CU_ASSERT_EQUAL(kv_turn(), -EIO);
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_POWER), 1);
	kv_close();
	store_open();
	CU_ASSERT_FALSE(store.found.clean);
	CU_ASSERT_TRUE(store_batch() >= 1);
	CU_ASSERT_TRUE(is_as_model_after(store_batch()));
	kv_close();
	store_stop();
}

/* The power may go at once: a file that its directory doesn't name is gone then. */
static void
a_batch_in_a_new_log_file_is_safe_when_its_name_is(void)
{
	unsigned logs, files = 0;
	int syncs;

	store_start();
	store_open();
	for (see(); files < 3 && model.batch < 1000;) {
		logs = seen.logs;
		syncs = machine.dir_syncs;
		CU_ASSERT_TRUE(do_batch(true) && write_safe());
		see();
		if (seen.logs > logs) {
			CU_ASSERT_TRUE(machine.dir_syncs > syncs);
			files++;
		}
	}
	CU_ASSERT_EQUAL(files, 3);
	kv_close();
	store_stop();
}

static void
half_a_batch_is_none(void)
{
	const size_t len = 1 << 20; /* many parts */
	struct span v;

	store_start();
	store_open();
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	CU_ASSERT_PTR_NOT_NULL(memset(kv_put(KV_MSG, span_str("m"), len, true), 'm', len));
	machine.error = EIO;
	machine.writes = 8;
	CU_ASSERT_EQUAL(kv_write(), -EIO);
	machine.writes = -1;
	kv_close();
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_EQUAL(store.found.batches, 1);
	CU_ASSERT_EQUAL(kv_get(KV_MSG, span_str("m"), &v), -ENOENT);
	CU_ASSERT_TRUE(is_as_model_after(1));
	/* Its number is given again. */
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	kv_close();
	store_open();
	CU_ASSERT_EQUAL(store.found.batches, 2);
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_EQUAL(kv_get(KV_MSG, span_str("m"), &v), -ENOENT);
	CU_ASSERT_TRUE(is_as_model_after(2));
	kv_close();
	store_stop();
}

/* Goes on until something fails, and at least through a move. The last batch that was safe. */
static uint64_t
work(void)
{
	uint64_t safe;

	if (kv_open(&store.o, &store.found) != 0)
		return 0;
	while (kv_numbers().moves < 1 && do_batch(true) && write_safe() && kv_turn() >= 0)
		;
	safe = kv_safe(KV_SYNC_POWER);
	kv_close();
	return safe;
}

static void
whichever_write_or_sync_fails_what_was_safe_is_there(void)
{
	for (int i = 0; i < 40 * test_scale(); i++) {
		_Atomic int *left = i % 2 ? &machine.writes : &machine.syncs;
		uint64_t safe;

		store_start();
		machine.error = i % 4 < 2 ? EIO : ENOSPC;
		*left = i / 2 * 5;
		safe = work();
		*left = -1;
		store_open();
		CU_ASSERT_EQUAL(store.found.damaged, 0);
		CU_ASSERT_TRUE(store_batch() >= safe);
		CU_ASSERT_TRUE(is_as_model_after(store_batch()));
		kv_close();
		store_stop();
	}
}

UNIT_MAIN("worker/persist/kv_damage",
    TEST(a_flipped_bit_in_the_last_log_costs_whole_batches_and_is_reported),
    TEST(a_log_cut_short_costs_whole_batches), TEST(other_damage_to_logs_opens_or_says_so),
    TEST(a_flipped_bit_in_a_table_costs_what_was_on_its_page),
    TEST(tables_that_are_no_tables_are_set_aside),
    TEST(pages_torn_by_a_power_cut_are_written_once_more),
    TEST(pages_that_were_not_yet_to_be_written_are_not),
    TEST(whatever_is_wrong_with_a_table_it_opens_or_says_so),
    TEST(whatever_is_wrong_with_a_log_it_opens_or_says_so),
    TEST(with_a_full_disk_nothing_is_written_and_later_it_is),
    TEST(of_the_reserve_half_is_for_what_is_pending), TEST(the_ballast_makes_room_for_recovery),
    TEST(a_full_disk_is_not_taken_for_damage), TEST(a_sync_that_failed_is_the_end),
    TEST(a_batch_in_a_new_log_file_is_safe_when_its_name_is), TEST(half_a_batch_is_none),
    TEST(whichever_write_or_sync_fails_what_was_safe_is_there))
