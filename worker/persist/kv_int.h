/*
 * kv_int.h - the parts of kv.c, for each other and for nobody else
 *
 *     kv_pending   the tables in memory: what the trees don't have yet
 *     kv_journal   batches as records of the log, written and read back
 *     kv_bdb       Berkeley DB: the log and the trees
 *     kv_bdb_open  finding out what there is, recovery, damage
 *     kv_bdb_copy  a copy of the files while they are written
 *     kv_bdb_compact  a table written anew beside itself
 *     kv_bdb_pages pages reach the trees whole, whatever the power does
 *     kv_admin     what an administrator asks for and takes long
 *     kv_compact   the same in slices, by the loop
 *
 * Runs in: persist's loop, but for what says otherwise.
 * Errors:  -errno, as in kv.h; -EUCLEAN: what is on the disk is damaged.
 */
#ifndef PERSIST_KV_INT_H
#define PERSIST_KV_INT_H

#include <limits.h>
#include <pthread.h>

#include "shared/base/list.h"
#include "worker/persist/kv.h"

struct kv_lsn { /* a place in the log */
	uint32_t file, offset;
};

/* --- kv_pending.c: sorted, a table each --------------------------------------------------- */

/*
 * One allocation: the links of its levels, the key and the value are behind it. A node that isn't
 * on the list of changes has a value that the journal has too.
 */
struct kv_node {
	struct list changed; /* pending_changed(), or alone */
	uint64_t start;      /* of the key, as a number in its order: most comparisons end here */
	uint64_t batch;      /* the one that its last change was written in, or will be */
	uint32_t len, cap;   /* of the value */
	uint16_t key_len;
	uint8_t table, levels;
	bool gone : 1;      /* hides what the tree may have */
	bool journaled : 1; /* a batch in the log names the key */
	bool in_tree : 1;   /* or may be */
	struct kv_node *next[];
};

static inline uint8_t *
kv_node_key(struct kv_node *n)
{
	return (uint8_t *)&n->next[n->levels];
}

static inline struct span
kv_node_span(struct kv_node *n)
{
	return span_of(kv_node_key(n), n->key_len);
}

static inline uint8_t *
kv_node_value(struct kv_node *n)
{
	return kv_node_key(n) + n->key_len;
}

void pending_init(void);
void pending_fini(void);
struct kv_node *pending_find(enum kv_table t, struct span key); /* or NULL */
/* Finds or adds, with room for len bytes; what was in there is lost. NULL: no memory, nothing changed. */
struct kv_node *pending_set(enum kv_table t, struct span key, size_t len, bool *added_out);
void pending_drop(struct kv_node *n);
struct kv_node *pending_next(enum kv_table t, struct span key, bool above);
struct kv_node *pending_prev(enum kv_table t, struct span key);
void pending_touch(struct kv_node *n, uint64_t batch); /* it has changed */
struct list *pending_changed(void);
void pending_touch_all(uint64_t batch);
uint64_t pending_keys(void);
uint64_t pending_bytes(void);

/* --- kv_journal.c ------------------------------------------------------------------------- */

/* The first batch that the trees may lack, and where it begins; batch 0: the log's beginning. */
struct kv_mark {
	struct kv_lsn lsn;
	uint64_t batch;
};

enum journal_kind { JOURNAL_BATCH = 1, JOURNAL_OPENED, JOURNAL_CLOSED, JOURNAL_MARK };

/* What every record of ours begins with. */
struct journal_head {
	enum journal_kind kind;
	bool last;      /* of its batch: a batch without its last part never was */
	uint32_t part;  /* from 0 */
	uint32_t ops;   /* of the batch so far */
	uint64_t batch; /* of other kinds: the last one made */
	uint64_t safe;  /* the last batch known to be on the disk when this was written */
	uint64_t store;
	struct kv_mark mark;
};

struct journal_state {  /* how far the journal is written */
	uint64_t store; /* drawn at random when the store was made: no client can forge a record */
	uint64_t made, safe;
	struct kv_mark mark;
};

#define KV_RECORD_TYPE 10001 /* DB_user_BEGIN and up are the application's */

int journal_init(uint64_t log_file_size);
void journal_fini(void);
/* One batch of all changes, as number s->made + 1. The log has it, but the disk may not. */
int journal_write(const struct journal_state *s, struct kv_lsn *first_out, uint64_t *bytes_out);
int journal_note(const struct journal_state *s, enum journal_kind kind);

struct journal_found {
	struct journal_state state;
	bool any, clean;
	uint64_t batches, operations, bytes;
	uint64_t lost;       /* batches that were there once */
	struct kv_lsn end;   /* of what can be read */
	uint32_t damaged[8]; /* log files */
	uint32_t ndamaged;
};

/*
 * Reads what the log has from its last mark, or from its beginning, into the pending tables. store:
 * its number, 0 if unknown. -EPROTO, -ENOMEM, -EUCLEAN: nothing at all can be read.
 */
int journal_read(
    const struct kv_options *o, uint64_t store, bool from_beginning, struct journal_found *out);

/* The same without taking anything in: whether it can be read. */
int journal_check(const struct kv_options *o, uint64_t store, struct journal_found *out);

/* --- kv_bdb.c: the trees and the log while all is well ------------------------------------ */

#define KV_LOG_NAME "log.%010" PRIu32
#define KV_BALLAST "ballast"

/* From kv_open.c's recovery, or from a failure while running, only closing is left. */
bool bdb_is_broken(void);
void bdb_close(void);

/* Appends to the log; the kernel has it then if `kernel`. */
int bdb_log_put(struct span record, bool kernel, struct kv_lsn *lsn_out);
uint64_t bdb_log_since(struct kv_lsn lsn); /* bytes */
/* Any thread: */
int bdb_log_sync(void); /* all that had been put is on the disk */
int bdb_checkpoint(void);
void bdb_log_trim(
    uint32_t file);        /* removes what is below this file and not needed to recover the trees */
void bdb_log_keep(void);   /* no trimming from here on, */
void bdb_log_unkeep(void); /* to here; by the same thread */

/* Borrowed until the next call for the table, or a transaction. */
int bdb_get(enum kv_table t, struct span key, struct span *value_out);
int bdb_next(
    enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out);
int bdb_prev(enum kv_table t, struct span key, struct span *key_out, struct span *value_out);

/* One transaction at a time, not synced. */
int bdb_begin(void);
int bdb_put(enum kv_table t, struct span key, struct span value);
int bdb_del(enum kv_table t, struct span key); /* 0 also if it isn't there */
int bdb_end(int err); /* commits if err is 0, else aborts; the first error */

/* --- kv_bdb_open.c: what may be damaged --------------------------------------------------- */

/* Recovers the trees and opens them, all tables there. -EUCLEAN: bdb_set_aside() may help. */
int bdb_open(const struct kv_options *o);
/*
 * After -EUCLEAN: renames the tables that are damaged, else the log, and logs it. How many files, or
 * -errno.
 */
int bdb_set_aside(const struct kv_options *o, bool *has_log_out);
/*
 * Tables that are missing, empty or shorter than they were once; logged, but for the derived one. For
 * salvage they are out of the way then. How many, or -errno.
 */
int bdb_lacking(const struct kv_options *o, bool *derived_out);
uint32_t
bdb_known_log(const char *dir); /* a file of the log that was there, or a later one; or 0 */
/* Without the log the trees are as they are, and those that aren't consistent then go, too. */
int bdb_set_logs_aside(const char *dir);
int bdb_set_inconsistent_aside(const char *dir);
int bdb_copy_log_aside(const char *dir, uint32_t file);
const char *bdb_table_name(enum kv_table t); /* of its file */
void bdb_sizes(const char *dir, uint64_t *log_out, uint64_t *trees_out);

/* Any thread, on a store that is not open. */
bool bdb_has_whole_pages(const char *dir, enum kv_table t);
bool bdb_is_consistent(const char *dir, enum kv_table t); /* with the log's changes in it */

/*
 * The log alone, read before anything is changed; not while bdb_open() is in force. Opening tells
 * where its last record is. Then a record of ours: the last, the first at or after lsn, the next. 1;
 * 0: none, and *lsn_out is how far there are records at all: a file may be missing; -EUCLEAN,
 * *lsn_out is the last good one, and only bdb_reader_again() helps. -ENOENT: there is no log.
 */
int bdb_reader_open(const char *dir, struct kv_lsn *end_out);
int bdb_reader_again(const char *dir, struct kv_lsn *end_out);
void bdb_reader_close(void);
int bdb_reader_last(struct kv_lsn *lsn_out, struct span *out);
int bdb_reader_seek(struct kv_lsn lsn, struct kv_lsn *lsn_out, struct span *out);
int bdb_reader_next(struct kv_lsn *lsn_out, struct span *out);

/* --- kv_bdb_copy.c: in a thread beside the loop, one at a time ----------------------------- */

/* Told of each piece that has been written; not 0 ends the copy with this. */
typedef int bdb_piece_fn(uint64_t bytes);

/* Trees first, the log behind them: what a page has of the future, the log has too. */
int bdb_copy(const char *to, bdb_piece_fn *on_piece);
/* Makes the copy one that needs no log from before it. -EUCLEAN: damaged. */
int bdb_copy_recover(const char *dir, uint64_t log_file_size);

/* --- kv_bdb_compact.c: one table at a time ------------------------------------------------- */

int bdb_beside_open(enum kv_table t); /* an empty file beside the table's */
int bdb_beside_put(struct span key, struct span value);
int bdb_beside_del(struct span key); /* 0 also if it isn't there */
int bdb_beside_sync(void);           /* any thread, but nothing else meanwhile */
void bdb_beside_drop(void);
/*
 * The file becomes the table's if it is the smaller one; it has what the table has, is synced, a
 * checkpoint came after the table's last change, and there is no transaction. *bytes_out: how much
 * smaller. *old_out: the old one, to be closed by somebody who has time; -1: there is none. -EIO: this
 * process has to end.
 */
int bdb_beside_take(int *old_out, uint64_t *bytes_out);
void bdb_beside_tidy(const char *dir); /* what one that was killed has left in there */
unsigned bdb_permille(enum kv_table t, struct span key); /* about so many of its keys are below */

/* --- kv_admin.c --------------------------------------------------------------------------- */

/* All that is safe now, of the store of this number. dir: NULL: a place in the store's own. */
int kv_admin_start(enum kv_job_kind kind, const struct kv_options *o,
    const struct journal_state *now, const char *dir);
/* One that somebody else does, who tells how far it is. 0, -EBUSY. */
int kv_admin_begin(enum kv_job_kind kind, const struct kv_options *o);
void kv_admin_step(const char *what, uint64_t all);
int kv_admin_reach(uint64_t done); /* of the step. -ECANCELED, -ENOSPC: it is to end */
void kv_admin_end(int err, uint64_t bytes);
void kv_admin_cancel(void);          /* it is to end soon */
void kv_admin_stop(void);            /* and has ended */
void kv_admin_tidy(const char *dir); /* what one that was killed has left in there */

/* --- kv_compact.c -------------------------------------------------------------------------- */

int compact_begin(const struct kv_options *o);
/* A slice of it, if one is under way. 1: there is more, 0; -EIO: this process has to end. */
int compact_turn(void);
bool compact_holds_moves(void); /* nothing may be moved to the trees now */
/* What a move has just put there, or deleted (value: NULL). */
void compact_follow(enum kv_table t, struct span key, const struct span *value);
void compact_stop(void);

/* --- kv.c --------------------------------------------------------------------------------- */

int kv_thread(pthread_t *out, void *(*fn)(void *), void *arg); /* that is spared signals */

#endif
