/*
 * kv_bdb_int.h - what the files of kv_bdb share: the only ones that see db.h
 */
#ifndef PERSIST_KV_BDB_INT_H
#define PERSIST_KV_BDB_INT_H

#include <db.h>
#include <stdatomic.h>

#include "worker/persist/kv_int.h"

struct bdb_position {
	DBC *cursor;
	bool is_known; /* the tree has no key from `from` up to the cursor's, or up to its end */
	bool above;    /* `from` itself may be there */
	bool at_end;
	uint8_t from[KV_KEY_MAX], key[KV_KEY_MAX];
	uint16_t from_len, key_len;
	DBT value; /* our memory */
};

struct bdb {
	DB_ENV *env;
	DB *tree[KV_TABLES];
	DBT value[KV_TABLES]; /* of bdb_get(): our memory */
	struct bdb_position at[KV_TABLES];
	DB_TXN *txn;
	char dir[PATH_MAX];
	uint32_t log_file_size;
	struct kv_lsn end;           /* of the record put last */
	_Atomic uint32_t file;       /* its log file */
	_Atomic uint32_t file_known; /* the last whose name is on the disk */
	_Atomic bool broken;
};

#define BDB_PAGE_SIZE 4096 /* the largest that a disk may write whole, see kv_bdb_pages.c */
#define BDB_CHECK "check"  /* this file is there: look at every page before the next start */

extern struct bdb bdb;
extern const char *const bdb_table_file[KV_TABLES];

int bdb_errno(int err);            /* a library's code as -errno; a panic breaks us for good */
void bdb_break(void);              /* for good: only closing is left */
int bdb_env_new(DB_ENV **env_out); /* with its messages in our log */
int bdb_tree_open(enum kv_table t);
void bdb_tree_close(enum kv_table t); /* what the cache has of it stays there */

static inline DBT
dbt_of(struct span s)
{
	return (DBT){ .data = (void *)s.p, .size = (uint32_t)s.len };
}

/* --- kv_bdb_pages.c: pages of the trees get there whole ------------------------------------ */

/* Before an environment is opened: first writes what a run that was cut off could not. */
int pages_open(const char *dir);
void pages_watch(void); /* the trees that are there now */
/* What was held when it is called is in the trees, and synced. */
int pages_sync(void);
/* And the next start has nothing to write once more: this tree is about to be another file, until pages_watch(). */
int pages_forget(enum kv_table t);
/* From here on that is damage: trees smaller than they are now, */
int pages_know(void);
void pages_know_log(uint32_t file); /* a log that this file of is gone. Any thread */
/* What is known of a store that isn't open. 0: nothing. */
void pages_known(const char *dir, uint64_t size_out[KV_TABLES], uint32_t *log_file_out);
void pages_close(void); /* what isn't in the trees now is in the log only */

#endif
