#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

static int file = -1; /* what children get */

static void
file_close(void)
{
	if (file >= 0)
		close(file);
	file = -1;
}

const char *
logfile_path(void)
{
	return master.conf.log_file.s[0] != '\0' ? master.conf.log_file.s : master.dirs.logfile;
}

static void
hand_on(struct slot *s)
{
	const struct msg_none none = { 0 };

	if (file >= 0)
		slot_send(s, IPC_LOG_FILE, &none, sizeof(none), &file, 1);
}

void
logfile_to(struct slot *s)
{
	struct msg_log_level m = { 0 };
	const char *module;

	hand_on(s);
	/* Also those that were set since the configuration was read. */
	for (unsigned i = 0; log_level_get(i, &module, &m.level); i++) {
		snprintf(m.module, sizeof(m.module), "%s", module);
		slot_send(s, IPC_LOG_LEVEL, &m, sizeof(m), NULL, 0);
	}
}

static int
file_open(void)
{
	const char *path = logfile_path();
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd < 0) {
		int err = -errno;

		log_err("logfile: cannot open %s: %s; set log_file to where the broker may write",
		    path, strerror(-err));
		return err;
	}
	file_close();
	file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	dup2(fd,
	    STDERR_FILENO); /* what libraries and sanitizers print, and children that are born */
	log_to(LOG_TO_FD, fd);
	return 0;
}

int
logfile_open(void)
{
	int err = 0;

	if (master.conf.log_target == LOG_TARGET_file) {
		err = file_open();
	} else {
		file_close();
		log_to(master.conf.log_target == LOG_TARGET_syslog ? LOG_TO_SYSLOG : LOG_TO_STDERR,
		    -1);
	}
	for (unsigned i = 0; err == 0 && i < SLOTS; i++)
		hand_on(&master.slot[i]);
	return err;
}

int
logfile_apply(void)
{
	log_levels_set(conf_log_level_of(master.conf.log_level), master.conf.log_modules.s);
	return logfile_open();
}
