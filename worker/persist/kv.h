/*
 * kv.h - ordered tables of bytes that outlive everything: the one module that speaks to Berkeley DB
 *
 * What is written goes to memory first, into the pending tables, where reads find it at once.
 * kv_write() makes one batch of all that has changed since the last: records of our own in Berkeley
 * DB's log, the journal. Another thread brings it to the disk; meanwhile the next batch gathers. What
 * is put and deleted again before its batch is made never touches the disk. What has outlived the
 * journal's window is moved to the B-trees in slices, and the log before it is removed.
 *
 *     state = B-trees, overlaid with the journal from the mark on that its last record names
 *
 * Everything in the journal is absolute (a key has this value, a key is gone): reading it again does
 * no harm, wherever a move was cut off.
 *
 * Runs in: persist's loop. One thread of its own syncs the log, another takes checkpoints and removes
 *          files of the log; they touch nothing else. A third lives as long as an administrator's work.
 * Owns:    the directory, by a lock on a file in it.
 * Errors:  -errno. -ENOSPC: nothing was written, later writes may succeed. -EIO: nothing more can be
 *          promised, the process has to end and start again, which recovers.
 */
#ifndef PERSIST_KV_H
#define PERSIST_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/span.h"

#define KV_KEY_MAX 1024

enum kv_table {
	KV_META,
	KV_SESSION,
	KV_STATE,
	KV_SUB,
	KV_GROUP,
	KV_MSG,
	KV_QUEUE,
	KV_RETAINED,
	KV_WILL,
	KV_RXID,
	KV_EXPIRY, /* derived: see below */
	KV_KEPT,
	KV_TABLES,               /* that are on disk */
	KV_VOLATILE = KV_TABLES, /* in memory only: in no batch, and gone with the process */
	KV_ALL
};

/*
 * What is put into a derived table follows from what is put into others, so batches don't have it: most of it is gone before it
 * would ever be read. It comes to the disk when what it is about moves to the trees. Whoever opens the store puts it
 * again for what kv_recent() has, and has to expect keys whose reason is gone: they had been deleted just before a crash.
 */

/* A batch is safe when it is on the disk; with the kernel; made. */
enum kv_sync { KV_SYNC_POWER, KV_SYNC_PROCESS, KV_SYNC_MEMORY };

struct kv_options {
	const char *dir;       /* borrowed until kv_close() */
	uint64_t cache_size;   /* bytes of Berkeley DB's page cache */
	uint64_t journal_size; /* bytes of log between two moves to the trees */
	uint64_t log_file_size;
	uint64_t reserve; /* as kv_set_reserve() has it */
	bool salvage;     /* damaged files are set aside and the rest opens; else kv_open() fails */
	/* Told of long work: what, and how far it is. May be NULL. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t all);
	void *arg;
};

struct kv_found {                     /* what opening met */
	bool fresh;                   /* there was no store */
	bool clean;                   /* it had been closed, not cut off */
	uint64_t batches, operations; /* read back from the journal */
	uint32_t damaged;             /* files set aside; each has been logged */
	bool lacks_derived;           /* the derived table was not there: it is empty */
};

/*
 * 0; -EBUSY: another process has it; -EROFS, -EACCES, …; -EUCLEAN: damaged and not salvaged; -EPROTO:
 * of a newer version. Logs what to do.
 */
int kv_open(const struct kv_options *o, struct kv_found *found_out);
/*
 * After opening, when what is derived has been put: moves to the trees, now and all at once, a journal
 * that has become much longer than its window, because whoever had the store was killed before a move
 * could end, again and again. Else each of them would read more than the one before. 0, also without
 * room on the disk; -EIO.
 */
int kv_catch_up(void);
/* Writes and syncs what is pending, marks the store as clean. After -EIO it only lets go. */
void kv_close(void);

/* --- reading and writing: at once in memory ----------------------------------------------- */

/*
 * Room for the value of a key, to be filled before the next call. fresh: the caller knows that the
 * key isn't there. Deleted within its batch it leaves no trace then, and deleted before it was moved
 * to the trees it leaves memory with the batch; if the caller was wrong, an old value comes back.
 * NULL: no memory, nothing changed.
 */
uint8_t *kv_put(enum kv_table t, struct span key, size_t len, bool fresh);
int kv_del(enum kv_table t, struct span key); /* 0, also when it isn't there; -ENOMEM */
/*
 * 0, -ENOENT, -errno. What comes out is borrowed until the table is read again, its key is changed,
 * or kv_turn(); it may be the key of the next call, or what the next kv_put() is filled with.
 */
int kv_get(enum kv_table t, struct span key, struct span *value_out);
/* The same, without a look at the disk. -EAGAIN: kv_get() or kv_next() has to tell. */
int kv_peek(enum kv_table t, struct span key, struct span *value_out);
/* The first at or above key, or above it; the last below it. One after the other is cheap: above what came last. */
int
kv_next(enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out);
int kv_prev(enum kv_table t, struct span key, struct span *key_out, struct span *value_out);
/* kv_next() for who must not take long: -EAGAIN: it met `most` keys that are deleted; go on above *key_out. */
int kv_next_within(enum kv_table t, struct span key, bool above, unsigned most,
    struct span *key_out, struct span *value_out);
/* Of what is in memory only: the trees may lack it. */
int kv_recent(
    enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out);

/* --- batches ------------------------------------------------------------------------------ */

/*
 * Bytes of the disk to be left free; 0: as much as two log files. Below it kv_is_full(), which is for
 * the caller to heed; what is pending may still use half of it, so that what was taken can be kept.
 */
void kv_set_reserve(uint64_t bytes);
bool kv_is_full(void);
uint64_t kv_batch(void); /* number of the batch that what is written now will be in; from 1 */
uint64_t kv_safe(enum kv_sync how); /* the last batch that is safe in this sense */
uint64_t kv_moved(void);            /* what was written up to this batch is in the trees */
bool kv_is_laden(void);             /* much is in memory only: who can wait with more, does */
bool kv_is_changed(void);           /* it has something in it */
bool kv_is_idle(void);              /* nothing is being synced: kv_write() may start */
/*
 * Makes the batch and has it synced. 0; -EAGAIN: not idle; -ENOSPC; -EIO. Without changes there is no
 * batch: 0, and kv_batch() is as before. What would have been in it has left no trace, so who waits
 * for it waits for nothing but the one before.
 */
int kv_write(void);
/* What the thread calls when a sync has ended, before kv_fd() tells; NULL: nothing. It is gone with kv_close(). */
void kv_tell(void (*ended)(void));
int kv_fd(void);     /* readable when a sync has ended, or a checkpoint */
int kv_synced(void); /* after kv_fd() was readable: takes note. 0, -EIO */
/*
 * Moves some of what is old to the trees, if it is time: a few milliseconds; to be called each turn.
 * 1: there is more, 0; -EIO; other errors are for the log, it tries again by itself.
 */
int kv_turn(void);

/* --- administration ----------------------------------------------------------------------- */

struct kv_numbers {
	uint64_t pending_keys, pending_bytes; /* in memory */
	uint64_t journal_bytes;               /* log since the mark */
	uint64_t log_bytes, tree_bytes;       /* files */
	uint64_t batches, syncs, moves;
	uint64_t free_bytes; /* of the file system */
	bool is_moving;
};
struct kv_numbers kv_numbers(void);

/*
 * Long work: one at a time, beside all else. Backup and verify are a thread's, on a copy of the files that it makes while they
 * are written. Batches and moves go on; files of the log stay until the copy is whole.
 */
enum kv_job_kind { KV_JOB_BACKUP, KV_JOB_VERIFY, KV_JOB_COMPACT };

struct kv_job {
	uint32_t number; /* from 1; 0: there was none */
	enum kv_job_kind kind;
	bool is_running;
	const char *step;   /* constant: what it is at */
	uint64_t done, all; /* of the step */
	uint64_t bytes;     /* of the copy; given back to the file system */
	/* When it has ended: */
	int err; /* 0, -errno: it could not be done */
	char why[256];
	bool is_damaged, journal_damaged; /* any; the log */
	bool damaged[KV_TABLES];
};

/*
 * A copy of the state as of now or later, recovered and on the disk, into a directory that isn't there or
 * is empty; its file "manifest" comes last. 0: it has begun; -EBUSY: another is under way; -errno.
 */
int kv_backup(const char *dir);
int kv_verify(void); /* checks all of such a copy, made in the store's directory */
/*
 * Gives back what the tables' files have unused, in slices of kv_turn(). It needs room for the largest
 * of them, as it is afterwards.
 */
int kv_compact(void);
void kv_job(struct kv_job *out); /* the last one */

#endif
