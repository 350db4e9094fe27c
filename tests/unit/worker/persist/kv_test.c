#include "worker/persist/kv.h"

#include <signal.h>
#include <stdatomic.h>

#include "tests/unit/worker/persist/kv_model.h"

#define MIDDLE span_str("key")

static bool
put_str(const char *key, const char *value, bool fresh)
{
	uint8_t *p = kv_put(KV_QUEUE, span_str(key), strlen(value), fresh);

	if (p != NULL)
		memcpy(p, value, strlen(value));
	return p != NULL;
}

static bool
is_str(const char *key, const char *value)
{
	struct span v;

	return kv_get(KV_QUEUE, span_str(key), &v) == 0 && span_eq(v, span_str(value));
}

/* Fills the journal until it is time for a move. */
static bool
begin_move(void)
{
	for (unsigned i = 0; i < 1000 && !kv_numbers().is_moving; i++) {
		char key[16];

		snprintf(key, sizeof(key), "fill%04u", i % 100);
		if (kv_put(KV_STATE, span_str(key), 4000, false) == NULL || !write_safe())
			return false;
	}
	return kv_numbers().is_moving;
}

static bool
finish_move(void)
{
	uint64_t until = clock_now_us() + DEADLINE_MS * 1000;

	while (kv_numbers().is_moving && clock_now_us() < until)
		if (kv_turn() < 0 || !write_safe())
			return false;
	return !kv_numbers().is_moving;
}

static void
another_process_is_refused(void)
{
	int go[2], status;

	store_start();
	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	if (fork() == 0) {
		close(go[1]);
		_exit(read(go[0], &status, 1) == 0 ? -kv_open(&store.o, &store.found) : 0);
	}
	store_open();
	close(go[0]);
	close(go[1]);
	wait(&status);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), EBUSY);
	kv_close();
	store_stop();
}

static void
a_directory_that_can_not_be_made_is_an_error(void)
{
	store_start();
	store.o.dir = "/proc/none/store";
	CU_ASSERT_TRUE(kv_open(&store.o, &store.found) < 0);
	store.o.dir = store.dir;
	store_open();
	CU_ASSERT_TRUE(store.found.fresh);
	kv_close();
	store_stop();
}

static void
what_is_not_there_is_not_found(void)
{
	struct span k, v;

	store_start();
	store_open();
	CU_ASSERT_EQUAL(kv_get(KV_QUEUE, MIDDLE, &v), -ENOENT);
	CU_ASSERT_EQUAL(kv_next(KV_QUEUE, span_str(""), false, &k, &v), -ENOENT);
	CU_ASSERT_EQUAL(kv_prev(KV_QUEUE, MIDDLE, &k, &v), -ENOENT);
	CU_ASSERT_EQUAL(kv_del(KV_QUEUE, MIDDLE), 0);
	CU_ASSERT_EQUAL(kv_get(KV_QUEUE, MIDDLE, &v), -ENOENT);
	kv_close();
	store_stop();
}

static void
a_fresh_key_deleted_in_its_batch_leaves_no_trace(void)
{
	struct kv_numbers before, after;

	store_start();
	store_open();
	before = kv_numbers();
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT_TRUE(put_str("key", "value", true));
		CU_ASSERT_EQUAL(kv_del(KV_QUEUE, MIDDLE), 0);
	}
	CU_ASSERT_TRUE(write_safe());
	after = kv_numbers();
	CU_ASSERT_EQUAL(after.journal_bytes, before.journal_bytes);
	CU_ASSERT_EQUAL(after.batches, before.batches);
	CU_ASSERT_EQUAL(after.pending_keys, 0);
	CU_ASSERT_EQUAL(after.pending_bytes, 0);
	kv_close();
	store_stop();
}

static void
a_fresh_key_deleted_a_batch_later_leaves_memory_with_it(void)
{
	store_start();
	store_open();
	CU_ASSERT_TRUE(put_str("key", "value", true) && write_safe());
	CU_ASSERT_EQUAL(kv_numbers().pending_keys, 1);
	CU_ASSERT_EQUAL(kv_del(KV_QUEUE, MIDDLE), 0);
	CU_ASSERT_EQUAL(kv_numbers().pending_keys, 1);
	CU_ASSERT_TRUE(write_safe());
	CU_ASSERT_EQUAL(kv_numbers().pending_keys, 0);
	CU_ASSERT_EQUAL(kv_numbers().pending_bytes, 0);
	kv_close();
	store_open();
	CU_ASSERT_FALSE(is_str("key", "value"));
	kv_close();
	store_stop();
}

static void
a_deleted_value_takes_no_memory(void)
{
	store_start();
	store_open();
	CU_ASSERT_PTR_NOT_NULL(kv_put(KV_QUEUE, MIDDLE, 5000, false));
	CU_ASSERT_TRUE(write_safe());
	CU_ASSERT_TRUE(kv_numbers().pending_bytes > 5000);
	CU_ASSERT_EQUAL(kv_del(KV_QUEUE, MIDDLE), 0);
	CU_ASSERT_EQUAL(kv_numbers().pending_keys, 1);
	CU_ASSERT_TRUE(kv_numbers().pending_bytes < 500);
	kv_close();
	store_stop();
}

static void
a_batch_waits_for_the_one_before(void)
{
	store_start();
	store_open();
	CU_ASSERT_EQUAL(kv_batch(), 1);
	CU_ASSERT_EQUAL(kv_write(), 0);
	CU_ASSERT_EQUAL(kv_batch(), 1); /* there was nothing to write */
	CU_ASSERT_TRUE(put_str("a", "1", true));
	CU_ASSERT_EQUAL(kv_write(), 0);
	CU_ASSERT_FALSE(kv_is_idle());
	CU_ASSERT_EQUAL(kv_batch(), 2);
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_MEMORY), 1);
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_PROCESS), 1);
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_POWER), 0); /* nobody has looked yet */
	CU_ASSERT_TRUE(put_str("b", "2", true));
	CU_ASSERT_EQUAL(kv_write(), -EAGAIN);
	CU_ASSERT_TRUE(is_str("b", "2"));
	CU_ASSERT_TRUE(wait_synced());
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_POWER), 1);
	CU_ASSERT_EQUAL(kv_write(), 0);
	CU_ASSERT_TRUE(wait_synced());
	CU_ASSERT_EQUAL(kv_safe(KV_SYNC_POWER), 2);
	kv_close();
	store_stop();
}

static void
batches_become_safe_in_order(void)
{
	uint64_t safe = 0;
	bool was_idle;

	store_start();
	store_open();
	for (int i = 0; i < 300 * test_scale(); i++) {
		CU_ASSERT_TRUE(put_str("key", i % 2 ? "odd" : "even", false));
		kv_synced();
		CU_ASSERT_TRUE(kv_safe(KV_SYNC_POWER) >= safe);
		CU_ASSERT_TRUE(kv_safe(KV_SYNC_POWER) < kv_batch());
		safe = kv_safe(KV_SYNC_POWER);
		was_idle = kv_is_idle();
		CU_ASSERT_EQUAL(kv_write(), was_idle ? 0 : -EAGAIN);
	}
	CU_ASSERT_TRUE(write_safe());
	kv_close();
	store_stop();
}

static void
a_value_larger_than_a_log_file_is_written_in_parts(void)
{
	const size_t len = 3 << 20;
	struct span v;
	uint8_t *p;

	store_start();
	store_open();
	p = kv_put(KV_MSG, MIDDLE, len, true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i % 251);
	CU_ASSERT_TRUE(write_safe());
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			CU_ASSERT_TRUE(begin_move() && finish_move()); /* to the tree */
		kv_close();
		store_open();
		CU_ASSERT_EQUAL(kv_get(KV_MSG, MIDDLE, &v), 0);
		CU_ASSERT_EQUAL_FATAL(v.len, len);
		for (size_t i = 0; i < len; i += 4099)
			CU_ASSERT_EQUAL(v.p[i], i % 251);
	}
	kv_close();
	store_stop();
}

static void
a_clean_close_is_known(void)
{
	store_start();
	store_open();
	CU_ASSERT_TRUE(store.found.fresh);
	CU_ASSERT_FALSE(store.found.clean);
	CU_ASSERT_TRUE(put_str("key", "value", false)); /* closing writes it */
	kv_close();
	store_open();
	CU_ASSERT_FALSE(store.found.fresh);
	CU_ASSERT_TRUE(store.found.clean);
	CU_ASSERT_EQUAL(store.found.batches, 1);
	CU_ASSERT_EQUAL(store.found.operations, 1);
	CU_ASSERT_TRUE(is_str("key", "value"));
	kv_close();
	if (fork() == 0) {
		store_open();
		_exit(0);
	}
	wait(NULL);
	store_open();
	CU_ASSERT_FALSE(store.found.clean);
	CU_ASSERT_EQUAL(store.found.damaged, 0);
	kv_close();
	store_stop();
}

static void
a_move_empties_memory_and_removes_logs(void)
{
	struct kv_numbers n;

	store_start();
	store_open();
	CU_ASSERT_TRUE(put_str("key", "value", true) && write_safe());
	for (int i = 0; i < 8; i++)
		CU_ASSERT_TRUE(begin_move() && finish_move());
	n = kv_numbers();
	CU_ASSERT_TRUE(n.log_bytes < 8 * store.o.log_file_size);
	CU_ASSERT_TRUE(n.tree_bytes > 100000);
	CU_ASSERT_TRUE(is_str("key", "value"));
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_str("key", "value"));
	CU_ASSERT_EQUAL(kv_del(KV_QUEUE, MIDDLE), 0);
	CU_ASSERT_FALSE(is_str("key", "value"));
	CU_ASSERT_TRUE(write_safe());
	CU_ASSERT_TRUE(begin_move() && finish_move()); /* it is gone from the tree too */
	CU_ASSERT_FALSE(is_str("key", "value"));
	kv_close();
	store_open();
	CU_ASSERT_FALSE(is_str("key", "value"));
	kv_close();
	store_stop();
}

static bool
is_next(const char *key, const char *next)
{
	struct span k, v;

	return kv_next(KV_QUEUE, span_str(key), true, &k, &v) == 0 && span_eq(k, span_str(next));
}

static void
a_key_that_was_moved_is_found_between_its_neighbours(void)
{
	struct span k, v;

	store_start();
	store_open();
	CU_ASSERT_TRUE(put_str("a", "1", true) && put_str("c", "3", true));
	CU_ASSERT_TRUE(begin_move() && finish_move());
	CU_ASSERT_TRUE(is_next("a", "c"));
	CU_ASSERT_TRUE(put_str("b", "2", true));
	CU_ASSERT_TRUE(is_next("a", "b") && is_next("b", "c"));
	CU_ASSERT_TRUE(begin_move() && finish_move());
	CU_ASSERT_TRUE(is_next("a", "b") && is_next("b", "c"));
	CU_ASSERT_EQUAL(kv_prev(KV_QUEUE, span_str("c"), &k, &v), 0);
	CU_ASSERT_TRUE(span_eq(k, span_str("b")));
	CU_ASSERT_EQUAL(kv_del(KV_QUEUE, span_str("b")), 0);
	CU_ASSERT_TRUE(is_next("a", "c"));
	kv_close();
	store_stop();
}

/*
 * The value that the journal has is passed over by the walk, for there is a newer one, which has not
 * been written when the process dies: the log with the older one must still be there.
 */
static void
a_key_changed_during_a_move_keeps_its_old_value(void)
{
	int status;

	store_start();
	if (fork() == 0) {
		store_open();
		if (!put_str("key", "old", true) || !write_safe() || !begin_move() ||
		    !put_str("key", "new", false))
			_exit(1);
		/* Everything that a move can do without the next batch. */
		for (int i = 0; i < 500; i++) {
			if (kv_turn() < 0)
				_exit(2);
			usleep(1000);
		}
		_exit(kv_numbers().is_moving ? 0 : 3);
	}
	wait(&status);
	CU_ASSERT_EQUAL(status, 0);
	store_open();
	CU_ASSERT_TRUE(is_str("key", "old"));
	kv_close();
	store_stop();
}

static bool
is_indexed(const char *key)
{
	struct span v;

	return kv_get(KV_EXPIRY, span_str(key), &v) == 0;
}

static void
what_is_derived_is_in_no_batch_but_moves_to_its_tree(void)
{
	struct kv_numbers before, after;
	struct span k, v;
	uint64_t b;

	store_start();
	store_open();
	before = kv_numbers();
	CU_ASSERT_PTR_NOT_NULL(kv_put(KV_EXPIRY, MIDDLE, 0, true));
	CU_ASSERT_FALSE(kv_is_changed());
	CU_ASSERT_TRUE(write_safe() && is_indexed("key"));
	after = kv_numbers();
	CU_ASSERT_EQUAL(after.journal_bytes, before.journal_bytes);
	kv_close();
	store_open();
	CU_ASSERT_FALSE(is_indexed("key"));
	CU_ASSERT_EQUAL(kv_recent(KV_QUEUE, span_str(""), true, &k, &v), -ENOENT);

	b = kv_batch();
	CU_ASSERT_TRUE(put_str("key", "value", true));
	CU_ASSERT_PTR_NOT_NULL(kv_put(KV_EXPIRY, MIDDLE, 0, true));
	CU_ASSERT_PTR_NOT_NULL(kv_put(KV_EXPIRY, span_str("soon gone"), 0, true));
	CU_ASSERT_EQUAL(kv_recent(KV_QUEUE, span_str(""), true, &k, &v), 0);
	CU_ASSERT_TRUE(span_eq(k, MIDDLE) && span_eq(v, span_str("value")));
	CU_ASSERT_EQUAL(kv_del(KV_EXPIRY, span_str("soon gone")), 0);
	CU_ASSERT_TRUE(begin_move() && kv_moved() < b);
	CU_ASSERT_TRUE(finish_move() && kv_moved() >= b);
	CU_ASSERT_EQUAL(kv_recent(KV_QUEUE, span_str(""), true, &k, &v), -ENOENT);
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_indexed("key") && !is_indexed("soon gone"));
	CU_ASSERT_EQUAL(kv_del(KV_EXPIRY, MIDDLE), 0);
	CU_ASSERT_FALSE(is_indexed("key"));
	kv_close();
	store_open();
	CU_ASSERT_TRUE(is_indexed("key")); /* which is why nobody may rely on it being gone */
	CU_ASSERT_EQUAL(kv_del(KV_EXPIRY, MIDDLE), 0);
	CU_ASSERT_TRUE(begin_move() && finish_move());
	kv_close();
	store_open();
	CU_ASSERT_FALSE(is_indexed("key"));
	kv_close();
	store_stop();
}

static void
a_search_stops_after_so_many_deleted_keys(void)
{
	struct span k, v;
	char key[16];
	int n = 0, err;

	store_start();
	store_open();
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%03d", i);
		CU_ASSERT_TRUE(put_str(key, "v", true));
	}
	CU_ASSERT_TRUE(write_safe());
	for (int i = 0; i < 95; i++) {
		snprintf(key, sizeof(key), "%03d", i);
		CU_ASSERT_EQUAL(kv_del(KV_QUEUE, span_str(key)), 0);
	}
	k = span_str("");
	while ((err = kv_next_within(KV_QUEUE, k, true, 10, &k, &v)) == -EAGAIN)
		n++;
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT_TRUE(span_eq(k, span_str("095")));
	CU_ASSERT_TRUE(n == 8 || n == 9);
	kv_close();
	store_stop();
}

static void
reads_agree_with_the_model(void)
{
	uint64_t random = 42;
	bool is_good = true;

	store_start();
	store.o.cache_size = 128 << 10; /* pages come and go before a checkpoint writes them */
	store_open();
	for (int i = 0; i < 600 * test_scale() && is_good; i++) {
		is_good = do_batch(true);
		for (int j = 0; j < 20 && is_good; j++) {
			uint64_t r = draw(&random);

			is_good =
			    is_as_model_at((unsigned)(r % MODEL_TABLES), (unsigned)(r >> 8) % KEYS);
			if (r >> 20 & 1)
				is_good = is_good && kv_turn() >= 0;
		}
		if (draw(&random) % 3 == 0)
			is_good = is_good && wait_synced() && kv_write() == 0;
		if (draw(&random) % 60 == 0) {
			is_good = is_good && is_as_model();
			kv_close();
			store_open();
			is_good = is_good && store.found.clean && store.found.damaged == 0;
			is_good = is_good && is_as_model();
			is_good = is_good && derive_again() && is_derived();
		}
	}
	CU_ASSERT_TRUE(is_good);
	CU_ASSERT_TRUE(is_as_model() && is_derived());
	kv_close();
	store_stop();
}

/* --- killed ------------------------------------------------------------------------------- */

/* Writes as much as a journal's window and dies before anything of it could move. */
static void
short_life(unsigned round)
{
	char key[16];

	if (kv_open(&store.o, &store.found) != 0 || kv_catch_up() != 0)
		_exit(1);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "%u-%u", round, i);
		if (kv_put(KV_STATE, span_str(key), 4000, true) == NULL || kv_write() != 0 ||
		    !wait_synced())
			_exit(2);
	}
	_exit(0);
}

static void
the_journal_of_who_dies_again_and_again_does_not_grow(void)
{
	struct span v;
	int status;

	store_start();
	for (unsigned round = 0; round < 10; round++) {
		if (fork() == 0)
			short_life(round);
		wait(&status);
		CU_ASSERT_EQUAL(status, 0);
	}
	store_open();
	CU_ASSERT_TRUE(store.found.operations < 4 * 40);
	CU_ASSERT_EQUAL(kv_get(KV_STATE, span_str("0-0"), &v), 0);
	CU_ASSERT_EQUAL(v.len, 4000);
	CU_ASSERT_EQUAL(kv_get(KV_STATE, span_str("9-0"), &v), 0);
	kv_close();
	store_stop();
}

struct shared {
	_Atomic uint64_t safe, steps, moves;
};

/* Goes on from where the last one was killed. Never ends by itself; how it fails is its exit code. */
static void
victim(struct shared *s, uint64_t random)
{
	uint64_t b;
	int turned;

	if (kv_open(&store.o, &store.found) != 0)
		_exit(1);
	b = store_batch();
	if (store.found.damaged > 0 || b == UINT64_MAX)
		_exit(2);
	if (b < s->safe)
		_exit(3);
	if (!is_as_model_after(b))
		_exit(4);
	if (!derive_again() || kv_catch_up() != 0 || !is_derived())
		_exit(8);
	for (;;) {
		s->steps++;
		if (!do_batch(true) || !wait_synced())
			_exit(5);
		if (kv_write() != 0)
			_exit(6);
		/* The kernel has it: that is enough for whoever is only killed. */
		s->safe = model.batch;
		for (uint64_t n = draw(&random) % 4; n > 0; n--) {
			turned = kv_turn();
			if (turned < 0)
				_exit(7);
		}
		s->moves = kv_numbers().moves;
	}
}

static bool
is_alive(pid_t pid)
{
	siginfo_t ended = { 0 };

	return waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    ended.si_pid == 0;
}

static void
whatever_the_moment_it_is_killed_whole_batches_survive(void)
{
	struct shared *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t random = (uint64_t)getpid(), moves = 0;
	int status;

	CU_ASSERT_FATAL(s != MAP_FAILED);
	printf("seed %d ", getpid());
	store_start();
	for (int round = 0; round < 60 * test_scale(); round++) {
		uint64_t steps = s->steps + draw(&random) % 200;
		uint64_t until = clock_now_us() + DEADLINE_MS * 1000;
		pid_t pid = fork();

		if (pid == 0)
			victim(s, draw(&random));
		/* Some are killed while they open it. */
		while (s->steps < steps && clock_now_us() < until && is_alive(pid))
			usleep(100);
		usleep((useconds_t)(draw(&random) % 3000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		if (!WIFSIGNALED(status)) {
			printf("exit %d in round %d ", WEXITSTATUS(status), round);
			break;
		}
		moves += s->moves;
		s->moves = 0;
	}

	CU_ASSERT_TRUE(moves > 0);
	store_open();
	CU_ASSERT_TRUE(store_batch() >= s->safe);
	CU_ASSERT_TRUE(is_as_model_after(store_batch()));
	kv_close();
	store_stop();
	munmap(s, sizeof(*s));
}

UNIT_MAIN("worker/persist/kv", TEST(another_process_is_refused),
    TEST(a_directory_that_can_not_be_made_is_an_error), TEST(what_is_not_there_is_not_found),
    TEST(a_fresh_key_deleted_in_its_batch_leaves_no_trace),
    TEST(a_fresh_key_deleted_a_batch_later_leaves_memory_with_it),
    TEST(a_deleted_value_takes_no_memory), TEST(a_batch_waits_for_the_one_before),
    TEST(batches_become_safe_in_order), TEST(a_value_larger_than_a_log_file_is_written_in_parts),
    TEST(a_clean_close_is_known), TEST(a_move_empties_memory_and_removes_logs),
    TEST(a_key_that_was_moved_is_found_between_its_neighbours),
    TEST(a_key_changed_during_a_move_keeps_its_old_value),
    TEST(what_is_derived_is_in_no_batch_but_moves_to_its_tree),
    TEST(a_search_stops_after_so_many_deleted_keys),
    TEST(the_journal_of_who_dies_again_and_again_does_not_grow), TEST(reads_agree_with_the_model),
    TEST(whatever_the_moment_it_is_killed_whole_batches_survive))
