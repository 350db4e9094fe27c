/*
 * A table that is written anew beside itself, and takes its own place.
 *
 * Berkeley DB's own compaction walks, sorts and writes again all free pages in each call: seconds for
 * a queue of a million messages that has been fetched, and nobody can touch the table meanwhile. To
 * write what is left into a new file costs what is left, and goes in slices.
 *
 * The new file has no part in transactions and in the log; it is on the disk as a whole before it gets
 * the table's name. Recovery tells files by the identifiers in them: what the log has of the old one
 * is passed over when the new one is found in its place, also in a copy that is recovered from the
 * whole of the log.
 */
#include "worker/persist/kv_bdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/dir.h"

#define CACHE (UINT32_C(4) << 20) /* mostly it is written in order */
#define NAME_ROOM 64
#define PATH_ROOM (PATH_MAX + NAME_ROOM)

static struct {
	DB_ENV *env;
	DB *tree;
	enum kv_table table;
	char name[NAME_ROOM], path[PATH_ROOM];
} beside;

static void close_beside(void);
static int take_name(int *old_out, uint64_t *bytes_out);
static int other_errno(int err);
static void beside_name(enum kv_table t, char out[NAME_ROOM]);

int
bdb_beside_open(enum kv_table t)
{
	uint32_t page_size;
	int err;

	beside.table = t;
	beside_name(t, beside.name);
	snprintf(beside.path, sizeof(beside.path), "%s/%s", bdb.dir, beside.name);
	err = bdb_env_new(&beside.env);
	if (err == 0)
		err = beside.env->set_cachesize(beside.env, 0, CACHE, 1);
	if (err == 0)
		err = beside.env->open(
		    beside.env, bdb.dir, DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE | DB_THREAD, 0600);
	if (err == 0)
		err = db_create(&beside.tree, beside.env, 0);
	if (err == 0)
		err = bdb.tree[t]->get_pagesize(bdb.tree[t], &page_size);
	if (err == 0)
		err = beside.tree->set_pagesize(beside.tree, page_size);
	if (err == 0)
		err = beside.tree->set_flags(beside.tree, DB_CHKSUM);
	if (err == 0)
		err = beside.tree->open(beside.tree, NULL, beside.name, NULL, DB_BTREE,
		    DB_CREATE | DB_EXCL | DB_THREAD, 0600);
	if (err != 0)
		bdb_beside_drop();
	return other_errno(err);
}

int
bdb_beside_put(struct span key, struct span value)
{
	DBT k = dbt_of(key), v = dbt_of(value);

	return other_errno(beside.tree->put(beside.tree, NULL, &k, &v, 0));
}

int
bdb_beside_del(struct span key)
{
	DBT k = dbt_of(key);
	int err = beside.tree->del(beside.tree, NULL, &k, 0);

	return err == DB_NOTFOUND ? 0 : other_errno(err);
}

int
bdb_beside_sync(void)
{
	return other_errno(beside.tree->sync(beside.tree, 0));
}

void
bdb_beside_drop(void)
{
	close_beside();
	unlink(beside.path);
}

int
bdb_beside_take(int *old_out, uint64_t *bytes_out)
{
	int err;

	*old_out = -1;
	*bytes_out = 0;
	close_beside();
	err = take_name(old_out, bytes_out);
	if (*old_out < 0)
		unlink(beside.path);
	return err;
}

void
bdb_beside_tidy(const char *dir)
{
	char name[NAME_ROOM], path[PATH_ROOM];

	for (enum kv_table t = 0; t < KV_TABLES; t++) {
		beside_name(t, name);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		unlink(path);
	}
}

unsigned
bdb_permille(enum kv_table t, struct span key)
{
	DBT k = dbt_of(key);
	DB_KEY_RANGE r;

	if (bdb.tree[t]->key_range(bdb.tree[t], NULL, &k, &r, 0) != 0)
		return 0;
	return (unsigned)(r.less * 1000);
}

/* --- helpers ------------------------------------------------------------------------------ */

static void
close_beside(void)
{
	if (beside.tree != NULL)
		beside.tree->close(beside.tree, DB_NOSYNC);
	if (beside.env != NULL)
		beside.env->close(beside.env, 0);
	beside.tree = NULL;
	beside.env = NULL;
}

/*
 * Nothing of the table is dirty in the cache: pages of a file that is no more would be written into its
 * successor. The blocks of a large file take long to free: that is for whoever closes *old_out.
 */
static int
take_name(int *old_out, uint64_t *bytes_out)
{
	char path[PATH_ROOM];
	struct stat was, is;
	int err, old;

	snprintf(path, sizeof(path), "%s/%s", bdb.dir, bdb_table_file[beside.table]);
	if (stat(path, &was) != 0 || stat(beside.path, &is) != 0)
		return -errno;
	if (is.st_size >= was.st_size)
		return 0;
	old = open(path, O_RDONLY | O_CLOEXEC);
	if (old < 0)
		return -errno;
	err = pages_forget(beside.table);
	if (err != 0) {
		close(old);
		return err;
	}
	bdb_tree_close(beside.table);
	err = rename(beside.path, path) != 0 ? -errno : dir_sync(bdb.dir);
	pages_watch();
	if (err == 0)
		err = bdb_tree_open(beside.table);
	if (err != 0) {
		/* Which of the two is there is for the next start to see. */
		close(old);
		return -EIO;
	}
	*old_out = old;
	*bytes_out = (uint64_t)(was.st_size - is.st_size);
	return 0;
}

/* Not bdb_errno(): that this one has panicked says nothing of ours. */
static int
other_errno(int err)
{
	return err < 0 ? -EUCLEAN : -err;
}

static void
beside_name(enum kv_table t, char out[NAME_ROOM])
{
	snprintf(out, NAME_ROOM, "%s.compact", bdb_table_file[t]);
}
