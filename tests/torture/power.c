#include "tests/torture/power.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"

#define JOURNAL_BYTES (UINT64_C(8) << 30) /* sparse, and given back at each cut */
#define BLOCK 4096
#define SECTOR_MIN 512
#define SECTOR_SHIFTS 3 /* up to 4 KiB: the largest that disks write whole */
#define PATH_ROOM (2 * PATH_MAX)

/* A file's content; what is above its size is zeros. */
struct image {
	uint8_t **block; /* NULL: zeros */
	size_t blocks;   /* that there is room for */
	uint64_t size;
};

/* Of a file since its last sync. */
struct change {
	uint64_t at; /* in the journal */
	uint64_t from, to;
	const uint8_t *data; /* in the journal; NULL: it has the size `from` */
	bool is_dsync;
};

struct node {
	uint64_t ino;
	mode_t mode; /* 0: not known */
	bool is_dir;
	struct image disk;
	struct change *change;
	uint32_t changes;
	size_t cap;
};

struct entry {
	struct node *dir, *node;
	char name[NAME_MAX + 1];
};

struct tree {
	struct entry *entry;
	size_t n, cap;
};

/* A change of directories; one of both may be synced. */
struct step {
	uint64_t at;
	enum power_kind kind;
	struct entry from, to;
	bool is_from_synced, is_to_synced;
};

static struct {
	struct power_journal *journal;
	char file[PATH_MAX], library[PATH_MAX], store[PATH_MAX], above[PATH_MAX];
	struct node **node, *top; /* top: the directory that the store's is in */
	size_t nodes, node_cap;
	struct tree disk, cache; /* cache: as programs see it */
	struct step *step;
	size_t steps, step_cap;
	struct power_totals totals;
} pw;

/* --- images ------------------------------------------------------------------------------ */

/* data NULL: zeros. */
static void
image_put(struct image *m, uint64_t at, const uint8_t *data, uint64_t len)
{
	while (len > 0) {
		size_t i = at / BLOCK, in = at % BLOCK, n = len < BLOCK - in ? len : BLOCK - in;

		while (data != NULL && i >= m->blocks)
			m->block = grab_more(m->block, &m->blocks, sizeof(*m->block));
		if (data != NULL && m->block[i] == NULL)
			m->block[i] = grab(1, BLOCK);
		if (data != NULL)
			memcpy(m->block[i] + in, data, n);
		else if (i < m->blocks && m->block[i] != NULL)
			memset(m->block[i] + in, 0, n);
		at += n;
		data += data != NULL ? n : 0;
		len -= n;
	}
}

static const uint8_t *
image_block(const struct image *m, size_t i)
{
	static const uint8_t zeros[BLOCK];

	return i < m->blocks && m->block[i] != NULL ? m->block[i] : zeros;
}

static void
image_set_size(struct image *m, uint64_t size)
{
	if (size < m->size)
		image_put(m, size, NULL, m->size - size);
	m->size = size;
}

static struct image
image_copy(const struct image *m)
{
	struct image copy = { .size = m->size };

	for (size_t i = 0; i < m->blocks; i++)
		if (m->block[i] != NULL)
			image_put(&copy, i * BLOCK, m->block[i], BLOCK);
	return copy;
}

static void
image_free(struct image *m)
{
	for (size_t i = 0; i < m->blocks; i++)
		free(m->block[i]);
	free(m->block);
	*m = (struct image){ 0 };
}

static void
image_change(struct image *m, const struct change *c)
{
	if (c->data == NULL) {
		image_set_size(m, c->from);
		return;
	}
	image_put(m, c->from, c->data, c->to - c->from);
	m->size = c->to > m->size ? c->to : m->size;
}

/* --- nodes and entries ------------------------------------------------------------------- */

static struct node *
node_new(uint64_t ino, bool is_dir, mode_t mode)
{
	struct node *n = grab(1, sizeof(*n));

	*n = (struct node){ .ino = ino, .is_dir = is_dir, .mode = mode };
	if (pw.nodes == pw.node_cap)
		pw.node = grab_more(pw.node, &pw.node_cap, sizeof(struct node *));
	return pw.node[pw.nodes++] = n;
}

/* The latest: numbers are given again. */
static struct node *
node_find(uint64_t ino)
{
	for (size_t i = pw.nodes; i > 0; i--)
		if (pw.node[i - 1]->ino == ino)
			return pw.node[i - 1];
	return NULL;
}

static struct entry *
tree_find(const struct tree *t, const struct node *dir, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->entry[i].dir == dir && strcmp(t->entry[i].name, name) == 0)
			return &t->entry[i];
	return NULL;
}

static bool
tree_has(const struct tree *t, const struct entry *e)
{
	const struct entry *there = tree_find(t, e->dir, e->name);

	return there != NULL && there->node == e->node;
}

static void
tree_set(struct tree *t, const struct entry *e)
{
	struct entry *there = tree_find(t, e->dir, e->name);

	if (there == NULL) {
		if (t->n == t->cap)
			t->entry = grab_more(t->entry, &t->cap, sizeof(*t->entry));
		there = &t->entry[t->n++];
	}
	*there = *e;
}

static void
tree_del(struct tree *t, const struct entry *e)
{
	struct entry *there = tree_find(t, e->dir, e->name);

	*there = t->entry[--t->n];
}

/* An entry that isn't there, or is another file's, can't go away: that it came was lost. */
static void
tree_step(struct tree *t, const struct step *s)
{
	if (s->kind != POWER_CREATE && !tree_has(t, &s->from))
		return;
	if (s->kind != POWER_CREATE)
		tree_del(t, &s->from);
	if (s->kind != POWER_UNLINK)
		tree_set(t, &s->to);
}

/* --- what there is ----------------------------------------------------------------------- */

static void
path_join(char out[PATH_ROOM], const char *dir, const char *name)
{
	if (snprintf(out, PATH_ROOM, "%s/%s", dir, name) >= PATH_ROOM)
		fail("%s/%s: too long", dir, name);
}

static int
file_open(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_CLOEXEC, mode);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void
read_file(const char *path, struct image *m)
{
	int fd = file_open(path, O_RDONLY, 0);
	uint8_t p[BLOCK];
	ssize_t n;

	while ((n = pread(fd, p, BLOCK, (off_t)m->size)) > 0) {
		if (memcmp(p, image_block(&(struct image){ 0 }, 0), (size_t)n) != 0)
			image_put(m, m->size, p, (uint64_t)n);
		m->size += (uint64_t)n;
	}
	close(fd);
}

static void read_dir(struct node *dir, const char *path);

/* Takes in an entry of a directory, which need not be there. */
static void
read_entry(struct node *dir, const char *path, const char *name)
{
	char below[PATH_ROOM];
	struct entry e = { .dir = dir };
	struct stat st;

	path_join(below, path, name);
	if (lstat(below, &st) != 0)
		return;
	snprintf(e.name, sizeof(e.name), "%s", name);
	e.node = node_new(st.st_ino, S_ISDIR(st.st_mode), st.st_mode & 07777);
	tree_set(&pw.disk, &e);
	tree_set(&pw.cache, &e);
	if (e.node->is_dir)
		read_dir(e.node, below);
	else
		read_file(below, &e.node->disk);
}

static void
each_entry(struct node *dir, const char *path,
    void (*fn)(struct node *dir, const char *path, const char *name))
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (d == NULL)
		fail("%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(dir, path, e->d_name);
	closedir(d);
}

static void
read_dir(struct node *dir, const char *path)
{
	each_entry(dir, path, read_entry);
}

static const char *
store_name(void)
{
	return strrchr(pw.store, '/') + 1;
}

/* --- what the journal says --------------------------------------------------------------- */

static void
take_change(const struct power_op *op)
{
	struct node *n = node_find(op->node);

	if (n == NULL)
		return; /* never seen: if it matters, the check finds it */
	if (n->changes == n->cap)
		n->change = grab_more(n->change, &n->cap, sizeof(*n->change));
	n->change[n->changes++] = (struct change){
		.at = (uint64_t)((const uint8_t *)op - pw.journal->ops),
		.from = op->at,
		.to = op->at + op->data_len,
		.data = op->kind == POWER_WRITE ? op->data : NULL,
		.is_dsync = op->is_dsync,
	};
}

/* What was changed before `upto` is on the disk. */
static void
take_sync(struct node *n, uint64_t upto)
{
	uint32_t done = 0;
	size_t left = 0;

	if (n == NULL)
		return;
	while (done < n->changes && n->change[done].at < upto)
		image_change(&n->disk, &n->change[done++]);
	n->changes -= done;
	if (done > 0)
		memmove(n->change, n->change + done, n->changes * sizeof(*n->change));
	for (size_t i = 0; i < pw.steps; i++) {
		struct step *s = &pw.step[i];

		s->is_from_synced |= s->at < upto && s->from.dir == n;
		s->is_to_synced |= s->at < upto && s->to.dir == n;
		if (s->is_from_synced && s->is_to_synced)
			tree_step(&pw.disk, s);
		else
			pw.step[left++] = *s;
	}
	pw.steps = left;
}

static void
take_step(const struct power_op *op)
{
	struct step s = { .at = (uint64_t)((const uint8_t *)op - pw.journal->ops),
		.kind = op->kind };
	const struct entry *e;

	s.from.dir = node_find(op->dir);
	snprintf(
	    s.from.name, sizeof(s.from.name), "%.*s", (int)op->data_len, (const char *)op->data);
	s.to = s.from;
	if (op->kind == POWER_RENAME) {
		s.to.dir = node_find(op->to_dir);
		snprintf(s.to.name, sizeof(s.to.name), "%s",
		    (const char *)op->data + strlen(s.from.name) + 1);
	}
	if (op->kind == POWER_CREATE) {
		s.from.node = node_new(op->node, op->is_dir, 0);
	} else {
		e = tree_find(&pw.cache, s.from.dir, s.from.name);
		if (e == NULL)
			return; /* of a file never seen */
		s.from.node = e->node;
	}
	s.to.node = s.from.node;
	tree_step(&pw.cache, &s);
	if (pw.steps == pw.step_cap)
		pw.step = grab_more(pw.step, &pw.step_cap, sizeof(*pw.step));
	pw.step[pw.steps++] = s;
}

static void
take_op(const struct power_op *op)
{
	switch ((enum power_kind)op->kind) {
	case POWER_WRITE:
	case POWER_SIZE:
		take_change(op);
		break;
	case POWER_SYNC:
		take_sync(node_find(op->node), op->at);
		break;
	case POWER_CREATE:
	case POWER_UNLINK:
	case POWER_RENAME:
		take_step(op);
		break;
	}
}

/* --- is that what is there? -------------------------------------------------------------- */

static _Noreturn void
escaped(const char *path, const char *what)
{
	fail("%s: %s: something was done to it that the preloaded library doesn't see", path, what);
}

static void
check_file(struct node *n, const char *path)
{
	struct image seen = image_copy(&n->disk), real = { 0 };
	size_t blocks;

	for (size_t i = 0; i < n->changes; i++)
		image_change(&seen, &n->change[i]);
	read_file(path, &real);
	if (real.size != seen.size)
		escaped(path, "another size");
	blocks = (size_t)((real.size + BLOCK - 1) / BLOCK);
	for (size_t i = 0; i < blocks; i++)
		if (memcmp(image_block(&seen, i), image_block(&real, i), BLOCK) != 0)
			escaped(path, "another content");
	image_free(&seen);
	image_free(&real);
}

static void check_entry(struct node *dir, const char *path, const char *name);

static size_t
count_entries(const struct tree *t, const struct node *dir)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->entry[i].dir == dir;
	return n;
}

static size_t entries_seen;

static void
check_dir(struct node *dir, const char *path)
{
	size_t before = entries_seen;

	entries_seen = 0;
	each_entry(dir, path, check_entry);
	if (entries_seen != count_entries(&pw.cache, dir))
		escaped(path, "entries are missing");
	entries_seen = before;
}

static void
check_entry(struct node *dir, const char *path, const char *name)
{
	const struct entry *e = tree_find(&pw.cache, dir, name);
	char below[PATH_ROOM];
	struct stat st;

	path_join(below, path, name);
	if (e == NULL || lstat(below, &st) != 0 || st.st_ino != e->node->ino)
		escaped(below, "another entry");
	e->node->mode = st.st_mode & 07777;
	entries_seen++;
	if (e->node->is_dir)
		check_dir(e->node, below);
	else
		check_file(e->node, below);
}

/* --- what survives ----------------------------------------------------------------------- */

/* Of things that happened one after the other: how many did, the first of which are sure. */
static uint32_t
how_many(uint32_t sure, uint32_t all, uint64_t percent)
{
	return between(1, 100) <= percent ? all : percent > 0 ? (uint32_t)between(sure, all) : sure;
}

/* The bytes that a change touches, of a file that was this large before it. */
static void
range_of(const struct change *c, uint64_t size, uint64_t *from_out, uint64_t *to_out)
{
	*from_out = c->from;
	*to_out = c->data != NULL ? c->to : size > c->from ? size : c->from;
}

static uint64_t
size_after(const struct change *c, uint64_t size)
{
	return c->data == NULL ? c->from : c->to > size ? c->to : size;
}

/* Changes of a sector. */
struct sector {
	uint32_t all, sure;
};

/* The first so many changes of the file; what it is long then. */
static uint64_t
size_of(const struct node *n, uint32_t changes)
{
	uint64_t size = n->disk.size;

	for (uint32_t i = 0; i < changes; i++)
		size = size_after(&n->change[i], size);
	return size;
}

/* A sector has one of the contents that it had: some changes of it happened, and the later ones did not. */
static void
tear_file(struct node *n, uint64_t percent)
{
	uint64_t len = SECTOR_MIN << between(0, SECTOR_SHIFTS);
	uint64_t top = n->disk.size, size = top, from, to, final;
	struct sector *sector;
	uint32_t sure = 0;

	for (uint32_t i = 0; i < n->changes; i++) {
		top = n->change[i].to > top ? n->change[i].to : top;
		sure = n->change[i].is_dsync ? i + 1 : sure;
	}
	final = size_of(n, how_many(sure, n->changes, percent));
	sector = grab((size_t)(top / len + 1), sizeof(*sector));
	for (uint32_t i = 0; i < n->changes; size = size_after(&n->change[i++], size)) {
		range_of(&n->change[i], size, &from, &to);
		for (uint64_t s = from / len; s * len < to; s++) {
			sector[s].all++;
			if (n->change[i].is_dsync)
				sector[s].sure = sector[s].all;
		}
	}
	for (struct sector *s = sector; s <= sector + top / len; s++) {
		uint32_t happened = how_many(s->sure, s->all, percent);

		pw.totals.sectors += s->all > s->sure;
		pw.totals.sectors_lost += happened < s->all;
		s->all = happened;
	}
	size = n->disk.size;
	for (uint32_t i = 0; i < n->changes; size = size_after(&n->change[i++], size)) {
		const uint8_t *data = n->change[i].data;

		range_of(&n->change[i], size, &from, &to);
		for (uint64_t s = from / len; s * len < to; s++) {
			uint64_t a = s * len > from ? s * len : from;
			uint64_t b = (s + 1) * len < to ? (s + 1) * len : to;

			if (sector[s].all > 0 && sector[s].all--)
				image_put(
				    &n->disk, a, data != NULL ? data + (a - from) : NULL, b - a);
		}
	}
	image_put(&n->disk, final, NULL, top > final ? top - final : 0);
	n->disk.size = final;
	n->changes = 0;
	free(sector);
}

static void
tear(void)
{
	/* Nothing at all is what follows from most cuts, and all but a little is the hardest. */
	uint64_t files = between(0, 2) == 0 ? 0 : between(1, 99);
	uint64_t names = between(0, 2) == 0 ? 0 : between(1, 99);

	for (size_t i = 0; i < pw.steps; i++) {
		bool is_kept = between(1, 100) <= names;

		if (is_kept)
			tree_step(&pw.disk, &pw.step[i]);
		pw.totals.entries++;
		pw.totals.entries_lost += !is_kept;
	}
	pw.steps = 0;
	for (size_t i = 0; i < pw.nodes; i++)
		if (pw.node[i]->changes > 0)
			tear_file(pw.node[i], files);
}

/* --- making it so ------------------------------------------------------------------------ */

static void
remove_entry(const struct entry *e, const char *path)
{
	char below[PATH_ROOM];

	for (size_t i = 0; e->node->is_dir && i < pw.cache.n; i++)
		if (pw.cache.entry[i].dir == e->node) {
			path_join(below, path, pw.cache.entry[i].name);
			remove_entry(&pw.cache.entry[i], below);
		}
	if (unlinkat(AT_FDCWD, path, e->node->is_dir ? AT_REMOVEDIR : 0) != 0)
		fail("%s: %s", path, strerror(errno));
}

static void
write_file(const struct node *n, const char *path, bool is_there)
{
	int fd = file_open(
	    path, is_there ? O_RDWR : O_RDWR | O_CREAT | O_EXCL, n->mode != 0 ? n->mode : 0600);
	size_t blocks = (size_t)((n->disk.size + BLOCK - 1) / BLOCK);

	if (ftruncate(fd, (off_t)n->disk.size) != 0)
		fail("%s: %s", path, strerror(errno));
	for (size_t i = 0; i < blocks; i++) {
		const uint8_t *wanted = image_block(&n->disk, i);
		uint64_t rest = n->disk.size - i * BLOCK;
		size_t len = rest < BLOCK ? (size_t)rest : BLOCK;
		off_t at = (off_t)(i * BLOCK);
		uint8_t p[BLOCK];

		if (pread(fd, p, len, at) != (ssize_t)len ||
		    (memcmp(p, wanted, len) != 0 && pwrite(fd, wanted, len, at) != (ssize_t)len))
			fail("%s: %s", path, strerror(errno));
	}
	close(fd);
}

static void
write_dir(struct node *dir, const char *path, bool is_there)
{
	char below[PATH_ROOM];

	for (size_t i = 0; is_there && i < pw.cache.n; i++) {
		const struct entry *e = &pw.cache.entry[i];

		if (e->dir != dir || tree_has(&pw.disk, e))
			continue;
		path_join(below, path, e->name);
		remove_entry(e, below);
	}
	for (size_t i = 0; i < pw.disk.n; i++) {
		const struct entry *e = &pw.disk.entry[i];
		bool has = is_there && tree_has(&pw.cache, e);

		if (e->dir != dir)
			continue;
		path_join(below, path, e->name);
		if (e->node->is_dir) {
			if (!has && mkdir(below, e->node->mode != 0 ? e->node->mode : 0700) != 0)
				fail("%s: %s", below, strerror(errno));
			write_dir(e->node, below, has);
		} else {
			write_file(e->node, below, has);
		}
	}
}

/* --- all together ------------------------------------------------------------------------ */

static void
forget(void)
{
	for (size_t i = 0; i < pw.nodes; i++) {
		image_free(&pw.node[i]->disk);
		free(pw.node[i]->change);
		free(pw.node[i]);
	}
	pw.nodes = pw.disk.n = pw.cache.n = pw.steps = 0;
}

/* What is there is what is on the disk. */
static void
begin(void)
{
	struct stat st;

	if (stat(pw.above, &st) != 0)
		fail("%s: %s", pw.above, strerror(errno));
	pw.top = node_new(st.st_ino, true, st.st_mode & 07777);
	read_entry(pw.top, pw.above, store_name());
}

static void
journal_new(void)
{
	const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	pthread_mutexattr_t a;
	int fd;

	snprintf(pw.file, sizeof(pw.file), "%s/tbmq-power-XXXXXX", dir);
	fd = mkostemp(pw.file, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, JOURNAL_BYTES) != 0)
		fail("%s: %s", pw.file, strerror(errno));
	pw.journal = mmap(NULL, JOURNAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pw.journal == MAP_FAILED)
		fail("%s: %s", pw.file, strerror(errno));
	close(fd);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&pw.journal->lock, &a);
	pw.journal->room = JOURNAL_BYTES - sizeof(*pw.journal);
}

static void
remove_journal(void)
{
	unlink(pw.file);
}

void
power_init(const char *store, const char *library)
{
	char dir[PATH_ROOM], self[PATH_MAX] = "";
	const char *slash = strrchr(store, '/');

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash != NULL ? slash - store : 0), store);
	if (slash == NULL || slash[1] == '\0' ||
	    realpath(slash > store ? dir : "/", pw.above) == NULL)
		fail("%s: give a path without a / in the end, of a directory in one that exists",
		    store);
	snprintf(pw.store, sizeof(pw.store), "%s%s", pw.above[1] != '\0' ? pw.above : "", slash);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		fail("/proc/self/exe: %s", strerror(errno));
	*strrchr(self, '/') = '\0';
	path_join(dir, self, library);
	if (realpath(dir, pw.library) == NULL)
		fail("%s: %s", dir, strerror(errno));
	journal_new();
	atexit(remove_journal);
	begin();
}

void
power_fini(void)
{
	forget();
	free(pw.node);
	free(pw.step);
	free(pw.disk.entry);
	free(pw.cache.entry);
	munmap(pw.journal, JOURNAL_BYTES);
	remove_journal();
	memset(&pw, 0, sizeof(pw));
}

/* A sanitizer's library wants to be the first, and need not be. */
void
power_env(void)
{
	const char *options = getenv("ASAN_OPTIONS");
	char text[1024];

	if (pw.journal == NULL)
		return;
	snprintf(text, sizeof(text), "%s:verify_asan_link_order=0", options != NULL ? options : "");
	setenv("ASAN_OPTIONS", text, 1);
	setenv("LD_PRELOAD", pw.library, 1);
	setenv(POWER_STORE, pw.store, 1);
	setenv(POWER_JOURNAL, pw.file, 1);
}

void
power_hold(void)
{
	if (pw.journal != NULL)
		power_lock(pw.journal);
}

void
power_let_go(void)
{
	if (pw.journal != NULL)
		power_unlock(pw.journal);
}

void
power_cut(void)
{
	struct power_journal *j = pw.journal;
	uint64_t ops = j->used;

	if (j->trouble == POWER_FULL)
		fail("the journal of %s is full", pw.store);
	if (j->trouble == POWER_DIED)
		fail("a process died while it wrote to %s, by another hand than ours", pw.store);
	for (uint64_t at = 0; at < ops;) {
		const struct power_op *op = (const struct power_op *)(j->ops + at);

		take_op(op);
		at += power_op_size(op->data_len);
	}
	if (tree_find(&pw.cache, pw.top, store_name()) != NULL)
		check_entry(pw.top, pw.above, store_name());
	tear();
	write_dir(pw.top, pw.above, true);
	pw.totals.cuts++;
	forget();
	j->used = 0;
	/* The pages go back; the journal's own is the first. */
	if (madvise((uint8_t *)j + BLOCK, JOURNAL_BYTES - BLOCK, MADV_REMOVE) != 0)
		fail("%s: %s", pw.file, strerror(errno));
	begin();
}

struct power_totals
power_totals(void)
{
	return pw.totals;
}
