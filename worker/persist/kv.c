#include "worker/persist/kv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "worker/persist/kv_int.h"

/*
 * A move brings what has been in the journal for long to the trees, so that the log before it can
 * go. It begins right after batch g was made, whose first record is to be the next mark:
 *
 *   1. walk    slice by slice, the keys that last changed in a batch <= g go to the trees
 *   2. wait    for the batch in which all changes are that were made so far
 *   3. check   a checkpoint: log and trees are on the disk
 *   4. note    the new mark, which every later record of ours names too, is on the disk
 *   5. trim    the files below the mark that recovery doesn't need are removed
 *
 * Whenever this is cut off, the trees with the journal from the mark on are the state as of the last
 * whole batch in the log:
 *
 * - A slice stands in the log behind the batches it takes from, and a page reaches the disk behind
 *   the log of its change: trees that survive know nothing that the journal doesn't.
 * - The journal is absolute, so it may be read from any place at or before the mark: each key ends
 *   as its last operation in there says, and that is what the trees were given, or newer.
 * - A key without an operation from the mark on last changed in a batch <= g. When the walk came by,
 *   it was in the trees already, or went there then, before 3; or it had been changed since and was
 *   passed over. That change was in a batch > g, made before 3 because of 2: so there is an
 *   operation, on the disk before anything older goes. Without 2 the key's only value could be
 *   removed with the log while its next one exists in memory only.
 * - A key that was derived has the batch of what it was derived from, and is walked over with it: what is missing in its tree has its reason
 *   in the journal. That it is gone may get lost, so there may be too many.
 * - Before 4 the old mark holds, and all that follows it is there, for 5 comes last.
 */
enum move { MOVE_NONE, MOVE_WALK, MOVE_WAIT, MOVE_CHECK, MOVE_TRIM };

#define SLICE_KEYS 1000
#define SLICE_US 2000 /* and as much again for each journal_size that gathers during the walk */
#define RETRY_US 1000000
#define LATE_FACTOR                                                                                \
	4 /* times journal_size: a journal that could not be moved while the store was open */
/* Times journal_size: what small values may take in memory before it is their time. */
#define PENDING_FACTOR 4
#define LOG_FILE_MIN (UINT64_C(256) << 10) /* smaller ones are all heads and no records */

/* Does one thing at a time for the loop, so that it needn't wait for the disk. */
struct helper {
	pthread_t thread;
	sem_t asked;
	int (*job)(uint32_t arg);
	uint32_t arg;
	int err;
	void (*told)(void); /* that it is done; may be NULL */
	_Atomic bool done, ends;
	bool is_running, is_busy;
};

static struct {
	struct kv_options o;
	bool is_open, is_failed; /* for good */
	int lock, fd;
	uint64_t store; /* its number, as the locked file has it, or 0 */
	struct journal_state state;
	struct kv_mark made_at; /* the last batch */
	uint64_t syncing;       /* batch on its way to the disk, or 0 */
	struct helper syncer, keeper;
	uint64_t gathered; /* bytes in the journal since the last move began */
	struct {
		enum move step;
		struct kv_mark mark;
		uint64_t wait;
		uint64_t retry_us;
		enum kv_table table; /* the walk goes on above this key */
		uint16_t key_len;
		uint8_t key[KV_KEY_MAX];
	} move;
	uint64_t batches, syncs, moves;
} kv = { .lock = -1, .fd = -1 };

static int lock_dir(void);
static int open_store(struct kv_found *found_out);
static int open_files(struct journal_found *j_out, uint32_t *damaged_out, bool *lacks_derived_out);
static int salvage_journal(const struct journal_found *j, bool *has_log_out);
static int keep_number(void);
static int rebase(void);
static int has_read(int err);
static int make_batch(void);
static uint64_t free_bytes(void);
static void keep_ballast(void);
static void touch(struct kv_node *n);
static int move_slice(void);
static int move_node(struct kv_node *n);
static int move_later(int err);
static int move_check(void);
static int move_checked(void);
static int move_mark(void);
static int job_sync(uint32_t unused);
static int job_checkpoint(uint32_t unused);
static int job_trim(uint32_t file);
static int helper_start(struct helper *h);
static void helper_ask(struct helper *h, int (*job)(uint32_t arg), uint32_t arg);
static bool helper_take(struct helper *h, int *err_out);
static void helper_stop(struct helper *h);
static void *helper_main(void *arg);
static void let_go(void);

int
kv_open(const struct kv_options *o, struct kv_found *found_out)
{
	int err;

	must(!kv.is_open);
	must(o->log_file_size >= LOG_FILE_MIN && o->log_file_size <= UINT32_MAX);
	kv.o = *o;
	kv_set_reserve(o->reserve);
	kv.is_failed = false;
	pending_init();
	err = lock_dir();
	if (err == 0)
		err = journal_init(o->log_file_size);
	if (err == 0)
		kv_admin_tidy(kv.o.dir);
	if (err == 0)
		err = open_store(found_out);
	if (err == 0) {
		kv.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (kv.fd < 0)
			err = -errno;
	}
	if (err == 0)
		err = helper_start(&kv.syncer);
	if (err == 0)
		err = helper_start(&kv.keeper);
	if (err != 0) {
		let_go();
		return err;
	}
	kv.is_open = true;
	keep_ballast();
	return 0;
}

void
kv_close(void)
{
	int err = 0;

	if (!kv.is_open)
		return;
	kv_admin_cancel();
	helper_stop(&kv.keeper);
	helper_stop(&kv.syncer);
	kv_synced();
	if (!kv.is_failed && !list_is_empty(pending_changed()))
		err = make_batch();
	if (!kv.is_failed && err == 0)
		err = bdb_log_sync();
	if (!kv.is_failed && err == 0) {
		kv.state.safe = kv.state.made;
		err = journal_note(&kv.state, JOURNAL_CLOSED);
	}
	if (!kv.is_failed && err == 0)
		err = bdb_checkpoint();
	if (kv.is_failed || err != 0)
		log_err("store: closed without being able to write, the next start recovers");
	/* Berkeley DB's work on a copy can't be cut off: what counts has been written before. */
	kv_admin_stop();
	let_go();
}

int
kv_catch_up(void)
{
	uint64_t all = pending_keys();
	int err;

	if (kv.gathered < LATE_FACTOR * kv.o.journal_size)
		return 0;
	/* An empty one is as good a mark, and what was derived since the store was opened belongs to it. */
	err = make_batch();
	while (err == 0 && kv.move.step == MOVE_WALK && clock_now_us() >= kv.move.retry_us) {
		err = move_slice();
		if (kv.o.progress != NULL)
			kv.o.progress(kv.o.arg, "move", all - pending_keys(), all);
	}
	/* The keeper's work, but nobody waits for us yet. What has no room now is tried again by kv_turn(). */
	if (err == 0 && kv.move.step == MOVE_WAIT)
		err = bdb_checkpoint();
	if (err == 0 && kv.move.step == MOVE_WAIT) {
		if (move_mark() == 0)
			(void)job_trim(kv.state.mark.lsn.file);
		kv.move.step = MOVE_NONE;
		kv.moves++;
	}
	if (bdb_is_broken())
		kv.is_failed = true;
	return kv.is_failed ? -EIO : 0;
}

/* --- reading and writing ------------------------------------------------------------------ */

uint8_t *
kv_put(enum kv_table t, struct span key, size_t len, bool fresh)
{
	bool added;
	struct kv_node *n = pending_set(t, key, len, &added);

	if (n == NULL)
		return NULL;
	if (added)
		n->in_tree = !fresh && t != KV_VOLATILE;
	n->gone = false;
	touch(n);
	return kv_node_value(n);
}

int
kv_del(enum kv_table t, struct span key)
{
	struct kv_node *n = pending_find(t, key);
	bool added = false;

	if (n != NULL && n->gone)
		return 0;
	if (n != NULL && !n->journaled && !n->in_tree) {
		pending_drop(n);
		return 0;
	}
	if (n == NULL && t == KV_VOLATILE)
		return 0;
	n = pending_set(t, key, 0, &added);
	if (n == NULL)
		return -ENOMEM;
	if (added)
		n->in_tree = true;
	n->gone = true;
	touch(n);
	return 0;
}

int
kv_get(enum kv_table t, struct span key, struct span *value_out)
{
	struct kv_node *n = pending_find(t, key);

	if (n == NULL)
		return t != KV_VOLATILE ? has_read(bdb_get(t, key, value_out)) : -ENOENT;
	if (n->gone)
		return -ENOENT;
	*value_out = span_of(kv_node_value(n), n->len);
	return 0;
}

int
kv_peek(enum kv_table t, struct span key, struct span *value_out)
{
	struct kv_node *n = pending_find(t, key);

	if (n == NULL || n->gone)
		return -EAGAIN;
	*value_out = span_of(kv_node_value(n), n->len);
	return 0;
}

int
kv_next(enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out)
{
	return kv_next_within(t, key, above, UINT_MAX, key_out, value_out);
}

int
kv_next_within(enum kv_table t, struct span key, bool above, unsigned most, struct span *key_out,
    struct span *value_out)
{
	for (;;) {
		struct kv_node *n = pending_next(t, key, above);
		struct span k, v;
		int err = t != KV_VOLATILE ? has_read(bdb_next(t, key, above, &k, &v)) : -ENOENT;

		if (err != 0 && (err != -ENOENT || n == NULL))
			return err;
		if (n == NULL || (err == 0 && span_cmp(k, kv_node_span(n)) < 0)) {
			*key_out = k;
			*value_out = v;
			return 0;
		}
		if (!n->gone) {
			*key_out = kv_node_span(n);
			*value_out = span_of(kv_node_value(n), n->len);
			return 0;
		}
		key = kv_node_span(n);
		above = true;
		if (most-- == 0) {
			*key_out = key;
			return -EAGAIN;
		}
	}
}

int
kv_recent(
    enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out)
{
	struct kv_node *n = pending_next(t, key, above);

	while (n != NULL && n->gone)
		n = n->next[0];
	if (n == NULL)
		return -ENOENT;
	*key_out = kv_node_span(n);
	*value_out = span_of(kv_node_value(n), n->len);
	return 0;
}

int
kv_prev(enum kv_table t, struct span key, struct span *key_out, struct span *value_out)
{
	for (;;) {
		struct kv_node *n = pending_prev(t, key);
		struct span k, v;
		int err = t != KV_VOLATILE ? has_read(bdb_prev(t, key, &k, &v)) : -ENOENT;

		if (err != 0 && (err != -ENOENT || n == NULL))
			return err;
		if (n == NULL || (err == 0 && span_cmp(k, kv_node_span(n)) > 0)) {
			*key_out = k;
			*value_out = v;
			return 0;
		}
		if (!n->gone) {
			*key_out = kv_node_span(n);
			*value_out = span_of(kv_node_value(n), n->len);
			return 0;
		}
		key = kv_node_span(n);
	}
}

/*
 * What can't be read must not pass for what isn't there: a session without its record is forgotten,
 * with its queue. So nothing is written any more, and who starts anew reads it.
 */
static int
has_read(int err)
{
	if (err == 0 || err == -ENOENT)
		return err;
	if (!kv.is_failed)
		log_err("store: cannot read %s: %s", kv.o.dir, strerror(-err));
	kv.is_failed = true;
	return -EIO;
}

/* --- batches ------------------------------------------------------------------------------ */

void
kv_set_reserve(uint64_t bytes)
{
	kv.o.reserve = bytes != 0 ? bytes : 2 * kv.o.log_file_size;
}

bool
kv_is_full(void)
{
	return free_bytes() < kv.o.reserve + pending_bytes();
}

uint64_t
kv_batch(void)
{
	return kv.state.made + 1;
}

uint64_t
kv_safe(enum kv_sync how)
{
	/* A batch that is made has been handed to the kernel, too. */
	return how == KV_SYNC_POWER ? kv.state.safe : kv.state.made;
}

uint64_t
kv_moved(void)
{
	return kv.state.mark.batch;
}

bool
kv_is_laden(void)
{
	return pending_bytes() >= PENDING_FACTOR * kv.o.journal_size;
}

bool
kv_is_changed(void)
{
	return !list_is_empty(pending_changed());
}

bool
kv_is_idle(void)
{
	return kv.syncing == 0;
}

int
kv_write(void)
{
	int err;

	if (kv.is_failed)
		return -EIO;
	if (!kv_is_idle())
		return -EAGAIN;
	if (list_is_empty(pending_changed()))
		return 0;
	err = make_batch();
	if (err != 0)
		return err;
	kv.syncing = kv.state.made;
	helper_ask(&kv.syncer, job_sync, 0);
	return 0;
}

void
kv_tell(void (*ended)(void))
{
	kv.syncer.told = ended;
}

int
kv_fd(void)
{
	return kv.fd;
}

int
kv_synced(void)
{
	uint64_t n;
	int err;

	/* Nothing to read is fine: what counts is what the helper says. */
	if (read(kv.fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return -errno;
	if (helper_take(&kv.syncer, &err)) {
		if (err == 0)
			kv.state.safe = kv.syncing;
		else
			kv.is_failed = true;
		kv.syncing = 0;
		kv.syncs++;
	}
	return kv.is_failed ? -EIO : 0;
}

int
kv_turn(void)
{
	int err = 0, more;

	if (kv.is_failed)
		return -EIO;
	switch (kv.move.step) {
	case MOVE_NONE:
		break;
	case MOVE_WALK:
		if (!compact_holds_moves())
			err = move_slice();
		break;
	case MOVE_WAIT:
		err = move_check();
		break;
	case MOVE_CHECK:
		err = move_checked();
		break;
	case MOVE_TRIM:
		if (helper_take(&kv.keeper, &err) && err == 0) {
			kv.move.step = MOVE_NONE;
			kv.moves++;
			keep_ballast();
		}
		break;
	}
	more = compact_turn();
	if (bdb_is_broken() || more < 0) {
		kv.is_failed = true;
		return -EIO;
	}
	if (err != 0)
		return err;
	return more == 1 ||
	    (kv.move.step == MOVE_WALK && !compact_holds_moves() &&
		clock_now_us() >= kv.move.retry_us);
}

/* --- administration ----------------------------------------------------------------------- */

struct kv_numbers
kv_numbers(void)
{
	/* Without a mark it is all of the log. */
	struct kv_lsn from =
	    kv.state.mark.batch > 0 ? kv.state.mark.lsn : (struct kv_lsn){ .file = 1 };
	struct kv_numbers n = {
		.pending_keys = pending_keys(),
		.pending_bytes = pending_bytes(),
		.journal_bytes = bdb_log_since(from),
		.batches = kv.batches,
		.syncs = kv.syncs,
		.moves = kv.moves,
		.free_bytes = free_bytes(),
		.is_moving = kv.move.step != MOVE_NONE,
	};

	bdb_sizes(kv.o.dir, &n.log_bytes, &n.tree_bytes);
	return n;
}

int
kv_backup(const char *dir)
{
	return kv.is_failed ? -EIO : kv_admin_start(KV_JOB_BACKUP, &kv.o, &kv.state, dir);
}

int
kv_verify(void)
{
	return kv.is_failed ? -EIO : kv_admin_start(KV_JOB_VERIFY, &kv.o, &kv.state, NULL);
}

int
kv_compact(void)
{
	return kv.is_failed ? -EIO : compact_begin(&kv.o);
}

/* --- opening ------------------------------------------------------------------------------ */

static int
lock_dir(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/lock", kv.o.dir);
	if (mkdir(kv.o.dir, 0700) != 0 && errno != EEXIST) {
		err = errno;
		log_err("store: cannot make the directory %s: %s. Set data_dir to one", kv.o.dir,
		    strerror(err));
		return -err;
	}
	kv.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* The files may be ours and the directory not: that would show when the log needs its next file. */
	if (kv.lock < 0 || faccessat(AT_FDCWD, kv.o.dir, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
		err = errno;
		log_err("store: cannot write to %s: %s. Set data_dir to a directory for the broker "
			"alone",
		    kv.o.dir, strerror(err));
		return -err;
	}
	if (fcntl(kv.lock, F_SETLK, &lock) == 0) {
		if (pread(kv.lock, &kv.store, sizeof(kv.store), 0) != sizeof(kv.store))
			kv.store = 0;
		return 0;
	}
	if (fcntl(kv.lock, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	log_err("store: %s is in use by another broker, pid=%d. Stop that one, or set data_dir",
	    kv.o.dir, (int)lock.l_pid);
	return -EBUSY;
}

static int
open_store(struct kv_found *found_out)
{
	struct kv_found found = { 0 };
	struct journal_found j = { 0 };
	int err = open_files(&j, &found.damaged, &found.lacks_derived);

	if (err == 0) {
		kv.state = j.state;
		kv.gathered = j.bytes; /* else a store that is killed often would never move */
		err = keep_number();
	}
	if (err == 0 && found.damaged > 0)
		err = rebase();
	if (err == 0)
		err = journal_note(&kv.state, JOURNAL_OPENED);
	if (err == 0)
		err = bdb_log_sync();
	if (err == -EUCLEAN)
		log_err("store: %s is damaged. Restore a backup, or set on_damage = \"salvage\" to "
			"open what can be read",
		    kv.o.dir);
	else if (err == -EPROTO)
		log_err("store: %s was written by a newer version of the broker. Start that, or "
			"set data_dir",
		    kv.o.dir);
	else if (err != 0)
		log_err("store: cannot open %s: %s", kv.o.dir, strerror(-err));
	if (err != 0)
		return err;
	if (found.damaged > 0)
		bdb_log_trim(kv.state.mark.lsn.file);
	found.fresh = !j.any && found.damaged == 0;
	found.clean = j.clean;
	found.batches = j.batches;
	found.operations = j.operations;
	*found_out = found;
	return 0;
}

/*
 * The journal first: it is read before anything is changed. Each time round something is set aside,
 * so there is an end. A table set aside lacks what recovery would have done to it, hence the
 * journal from its beginning then.
 */
static int
open_files(struct journal_found *j_out, uint32_t *damaged_out, bool *lacks_derived_out)
{
	/* It has its number once all tables are there. */
	int lacking = kv.store != 0 ? bdb_lacking(&kv.o, lacks_derived_out) : 0;
	bool has_log = true, has_gaps = false; /* the log */

	if (lacking < 0 || (lacking > 0 && !kv.o.salvage))
		return lacking < 0 ? lacking : -EUCLEAN;
	*damaged_out = (uint32_t)lacking;
	for (;;) {
		int err = 0, n;

		if (has_log) {
			pending_fini();
			err = journal_read(&kv.o, kv.store, *damaged_out > 0, j_out);
		}
		if (err == 0 && has_log && j_out->ndamaged > 0) {
			n = salvage_journal(j_out, &has_log);
			if (n < 0)
				return n;
			*damaged_out += (uint32_t)n;
			has_gaps = has_log;
		}
		if (err == 0)
			err = bdb_open(&kv.o);
		if (err == 0 && !has_gaps)
			return 0;
		/* Recovery passes over a gap, and goes on with what doesn't fit. */
		if (err == 0) {
			bdb_close();
			n = bdb_set_inconsistent_aside(kv.o.dir);
			has_log = has_gaps = false; /* what was read of it is in memory */
		} else if (err == -EUCLEAN && kv.o.salvage) {
			n = bdb_set_aside(&kv.o, &has_log);
		} else {
			return err;
		}
		if (n < 0 || (n == 0 && err != 0))
			return n < 0 ? n : err;
		*damaged_out += (uint32_t)n;
	}
}

/* How many files were set aside, or -errno. */
static int
salvage_journal(const struct journal_found *j, bool *has_log_out)
{
	uint32_t i;
	int err = 0;

	log_err("store: the journal is damaged, lost batches=%" PRIu64, j->lost);
	if (!kv.o.salvage)
		return -EUCLEAN;
	/* Pages may know more than a log without its end. What was read of the journal is in memory. */
	if (j->damaged[j->ndamaged - 1] >= j->end.file) {
		*has_log_out = false;
		return bdb_set_logs_aside(kv.o.dir);
	}
	for (i = 0; i < j->ndamaged && err == 0; i++)
		err = bdb_copy_log_aside(kv.o.dir, j->damaged[i]);
	return err != 0 ? err : (int)i;
}

/* The store's number is in the locked file, too: a log that can't be read doesn't tell it. */
static int
keep_number(void)
{
	if (kv.state.store == 0 &&
	    getrandom(&kv.state.store, sizeof(kv.state.store), 0) != sizeof(kv.state.store))
		return -EIO;
	if (kv.state.store == kv.store)
		return 0;
	if (pwrite(kv.lock, &kv.state.store, sizeof(kv.state.store), 0) < 0 ||
	    fdatasync(kv.lock) != 0)
		return -errno;
	return 0;
}

/* All that the trees don't have is written anew and the journal begins there: damage is behind us. */
static int
rebase(void)
{
	int err;

	pending_touch_all(kv_batch());
	kv.state.mark = (struct kv_mark){ { 0, 0 }, 0 };
	err = make_batch();
	if (err == 0)
		kv.state.mark = kv.made_at;
	return err;
}

static void
let_go(void)
{
	helper_stop(&kv.keeper);
	helper_stop(&kv.syncer);
	if (kv.fd >= 0)
		close(kv.fd);
	bdb_close();
	pending_fini();
	journal_fini();
	if (kv.lock >= 0)
		close(kv.lock);
	memset(&kv, 0, sizeof(kv));
	kv.lock = kv.fd = -1;
}

/* --- batches ------------------------------------------------------------------------------ */

static void
touch(struct kv_node *n)
{
	if (n->table == KV_EXPIRY) /* it moves with what it was derived from */
		n->batch = kv_batch();
	else if (n->table != KV_VOLATILE)
		pending_touch(n, kv_batch());
}

static int
make_batch(void)
{
	struct kv_node *n, *tmp;
	struct kv_lsn first;
	uint64_t bytes;
	int err;

	/*
	 * Berkeley DB must not meet a full disk: a log it can't write is its end. What is pending wants
	 * room in the log now, and later in the trees.
	 */
	if (free_bytes() < kv.o.reserve / 2 + pending_bytes())
		return -ENOSPC;
	err = journal_write(&kv.state, &first, &bytes);
	if (err != 0) {
		kv.is_failed = true;
		return -EIO;
	}
	kv.state.made++;
	kv.made_at = (struct kv_mark){ first, kv.state.made };
	kv.batches++;
	kv.gathered += bytes;
	LIST_FOREACH(n, tmp, pending_changed(), struct kv_node, changed) {
		list_del(&n->changed);
		n->journaled = true;
		/* The journal says that it is gone, and the tree never had it. */
		if (n->gone && !n->in_tree)
			pending_drop(n);
	}
	if (kv.move.step == MOVE_NONE && (kv.gathered >= kv.o.journal_size || kv_is_laden())) {
		kv.move.step = MOVE_WALK;
		kv.move.mark = kv.made_at;
		kv.move.table = 0;
		kv.move.key_len = 0;
		kv.gathered = 0;
	}
	return 0;
}

static uint64_t
free_bytes(void)
{
	struct statvfs fs;

	/* Not to know isn't a reason to stop. */
	return statvfs(kv.o.dir, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

/* Room that recovery can have when there is no other. */
static void
keep_ballast(void)
{
	uint64_t size = 2 * kv.o.log_file_size;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/" KV_BALLAST, kv.o.dir);
	if ((stat(path, &st) == 0 && (uint64_t)st.st_size >= size) ||
	    free_bytes() < kv.o.reserve + 2 * size)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, (off_t)size) != 0)
		unlink(path);
	close(fd);
}

/* --- moves -------------------------------------------------------------------------------- */

static int
move_slice(void)
{
	uint64_t until = clock_now_us() + SLICE_US * (1 + kv.gathered / kv.o.journal_size);
	struct kv_node *n, *last = NULL, *moved[SLICE_KEYS];
	enum kv_table t = kv.move.table;
	unsigned seen = 0, count = 0;
	int err;

	if (clock_now_us() < kv.move.retry_us)
		return 0;
	/* It needs room for a while, but in the end it is what makes room. */
	if (free_bytes() < kv.o.reserve / 2)
		return move_later(0);
	err = bdb_begin();
	if (err != 0)
		return move_later(err);
	n = pending_next(t, span_of(kv.move.key, kv.move.key_len), true);
	while (err == 0 && count < SLICE_KEYS && (seen++ % 16 != 0 || clock_now_us() < until)) {
		while (n == NULL && ++t < KV_TABLES)
			n = pending_next(t, span_of(NULL, 0), false);
		if (n == NULL)
			break;
		if (n->batch <= kv.move.mark.batch) {
			err = move_node(n);
			moved[count++] = n;
		}
		last = n;
		n = n->next[0];
	}
	err = bdb_end(err);
	if (err != 0)
		return move_later(err);
	if (t == KV_TABLES) {
		kv.move.step = MOVE_WAIT;
		kv.move.wait = list_is_empty(pending_changed()) ? kv.state.made : kv_batch();
	} else if (last != NULL) {
		kv.move.table = last->table;
		kv.move.key_len = last->key_len;
		memcpy(kv.move.key, kv_node_key(last), last->key_len);
	}
	while (count > 0)
		pending_drop(moved[--count]);
	return 0;
}

static int
move_node(struct kv_node *n)
{
	struct span value = span_of(kv_node_value(n), n->len);
	int err = n->gone ? bdb_del(n->table, kv_node_span(n))
			  : bdb_put(n->table, kv_node_span(n), value);

	if (err == 0)
		compact_follow(n->table, kv_node_span(n), n->gone ? NULL : &value);
	return err;
}

/* A full disk is no reason to try all the time. */
static int
move_later(int err)
{
	kv.move.retry_us = clock_now_us() + RETRY_US;
	return err;
}

static int
move_check(void)
{
	if (kv.state.made < kv.move.wait || clock_now_us() < kv.move.retry_us)
		return 0;
	helper_ask(&kv.keeper, job_checkpoint, 0);
	kv.move.step = MOVE_CHECK;
	return 0;
}

static int
move_checked(void)
{
	int err;

	if (!helper_take(&kv.keeper, &err))
		return 0;
	if (err != 0) {
		/* A full disk, mostly. Nothing is lost: the log grows until it works. */
		kv.move.step = MOVE_WAIT;
		return move_later(err);
	}
	err = move_mark();
	if (err != 0)
		return err;
	helper_ask(&kv.keeper, job_trim, kv.state.mark.lsn.file);
	kv.move.step = MOVE_TRIM;
	return 0;
}

static int
move_mark(void)
{
	kv.state.mark = kv.move.mark;
	return journal_note(&kv.state, JOURNAL_MARK);
}

/* --- helpers ------------------------------------------------------------------------------ */

int
kv_thread(pthread_t *out, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int err;

	/* Signals are the loop's, but for that by which a forbidden system call is told. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(out, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static int
job_sync(uint32_t unused)
{
	(void)unused;
	return bdb_log_sync();
}

static int
job_checkpoint(uint32_t unused)
{
	(void)unused;
	return bdb_checkpoint();
}

static int
job_trim(uint32_t file)
{
	int err = bdb_log_sync();

	if (err == 0)
		bdb_log_trim(file);
	return err;
}

static int
helper_start(struct helper *h)
{
	int err;

	*h = (struct helper){ 0 };
	sem_init(&h->asked, 0, 0);
	err = kv_thread(&h->thread, helper_main, h);
	h->is_running = err == 0;
	return err;
}

static void
helper_ask(struct helper *h, int (*job)(uint32_t arg), uint32_t arg)
{
	must(!h->is_busy);
	h->is_busy = true;
	h->job = job;
	h->arg = arg;
	sem_post(&h->asked);
}

/* Whether what it was asked for is done. */
static bool
helper_take(struct helper *h, int *err_out)
{
	if (!h->is_busy || !atomic_exchange(&h->done, false))
		return false;
	h->is_busy = false;
	*err_out = h->err;
	return true;
}

/* What it is at is finished, what it has not begun isn't. */
static void
helper_stop(struct helper *h)
{
	if (!h->is_running)
		return;
	h->ends = true;
	sem_post(&h->asked);
	pthread_join(h->thread, NULL);
	sem_destroy(&h->asked);
	h->is_running = false;
}

static void *
helper_main(void *arg)
{
	struct helper *h = arg;

	for (;;) {
		while (sem_wait(&h->asked) != 0)
			;
		if (h->ends)
			return NULL;
		h->err = h->job(h->arg);
		h->done = true;
		if (h->told != NULL)
			h->told();
		eventfd_write(kv.fd, 1);
	}
}
