/*
 * power.c - preloaded into a broker, tells the torture tool what happens to the files of the store
 *
 * Nothing is changed or held back: each call does what it always did, by system call, and a record of it
 * goes to the journal (tests/torture/power_journal.h). What isn't seen: standard I/O, mappings, and calls that no
 * program here makes. power.c compares what it knows with what is there, and says so.
 *
 * A descriptor is known by its number and its inode, so that neither dup() nor close() has to be followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/torture/power_journal.h"

#define FDS 65536
/* Real ones, with names behind them. */
#define PATH_ROOM (2 * PATH_MAX)

static struct power_journal *journal;
static char store[PATH_MAX], above[PATH_MAX]; /* above: the directory that the store's is in */

/* What a descriptor was opened for; node 0: nothing of the store. */
static struct file {
	uint64_t node;
	dev_t dev;
	bool appends, dsyncs;
} file[FDS];

__attribute__((constructor)) static void
power_init(void)
{
	const char *path = getenv(POWER_JOURNAL), *dir = getenv(POWER_STORE);
	struct stat st;
	int fd;

	if (path == NULL || dir == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd >= 0 && fstat(fd, &st) == 0)
		journal = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || journal == MAP_FAILED) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		abort(); /* a broker that isn't watched must not pass for one that was */
	}
	syscall(SYS_close, fd);
	snprintf(store, sizeof(store), "%s", dir);
	snprintf(above, sizeof(above), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
	if (above[0] == '\0')
		strcpy(above, "/");
}

/* --- the journal: all under its lock ----------------------------------------------------- */

/* Room for a record, to be published; NULL: there is none. */
static struct power_op *
op_new(enum power_kind kind, uint64_t node, size_t data_len)
{
	struct power_op *op = (struct power_op *)(journal->ops + journal->used);

	if (power_op_size(data_len) > journal->room - journal->used || data_len > UINT32_MAX) {
		journal->trouble = POWER_FULL;
		return NULL;
	}
	*op = (struct power_op){ .kind = kind, .node = node, .data_len = (uint32_t)data_len };
	return op;
}

static void
op_publish(const struct power_op *op)
{
	if (op != NULL)
		journal->used += power_op_size(op->data_len);
}

/* Of a call without data: its result, and a record if that is good. */
static int
op_end(struct power_op *op, long result)
{
	if (result >= 0)
		op_publish(op);
	power_unlock(journal);
	return (int)result;
}

/* --- what is of the store ---------------------------------------------------------------- */

static bool
is_below(const char *real)
{
	size_t len = strlen(store);

	return strncmp(real, store, len) == 0 && (real[len] == '\0' || real[len] == '/');
}

/* What the descriptor stands for, if it is of the store. */
static struct file *
file_of(int fd)
{
	struct stat st;

	if (journal == NULL || fd < 0 || fd >= FDS || file[fd].node == 0 || fstat(fd, &st) != 0 ||
	    st.st_ino != file[fd].node || st.st_dev != file[fd].dev)
		return NULL;
	return &file[fd];
}

struct place {
	uint64_t dir;
	char name[NAME_MAX + 1];
};

static void
path_at(int at, const char *path, char out[PATH_ROOM])
{
	if (at == AT_FDCWD || path[0] == '/')
		snprintf(out, PATH_ROOM, "%s", path);
	else
		snprintf(out, PATH_ROOM, "/proc/self/fd/%d/%s", at, path);
}

/* Which entry of a directory a path names; false: none of the store. */
static bool
place_of(int at, const char *path, struct place *out)
{
	char dir[PATH_ROOM], real[PATH_MAX + NAME_MAX + 2], *slash;
	struct stat st;
	size_t len;

	if (journal == NULL)
		return false;
	path_at(at, path, dir);
	slash = strrchr(dir, '/');
	if (snprintf(out->name, sizeof(out->name), "%s", slash != NULL ? slash + 1 : dir) >
	    NAME_MAX)
		return false;
	if (slash != NULL)
		slash[slash == dir] = '\0';
	else
		strcpy(dir, ".");
	if (realpath(dir, real) == NULL || stat(real, &st) != 0)
		return false;
	out->dir = st.st_ino;
	len = strlen(real);
	snprintf(real + len, sizeof(real) - len, "%s%s", len > 1 ? "/" : "", out->name);
	return is_below(real);
}

/* From here on fd is what the path names. */
static void
watch(int fd, int flags)
{
	char link[64], real[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fd >= FDS)
		return;
	file[fd].node = 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, real, sizeof(real) - 1);
	if (n < 0 || fstat(fd, &st) != 0)
		return;
	real[n] = '\0';
	if (is_below(real) || strcmp(real, above) == 0)
		file[fd] = (struct file){ .node = st.st_ino,
			.dev = st.st_dev,
			.appends = flags & O_APPEND,
			.dsyncs = flags & O_DSYNC };
}

/* --- opening ----------------------------------------------------------------------------- */

static int
create(const struct place *p, int at, const char *path, int flags, mode_t mode)
{
	struct power_op *op;
	struct stat st;
	bool was_there;
	int fd;

	power_lock(journal);
	was_there = fstatat(at, path, &st, 0) == 0;
	op = op_new(was_there ? POWER_SIZE : POWER_CREATE, 0, was_there ? 0 : strlen(p->name));
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (fd >= 0 && op != NULL && fstat(fd, &st) == 0) {
		op->node = st.st_ino;
		op->dir = p->dir;
		memcpy(op->data, p->name, op->data_len);
		if (!was_there || (flags & O_TRUNC))
			op_publish(op);
	}
	power_unlock(journal);
	return fd;
}

static int
open_any(int at, const char *path, int flags, mode_t mode)
{
	struct place p;
	int fd;

	if ((flags & (O_CREAT | O_TRUNC)) && place_of(at, path, &p))
		fd = create(&p, at, path, flags, mode);
	else
		fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (fd >= 0 && journal != NULL)
		watch(fd, flags);
	return fd;
}

#define MODE(flags, mode)                                                                          \
	do {                                                                                       \
		if ((flags) & (O_CREAT | O_TMPFILE)) {                                             \
			va_list ap;                                                                \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
	} while (0)

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(AT_FDCWD, path, flags, mode);
}

int
openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	return open_any(at, path, flags, mode);
}

int
creat(const char *path, mode_t mode)
{
	return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* --- writing ----------------------------------------------------------------------------- */

/* at -1: where the descriptor is. */
static ssize_t
write_any(int fd, const struct iovec *iov, int n, off_t at)
{
	struct file *f = file_of(fd);
	size_t len = 0;
	struct power_op *op;
	struct stat st;
	ssize_t done;

	if (f == NULL && at < 0)
		return syscall(SYS_writev, fd, iov, n);
	if (f == NULL)
		return syscall(SYS_pwritev, fd, iov, n, at, 0);
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	power_lock(journal);
	op = op_new(POWER_WRITE, f->node, len);
	if (op != NULL) {
		len = 0;
		for (int i = 0; i < n; len += iov[i++].iov_len)
			memcpy(op->data + len, iov[i].iov_base, iov[i].iov_len);
		op->at = (uint64_t)(at >= 0 ? at : lseek(fd, 0, SEEK_CUR));
		if (at < 0 && f->appends && fstat(fd, &st) == 0)
			op->at = (uint64_t)st.st_size;
		op->is_dsync = f->dsyncs;
	}
	done = at < 0 ? syscall(SYS_writev, fd, iov, n) : syscall(SYS_pwritev, fd, iov, n, at, 0);
	if (op != NULL && done > 0)
		op->data_len = (uint32_t)done;
	if (done > 0)
		op_publish(op);
	power_unlock(journal);
	return done;
}

ssize_t
write(int fd, const void *p, size_t len)
{
	return write_any(fd, &(struct iovec){ (void *)p, len }, 1, -1);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	return write_any(fd, iov, n, -1);
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
	return write_any(fd, &(struct iovec){ (void *)p, len }, 1, at);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	return write_any(fd, iov, n, at);
}

/* What was written is read back. */
ssize_t
sendfile(int out, int in, off_t *from, size_t len)
{
	char path[64];
	struct power_op *op;
	ssize_t n;
	off_t at;
	int fd;

	if (file_of(out) == NULL)
		return syscall(SYS_sendfile, out, in, from, len);
	power_lock(journal);
	at = lseek(out, 0, SEEK_CUR);
	n = syscall(SYS_sendfile, out, in, from, len);
	if (n > 0 && (op = op_new(POWER_WRITE, file[out].node, (size_t)n)) != NULL) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
		op->at = (uint64_t)at;
		if (pread(fd, op->data, (size_t)n, at) == n)
			op_publish(op);
		syscall(SYS_close, fd);
	}
	power_unlock(journal);
	return n;
}

/* Of a file that is this long after the call. */
static int
size_end(int fd, const struct file *f, long result)
{
	struct power_op *op = op_new(POWER_SIZE, f->node, 0);
	struct stat st;

	if (op != NULL && fstat(fd, &st) == 0)
		op->at = (uint64_t)st.st_size;
	return op_end(op, result);
}

int
ftruncate(int fd, off_t size)
{
	struct file *f = file_of(fd);

	if (f == NULL)
		return (int)syscall(SYS_ftruncate, fd, size);
	power_lock(journal);
	return size_end(fd, f, syscall(SYS_ftruncate, fd, size));
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	struct file *f = file_of(fd);

	if (f == NULL)
		return (int)syscall(SYS_fallocate, fd, mode, at, len);
	power_lock(journal);
	return size_end(fd, f, syscall(SYS_fallocate, fd, mode, at, len));
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	int before = errno, err = fallocate(fd, 0, at, len) == 0 ? 0 : errno;

	errno = before;
	return err;
}

/* --- syncing ----------------------------------------------------------------------------- */

/* Only what had been written before is sure to be on the disk afterwards. */
static int
sync_any(int fd, long call)
{
	struct file *f = file_of(fd);
	struct power_op *op;
	uint64_t node, upto;
	int result;

	if (f == NULL)
		return (int)syscall(call, fd);
	power_lock(journal);
	upto = journal->used;
	node = f->node;
	power_unlock(journal);
	result = (int)syscall(call, fd);
	power_lock(journal);
	op = op_new(POWER_SYNC, node, 0);
	if (op != NULL)
		op->at = upto;
	return op_end(op, result);
}

int
fsync(int fd)
{
	return sync_any(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return sync_any(fd, SYS_fdatasync);
}

/* --- names ------------------------------------------------------------------------------- */

int
renameat2(int at, const char *path, int to_at, const char *to, unsigned flags)
{
	struct place from = { 0 }, there = { 0 };
	struct power_op *op;
	size_t from_len, len;

	/* Both first: either may be of the store. */
	if (!(place_of(at, path, &from) | place_of(to_at, to, &there)))
		return (int)syscall(SYS_renameat2, at, path, to_at, to, flags);
	power_lock(journal);
	from_len = strlen(from.name) + 1;
	len = from_len + strlen(there.name) + 1;
	op = op_new(POWER_RENAME, 0, len);
	if (op != NULL) {
		op->dir = from.dir;
		op->to_dir = there.dir;
		memcpy(op->data, from.name, from_len);
		memcpy(op->data + from_len, there.name, len - from_len);
	}
	return op_end(op, syscall(SYS_renameat2, at, path, to_at, to, flags));
}

int
renameat(int at, const char *path, int to_at, const char *to)
{
	return renameat2(at, path, to_at, to, 0);
}

int
rename(const char *path, const char *to)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, to, 0);
}

int
unlinkat(int at, const char *path, int flags)
{
	struct power_op *op;
	struct place p;

	if (!place_of(at, path, &p))
		return (int)syscall(SYS_unlinkat, at, path, flags);
	power_lock(journal);
	op = op_new(POWER_UNLINK, 0, strlen(p.name));
	if (op != NULL) {
		op->dir = p.dir;
		memcpy(op->data, p.name, op->data_len);
	}
	return op_end(op, syscall(SYS_unlinkat, at, path, flags));
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
mkdirat(int at, const char *path, mode_t mode)
{
	struct power_op *op;
	struct place p;
	struct stat st;
	long result;

	if (!place_of(at, path, &p))
		return (int)syscall(SYS_mkdirat, at, path, mode);
	power_lock(journal);
	op = op_new(POWER_CREATE, 0, strlen(p.name));
	result = syscall(SYS_mkdirat, at, path, mode);
	if (op != NULL && result == 0 && fstatat(at, path, &st, 0) == 0) {
		op->node = st.st_ino;
		op->dir = p.dir;
		op->is_dir = true;
		memcpy(op->data, p.name, op->data_len);
	}
	return op_end(op, result);
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* --- others ------------------------------------------------------------------------------ */

/* A broker may give its processes an environment of its own: they are watched all the same. */
int
execve(const char *path, char *const *argv, char *const *env)
{
	static const char *const ours[] = { "LD_PRELOAD", POWER_STORE, POWER_JOURNAL };
	char text[3][PATH_ROOM];
	char **more;
	size_t n = 0, added = 0;

	while (env != NULL && env[n] != NULL)
		n++;
	more = journal != NULL ? alloca((n + 4) * sizeof(*more)) : NULL;
	if (more == NULL)
		return (int)syscall(SYS_execve, path, argv, env);
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(ours[i]), k = 0;
		const char *value = getenv(ours[i]);

		while (k < n && (strncmp(env[k], ours[i], len) != 0 || env[k][len] != '='))
			k++;
		if (k == n && value != NULL) {
			snprintf(text[i], sizeof(text[i]), "%s=%s", ours[i], value);
			more[added++] = text[i];
		}
	}
	if (n > 0)
		memcpy(more + added, env, n * sizeof(*more));
	more[added + n] = NULL;
	return (int)syscall(SYS_execve, path, argv, more);
}

/* What programs with large files are linked with. */
#define ALSO(name, of) extern __typeof__(of) name __attribute__((alias(#of)))

ALSO(open64, open);
ALSO(openat64, openat);
ALSO(creat64, creat);
ALSO(pwrite64, pwrite);
ALSO(pwritev64, pwritev);
ALSO(sendfile64, sendfile);
ALSO(ftruncate64, ftruncate);
ALSO(fallocate64, fallocate);
ALSO(posix_fallocate64, posix_fallocate);
