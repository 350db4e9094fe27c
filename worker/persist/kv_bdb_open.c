#include "worker/persist/kv_bdb_int.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"

#define LOG_BUFFER (UINT64_C(4) << 20)
#define CHECK_CACHE (UINT32_C(1) << 20)
#define COPY_MAX ((size_t)1 << 30)
#define SALVAGE_BATCH 1000        /* records a transaction */
#define SALVAGE_CPU_S 2           /* that it may take, */
#define SALVAGE_BYTES_S (1 << 20) /* and one more for each of these */
#define SALVAGE_LOOK_MS 2
#define PATH_ROOM (PATH_MAX + 128)

static struct {
	DB_ENV *env;
	DB_LOGC *cursor;
	uint32_t first; /* file of the log */
} reader;

/* Of one attempt to open, for the next. */
static struct {
	_Atomic int machine;    /* -errno that Berkeley DB has mentioned */
	bool recovers;          /* what it does then can't be undone */
	bool failed[KV_TABLES]; /* could not be opened */
	/* The name a table was given: what is good in it goes into its successor. */
	char aside[KV_TABLES][NAME_MAX];
} the;

static int recover(const struct kv_options *o);
static int env_open(const struct kv_options *o);
static int open_error(int err);
static bool has_whole_pages(DB *db, off_t size);
static int look_open(const char *dir, DB_ENV **env_out, DB **db_out);
static int set_table_aside(const char *dir, enum kv_table t);
static int rename_log_aside(const char *dir, const char *name);
static void aside_name(const char *name, char out[NAME_MAX]);
static int rename_aside(const char *dir, const char *name, char aside_out[NAME_MAX]);
static int copy(int in, int out);
static int reset_lsn(const char *dir, enum kv_table t);
static int salvage(enum kv_table t);
static int salvage_dump(const char *path, FILE *to);
static int salvage_child(const char *path, FILE *to);
static int salvage_load(enum kv_table t, FILE *from, uint64_t *n_out);
static ssize_t hex_line(char *line, ssize_t len);
static int reader_get(
    struct kv_lsn lsn, uint32_t how, uint32_t then, struct kv_lsn *lsn_out, struct span *out);
static int each_log(const char *dir, int (*f)(const char *dir, const char *name));
static uint32_t first_log(const char *dir);
static bool is_log_name(const char *name);
static void *bdb_malloc(size_t n);
static void *bdb_realloc(void *p, size_t n);
static void on_error(const DB_ENV *env, const char *prefix, const char *text);
static void on_message(const DB_ENV *env, const char *text);
static void on_progress(DB_ENV *env, int what, int percent);

int
bdb_open(const struct kv_options *o)
{
	char check[PATH_ROOM];
	int err;

	memset(&the.failed, 0, sizeof(the.failed));
	the.machine = 0;
	snprintf(bdb.dir, sizeof(bdb.dir), "%s", o->dir);
	snprintf(check, sizeof(check), "%s/" BDB_CHECK, o->dir);
	bdb.log_file_size = (uint32_t)o->log_file_size;
	err = pages_open(o->dir);
	if (err == 0 && access(check, F_OK) == 0) {
		log_notice(
		    "store: looking at all pages: the last run ended with a failure of the store");
		for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
			if (!bdb_has_whole_pages(o->dir, t))
				err = the.machine != 0 ? the.machine : -EUCLEAN;
	}
	if (err == 0)
		err = recover(o);
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++) {
		err = bdb_tree_open(t);
		the.failed[t] = err != 0;
	}
	pages_watch();
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
		if (the.aside[t][0] != '\0')
			err = salvage(t);
	/* What new tables' files have is known then. */
	if (err == 0)
		err = bdb_checkpoint();
	if (err != 0) {
		bdb_close();
		return err;
	}
	memset(&the, 0, sizeof(the));
	unlink(check);
	return 0;
}

int
bdb_set_aside(const struct kv_options *o, bool *has_log_out)
{
	int n = 0, err = 0;

	the.machine = 0;
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
		if (the.failed[t] || !bdb_has_whole_pages(o->dir, t)) {
			err = the.machine != 0 ? the.machine : set_table_aside(o->dir, t);
			n++;
		}
	if (n > 0 || err != 0)
		return err != 0 ? err : n;
	/* What recovery can't get over is the log then. */
	*has_log_out = false;
	return bdb_set_logs_aside(o->dir);
}

/* Berkeley DB makes a new one, or one that was cut short longer, without a word. */
int
bdb_lacking(const struct kv_options *o, bool *derived_out)
{
	uint64_t known[KV_TABLES];
	char path[PATH_ROOM];
	uint32_t log_file;
	int n = 0, err = 0;
	struct stat st;

	*derived_out = false;
	pages_known(o->dir, known, &log_file);
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++) {
		uint64_t size;

		snprintf(path, sizeof(path), "%s/%s", o->dir, bdb_table_file[t]);
		if (stat(path, &st) == 0)
			size = (uint64_t)st.st_size;
		else if (errno == ENOENT)
			size = 0;
		else
			return -errno;
		if (size > 0 && size >= known[t])
			continue;
		if (t == KV_EXPIRY) { /* nothing is lost by that, and once there was none */
			*derived_out = true;
			unlink(path);
			continue;
		}
		if (t == KV_KEPT && size == 0 && known[t] == 0) { /* once there was none either */
			unlink(path);
			continue;
		}
		log_err("store: %s file=%s", size == 0 ? "missing or empty" : "cut short", path);
		if (o->salvage && size == 0)
			unlink(path);
		else if (o->salvage)
			err = set_table_aside(o->dir, t);
		n++;
	}
	return err != 0 ? err : n;
}

uint32_t
bdb_known_log(const char *dir)
{
	uint64_t size[KV_TABLES];
	uint32_t log_file;

	pages_known(dir, size, &log_file);
	return log_file;
}

int
bdb_set_logs_aside(const char *dir)
{
	int n = each_log(dir, rename_log_aside), err = 0, tables;

	if (n <= 0)
		return n;
	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
		err = reset_lsn(dir, t);
	tables = err == 0 ? bdb_set_inconsistent_aside(dir) : err;
	return tables < 0 ? tables : n + tables;
}

int
bdb_set_inconsistent_aside(const char *dir)
{
	int n = 0, err = 0;

	for (enum kv_table t = 0; t < KV_TABLES && err == 0; t++)
		if (!bdb_is_consistent(dir, t)) {
			err = set_table_aside(dir, t);
			n++;
		}
	return err != 0 ? err : n;
}

int
bdb_copy_log_aside(const char *dir, uint32_t file)
{
	char from[PATH_ROOM], to[PATH_ROOM], name[NAME_MAX], aside[NAME_MAX];
	int in, out, err;

	snprintf(name, sizeof(name), KV_LOG_NAME, file);
	aside_name(name, aside);
	snprintf(from, sizeof(from), "%s/%s", dir, name);
	snprintf(to, sizeof(to), "%s/%s", dir, aside);
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 && errno == ENOENT) {
		log_err("store: missing file=%s", from);
		return 0;
	}
	if (in < 0)
		return -errno;
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = out >= 0 ? copy(in, out) : -errno;
	if (err == 0)
		log_err("store: damaged file=%s, a copy is in %s", from, aside);
	close(in);
	if (out >= 0)
		close(out);
	return err;
}

const char *
bdb_table_name(enum kv_table t)
{
	return bdb_table_file[t];
}

void
bdb_sizes(const char *dir, uint64_t *log_out, uint64_t *trees_out)
{
	uint64_t size[2] = { 0, 0 };
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		bool is_log = is_log_name(e->d_name);
		const char *dot = strrchr(e->d_name, '.');

		if ((is_log || (dot != NULL && strcmp(dot, ".db") == 0)) &&
		    fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			size[is_log] += (uint64_t)st.st_size;
	}
	if (d != NULL)
		closedir(d);
	*log_out = size[true];
	*trees_out = size[false];
}

/* --- recovery ----------------------------------------------------------------------------- */

static int
recover(const struct kv_options *o)
{
	char ballast[PATH_ROOM];
	int err = env_open(o);

	if (err != -ENOSPC && err != -EDQUOT)
		return err;
	the.machine = 0;
	snprintf(ballast, sizeof(ballast), "%s/" KV_BALLAST, o->dir);
	if (unlink(ballast) != 0)
		return err;
	log_warning("store: no space left to recover, removed %s", ballast);
	return env_open(o);
}

static int
env_open(const struct kv_options *o)
{
	uint64_t buffer = o->log_file_size / 4 < LOG_BUFFER ? o->log_file_size / 4 : LOG_BUFFER;
	DB_ENV *env;
	int err = bdb_env_new(&env);

	if (err != 0)
		return -err;
	env->app_private = (void *)o;
	if (o->progress != NULL)
		env->set_feedback(env, on_progress);
	env->set_cachesize(
	    env, (uint32_t)(o->cache_size >> 30), (uint32_t)(o->cache_size & 0x3fffffff), 1);
	env->set_lg_bsize(env, (uint32_t)buffer);
	env->set_lg_max(env, (uint32_t)o->log_file_size);
	the.recovers = true;
	/* One thread touches the trees: no locks. DB_THREAD is for the log and the checkpoints. */
	err = env->open(env, o->dir,
	    DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_MPOOL | DB_PRIVATE | DB_THREAD |
		DB_RECOVER,
	    0600);
	the.recovers = false;
	if (err != 0) {
		env->close(env, 0);
		return open_error(err);
	}
	bdb.env = env;
	return 0;
}

int
bdb_tree_open(enum kv_table t)
{
	DB *db;
	int err = db_create(&db, bdb.env, 0);

	if (err != 0)
		return -err;
	bdb.tree[t] = db;
	bdb.value[t].flags = DB_DBT_REALLOC;
	bdb.at[t].value.flags = DB_DBT_REALLOC;
	err = db->set_flags(db, DB_CHKSUM);
	if (err == 0)
		err = db->set_pagesize(db, BDB_PAGE_SIZE);
	if (err == 0)
		err = db->open(
		    db, NULL, bdb_table_file[t], NULL, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT, 0600);
	return open_error(err);
}

/*
 * The machine's fault, or the file's? Recovery says of both that it needs recovery; to take a full
 * disk for damage would be to throw the log away.
 */
static int
open_error(int err)
{
	if (err != 0 && the.machine != 0)
		return the.machine;
	switch (err) {
	case DB_OLD_VERSION:
	case DB_VERSION_MISMATCH:
		return -EPROTO;
	case EINVAL:
	case ENOENT:
		return -EUCLEAN;
	default:
		return err < 0 ? -EUCLEAN : -err;
	}
}

/* --- damage ------------------------------------------------------------------------------- */

/*
 * Reads all pages, which checks their checksums, in an environment of its own: the first bad one
 * ends it. A table that isn't there yet is whole.
 */
bool
bdb_has_whole_pages(const char *dir, enum kv_table t)
{
	char path[PATH_ROOM];
	DB_ENV *env = NULL;
	bool is_good = false;
	struct stat st;
	DB *db = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, bdb_table_file[t]);
	if (stat(path, &st) != 0 || st.st_size == 0)
		return true;
	if (bdb_env_new(&env) == 0 && env->set_cachesize(env, 0, CHECK_CACHE, 1) == 0 &&
	    env->open(env, dir, DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE, 0) == 0 &&
	    db_create(&db, env, 0) == 0)
		is_good =
		    db->open(db, NULL, bdb_table_file[t], NULL, DB_BTREE, DB_RDONLY, 0) == 0 &&
		    has_whole_pages(db, st.st_size);
	if (db != NULL)
		db->close(db, DB_NOSYNC);
	if (env != NULL)
		env->close(env, 0);
	return is_good;
}

static bool
has_whole_pages(DB *db, off_t size)
{
	DB_MPOOLFILE *file = db->get_mpf(db);
	uint32_t page_size;
	void *page;

	/* The file may lack pages that recovery is still to make. */
	if (db->get_pagesize(db, &page_size) != 0)
		return false;
	for (db_pgno_t i = 0; i < (db_pgno_t)(size / page_size); i++)
		if (file->get(file, &i, NULL, 0, &page) != 0 ||
		    file->put(file, page, DB_PRIORITY_VERY_LOW, 0) != 0)
			return false;
	return true;
}

/* Whether the pages of a tree fit together, which they need not do without the log. */
bool
bdb_is_consistent(const char *dir, enum kv_table t)
{
	char path[PATH_ROOM];
	bool is_good;
	DB_ENV *env;
	DB *db;

	snprintf(path, sizeof(path), "%s/%s", dir, bdb_table_file[t]);
	if (access(path, F_OK) != 0)
		return true;
	if (look_open(dir, &env, &db) != 0)
		return false;
	is_good = db->verify(db, path, NULL, NULL, 0) == 0; /* also closes */
	env->close(env, 0);
	return is_good;
}

/* To verify a table. What that keeps in files of its own meanwhile is beside the tables, not where everybody has his. */
static int
look_open(const char *dir, DB_ENV **env_out, DB **db_out)
{
	DB_ENV *env;
	int err = bdb_env_new(&env);

	if (err != 0)
		return err;
	err = env->set_tmp_dir(env, dir);
	if (err == 0)
		err = env->set_cachesize(env, 0, CHECK_CACHE, 1);
	if (err == 0)
		err = env->open(env, dir, DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE, 0);
	if (err == 0)
		err = db_create(db_out, env, 0);
	if (err != 0)
		env->close(env, 0);
	else
		*env_out = env;
	return err;
}

static int
set_table_aside(const char *dir, enum kv_table t)
{
	return rename_aside(dir, bdb_table_file[t], the.aside[t]);
}

static int
rename_log_aside(const char *dir, const char *name)
{
	char aside[NAME_MAX];

	return rename_aside(dir, name, aside);
}

static void
aside_name(const char *name, char out[NAME_MAX])
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	snprintf(out, NAME_MAX, "%s.damaged-%s", name, when);
}

static int
rename_aside(const char *dir, const char *name, char aside_out[NAME_MAX])
{
	char from[PATH_ROOM], to[PATH_ROOM];

	aside_name(name, aside_out);
	snprintf(from, sizeof(from), "%s/%s", dir, name);
	snprintf(to, sizeof(to), "%s/%s", dir, aside_out);
	if (rename(from, to) != 0)
		return -errno;
	log_err("store: damaged file=%s set aside as %s", from, aside_out);
	return 0;
}

static int
copy(int in, int out)
{
	ssize_t n;

	do
		n = sendfile(out, in, NULL, COPY_MAX);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

/* A page says how far into the log it goes; a new log begins at 1. */
static int
reset_lsn(const char *dir, enum kv_table t)
{
	char path[PATH_ROOM];
	DB_ENV *env;
	int err;

	snprintf(path, sizeof(path), "%s/%s", dir, bdb_table_file[t]);
	if (access(path, F_OK) != 0)
		return 0;
	err = bdb_env_new(&env);
	if (err != 0)
		return -err;
	err = env->open(env, dir, DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE, 0);
	if (err == 0)
		err = env->lsn_reset(env, bdb_table_file[t], 0);
	env->close(env, 0);
	return open_error(err);
}

/* --- salvage ------------------------------------------------------------------------------ */

/* What can be read of a table that was set aside goes into the new one. */
static int
salvage(enum kv_table t)
{
	char path[PATH_ROOM], dump[PATH_ROOM];
	uint64_t n = 0;
	FILE *f;
	int err;

	snprintf(path, sizeof(path), "%s/%s", bdb.dir, the.aside[t]);
	snprintf(dump, sizeof(dump), "%s/dump", bdb.dir);
	f = fopen(dump, "w+e");
	if (f == NULL)
		return -errno;
	unlink(dump);
	err = salvage_dump(path, f);
	if (err == 0)
		err = salvage_load(t, f, &n);
	fclose(f);
	if (err == 0)
		log_err("store: salvaged table=%s records=%" PRIu64 " from=%s, the rest is lost",
		    bdb_table_file[t], n, the.aside[t]);
	return err;
}

/*
 * In a process of its own: of some damage Berkeley DB makes an endless loop, of other it might die. What it had
 * found until then counts.
 */
static int
salvage_dump(const char *path, FILE *to)
{
	const struct kv_options *o = bdb.env->app_private;
	rlim_t seconds;
	struct stat st;
	int status;
	pid_t pid;

	if (stat(path, &st) != 0)
		return -errno;
	seconds = SALVAGE_CPU_S + (rlim_t)st.st_size / SALVAGE_BYTES_S;
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CPU, &(struct rlimit){ seconds, seconds });
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		_exit(salvage_child(path, to));
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (o->progress != NULL && fstat(fileno(to), &st) == 0)
			o->progress(o->arg, "salvage", (uint64_t)st.st_size, 0);
		poll(NULL, 0, SALVAGE_LOOK_MS);
	}
	if (WIFSIGNALED(status))
		log_err("store: Berkeley DB did not come to the end of %s: %s", path,
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		return -WEXITSTATUS(status);
	rewind(to);
	return 0;
}

/* 0 or an errno. */
static int
salvage_child(const char *path, FILE *to)
{
	DB_ENV *env;
	DB *db;
	int err = look_open(bdb.dir, &env, &db);

	if (err != 0)
		return err > 0 ? err : EIO;
	setlinebuf(to);
	/* That it is damaged is known. */
	db->verify(db, path, NULL, to, DB_SALVAGE);
	return ferror(to) || fflush(to) != 0 ? ENOSPC : 0;
}

/* Lines of data begin with a blank; keys and values in hexadecimal take turns. */
static int
salvage_load(enum kv_table t, FILE *from, uint64_t *n_out)
{
	char *line[2] = { NULL, NULL };
	size_t room[2] = { 0, 0 };
	ssize_t len[2];
	unsigned turn = 0;
	uint64_t n = 0;
	int err = bdb_begin();

	while (err == 0 && (len[turn] = getline(&line[turn], &room[turn], from)) > 0) {
		if (line[turn][0] != ' ')
			continue;
		len[turn] = hex_line(line[turn], len[turn]);
		turn = !turn;
		if (turn != 0 || len[0] <= 0 || len[0] > KV_KEY_MAX || len[1] < 0)
			continue;
		err =
		    bdb_put(t, span_of(line[0], (size_t)len[0]), span_of(line[1], (size_t)len[1]));
		if (++n % SALVAGE_BATCH == 0) {
			err = bdb_end(err);
			if (err == 0)
				err = bdb_begin();
		}
	}
	if (bdb.txn != NULL)
		err = bdb_end(err);
	free(line[0]);
	free(line[1]);
	*n_out = n;
	return err;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place, without the blank; gives the number of bytes, -1: not hexadecimal. */
static ssize_t
hex_line(char *line, ssize_t len)
{
	ssize_t n = 0;

	if (line[len - 1] == '\n')
		len--;
	for (ssize_t i = 1; i < len; i += 2) {
		int hi = hex_digit(line[i]), lo = i + 1 < len ? hex_digit(line[i + 1]) : -1;

		if (hi < 0 || lo < 0)
			return -1;
		line[n++] = (char)(hi << 4 | lo);
	}
	return n;
}

/* --- the log alone ------------------------------------------------------------------------ */

int
bdb_reader_open(const char *dir, struct kv_lsn *end_out)
{
	int n = each_log(dir, NULL);

	the.machine = 0;
	if (n <= 0)
		return n < 0 ? n : -ENOENT;
	return bdb_reader_again(dir, end_out);
}

int
bdb_reader_again(const char *dir, struct kv_lsn *end_out)
{
	DB_LSN last = { 0, 0 };
	DBT record = { 0 };
	int err;

	bdb_reader_close();
	reader.first = first_log(dir);
	err = bdb_env_new(&reader.env);
	if (err != 0)
		return -err;
	err = reader.env->open(reader.env, dir, DB_CREATE | DB_INIT_LOG | DB_PRIVATE, 0600);
	if (err == 0)
		err = reader.env->log_cursor(reader.env, &reader.cursor, 0);
	if (err == 0)
		err = reader.cursor->get(reader.cursor, &last, &record, DB_LAST);
	/* It takes a log that it can't read for one that ends there, and mentions why. */
	if (the.machine != 0 || (err != 0 && err != DB_NOTFOUND)) {
		bdb_reader_close();
		return the.machine != 0 ? the.machine : open_error(err);
	}
	*end_out = (struct kv_lsn){ last.file, last.offset };
	return 0;
}

void
bdb_reader_close(void)
{
	if (reader.cursor != NULL)
		reader.cursor->close(reader.cursor, 0);
	if (reader.env != NULL)
		reader.env->close(reader.env, 0);
	reader.cursor = NULL;
	reader.env = NULL;
}

int
bdb_reader_last(struct kv_lsn *lsn_out, struct span *out)
{
	return reader_get((struct kv_lsn){ 0, 0 }, DB_LAST, DB_PREV, lsn_out, out);
}

int
bdb_reader_seek(struct kv_lsn lsn, struct kv_lsn *lsn_out, struct span *out)
{
	int got = reader_get(lsn, lsn.file == 0 ? DB_FIRST : DB_SET, DB_NEXT, lsn_out, out);

	if (got == -EUCLEAN && lsn_out->file == 0)
		lsn_out->file = reader.first;
	return got;
}

int
bdb_reader_next(struct kv_lsn *lsn_out, struct span *out)
{
	return reader_get(*lsn_out, DB_NEXT, DB_NEXT, lsn_out, out);
}

/* The first record of ours on the way. A damaged one is in the file of the last that was not, or
 * in the next. */
static int
reader_get(struct kv_lsn lsn, uint32_t how, uint32_t then, struct kv_lsn *lsn_out, struct span *out)
{
	DB_LSN at = { lsn.file, lsn.offset };
	DBT record = { 0 };
	uint32_t type;
	int err;

	for (;; how = then) {
		err = reader.cursor->get(reader.cursor, &at, &record, how);
		if (err != 0) {
			*lsn_out = lsn;
			if (err == DB_NOTFOUND)
				return 0;
			return the.machine != 0 ? the.machine : -EUCLEAN;
		}
		lsn = (struct kv_lsn){ at.file, at.offset };
		if (record.size < sizeof(type))
			continue;
		memcpy(&type, record.data, sizeof(type));
		if (le32toh(type) == KV_RECORD_TYPE)
			break;
	}
	*lsn_out = lsn;
	*out = span_of(record.data, record.size);
	return 1;
}

/* --- helpers ------------------------------------------------------------------------------ */

/* How many log files there are, or -errno, f's too. f may be NULL. */
static int
each_log(const char *dir, int (*f)(const char *dir, const char *name))
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0, err = 0;

	if (d == NULL)
		return -errno;
	while (err == 0 && (e = readdir(d)) != NULL) {
		if (!is_log_name(e->d_name))
			continue;
		if (f != NULL)
			err = f(dir, e->d_name);
		n++;
	}
	closedir(d);
	return err != 0 ? err : n;
}

/* Its number; 0: there is none. */
static uint32_t
first_log(const char *dir)
{
	DIR *d = opendir(dir);
	uint32_t first = 0, file;
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!is_log_name(e->d_name))
			continue;
		file = (uint32_t)strtoul(e->d_name + 4, NULL, 10);
		if (first == 0 || file < first)
			first = file;
	}
	if (d != NULL)
		closedir(d);
	return first;
}

/* "log.0000000001" and nothing behind it. */
static bool
is_log_name(const char *name)
{
	return strncmp(name, "log.", 4) == 0 && strspn(name + 4, "0123456789") == 10 &&
	    name[14] == '\0';
}

int
bdb_env_new(DB_ENV **env_out)
{
	DB_ENV *env;
	int err;

	db_env_set_func_malloc(bdb_malloc);
	db_env_set_func_realloc(bdb_realloc);
	err = db_env_create(&env, 0);
	if (err != 0)
		return err;
	env->set_errcall(env, on_error);
	env->set_msgcall(env, on_message);
	*env_out = env;
	return 0;
}

/*
 * Berkeley DB doesn't get over it: it follows null pointers while it opens, and takes a log that it
 * has no memory to read for one that ends there. A successor finds all as it was.
 */
static void *
has_memory(void *p)
{
	if (p != NULL)
		return p;
	log_err("store: no memory for Berkeley DB, and it can't do without");
	_exit(1);
}

static void *
bdb_malloc(size_t n)
{
	return has_memory(malloc(n));
}

static void *
bdb_realloc(void *p, size_t n)
{
	return has_memory(realloc(p, n));
}

/* A panic repeats itself for each call that is still to fail. */
static void
on_error(const DB_ENV *env, const char *prefix, const char *text)
{
	static const int machine[] = { ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE, EACCES, EROFS };

	(void)env;
	(void)prefix;
	for (size_t i = 0; i < sizeof(machine) / sizeof(machine[0]); i++)
		if (strstr(text, strerror(machine[i])) != NULL)
			the.machine = -machine[i];
	/* With a panic it says the same of what it can read but not make out. */
	if (strstr(text, " read: ") != NULL && strstr(text, strerror(EIO)) != NULL)
		the.machine = -EIO;
	log_every(10, LOG_ERR, "store: Berkeley DB says: %s", text);
	/* The log would be cut off where it can't be read. */
	if (the.recovers && the.machine == -EIO) {
		log_err("store: cannot read the log, nothing is changed");
		_exit(1);
	}
}

static void
on_message(const DB_ENV *env, const char *text)
{
	(void)env;
	log_every(1, LOG_INFO, "store: Berkeley DB says: %s", text);
}

static void
on_progress(DB_ENV *env, int what, int percent)
{
	const struct kv_options *o = env->app_private;

	if (what == DB_RECOVER)
		o->progress(o->arg, "recovery", (uint64_t)percent, 100);
}
