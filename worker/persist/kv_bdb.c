#include "worker/persist/kv_bdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/dir.h"
#include "shared/base/log.h"
#include "shared/base/must.h"

const char *const bdb_table_file[KV_TABLES] = {
	[KV_META] = "meta.db",
	[KV_SESSION] = "session.db",
	[KV_STATE] = "state.db",
	[KV_SUB] = "sub.db",
	[KV_GROUP] = "group.db",
	[KV_MSG] = "msg.db",
	[KV_QUEUE] = "queue.db",
	[KV_RETAINED] = "retained.db",
	[KV_WILL] = "will.db",
	[KV_RXID] = "rxid.db",
	[KV_EXPIRY] = "expiry.db",
	[KV_KEPT] = "kept.db",
};

struct bdb bdb;

static pthread_mutex_t log_kept = PTHREAD_MUTEX_INITIALIZER;

static int move_to(struct bdb_position *p, enum kv_table t, uint32_t how);
static bool is_answer(const struct bdb_position *p, struct span key, bool above);
static void forget(struct bdb_position *p);
static void forget_before(struct bdb_position *p, struct span key, bool above);
static void move_key(struct bdb_position *p, struct span key);
static struct span key_of(const struct bdb_position *p);
static int position_out(const struct bdb_position *p, struct span *key_out, struct span *value_out);

bool
bdb_is_broken(void)
{
	return bdb.broken;
}

void
bdb_close(void)
{
	for (enum kv_table t = 0; t < KV_TABLES; t++) {
		bdb_tree_close(t);
		free(bdb.at[t].value.data);
		free(bdb.value[t].data);
	}
	if (bdb.env != NULL)
		bdb.env->close(bdb.env, 0);
	pages_close();
	memset(&bdb, 0, sizeof(bdb));
}

void
bdb_tree_close(enum kv_table t)
{
	forget(&bdb.at[t]);
	if (bdb.tree[t] != NULL)
		bdb.tree[t]->close(bdb.tree[t], DB_NOSYNC);
	bdb.tree[t] = NULL;
}

/* --- the log ------------------------------------------------------------------------------ */

int
bdb_log_put(struct span record, bool kernel, struct kv_lsn *lsn_out)
{
	DBT dbt = dbt_of(record);
	DB_LSN lsn;
	int err = bdb.env->log_put(bdb.env, &lsn, &dbt, kernel ? DB_LOG_WRNOSYNC : 0);

	if (err != 0) {
		/* What the log has of it is unknown, and nothing can be put behind that. */
		bdb_break();
		return bdb_errno(err);
	}
	*lsn_out = (struct kv_lsn){ lsn.file, lsn.offset };
	bdb.end = (struct kv_lsn){ lsn.file, lsn.offset + (uint32_t)record.len };
	bdb.file = lsn.file;
	return 0;
}

uint64_t
bdb_log_since(struct kv_lsn lsn)
{
	return (uint64_t)(bdb.end.file - lsn.file) * bdb.log_file_size + bdb.end.offset -
	    lsn.offset;
}

int
bdb_log_sync(void)
{
	uint32_t file = bdb.file;
	int err = bdb_errno(bdb.env->log_flush(bdb.env, NULL));

	/* A file whose name isn't on the disk isn't either; Berkeley DB doesn't see to that. */
	if (err == 0 && file != bdb.file_known) {
		err = dir_sync(bdb.dir);
		if (err == 0)
			pages_know_log(file);
		bdb.file_known = file;
	}
	/* The kernel forgets what it could not write: a second try would lie. */
	if (err != 0)
		bdb_break();
	return err;
}

int
bdb_checkpoint(void)
{
	int err = bdb_log_sync();

	/* Files that have records of the trees only, too: pages must not be ahead of them. */
	if (err == 0)
		err = dir_sync(bdb.dir);
	/* What a failed one has left: Berkeley DB takes it for written, and would not ask again. */
	if (err == 0)
		err = pages_sync();
	if (err == 0)
		err = bdb_errno(bdb.env->txn_checkpoint(bdb.env, 0, 0, 0));
	return err == 0 ? pages_know() : err;
}

void
bdb_log_trim(uint32_t file)
{
	char **list = NULL;

	/* Who keeps them may take long. The next move trims these, too. */
	if (pthread_mutex_trylock(&log_kept) != 0)
		return;
	if (bdb.env->log_archive(bdb.env, &list, DB_ARCH_ABS) != 0)
		list = NULL;
	for (char **path = list; list != NULL && *path != NULL; path++) {
		const char *dot = strrchr(*path, '.');

		if (dot != NULL && strtoul(dot + 1, NULL, 10) < file && unlink(*path) != 0)
			log_every(60, LOG_WARNING, "store: can't remove %s: %m", *path);
	}
	free(list);
	pthread_mutex_unlock(&log_kept);
}

void
bdb_log_keep(void)
{
	pthread_mutex_lock(&log_kept);
}

void
bdb_log_unkeep(void)
{
	pthread_mutex_unlock(&log_kept);
}

/* --- reading the trees -------------------------------------------------------------------- */

int
bdb_get(enum kv_table t, struct span key, struct span *value_out)
{
	DBT k = dbt_of(key), *v = &bdb.value[t];
	int err = bdb.tree[t]->get(bdb.tree[t], NULL, &k, v, 0);

	if (err != 0)
		return bdb_errno(err);
	*value_out = span_of(v->data, v->size);
	return 0;
}

int
bdb_next(enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out)
{
	struct bdb_position *p = &bdb.at[t];
	int err = 0;

	if (p->is_known && is_answer(p, key, above))
		return position_out(p, key_out, value_out);
	if (p->is_known && !p->at_end && above && span_eq(key, key_of(p))) {
		forget_before(p, key, above);
		err = move_to(p, t, DB_NEXT);
	} else {
		forget_before(p, key, above);
		move_key(p, span_of(p->from, p->from_len));
		err = move_to(p, t, DB_SET_RANGE);
		if (err == 0 && above && span_eq(key_of(p), span_of(p->from, p->from_len)))
			err = move_to(p, t, DB_NEXT);
	}
	if (err != 0 && err != -ENOENT)
		return err;
	p->is_known = true;
	p->at_end = err == -ENOENT;
	return position_out(p, key_out, value_out);
}

int
bdb_prev(enum kv_table t, struct span key, struct span *key_out, struct span *value_out)
{
	struct bdb_position *p = &bdb.at[t];
	int err;

	p->is_known = false;
	p->at_end = false;
	move_key(p, key);
	err = move_to(p, t, DB_SET_RANGE);
	if (err == 0)
		err = move_to(p, t, DB_PREV);
	else if (err == -ENOENT)
		err = move_to(p, t, DB_LAST);
	return err == 0 ? position_out(p, key_out, value_out) : err;
}

/* --- writing the trees -------------------------------------------------------------------- */

int
bdb_begin(void)
{
	must(bdb.txn == NULL);
	/* What the cursors know of a tree is soon no longer so. */
	for (enum kv_table t = 0; t < KV_TABLES; t++)
		forget(&bdb.at[t]);
	return bdb_errno(bdb.env->txn_begin(bdb.env, NULL, &bdb.txn, DB_TXN_NOSYNC));
}

int
bdb_put(enum kv_table t, struct span key, struct span value)
{
	DBT k = dbt_of(key), v = dbt_of(value);

	return bdb_errno(bdb.tree[t]->put(bdb.tree[t], bdb.txn, &k, &v, 0));
}

int
bdb_del(enum kv_table t, struct span key)
{
	DBT k = dbt_of(key);
	int err = bdb.tree[t]->del(bdb.tree[t], bdb.txn, &k, 0);

	return err == DB_NOTFOUND ? 0 : bdb_errno(err);
}

int
bdb_end(int err)
{
	DB_TXN *txn = bdb.txn;
	int end;

	bdb.txn = NULL;
	end = bdb_errno(err == 0 ? txn->commit(txn, DB_TXN_NOSYNC) : txn->abort(txn));
	return err != 0 ? err : end;
}

/* --- helpers ------------------------------------------------------------------------------ */

/* Nothing in the tree is between key and where the cursor is. */
static bool
is_answer(const struct bdb_position *p, struct span key, bool above)
{
	int from = span_cmp(key, span_of(p->from, p->from_len));
	int to = p->at_end ? -1 : span_cmp(key, key_of(p));

	if (to == 0)
		return !above;
	return to < 0 && (from > 0 || (from == 0 && (above || !p->above)));
}

static void
forget(struct bdb_position *p)
{
	if (p->cursor != NULL)
		p->cursor->close(p->cursor);
	p->cursor = NULL;
	p->is_known = false;
}

/* key may be the cursor's own. */
static void
forget_before(struct bdb_position *p, struct span key, bool above)
{
	p->is_known = false;
	if (key.len > 0)
		memcpy(p->from, key.p, key.len);
	p->from_len = (uint16_t)key.len;
	p->above = above;
}

static void
move_key(struct bdb_position *p, struct span key)
{
	if (key.len > 0)
		memmove(p->key, key.p, key.len);
	p->key_len = (uint16_t)key.len;
}

static struct span
key_of(const struct bdb_position *p)
{
	return span_of(p->key, p->key_len);
}

static int
move_to(struct bdb_position *p, enum kv_table t, uint32_t how)
{
	DBT k = { .data = p->key, .size = p->key_len, .ulen = KV_KEY_MAX, .flags = DB_DBT_USERMEM };
	int err = 0;

	if (p->cursor == NULL)
		err = bdb.tree[t]->cursor(bdb.tree[t], NULL, &p->cursor, 0);
	if (err == 0)
		err = p->cursor->get(p->cursor, &k, &p->value, how);
	if (err == 0)
		p->key_len = (uint16_t)k.size;
	return bdb_errno(err);
}

static int
position_out(const struct bdb_position *p, struct span *key_out, struct span *value_out)
{
	if (p->at_end)
		return -ENOENT;
	*key_out = key_of(p);
	*value_out = span_of(p->value.data, p->value.size);
	return 0;
}

int
bdb_errno(int err)
{
	switch (err) {
	case 0:
		return 0;
	case DB_NOTFOUND:
		return -ENOENT;
	case DB_RUNRECOVERY:
		bdb_break();
		return -EIO;
	default:
		return err > 0 ? -err : -EIO;
	}
}

/*
 * A page that can't be read panics Berkeley DB, and recovery alone doesn't meet it again: the next
 * start has to look at all of them.
 */
void
bdb_break(void)
{
	char path[PATH_MAX + sizeof("/" BDB_CHECK)];
	int fd;

	if (atomic_exchange(&bdb.broken, true) || bdb.dir[0] == '\0')
		return;
	snprintf(path, sizeof(path), "%s/" BDB_CHECK, bdb.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}
