#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

static int file = -1; /* what children get */

static void
levels(const struct conf *c)
{
	log_level_set(NULL, LOG_LEVEL_UNSET);
	log_level_set(NULL, conf_log_level_of(c->log_level));
}

void
logfile_to(struct slot *s)
{
	if (file >= 0 && s->pid > 0)
		slot_send(
		    s, IPC_LOG_FILE, &(struct msg_none){ 0 }, sizeof(struct msg_none), &file, 1);
}

int
logfile_open(void)
{
	const char *path =
	    master.conf.log_file.s[0] != '\0' ? master.conf.log_file.s : master.dirs.logfile;
	int fd;

	levels(&master.conf);
	if (master.foreground)
		return 0; /* whoever started it looks at stderr */
	if (master.conf.log_target == LOG_TARGET_syslog) {
		log_to(LOG_TO_SYSLOG, -1);
		return 0;
	}
	if (master.conf.log_target != LOG_TARGET_file)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0) {
		int err = -errno;

		log_err("logfile: cannot open %s: %s", path, strerror(-err));
		return err;
	}
	if (file >= 0)
		close(file);
	file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	log_to(LOG_TO_FD, fd);
	for (unsigned i = 0; i < SLOTS; i++)
		logfile_to(&master.slot[i]);
	return 0;
}
