#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/dir.h"
#include "shared/base/hash.h"
#include "shared/base/log.h"
#include "worker/persist/kv_bdb_int.h"

/*
 * A disk whose sectors are smaller than a page may have half of one when the power goes, and the log can't
 * make that good: it knows what has changed in a page, not what else there was. So pages that Berkeley DB
 * writes gather here, and it reads them from here. When it syncs a tree, or there is no more room,
 *
 *   1. all of them go to a file of their own, which is synced,
 *   2. then into the trees, which are synced.
 *
 * Whenever that is cut off, either that file is whole, or no tree has been touched. The next start writes
 * what a whole one has into the trees, once more perhaps.
 *
 * Two sets of pages take turns, so that nobody who writes or reads a page waits for the disk unless both
 * are full: what comes while one is on its way gathers in the other. A set that is empty takes no memory.
 *
 * The file begins with what is known to be on the disk, for a tree that is cut short between two pages,
 * or a log without its last file, looks like one of a moment ago, and recovery would make it longer.
 *
 * Runs in: the loop, the keeper's thread (checkpoints), the thread of a copy.
 */
#define FILE_NAME "pages"
#define PAGES 1024 /* 4 MiB: three syncs a set are little beside writing it */
#define SLOTS ((size_t)PAGES * 2)
#define PATH_ROOM (PATH_MAX + 32)

static const struct hash_key file_key = { { 0x7061676573206f66, 0x2074686520747265 } };

/*
 * The file, little-endian: `known` in a page of its own, smaller than any sector; then a set's head, then
 * its pages.
 */
#define SET_AT BDB_PAGE_SIZE

struct known {
	uint64_t sum; /* of what follows */
	uint64_t log_file;
	uint64_t size[32]; /* with room for tables to come: they don't change the file */
};

static_assert(KV_TABLES <= sizeof(((struct known *)0)->size) / sizeof(uint64_t), "all fit");

static_assert(sizeof(struct known) <= 512, "it is never torn");

struct file_head {
	uint64_t sum; /* of what follows */
	uint64_t count;
	struct {
		uint32_t table, page;
	} name[PAGES];
	uint8_t spare[BDB_PAGE_SIZE - 16];
};

static_assert(sizeof(struct file_head) % BDB_PAGE_SIZE == 0, "pages are aligned in the file");

struct set {
	struct file_head head; /* as the file has it */
	uint8_t data[PAGES][BDB_PAGE_SIZE];
	uint32_t count;
	uint16_t slot[SLOTS]; /* by name: number of a page + 1; open addressing */
};

static struct {
	pthread_mutex_t lock;         /* of which page is where; held for moments */
	pthread_mutex_t write;        /* who writes to the trees; before `lock` */
	struct set *now, *old;        /* old: on its way to the trees */
	_Atomic uint32_t held;        /* pages in both */
	_Atomic int failed;           /* -errno: what Berkeley DB has written is not all here */
	_Atomic ino_t ino[KV_TABLES]; /* 0: not there yet */
	_Atomic dev_t dev;
	pthread_mutex_t knows; /* of what is known; after `write` */
	struct known known;    /* in our own order; no sum */
	enum kv_table forgot;  /* on its way to be another file; KV_TABLES: none is */
	char dir[PATH_MAX];
	int fd;
} pages = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.knows = PTHREAD_MUTEX_INITIALIZER,
	.write = PTHREAD_MUTEX_INITIALIZER,
	.forgot = KV_TABLES,
	.fd = -1,
};

static struct set *set_new(void);
static void set_free(struct set **s);
static int restore(void);
static int empty_file(void);
static int know_less(enum kv_table t, uint64_t size, bool forget);
static int known_read(const char *dir, int fd, struct known *out);
static int known_write(void);
static bool is_whole(struct set *s, size_t len);
static int write_trees(const struct set *s, bool again);
static bool has_table(const struct set *s, enum kv_table t);
static int write_all(int fd, const void *p, size_t len, off_t at);
static ssize_t on_pwrite(int fd, const void *p, size_t len, off_t at);
static ssize_t on_pread(int fd, void *p, size_t len, off_t at);
static ssize_t read_piece(int fd, enum kv_table t, void *p, size_t len, off_t at);
static int on_fsync(int fd);
static int on_ftruncate(int fd, off_t size);

int
pages_open(const char *dir)
{
	char path[PATH_ROOM];
	int err;

	snprintf(pages.dir, sizeof(pages.dir), "%s", dir);
	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	pages.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (pages.fd < 0)
		return -errno;
	pages.now = set_new();
	pages.old = set_new();
	err = known_read(dir, pages.fd, &pages.known);
	if (err == 0)
		err = pages.now != NULL && pages.old != NULL ? restore() : -ENOMEM;
	if (err == 0)
		err = dir_sync(dir);
	if (err != 0) {
		pages_close();
		return err;
	}
	db_env_set_func_pwrite(on_pwrite);
	db_env_set_func_pread(on_pread);
	db_env_set_func_fsync(on_fsync);
	db_env_set_func_ftruncate(on_ftruncate);
	pages_watch();
	return 0;
}

void
pages_watch(void)
{
	char path[PATH_ROOM];
	struct stat st;

	pthread_mutex_lock(&pages.knows);
	pages.forgot = KV_TABLES;
	pthread_mutex_unlock(&pages.knows);
	for (enum kv_table t = 0; t < KV_TABLES; t++) {
		snprintf(path, sizeof(path), "%s/%s", pages.dir, bdb_table_file[t]);
		pages.ino[t] = stat(path, &st) == 0 ? st.st_ino : 0;
		pages.dev = pages.ino[t] != 0 ? st.st_dev : pages.dev;
	}
}

void
pages_close(void)
{
	for (enum kv_table t = 0; t < KV_TABLES; t++)
		pages.ino[t] = 0;
	set_free(&pages.now);
	set_free(&pages.old);
	if (pages.fd >= 0) {
		/* What the trees have need not be written again, but it could. */
		if (pages.held == 0 && pages.failed == 0 && ftruncate(pages.fd, SET_AT) != 0)
			log_warning("store: can't truncate %s/" FILE_NAME ": %m", pages.dir);
		close(pages.fd);
	}
	pages.held = 0;
	pages.failed = 0;
	pages.fd = -1;
}

/* --- what is known ------------------------------------------------------------------------ */

void
pages_known(const char *dir, uint64_t size_out[KV_TABLES], uint32_t *log_file_out)
{
	struct known k = { 0 };
	char path[PATH_ROOM];
	int fd;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		known_read(dir, fd, &k);
		close(fd);
	}
	memcpy(size_out, k.size, KV_TABLES * sizeof(k.size[0]));
	*log_file_out = (uint32_t)k.log_file;
}

/* Whoever writes to the trees has synced them when `write` is free. */
int
pages_know(void)
{
	char path[PATH_ROOM];
	struct stat st;
	int err;

	pthread_mutex_lock(&pages.write);
	pthread_mutex_lock(&pages.knows);
	for (enum kv_table t = 0; t < KV_TABLES; t++) {
		snprintf(path, sizeof(path), "%s/%s", pages.dir, bdb_table_file[t]);
		if (t != pages.forgot)
			pages.known.size[t] = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	}
	err = known_write();
	pthread_mutex_unlock(&pages.knows);
	if (err == 0 && fdatasync(pages.fd) != 0)
		err = -errno;
	pthread_mutex_unlock(&pages.write);
	return err;
}

/* What was known before is still so: no reason to stop. */
void
pages_know_log(uint32_t file)
{
	int err;

	pthread_mutex_lock(&pages.knows);
	pages.known.log_file = file;
	err = known_write();
	pthread_mutex_unlock(&pages.knows);
	if (err != 0)
		log_every(60, LOG_WARNING, "store: can't write %s/" FILE_NAME ": %s", pages.dir,
		    strerror(-err));
}

/* Before it is so. */
static int
know_less(enum kv_table t, uint64_t size, bool forget)
{
	int err = 0;

	pthread_mutex_lock(&pages.knows);
	if (forget)
		pages.forgot = t;
	if (pages.known.size[t] > size) {
		pages.known.size[t] = size;
		err = known_write();
		if (err == 0 && fdatasync(pages.fd) != 0)
			err = -errno;
	}
	pthread_mutex_unlock(&pages.knows);
	return err;
}

static uint64_t
known_sum(const struct known *le)
{
	return hash_bytes(
	    &file_key, span_of(&le->log_file, sizeof(*le) - offsetof(struct known, log_file)));
}

/* Zeros: nothing is. */
static int
known_read(const char *dir, int fd, struct known *out)
{
	struct known le = { 0 };
	ssize_t n = pread(fd, &le, sizeof(le), 0);

	memset(out, 0, sizeof(*out));
	if (n < 0)
		return -errno;
	/* A set may have been written before anything was known. */
	if (n == 0 || memcmp(&le, &(struct known){ 0 }, sizeof(le)) == 0)
		return 0;
	if (n != sizeof(le) || le64toh(le.sum) != known_sum(&le)) {
		log_warning(
		    "store: damaged file=%s/" FILE_NAME ": a table cut short may look well", dir);
		return 0;
	}
	out->log_file = le64toh(le.log_file);
	for (enum kv_table t = 0; t < KV_TABLES; t++)
		out->size[t] = le64toh(le.size[t]);
	return 0;
}

static int
known_write(void)
{
	struct known le = { .log_file = htole64(pages.known.log_file) };

	for (enum kv_table t = 0; t < KV_TABLES; t++)
		le.size[t] = htole64(pages.known.size[t]);
	le.sum = htole64(known_sum(&le));
	return write_all(pages.fd, &le, sizeof(le), 0);
}

/* --- the file ----------------------------------------------------------------------------- */

/* What the last run had still to write. */
static int
restore(void)
{
	struct set *s = pages.old;
	ssize_t n = pread(pages.fd, s, offsetof(struct set, count), SET_AT);
	int err = 0;

	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(s->head) && is_whole(s, (size_t)n)) {
		err = write_trees(s, true);
		log_notice("store: wrote pages=%" PRIu32 " once more, after a crash", s->count);
	}
	s->count = 0;
	/* Trees may be others soon, by salvage. */
	return err == 0 ? empty_file() : err;
}

static int
empty_file(void)
{
	return ftruncate(pages.fd, SET_AT) == 0 && fdatasync(pages.fd) == 0 ? 0 : -errno;
}

static size_t
len_of(const struct set *s)
{
	return sizeof(s->head) + (size_t)s->count * BDB_PAGE_SIZE;
}

static uint64_t
sum_of(const struct set *s)
{
	const uint8_t *p = (const uint8_t *)s + sizeof(s->head.sum);

	return hash_bytes(&file_key, span_of(p, len_of(s) - sizeof(s->head.sum)));
}

/* The first len bytes have been read. */
static bool
is_whole(struct set *s, size_t len)
{
	uint64_t count = le64toh(s->head.count);

	if (count > PAGES)
		return false;
	s->count = (uint32_t)count;
	return len >= len_of(s) && le64toh(s->head.sum) == sum_of(s);
}

static int
write_set(struct set *s)
{
	int err;

	s->head.count = htole64(s->count);
	s->head.sum = htole64(sum_of(s));
	err = write_all(pages.fd, s, len_of(s), SET_AT);
	return err == 0 && fdatasync(pages.fd) != 0 ? -errno : err;
}

/*
 * again: after a crash. What is behind the end of a tree, or in one that is gone, isn't written then: no
 * checkpoint has known of it, so the log has it, and damage must not be healed in parts.
 */
static int
write_trees(const struct set *s, bool again)
{
	int err = 0;

	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++) {
		char path[PATH_ROOM];
		off_t end = INT64_MAX;
		struct stat st;
		int fd;

		if (!has_table(s, t))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pages.dir, bdb_table_file[t]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 && again && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (again)
			end = fstat(fd, &st) == 0 ? st.st_size : 0;
		for (uint32_t i = 0; i < s->count && err == 0; i++) {
			off_t at = (off_t)le32toh(s->head.name[i].page) * BDB_PAGE_SIZE;

			if (le32toh(s->head.name[i].table) == t && at + BDB_PAGE_SIZE <= end)
				err = write_all(fd, s->data[i], BDB_PAGE_SIZE, at);
		}
		if (err == 0 && fdatasync(fd) != 0)
			err = -errno;
		close(fd);
	}
	return err;
}

static bool
has_table(const struct set *s, enum kv_table t)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (le32toh(s->head.name[i].table) == t)
			return true;
	return false;
}

static int
write_all(int fd, const void *p, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const uint8_t *)p + done, len - done, at + (off_t)done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* --- the sets ----------------------------------------------------------------------------- */

static struct set *
set_new(void)
{
	void *p = mmap(
	    NULL, sizeof(struct set), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

static void
set_free(struct set **s)
{
	if (*s != NULL)
		munmap(*s, sizeof(**s));
	*s = NULL;
}

/* With `write` held. A set that could not be written stays where it is, to be read and tried again. */
static int
write_old(void)
{
	struct set *s = pages.old;
	int err;

	if (s->count == 0)
		return 0;
	err = write_set(s);
	if (err == 0)
		err = write_trees(s, false);
	if (err != 0)
		return err;
	pthread_mutex_lock(&pages.lock);
	pages.held -= s->count;
	s->count = 0;
	memset(s->slot, 0, sizeof(s->slot));
	pthread_mutex_unlock(&pages.lock);
	(void)madvise(s->data, sizeof(s->data), MADV_DONTNEED);
	return 0;
}

/* With `write` held. */
static int
write_held(void)
{
	struct set *s = pages.old;
	int err = pages.failed != 0 ? pages.failed : write_old();

	if (err != 0)
		return err;
	pthread_mutex_lock(&pages.lock);
	pages.old = pages.now;
	pages.now = s;
	pthread_mutex_unlock(&pages.lock);
	return write_old();
}

int
pages_sync(void)
{
	int err;

	if (pages.held == 0)
		return pages.failed;
	pthread_mutex_lock(&pages.write);
	err = write_held();
	pthread_mutex_unlock(&pages.write);
	return err;
}

int
pages_forget(enum kv_table t)
{
	int err;

	pthread_mutex_lock(&pages.write);
	err = write_held();
	if (err == 0)
		err = empty_file();
	if (err == 0)
		err = know_less(t, 0, true);
	pthread_mutex_unlock(&pages.write);
	return err;
}

/* Of a tree's page: its place, or where it would be. */
static uint16_t *
slot_of(struct set *s, enum kv_table table, uint32_t page)
{
	size_t i = hash_mix((uint64_t)table << 32 | page) % SLOTS;

	while (s->slot[i] != 0 &&
	    (le32toh(s->head.name[s->slot[i] - 1].table) != table ||
		le32toh(s->head.name[s->slot[i] - 1].page) != page))
		i = (i + 1) % SLOTS;
	return &s->slot[i];
}

/* False: it is full. */
static bool
set_put(struct set *s, enum kv_table table, uint32_t page, const void *data)
{
	uint16_t *slot = slot_of(s, table, page);

	if (*slot == 0) {
		if (s->count == PAGES)
			return false;
		s->head.name[s->count].table = htole32(table);
		s->head.name[s->count].page = htole32(page);
		*slot = (uint16_t)++s->count;
		pages.held++;
	}
	memcpy(s->data[*slot - 1], data, BDB_PAGE_SIZE);
	return true;
}

static bool
set_get(struct set *s, enum kv_table table, uint32_t page, void *data)
{
	uint16_t slot = *slot_of(s, table, page);

	if (slot != 0)
		memcpy(data, s->data[slot - 1], BDB_PAGE_SIZE);
	return slot != 0;
}

/* --- instead of the system's calls, for all of Berkeley DB -------------------------------- */

/* A tree of this store that is written in pages; KV_TABLES: something else. */
static enum kv_table
table_of(int fd, size_t len, off_t at)
{
	enum kv_table t = KV_TABLES;
	struct stat st;

	if (len % BDB_PAGE_SIZE == 0 && at % BDB_PAGE_SIZE == 0 && fstat(fd, &st) == 0)
		for (t = 0; t < KV_TABLES; t++)
			if (st.st_ino == pages.ino[t] && st.st_dev == pages.dev)
				break;
	return t;
}

/*
 * Berkeley DB takes a failure to be one of this call and writes the page itself, past us. From there on
 * nothing may be called synced: the next start begins where all was well.
 */
static ssize_t
on_pwrite(int fd, const void *p, size_t len, off_t at)
{
	enum kv_table t = table_of(fd, len, at);
	bool has_room;
	int err = 0;

	if (t == KV_TABLES || len != BDB_PAGE_SIZE)
		return pwrite(fd, p, len, at);
	do {
		pthread_mutex_lock(&pages.lock);
		has_room = set_put(pages.now, t, (uint32_t)(at / BDB_PAGE_SIZE), p);
		pthread_mutex_unlock(&pages.lock);
		if (!has_room)
			err = pages_sync();
	} while (!has_room && err == 0);
	if (has_room)
		return (ssize_t)len;
	pages.failed = err;
	bdb_break();
	errno = -err;
	return -1;
}

/* With `lock` held. */
static bool
get(enum kv_table table, uint64_t at, void *data)
{
	uint32_t page = (uint32_t)(at / BDB_PAGE_SIZE);

	return set_get(pages.now, table, page, data) || set_get(pages.old, table, page, data);
}

/* Berkeley DB lets nobody write a page that is being read: what isn't held stays as it is in the file. */
static ssize_t
on_pread(int fd, void *p, size_t len, off_t at)
{
	enum kv_table t = pages.held > 0 ? table_of(fd, len, at) : KV_TABLES;
	bool is_held;

	if (t == KV_TABLES)
		return pread(fd, p, len, at);
	if (len > BDB_PAGE_SIZE)
		return read_piece(fd, t, p, len, at);
	pthread_mutex_lock(&pages.lock);
	is_held = get(t, (uint64_t)at, p);
	pthread_mutex_unlock(&pages.lock);
	return is_held ? (ssize_t)len : pread(fd, p, len, at);
}

/* For a copy. Pages held must not get into the file meanwhile, in parts. */
static ssize_t
read_piece(int fd, enum kv_table t, void *p, size_t len, off_t at)
{
	ssize_t n;

	pthread_mutex_lock(&pages.write);
	n = pread(fd, p, len, at);
	pthread_mutex_lock(&pages.lock);
	for (size_t i = 0; n >= 0 && i < len && i <= (size_t)n; i += BDB_PAGE_SIZE)
		if (get(t, (uint64_t)at + i, (uint8_t *)p + i) && (size_t)n < i + BDB_PAGE_SIZE)
			n = (ssize_t)(i + BDB_PAGE_SIZE);
	pthread_mutex_unlock(&pages.lock);
	pthread_mutex_unlock(&pages.write);
	return n;
}

/* Unlike those above, these two answer with an errno. */
static int
on_fsync(int fd)
{
	int err = table_of(fd, 0, 0) != KV_TABLES ? pages_sync() : 0;

	if (err == 0 && fdatasync(fd) != 0)
		err = -errno;
	return -err;
}

/* Nothing is written behind its new end later. */
static int
on_ftruncate(int fd, off_t size)
{
	enum kv_table t = table_of(fd, 0, 0);
	int err = t != KV_TABLES ? pages_sync() : 0;

	if (err == 0 && t != KV_TABLES)
		err = know_less(t, (uint64_t)size, false);
	if (err == 0 && ftruncate(fd, size) != 0)
		err = -errno;
	return -err;
}
