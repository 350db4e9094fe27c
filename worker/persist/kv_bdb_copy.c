#include "worker/persist/kv_bdb_int.h"

#include <errno.h>
#include <fcntl.h>
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
static int copy_log(const char *from, const char *to, uint32_t len);
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
 * one that is written has holes in it, with records behind them.
 */
static int
copy_logs(const char *to)
{
	char **list = NULL, path[PATH_ROOM];
	struct kv_lsn end;
	int err = log_end(&end);

	if (err == 0)
		err = bdb_errno(bdb.env->log_archive(bdb.env, &list, DB_ARCH_LOG | DB_ARCH_ABS));
	for (char **from = list; err == 0 && from != NULL && *from != NULL; from++) {
		const char *name = strrchr(*from, '/');
		uint32_t file = (uint32_t)strtoul(strrchr(name, '.') + 1, NULL, 10);

		if (file > end.file)
			break;
		snprintf(path, sizeof(path), "%s%s", to, name);
		err = copy_log(*from, path, file < end.file ? UINT32_MAX : end.offset);
	}
	free(list);
	return err;
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
copy_log(const char *from, const char *to, uint32_t len)
{
	uint8_t *p = malloc(PIECE);
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int err = p == NULL ? -ENOMEM : in < 0 ? -errno : file_open(to);
	ssize_t n = 0;

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
