/*
 * tbmqctl store restore - a backup becomes the store of a broker that doesn't run
 *
 * The copy is made beside the store's place and takes it whole: whenever this is cut off, there is the
 * old store, or none, or the new one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "master/ctl/ctl.h"
#include "shared/base/dir.h"
#include "shared/conf/conf.h"

#define PIECE ((size_t)16 << 20)
#define ROOM (PATH_MAX + NAME_MAX + 16)

static struct {
	char from[PATH_MAX], data[PATH_MAX], beside[ROOM], aside[ROOM];
	int lock, store_lock; /* nobody may start a broker meanwhile */
	uid_t uid;            /* whose it is to be */
	gid_t gid;
	uint64_t done, all;
} the;

static int find_data(void);
static int keep_out(void);
static bool has_store(void);
static int each_file(int (*f)(const char *name, uint64_t size));
static int look_at(const char *name, uint64_t size);
static int copy(const char *name, uint64_t size);
static int fill_beside(void);
static int take_place(void);
static void discard(const char *dir);
static int give(int fd);

int
cmd_store_restore(int argc, char **argv)
{
	bool force = ctl_option("--force") != NULL;
	int code;

	(void)argc;
	snprintf(the.from, sizeof(the.from), "%s", argv[0]);
	code = find_data();
	if (code == DONE)
		code = keep_out();
	if (code == DONE && has_store() && !force)
		code = ctl_complain(
		    FAILED, "there is a store in %s; with --force it is kept aside", the.data);
	if (code == DONE)
		code = each_file(look_at);
	if (code == DONE)
		code = fill_beside();
	if (code == DONE)
		code = take_place();
	if (code != DONE)
		return code;
	if (ctl.json)
		return ctl_done();
	printf("%s: restored, %llu bytes\n", the.data, (unsigned long long)the.done);
	if (the.aside[0] != '\0')
		printf("what was there is in %s\n", the.aside);
	return DONE;
}

/* --- where, and whether ------------------------------------------------------------------- */

static int
find_data(void)
{
	static struct conf c;
	struct conf_error err;
	const char *env = getenv("TBMQ_DATA_DIR"), *data = ctl.dirs.data, *user = "";
	const struct passwd *p;
	struct stat st;

	if (access(ctl.dirs.conf, F_OK) == 0) {
		if (conf_parse(ctl.dirs.conf, &c, &err) != 0)
			return ctl_complain(FAILED, "%s", err.text);
		if (c.data_dir.s[0] != '\0')
			data = c.data_dir.s;
		user = c.user.s;
	}
	if (env != NULL && env[0] != '/')
		return ctl_complain(FAILED, "TBMQ_DATA_DIR: must be an absolute path");
	if (env != NULL)
		data = env;
	snprintf(the.data, sizeof(the.data), "%s", data);
	if (stat(the.data, &st) == 0) {
		the.uid = st.st_uid;
		the.gid = st.st_gid;
	} else if (!ctl.dirs.is_private && (p = getpwnam(user)) != NULL) {
		the.uid = p->pw_uid;
		the.gid = p->pw_gid;
	} else {
		the.uid = geteuid();
		the.gid = getegid();
	}
	snprintf(the.beside, sizeof(the.beside), "%s.restore", the.data);
	return DONE;
}

/* The instance's lock is the master's and its children's, the store's that of persist. */
static int
keep_out(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[ROOM];

	the.lock = open(ctl.dirs.lock, O_RDWR | O_CLOEXEC);
	if (the.lock < 0 && errno != ENOENT)
		return ctl_complain(FAILED, "cannot open %s: %s; only root and its owner may",
		    ctl.dirs.lock, strerror(errno));
	if (the.lock >= 0 && flock(the.lock, LOCK_EX | LOCK_NB) != 0)
		return ctl_complain(FAILED, "a broker runs in %s; stop it with `tbmqctl%s%s stop`",
		    ctl.dirs.run, ctl.dirs.is_private ? " --dir " : "", ctl.dirs.dir);
	snprintf(path, sizeof(path), "%s/lock", the.data);
	the.store_lock = open(path, O_RDWR | O_CLOEXEC);
	if (the.store_lock < 0 && errno != ENOENT)
		return ctl_complain(FAILED, "cannot open %s: %s", path, strerror(errno));
	if (the.store_lock >= 0 && fcntl(the.store_lock, F_SETLK, &whole) != 0)
		return ctl_complain(FAILED, "%s is in use by a running broker", the.data);
	return DONE;
}

/* Whatever is in there, but for what each start makes. */
static bool
has_store(void)
{
	DIR *d = opendir(the.data);
	struct dirent *e;
	bool has = false;

	while (d != NULL && (e = readdir(d)) != NULL)
		has |= strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "lock") != 0 && strcmp(e->d_name, "ballast") != 0;
	if (d != NULL)
		closedir(d);
	return has;
}

/* --- the backup --------------------------------------------------------------------------- */

/* A line of its manifest each. */
static int
each_file(int (*f)(const char *name, uint64_t size))
{
	char path[ROOM], name[NAME_MAX + 1];
	unsigned long long size;
	FILE *manifest;
	int code = DONE;

	snprintf(path, sizeof(path), "%s/manifest", the.from);
	manifest = fopen(path, "re");
	if (manifest == NULL)
		return ctl_complain(
		    FAILED, "%s is no whole backup: %s: %s", the.from, path, strerror(errno));
	while (code == DONE && fscanf(manifest, "%255s %llu", name, &size) == 2)
		code = strchr(name, '/') == NULL && name[0] != '.'
		    ? f(name, size)
		    : ctl_complain(FAILED, "%s names a file that cannot be: %s", path, name);
	fclose(manifest);
	return code;
}

static int
look_at(const char *name, uint64_t size)
{
	char path[ROOM];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", the.from, name);
	if (stat(path, &st) != 0)
		return ctl_complain(
		    FAILED, "%s is no whole backup: %s: %s", the.from, name, strerror(errno));
	if ((uint64_t)st.st_size != size)
		return ctl_complain(FAILED,
		    "%s is not as it was made: %s has another size; was a broker started on it?",
		    the.from, name);
	the.all += size;
	return DONE;
}

static int
copy(const char *name, uint64_t size)
{
	char from[ROOM], to[2 * ROOM];
	int in, out;
	ssize_t n = -1;
	bool good;

	(void)size;
	snprintf(from, sizeof(from), "%s/%s", the.from, name);
	snprintf(to, sizeof(to), "%s/%s", the.beside, name);
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && (n = sendfile(out, in, NULL, PIECE)) > 0) {
		the.done += (uint64_t)n;
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rcopy %d %%\033[K",
			    (int)(the.all > 0 ? the.done * 100 / the.all : 100));
	}
	good = n == 0 && give(out) == 0 && fsync(out) == 0;
	if (!good)
		ctl_complain(FAILED, "cannot copy %s to %s: %s", from, to, strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return good ? DONE : FAILED;
}

/* --- its new place ------------------------------------------------------------------------ */

static int
fill_beside(void)
{
	int code, fd = -1;

	discard(the.beside); /* of one that was cut off */
	if (mkdir(the.beside, 0750) == 0)
		fd = open(the.beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || give(fd) != 0)
		code = ctl_complain(FAILED, "cannot make %s: %s", the.beside, strerror(errno));
	else
		code = each_file(copy);
	if (fd >= 0)
		close(fd);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (code != DONE)
		discard(the.beside);
	return code;
}

static int
take_place(void)
{
	bool keeps = has_store();
	char when[32];
	time_t now = time(NULL);
	int err = dir_sync(the.beside);
	struct tm tm;

	if (err != 0)
		return ctl_complain(FAILED, "cannot sync %s: %s", the.beside, strerror(-err));
	if (keeps) {
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
		snprintf(the.aside, sizeof(the.aside), "%s.before-%s", the.data, when);
		if (rename(the.data, the.aside) != 0)
			return ctl_complain(FAILED, "cannot rename %s to %s: %s", the.data,
			    the.aside, strerror(errno));
	} else {
		discard(the.data);
	}
	if (rename(the.beside, the.data) != 0) {
		ctl_complain(
		    FAILED, "cannot rename %s to %s: %s", the.beside, the.data, strerror(errno));
		if (keeps)
			rename(the.aside, the.data);
		return FAILED;
	}
	err = dir_sync_parent(the.data);
	if (err != 0)
		return ctl_complain(
		    FAILED, "cannot sync what %s is in: %s", the.data, strerror(-err));
	return DONE;
}

static void
discard(const char *dir)
{
	dir_empty(dir);
	rmdir(dir);
}

/* Root restores for the user that the broker's children run as; others can't, and their own it is. */
static int
give(int fd)
{
	return geteuid() == 0 ? fchown(fd, the.uid, the.gid) : 0;
}
