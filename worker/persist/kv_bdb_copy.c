#include "worker/persist/kv_bdb_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)        /* pages that the cache can't write back meanwhile */
#define SYNC_BYTES (UINT64_C(16) << 20) /* a pile of dirty pages holds the journal's syncs up */
#define RECOVER_CACHE (UINT32_C(16) << 20)
#define PATH_ROOM (PATH_MAX + 128)

/* The file being written. */
static struct {
	bdb_piece_fn *on_piece;
	int fd;
	uint64_t unsynced;
} the = { .fd = -1 };

static int copy_logs(const char *to);
static int log_end(struct kv_lsn *out);
static bool has_log(uint32_t file);
static int copy_log(const char *to, uint32_t file, uint32_t len);
static int file_open(const char *path);
static int file_write(const uint8_t *p, size_t len);
static int file_close(int err);
static int on_open(DB_ENV *env, const char *name, const char *to, void **unused);
static int
on_write(DB_ENV *env, uint32_t gigs, uint32_t offset, uint32_t size, uint8_t *p, void *unused);
static int on_close(DB_ENV *env, const char *name, void *unused);

/*
 * Berkeley DB's own copy of a tree reads its file, and holds back whoever would write the same pages
 * meanwhile: no page is torn.
 */
int
bdb_copy(const char *to, bdb_piece_fn *on_piece)
{
	int err = bdb_errno(bdb.env->set_backup_callbacks(bdb.env, on_open, on_write, on_close));

	if (err == 0)
		err = bdb_errno(bdb.env->set_backup_config(bdb.env, DB_BACKUP_SIZE, PIECE));
	the.on_piece = on_piece;
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
		err = bdb_errno(bdb.env->dbbackup(bdb.env, bdb_table_file[t], to, DB_EXCL));
	if (the.fd >= 0)
		file_close(err);
	return err == 0 ? copy_logs(to) : err;
}

/*
 * Checkpoints went on while the trees were copied, so the last one says nothing of the copy: all of
 * the log is gone through.
 */
int
bdb_copy_recover(const char *dir, uint64_t log_file_size)
{
	DB_ENV *env;
	int err = bdb_env_new(&env);

	if (err != 0)
		return -err;
	env->set_cachesize(env, 0, RECOVER_CACHE, 1);
	env->set_lg_max(env, (uint32_t)log_file_size);
	err = env->open(env, dir,
	    DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_MPOOL | DB_PRIVATE | DB_RECOVER_FATAL,
	    0600);
	env->close(env, 0);
	/* Not bdb_errno(): that this one has panicked says nothing of ours. */
	return err < 0 ? -EUCLEAN : -err;
}

/* --- the log ------------------------------------------------------------------------------ */

/*
 * In order, up to where it is now. Files have their whole size from the beginning: what is read of
 * one that is written has holes in it, with records behind them. Berkeley DB isn't asked for their
 * names: it reads the last record first, and if that is damaged it ends us.
 */
static int
copy_logs(const char *to)
{
	struct kv_lsn end;
	uint32_t file;
	int err = log_end(&end);

	if (err != 0)
		return err;
	for (file = end.file; file > 1 && has_log(file - 1);)
		file--;
	for (; err == 0 && file <= end.file; file++)
		err = copy_log(to, file, file < end.file ? UINT32_MAX : end.offset);
	return err;
}

static bool
has_log(uint32_t file)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/" KV_LOG_NAME, bdb.dir, file);
	return access(path, F_OK) == 0;
}

/* All that was put so far is before it, and written. */
static int
log_end(struct kv_lsn *out)
{
	DB_LOG_STAT *stat;
	int err = bdb_errno(bdb.env->log_stat(bdb.env, &stat, 0));

	if (err != 0)
		return err;
	*out = (struct kv_lsn){ stat->st_cur_file, stat->st_cur_offset };
	free(stat);
	return bdb_log_sync();
}

static int
copy_log(const char *to, uint32_t file, uint32_t len)
{
	char path[PATH_ROOM];
	uint8_t *p = malloc(PIECE);
	int in, err = p == NULL ? -ENOMEM : 0;
	ssize_t n = 0;

	snprintf(path, sizeof(path), "%s/" KV_LOG_NAME, bdb.dir, file);
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		err = -errno;
	snprintf(path, sizeof(path), "%s/" KV_LOG_NAME, to, file);
	if (err == 0)
		err = file_open(path);
	if (err == 0) {
		while (err == 0 && (n = read(in, p, len < PIECE ? len : PIECE)) > 0) {
			err = file_write(p, (size_t)n);
			len -= (uint32_t)n;
		}
		err = file_close(n < 0 ? -errno : err);
	}
	free(p);
	if (in >= 0)
		close(in);
	return err;
}

/* --- what is written ---------------------------------------------------------------------- */

static int
file_open(const char *path)
{
	the.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	the.unsynced = 0;
	return the.fd >= 0 ? 0 : -errno;
}

static int
file_write(const uint8_t *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(the.fd, p + done, len - done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	the.unsynced += len;
	if (the.unsynced >= SYNC_BYTES) {
		if (fdatasync(the.fd) != 0)
			return -errno;
		the.unsynced = 0;
	}
	return the.on_piece(len);
}

/* Its end is synced with all the others. */
static int
file_close(int err)
{
	if (close(the.fd) != 0 && err == 0)
		err = -errno;
	the.fd = -1;
	return err;
}

/* --- Berkeley DB's callbacks: they answer with an errno ----------------------------------- */

static int
on_open(DB_ENV *env, const char *name, const char *to, void **unused)
{
	char path[PATH_ROOM];

	(void)env;
	(void)unused;
	snprintf(path, sizeof(path), "%s/%s", to, name);
	return -file_open(path);
}

/* Pieces come in order. */
static int
on_write(DB_ENV *env, uint32_t gigs, uint32_t offset, uint32_t size, uint8_t *p, void *unused)
{
	(void)env;
	(void)gigs;
	(void)offset;
	(void)unused;
	return -file_write(p, size);
}

static int
on_close(DB_ENV *env, const char *name, void *unused)
{
	(void)env;
	(void)name;
	(void)unused;
	return -file_close(0);
}
