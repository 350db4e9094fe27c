/*
 * FILE.next is staged: it takes the place of FILE if a reload with it succeeds. FILE.previous is the one before the last
 * apply. FILE.unconfirmed is there while that apply is on trial: who finds it at a start has to go back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

void
conffile_path(const char *suffix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.4000s%s", master.dirs.conf, suffix);
}

int
conffile_stage(const char *from)
{
	char next[PATH_MAX], buf[65536];
	FILE *in = fopen(from, "re"), *out;
	struct stat st;
	size_t n;
	int err = 0;

	if (in == NULL)
		return -errno;
	conffile_path(".next", next);
	out = fopen(next, "we");
	if (out == NULL) {
		err = -errno;
		fclose(in);
		return err;
	}
	if (stat(master.dirs.conf, &st) == 0)
		(void)fchmod(fileno(out), st.st_mode & 07777);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		if (fwrite(buf, 1, n, out) != n)
			err = -EIO;
	if (ferror(in) || fflush(out) != 0 || fsync(fileno(out)) != 0)
		err = -EIO;
	fclose(in);
	if (fclose(out) != 0 && err == 0)
		err = -EIO;
	if (err != 0)
		unlink(next);
	return err;
}

void
conffile_discard(void)
{
	char next[PATH_MAX];

	conffile_path(".next", next);
	unlink(next);
}

static bool
mark_unconfirmed(void)
{
	char mark[PATH_MAX];
	int fd;
	bool done;

	conffile_path(".unconfirmed", mark);
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	done = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return done;
}

void
conffile_confirmed(void)
{
	char mark[PATH_MAX];

	conffile_path(".unconfirmed", mark);
	unlink(mark);
}

bool
conffile_is_unconfirmed(void)
{
	char mark[PATH_MAX];

	conffile_path(".unconfirmed", mark);
	return access(mark, F_OK) == 0;
}

void
conffile_replace(bool keeps_previous, bool is_unconfirmed)
{
	char next[PATH_MAX], previous[PATH_MAX], now[PATH_MAX];
	bool kept = true;

	conffile_path(".next", next);
	conffile_path(".previous", previous);
	conffile_path(".now", now);
	/* There is a whole file under the name at every moment, and the mark before what it is about. */
	unlink(now); /* of a master that was killed just here */
	if (keeps_previous)
		kept = link(master.dirs.conf, now) == 0 && rename(now, previous) == 0;
	if (kept && is_unconfirmed)
		kept = mark_unconfirmed();
	if (!kept || rename(next, master.dirs.conf) != 0)
		log_err("control: %s is in force, but cannot take the place of %s: %m", next,
		    master.dirs.conf);
	else if (!is_unconfirmed)
		conffile_confirmed();
}

int
conffile_go_back(void)
{
	char previous[PATH_MAX], next[PATH_MAX];
	int err;

	conffile_path(".previous", previous);
	conffile_path(".next", next);
	err = conffile_stage(previous);
	if (err == 0 && rename(next, master.dirs.conf) != 0)
		err = -errno;
	if (err == 0)
		conffile_confirmed();
	return err;
}
