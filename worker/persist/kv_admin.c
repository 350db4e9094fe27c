#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/base/dir.h"
#include "worker/persist/kv_int.h"

#define VERIFY_DIR "verify"
#define MANIFEST "manifest"
#define PATH_ROOM (PATH_MAX + NAME_MAX + 2)

static struct {
	pthread_t thread;
	bool has_thread;
	_Atomic bool ends;
	pthread_mutex_t lock; /* of the job */
	struct kv_job job;
	/* Of the one under way, constant: */
	const struct kv_options *o;
	struct journal_state now;
	char dir[PATH_MAX];
	bool made_dir;
	uint64_t copied; /* bytes */
} the = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *job_main(void *unused);
static int backup(void);
static int verify(void);
static int make_dir(void);
static int make_copy(void);
static int check_journal(bool *damaged_out);
static int has_room(uint64_t bytes);
static int on_piece(uint64_t bytes);
static int write_number(void);
static int write_manifest(void);
static int sync_file(int dir, const char *name, FILE *manifest);
static int advance(uint64_t done);
static int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int
kv_admin_start(enum kv_job_kind kind, const struct kv_options *o, const struct journal_state *now,
    const char *dir)
{
	struct kv_job last;
	int err;

	kv_job(&last);
	err = kv_admin_begin(kind, o);
	if (err != 0)
		return err;
	if (dir == NULL)
		err = snprintf(the.dir, sizeof(the.dir), "%s/" VERIFY_DIR, o->dir);
	else
		err = snprintf(the.dir, sizeof(the.dir), "%s", dir);
	err = err >= (int)sizeof(the.dir) ? -ENAMETOOLONG : 0;
	the.now = *now;
	if (err == 0)
		err = kv_thread(&the.thread, job_main, NULL);
	the.has_thread = err == 0;
	if (err != 0)
		the.job = last;
	return err;
}

int
kv_admin_begin(enum kv_job_kind kind, const struct kv_options *o)
{
	struct kv_job last;

	kv_job(&last);
	if (last.is_running)
		return -EBUSY;
	kv_admin_stop();
	the.o = o;
	snprintf(the.dir, sizeof(the.dir), "%s", o->dir);
	the.ends = false;
	the.copied = 0;
	the.job = (struct kv_job){
		.number = last.number + 1, .kind = kind, .is_running = true, .step = "begin"
	};
	return 0;
}

void
kv_admin_step(const char *what, uint64_t all)
{
	pthread_mutex_lock(&the.lock);
	the.job.step = what;
	the.job.done = 0;
	the.job.all = all;
	pthread_mutex_unlock(&the.lock);
}

int
kv_admin_reach(uint64_t done)
{
	int err = has_room(0);

	pthread_mutex_lock(&the.lock);
	the.job.done = done;
	pthread_mutex_unlock(&the.lock);
	return the.ends ? -ECANCELED : err;
}

void
kv_admin_end(int err, uint64_t bytes)
{
	pthread_mutex_lock(&the.lock);
	the.job.is_running = false;
	the.job.err = err;
	the.job.bytes = bytes;
	if (err != 0 && the.job.why[0] == '\0')
		snprintf(the.job.why, sizeof(the.job.why), "%.100s: %s", the.dir,
		    err == -ECANCELED ? "the store was closed" : strerror(-err));
	pthread_mutex_unlock(&the.lock);
}

void
kv_admin_cancel(void)
{
	the.ends = true;
}

void
kv_admin_stop(void)
{
	kv_admin_cancel();
	compact_stop();
	if (!the.has_thread)
		return;
	pthread_join(the.thread, NULL);
	the.has_thread = false;
}

void
kv_admin_tidy(const char *dir)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/" VERIFY_DIR, dir);
	dir_empty(path);
	rmdir(path);
	bdb_beside_tidy(dir);
}

void
kv_job(struct kv_job *out)
{
	pthread_mutex_lock(&the.lock);
	*out = the.job;
	pthread_mutex_unlock(&the.lock);
}

/* --- the thread --------------------------------------------------------------------------- */

static void *
job_main(void *unused)
{
	int err = the.job.kind == KV_JOB_BACKUP ? backup() : verify();

	kv_admin_end(err, the.copied);
	return unused;
}

static int
backup(void)
{
	bool damaged;
	int err = make_dir();

	if (err != 0)
		return err;
	err = make_copy();
	if (err == 0)
		err = check_journal(&damaged);
	if (err == 0 && damaged)
		err = fail(-EUCLEAN, "the journal is damaged; see `tbmqctl store verify`");
	if (err == 0) {
		kv_admin_step("recovery", 0);
		err = bdb_copy_recover(the.dir, the.o->log_file_size);
		if (err == -EUCLEAN)
			fail(err, "the tables are damaged; see `tbmqctl store verify`");
	}
	if (err == 0)
		err = write_manifest();
	if (err != 0) {
		dir_empty(the.dir);
		if (the.made_dir)
			rmdir(the.dir);
	}
	return err;
}

/* Without recovery the pages of a copy need not fit together: their checksums have to do. */
static int
verify(void)
{
	struct kv_job found = { 0 };
	bool recovered;
	int err;

	kv_admin_tidy(the.o->dir);
	err = make_dir();
	if (err == 0)
		err = make_copy();
	if (err == 0)
		err = check_journal(&found.journal_damaged);
	if (err == 0) {
		kv_admin_step("recovery", 0);
		err = bdb_copy_recover(the.dir, the.o->log_file_size);
	}
	recovered = err == 0;
	if (err == -EUCLEAN)
		err = 0;
	kv_admin_step("tables", KV_TABLES);
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++) {
		found.damaged[t] =
		    recovered ? !bdb_is_consistent(the.dir, t) : !bdb_has_whole_pages(the.dir, t);
		found.is_damaged |= found.damaged[t];
		err = advance(1);
	}
	/* If it isn't the pages that recovery can't get over, it is the log. */
	found.journal_damaged |= !recovered && !found.is_damaged;
	found.is_damaged |= found.journal_damaged;
	kv_admin_tidy(the.o->dir);
	pthread_mutex_lock(&the.lock);
	the.job.is_damaged = found.is_damaged;
	the.job.journal_damaged = found.journal_damaged;
	memcpy(the.job.damaged, found.damaged, sizeof(found.damaged));
	pthread_mutex_unlock(&the.lock);
	return err;
}

/* --- the copy ----------------------------------------------------------------------------- */

static int
make_dir(void)
{
	struct dirent *e;
	DIR *d;
	int n = 0;

	the.made_dir = mkdir(the.dir, 0700) == 0;
	if (the.made_dir)
		return 0;
	if (errno != EEXIST || (d = opendir(the.dir)) == NULL)
		return fail(-errno,
		    "can't make the directory %.120s: %s. The broker's user has to be allowed to, "
		    "and it has to be beneath "
		    "backup_dir",
		    the.dir, strerror(errno));
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n == 0 ? 0 : fail(-ENOTEMPTY, "%.120s is not empty", the.dir);
}

static int
make_copy(void)
{
	uint64_t log, trees;
	int err;

	bdb_sizes(the.o->dir, &log, &trees);
	kv_admin_step("copy", log + trees);
	err = has_room(log + trees);
	if (err != 0)
		return err;
	bdb_log_keep();
	err = bdb_copy(the.dir, on_piece);
	bdb_log_unkeep();
	return err == 0 ? write_number() : err;
}

/* As the next start would read it. */
static int
check_journal(bool *damaged_out)
{
	struct kv_options o = { .dir = the.dir, .log_file_size = the.o->log_file_size };
	struct journal_found j;
	int err;

	kv_admin_step("journal", 0);
	err = journal_check(&o, the.now.store, &j);
	if (err != 0 && err != -EUCLEAN)
		return err;
	*damaged_out = err != 0 || j.ndamaged > 0 || j.state.made < the.now.safe;
	return 0;
}

/* The store's own reserve isn't for copies. */
static int
has_room(uint64_t bytes)
{
	uint64_t free_bytes;
	struct statvfs fs;

	if (statvfs(the.dir, &fs) != 0)
		return -errno;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes >= bytes + the.o->reserve)
		return 0;
	return fail(-ENOSPC,
	    "no room for a copy in %.120s: %" PRIu64 " bytes are free, %" PRIu64 " are wanted",
	    the.dir, free_bytes, bytes + the.o->reserve);
}

static int
on_piece(uint64_t bytes)
{
	int err = has_room(0);

	return err == 0 ? advance(bytes) : err;
}

/* As kv.c's file has it that is locked; to open that one here would end its lock. */
static int
write_number(void)
{
	char path[PATH_ROOM];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/lock", the.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, &the.now.store, sizeof(the.now.store)) != sizeof(the.now.store))
		err = -EIO;
	close(fd);
	return err;
}

/* All files with their sizes, each on the disk: a copy that has one is whole. */
static int
write_manifest(void)
{
	char path[PATH_ROOM], temporary[PATH_ROOM];
	struct dirent *e;
	FILE *f;
	DIR *d;
	int err = 0;

	kv_admin_step("sync", 0);
	snprintf(path, sizeof(path), "%s/" MANIFEST, the.dir);
	snprintf(temporary, sizeof(temporary), "%s/." MANIFEST, the.dir);
	d = opendir(the.dir);
	if (d == NULL)
		return -errno;
	f = fopen(temporary, "wxe");
	if (f == NULL) {
		err = -errno;
		closedir(d);
		return err;
	}
	while (err == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			err = sync_file(dirfd(d), e->d_name, f);
	if (err == 0 && (fflush(f) != 0 || fsync(fileno(f)) != 0))
		err = -errno;
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	if (err == 0 && (rename(temporary, path) != 0 || fsync(dirfd(d)) != 0))
		err = -errno;
	closedir(d);
	return err == 0 && the.made_dir ? dir_sync_parent(the.dir) : err;
}

static int
sync_file(int dir, const char *name, FILE *manifest)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st = { 0 };

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0 || fstat(fd, &st) != 0)
		err = -errno;
	close(fd);
	if (err != 0)
		return err;
	fprintf(manifest, "%s %jd\n", name, (intmax_t)st.st_size);
	the.copied += (uint64_t)st.st_size;
	return 0;
}

/* --- helpers ------------------------------------------------------------------------------ */

static int
advance(uint64_t done)
{
	pthread_mutex_lock(&the.lock);
	the.job.done += done;
	pthread_mutex_unlock(&the.lock);
	return the.ends ? -ECANCELED : 0;
}

/* Gives err back. What was said first counts. */
static int
fail(int err, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&the.lock);
	if (the.job.why[0] == '\0') {
		va_start(ap, fmt);
		vsnprintf(the.job.why, sizeof(the.job.why), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&the.lock);
	return err;
}
