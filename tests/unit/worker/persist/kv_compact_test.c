#include <inttypes.h>
#include <signal.h>
#include <sys/statvfs.h>

#include "tests/unit/worker/persist/kv_model.h"

#define MANY 3000 /* values of a page each, that come and go */

static bool is_full;
static char copy_dir[96];

int
statvfs(const char *path, struct statvfs *out)
{
	(void)path;
	*out = (struct statvfs){ .f_frsize = 4096, .f_bavail = is_full ? 1 : 1 << 30 };
	return 0;
}

static void
compact_start(void)
{
	store_start();
	snprintf(copy_dir, sizeof(copy_dir), "%s.copy", store.dir);
	is_full = false;
}

static void
compact_stop_all(void)
{
	each_file(copy_dir, remove_file, NULL);
	rmdir(copy_dir);
	store_stop();
}

static off_t
size_of(const char *name)
{
	char path[PATH_MAX];
	struct stat st = { 0 };

	snprintf(path, sizeof(path), "%s/%s", store.dir, name);
	stat(path, &st);
	return st.st_size;
}

/* Until all that was put so far is in the trees: one that is under way may have passed it by. */
static bool
move_all(void)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);
	uint64_t enough = kv_numbers().moves + 2;

	while (kv_numbers().moves < enough && clock_now_us() < until)
		if (!do_batch(true) || !write_safe() || kv_turn() < 0)
			return false;
	return kv_numbers().moves >= enough;
}

/* Keys of no table of the model: a queue that fills and is fetched, so that its file has room unused. */
static bool
fill_and_empty(void)
{
	for (int del = 0; del < 2; del++) {
		for (unsigned i = 0; i < MANY; i++) {
			char key[16];
			struct span k = span_of(key, (size_t)snprintf(key, sizeof(key), "%08u", i));

			if (del && i % 50 != 0 ? kv_del(KV_MSG, k) != 0
					       : kv_put(KV_MSG, k, 900, !del) == NULL)
				return false;
			if (i % 100 == 0 && (!do_batch(true) || !write_safe() || kv_turn() < 0))
				return false;
		}
	}
	return true;
}

static bool
is_filled(void)
{
	struct span key = span_str(""), value;
	unsigned n = 0;

	for (bool above = false; kv_next(KV_MSG, key, above, &key, &value) == 0; above = true)
		n += value.len == 900;
	return n == MANY / 50;
}

/* Batches and moves go on until the job has ended. */
static bool
write_until_done(void)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);

	while (job().is_running && clock_now_us() < until)
		if (!do_batch(true) || !write_safe() || kv_turn() < 0)
			return false;
	return !job().is_running;
}

static bool
is_left(const char *suffix)
{
	char command[200];

	snprintf(command, sizeof(command), "ls %s | grep -q '%s$'", store.dir, suffix);
	return system(command) == 0;
}

static void
without_room_it_ends_and_all_is_as_before(void)
{
	off_t was;

	compact_start();
	store_open();
	CU_ASSERT_TRUE_FATAL(fill_and_empty() && move_all());
	was = size_of("msg.db");
	CU_ASSERT_EQUAL(kv_compact(), 0);
	is_full = true;
	while (job().is_running)
		CU_ASSERT_TRUE_FATAL(kv_turn() >= 0);
	is_full = false;
	CU_ASSERT_EQUAL(job().err, -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(job().why, "no room"));
	CU_ASSERT_EQUAL(size_of("msg.db"), was);
	CU_ASSERT_FALSE(is_left(".compact"));
	CU_ASSERT_TRUE(is_as_model() && is_filled());
	kv_close();
	compact_stop_all();
}

static void
unused_pages_are_given_back_under_load(void)
{
	off_t was, is;

	compact_start();
	store_open();
	CU_ASSERT_TRUE_FATAL(fill_and_empty() && move_all());
	was = size_of("msg.db");
	CU_ASSERT_EQUAL(kv_compact(), 0);
	CU_ASSERT_EQUAL(kv_verify(), -EBUSY);
	CU_ASSERT_TRUE(write_until_done());
	is = size_of("msg.db");
	CU_ASSERT_EQUAL(job().err, 0);
	CU_ASSERT_TRUE(is < was / 10);
	CU_ASSERT_TRUE(job().bytes >= (uint64_t)(was - is));
	CU_ASSERT_TRUE(is_as_model() && is_filled());
	/* Of this table there is nothing to get any more. */
	CU_ASSERT_EQUAL(kv_compact(), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, 0);
	CU_ASSERT_TRUE(size_of("msg.db") <= is);
	CU_ASSERT_TRUE(is_as_model() && is_filled());
	CU_ASSERT_FALSE(is_left(".compact"));
	CU_ASSERT_EQUAL(kv_verify(), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_FALSE(job().is_damaged);
	kv_close();
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_TRUE(is_as_model_after(store_batch()) && is_filled());
	kv_close();
	compact_stop_all();
}

static ino_t
file_of(const char *name)
{
	char path[PATH_MAX];
	struct stat st = { 0 };

	snprintf(path, sizeof(path), "%s/%s", store.dir, name);
	stat(path, &st);
	return st.st_ino;
}

static void
a_table_that_would_not_be_smaller_keeps_its_file(void)
{
	ino_t was;

	compact_start();
	store_open();
	was = file_of("session.db");
	CU_ASSERT_EQUAL(kv_compact(), 0);
	while (job().is_running)
		CU_ASSERT_TRUE_FATAL(kv_turn() >= 0);
	CU_ASSERT_EQUAL(job().err, 0);
	CU_ASSERT_EQUAL(job().bytes, 0);
	CU_ASSERT_EQUAL(file_of("session.db"), was);
	CU_ASSERT_FALSE(is_left(".compact"));
	kv_close();
	compact_stop_all();
}

/* Keys of one table, each with what it was given last; 0: deleted. */
static uint8_t given[MANY];

static bool
give_some(uint64_t *random)
{
	for (unsigned i = 0; i < 200; i++) {
		uint64_t r = draw(random);
		unsigned n = (unsigned)(r % MANY);
		char key[16];
		struct span k = span_of(key, (size_t)snprintf(key, sizeof(key), "%08u", n));
		uint8_t *p;

		given[n] = r >> 32 & 1 ? (uint8_t)(1 + (r >> 40) % 255) : 0;
		if (given[n] == 0) {
			if (kv_del(KV_MSG, k) != 0)
				return false;
			continue;
		}
		p = kv_put(KV_MSG, k, 900, false);
		if (p == NULL)
			return false;
		memset(p, given[n], 900);
	}
	return true;
}

static bool
is_as_given(void)
{
	struct span key = span_str(""), value;
	bool above = false;
	char want[16];

	for (unsigned n = 0; n < MANY; n++) {
		if (given[n] == 0)
			continue;
		snprintf(want, sizeof(want), "%08u", n);
		if (kv_next(KV_MSG, key, above, &key, &value) != 0 ||
		    !span_eq(key, span_str(want)) || value.len != 900 || value.p[0] != given[n] ||
		    value.p[899] != given[n])
			return false;
		above = true;
	}
	return kv_next(KV_MSG, key, above, &key, &value) == -ENOENT;
}

static void
what_moves_while_it_is_copied_is_in_the_copy(void)
{
	uint64_t random = (uint64_t)getpid();

	printf("seed %d ", getpid());
	compact_start();
	store_open();
	memset(given, 0, sizeof(given));
	for (int i = 0; i < 50; i++)
		CU_ASSERT_TRUE_FATAL(give_some(&random) && write_safe() && kv_turn() >= 0);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL_FATAL(kv_compact(), 0);
		while (job().is_running)
			CU_ASSERT_TRUE_FATAL(give_some(&random) && write_safe() && kv_turn() >= 0);
		CU_ASSERT_EQUAL(job().err, 0);
		CU_ASSERT_TRUE(is_as_given());
	}
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_as_given());
	kv_close();
	compact_stop_all();
}

/* The log that the copy is recovered from begins before the table's file was another. */
static void
a_backup_behind_it_is_whole(void)
{
	compact_start();
	store.o.journal_size = 64 << 20; /* nothing is trimmed */
	store_open();
	CU_ASSERT_TRUE_FATAL(fill_and_empty());
	kv_close();
	store.o.journal_size = 128 << 10; /* and now all of that is moved */
	store_open();
	CU_ASSERT_TRUE_FATAL(do_batch(true) && write_safe() && move_all());
	CU_ASSERT_EQUAL(kv_compact(), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_TRUE(job().err == 0 && job().bytes > 0);
	CU_ASSERT_TRUE(do_batch(true) && write_safe());
	CU_ASSERT_EQUAL(kv_backup(copy_dir), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_EQUAL(job().err, 0);
	kv_close();
	store.o.dir = copy_dir;
	store_open();
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	CU_ASSERT_TRUE(is_as_model_after(store_batch()) && is_filled());
	kv_close();
	store.o.dir = store.dir;
	compact_stop_all();
}

static void
closing_cuts_it_off_and_leaves_nothing(void)
{
	compact_start();
	store_open();
	CU_ASSERT_TRUE_FATAL(fill_and_empty() && move_all());
	for (int turns = 0; turns < 20; turns++) {
		CU_ASSERT_EQUAL(kv_compact(), 0);
		for (int i = 0; i < turns; i++)
			CU_ASSERT_TRUE(kv_turn() >= 0);
		kv_close();
		CU_ASSERT_TRUE(job().err == -ECANCELED || job().err == 0);
		CU_ASSERT_FALSE(is_left(".compact"));
		store_open();
		CU_ASSERT_TRUE(is_as_model_after(store_batch()) && is_filled());
	}
	kv_close();
	compact_stop_all();
}

struct shared {
	uint64_t steps, safe, given_back; /* given_back: so many compactions found something */
};

/* There is always something to give back, or will be. */
static bool
churn(uint64_t step)
{
	for (unsigned i = 0; i < 20; i++) {
		char key[24];
		struct span k = span_of(key,
		    (size_t)snprintf(key, sizeof(key), "%08u-%u", (unsigned)(step % 40 * 20), i));

		if (step / 40 % 2 == 0 ? kv_put(KV_MSG, k, 800, false) == NULL
				       : kv_del(KV_MSG, k) != 0)
			return false;
	}
	return true;
}

static void
victim(struct shared *s)
{
	uint64_t b;

	if (kv_open(&store.o, &store.found) != 0)
		_exit(1);
	b = store_batch();
	if (store.found.damaged > 0 || b == UINT64_MAX || b < s->safe)
		_exit(2);
	if (is_left(".compact"))
		_exit(3);
	if (!is_as_model_after(b) || !is_filled())
		_exit(4);
	for (;;) {
		s->steps++;
		if (!churn(s->steps))
			_exit(5);
		if (!job().is_running) {
			s->given_back += job().err == 0 && job().bytes > 0;
			if (kv_compact() != 0)
				_exit(6);
		}
		if (!do_batch(true) || !wait_synced() || kv_write() != 0)
			_exit(7);
		s->safe = model.batch;
		if (kv_turn() < 0)
			_exit(8);
	}
}

static void
whatever_the_moment_it_is_killed_nothing_is_lost(void)
{
	struct shared *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t random = (uint64_t)getpid();
	int status;

	CU_ASSERT_FATAL(s != MAP_FAILED);
	printf("seed %d ", getpid());
	compact_start();
	store_open();
	CU_ASSERT_TRUE_FATAL(fill_and_empty() && move_all());
	s->safe = store_batch();
	kv_close();
	/* Few of those killed early give something back. */
	for (int round = 0; round < (s->given_back > 3 ? 30 : 300) * test_scale(); round++) {
		uint64_t steps = s->steps + 1 + draw(&random) % 200;
		uint64_t until = clock_now_us() + DEADLINE_MS * UINT64_C(1000);
		pid_t pid = fork();

		if (pid == 0)
			victim(s);
		while (s->steps < steps && clock_now_us() < until &&
		    waitpid(pid, &status, WNOHANG) == 0)
			usleep(100);
		usleep((useconds_t)(draw(&random) % 3000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		if (!WIFSIGNALED(status)) {
			printf("exit %d in round %d ", WEXITSTATUS(status), round);
			break;
		}
	}
	CU_ASSERT_TRUE(s->given_back > 3);
	printf("given back %" PRIu64 " ", s->given_back);
	store_open();
	CU_ASSERT_TRUE(is_as_model_after(store_batch()) && is_filled());
	CU_ASSERT_EQUAL(kv_verify(), 0);
	CU_ASSERT_TRUE(write_until_done());
	CU_ASSERT_FALSE(job().is_damaged);
	kv_close();
	compact_stop_all();
	munmap(s, sizeof(*s));
}

UNIT_MAIN("worker/persist/kv_compact", TEST(without_room_it_ends_and_all_is_as_before),
    TEST(a_table_that_would_not_be_smaller_keeps_its_file),
    TEST(unused_pages_are_given_back_under_load),
    TEST(what_moves_while_it_is_copied_is_in_the_copy), TEST(a_backup_behind_it_is_whole),
    TEST(closing_cuts_it_off_and_leaves_nothing),
    TEST(whatever_the_moment_it_is_killed_nothing_is_lost))
