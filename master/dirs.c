#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"
#include "shared/base/dir.h"
#include "shared/base/log.h"

#define LOCK_WAIT_MS 10000 /* children of a master that was killed are gone within a second */

static int sync_above(const char *path);

static int
make_dir(const char *path, mode_t mode)
{
	if (path[0] == '\0' || mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

/* The instance's file, for a directory that has none. One that was named and isn't there is a mistake. */
static int
write_conf(const struct dirs *d)
{
	struct conf c;
	FILE *f;
	int err;

	if (!d->is_private || !d->is_own_conf || access(d->conf, F_OK) == 0)
		return 0;
	f = fopen(d->conf, "wxe");
	if (f == NULL)
		return -errno;
	conf_defaults(&c);
	err = conf_write(&c, f);
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	return err;
}

int
dirs_make(const struct dirs *d)
{
	const char *const path[] = { d->dir, d->run, d->log };
	int err;

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		err = make_dir(path[i], 0755);
		if (err != 0) {
			log_err("dirs: cannot make %s: %s; %s", path[i], strerror(-err),
			    d->is_private
				? "use a directory that you may write to"
				: "start as root, or use --dir DIR for a broker of your own");
			return err;
		}
	}
	err = write_conf(d);
	if (err != 0)
		log_err("dirs: cannot write %s: %s", d->conf, strerror(-err));
	return err;
}

/* One that was there keeps its owner: it may be anything. */
int
dirs_make_data(const char *path)
{
	int err = 0;

	if (mkdir(path, 0750) == 0) {
		err = spawn_own(path);
		if (err != 0)
			rmdir(path);
	} else if (errno != EEXIST) {
		err = -errno;
		log_err("dirs: cannot make %s: %s; set data_dir to where the broker may write",
		    path, strerror(-err));
	}
	return err != 0 ? err : sync_above(path);
}

/* A store whose own name isn't on the disk goes with the power, all of it, whoever made the directory. */
static int
sync_above(const char *path)
{
	int err = dir_sync_parent(path);

	if (err == -ENOTDIR) /* who opens the store says so */
		return 0;
	if (err == -EACCES)
		log_warning(
		    "dirs: may not read the directory above %s: if it is new, a power cut may "
		    "undo that",
		    path);
	else if (err != 0)
		log_err("dirs: cannot sync the directory above %s: %s", path, strerror(-err));
	return err == -EACCES ? 0 : err;
}

int
dirs_lock(const struct dirs *d)
{
	uint64_t until = clock_now_us() / 1000 + LOCK_WAIT_MS;
	bool said = false;
	int fd = open(d->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600), control;

	if (fd < 0) {
		log_err("dirs: cannot open %s: %m; start the broker as the user that it belongs to",
		    d->lock);
		return -errno;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (sock_unix_connect(d->control, &control) == 0) {
			close(control);
			log_err(
			    "dirs: a broker runs in %s already; stop it with `tbmqctl%s%s stop`",
			    d->run, d->is_private ? " --dir " : "", d->dir);
			close(fd);
			return -EBUSY;
		}
		if (clock_now_us() / 1000 > until) {
			log_err("dirs: %s is held by processes of an earlier broker that do not "
				"end; look for tbmq-mqtt and tbmq-persist",
			    d->lock);
			close(fd);
			return -EBUSY;
		}
		if (!said)
			log_notice("dirs: waiting for the processes of an earlier broker to end");
		said = true;
		poll(NULL, 0, 50);
	}
	return fd;
}
