/*
 * Compaction: one table after the other is written anew, without what its file has unused.
 *
 *   1. copy    slice by slice, in the order of keys. What moves do at or below the key that the copy
 *              has come to, they do to both
 *   2. sync    now and then: a pile of dirty pages would hold the journal's syncs up
 *   3. settle  the copy is synced to its end, then a checkpoint. No moves until 4 is done
 *   4. take    the copy becomes the table, if it is smaller
 *   5. free    the old file's blocks
 *
 * 2, 3 and 5 wait for the disk, in a thread. Before 4 a copy means nothing: the next start removes it.
 * From 4 on it is the table, with all that the old one had, and all of that is in the log.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "worker/persist/kv_int.h"

#define SLICE_US 2000
#define SYNC_BYTES (UINT64_C(16) << 20)

enum step { COMPACT_NONE, COMPACT_COPY, COMPACT_SYNC, COMPACT_SETTLE, COMPACT_FREE };

static struct {
	enum step step;
	enum kv_table table;
	int old;      /* the file to be freed */
	int failed;   /* -errno: the copy isn't worth going on with */
	bool has_key; /* it has come to this key: */
	uint16_t key_len;
	uint8_t key[KV_KEY_MAX];
	uint64_t unsynced, given_back; /* bytes */
	/* While it waits: */
	pthread_t thread;
	_Atomic bool is_done;
	int err;
} the;

static int copy_slice(void);
static int begin_table(enum kv_table t);
static int take(void);
static int wait_for(enum step step);
static void *waiter_main(void *unused);
static bool is_waiting(void);
static int finish(int err);

int
compact_begin(const struct kv_options *o)
{
	int err = kv_admin_begin(KV_JOB_COMPACT, o);

	if (err != 0)
		return err;
	the.given_back = 0;
	err = begin_table(0);
	if (err != 0)
		finish(err);
	return 0;
}

int
compact_turn(void)
{
	int err = 0;

	if (the.step == COMPACT_NONE || (is_waiting() && !the.is_done))
		return 0;
	if (is_waiting()) {
		pthread_join(the.thread, NULL);
		err = the.err;
	}
	switch (the.step) {
	case COMPACT_NONE:
		break;
	case COMPACT_COPY:
		err = the.failed != 0 ? the.failed : copy_slice();
		break;
	case COMPACT_SYNC:
		the.step = COMPACT_COPY;
		break;
	case COMPACT_SETTLE:
		the.step = COMPACT_COPY;
		if (err == 0)
			err = take();
		break;
	case COMPACT_FREE:
		the.step = COMPACT_NONE;
		err = begin_table(the.table + 1);
		break;
	}
	if (err != 0)
		return finish(err);
	return the.step == COMPACT_COPY;
}

bool
compact_holds_moves(void)
{
	return the.step == COMPACT_SYNC || the.step == COMPACT_SETTLE;
}

void
compact_follow(enum kv_table t, struct span key, const struct span *value)
{
	int err;

	if (the.step != COMPACT_COPY || the.table != t || the.failed != 0 || !the.has_key ||
	    span_cmp(key, span_of(the.key, the.key_len)) > 0)
		return;
	err = value != NULL ? bdb_beside_put(key, *value) : bdb_beside_del(key);
	if (err != 0)
		the.failed = err;
}

void
compact_stop(void)
{
	if (is_waiting())
		pthread_join(the.thread, NULL);
	if (the.step != COMPACT_NONE)
		finish(-ECANCELED);
}

/* --- the steps ---------------------------------------------------------------------------- */

/* Of KV_TABLES there is none: that is the end. */
static int
begin_table(enum kv_table t)
{
	int err;

	if (t == KV_TABLES)
		return finish(0);
	the.table = t;
	the.has_key = false;
	the.key_len = 0;
	the.unsynced = 0;
	the.failed = 0;
	kv_admin_step(bdb_table_name(t), 1000);
	err = bdb_beside_open(t);
	if (err == 0)
		the.step = COMPACT_COPY;
	return err;
}

static int
copy_slice(void)
{
	struct span position = span_of(the.key, the.key_len), key, value;
	uint64_t until = clock_now_us() + SLICE_US;
	int err = kv_admin_reach(the.has_key ? bdb_permille(the.table, position) : 0);

	for (unsigned n = 1; err == 0 && (n % 16 != 0 || clock_now_us() < until); n++) {
		position = span_of(the.key, the.key_len);
		err = bdb_next(the.table, position, the.has_key, &key, &value);
		if (err == -ENOENT)
			return wait_for(COMPACT_SETTLE);
		if (err == 0)
			err = bdb_beside_put(key, value);
		if (err != 0)
			return err;
		memcpy(the.key, key.p, key.len);
		the.key_len = (uint16_t)key.len;
		the.has_key = true;
		the.unsynced += key.len + value.len;
	}
	if (err == 0 && the.unsynced >= SYNC_BYTES)
		err = wait_for(COMPACT_SYNC);
	return err;
}

static int
take(void)
{
	uint64_t bytes;
	int err;

	the.step = COMPACT_NONE; /* there is nothing to drop any more */
	err = bdb_beside_take(&the.old, &bytes);
	if (err != 0)
		return err;
	the.given_back += bytes;
	return the.old >= 0 ? wait_for(COMPACT_FREE) : begin_table(the.table + 1);
}

static int
wait_for(enum step step)
{
	enum step was = the.step;
	int err;

	the.is_done = false;
	the.unsynced = 0;
	the.step = step;
	err = kv_thread(&the.thread, waiter_main, NULL);
	if (err == 0)
		return 0;
	the.step = was;
	if (step == COMPACT_FREE)
		close(the.old);
	return err;
}

static void *
waiter_main(void *unused)
{
	int err = 0;

	if (the.step == COMPACT_FREE) {
		close(the.old);
	} else {
		err = bdb_beside_sync();
		if (err == 0 && the.step == COMPACT_SETTLE)
			err = bdb_checkpoint();
	}
	the.err = err;
	the.is_done = true;
	eventfd_write(kv_fd(), 1);
	return unused;
}

static bool
is_waiting(void)
{
	return the.step >= COMPACT_SYNC;
}

/* Gives back what compact_turn() does. */
static int
finish(int err)
{
	if (the.step != COMPACT_NONE)
		bdb_beside_drop();
	the.step = COMPACT_NONE;
	kv_admin_end(err, the.given_back);
	return err == -EIO ? err : 0;
}
