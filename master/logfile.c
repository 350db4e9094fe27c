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
logfile_path(const struct conf *c)
{
	return c->log_file.s[0] != '\0' ? c->log_file.s : master.dirs.logfile;
}

/* A descriptor, or -errno with *err. */
static int
file_open(const struct conf *c, struct conf_error *err)
{
	const char *path = logfile_path(c);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	if (fd >= 0)
		return fd;
	fd = -errno;
	snprintf(err->text, sizeof(err->text),
	    "cannot open %.300s: %s; set log_file to where the broker may write", path,
	    strerror(-fd));
	return fd;
}

int
logfile_check(const struct conf *c, struct conf_error *err)
{
	int fd = c->log_target == LOG_TARGET_file ? file_open(c, err) : 0;

	if (fd > 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* To syslog each has a socket of its own, so that none fills that of another. */
void
logfile_to(struct slot *s)
{
	const struct msg_none none = { 0 };
	int fd;

	if (file >= 0)
		slot_send(s, IPC_LOG_FILE, &none, sizeof(none), &file, 1);
	if (master.conf.log_target != LOG_TARGET_syslog || s->pid <= 0)
		return;
	fd = log_syslog_socket();
	if (fd < 0) {
		log_err("logfile: no socket for process=%s: %s", proc_title(s->n), strerror(-fd));
		return;
	}
	slot_send(s, IPC_LOG_SYSLOG, &none, sizeof(none), &fd, 1);
	close(fd);
}

void
logfile_levels_to(struct slot *s)
{
	struct msg_log_level m = { 0 };
	const char *module;

	/* Also those that were set since the configuration was read. */
	for (unsigned i = 0; log_level_get(i, &module, &m.level); i++) {
		snprintf(m.module, sizeof(m.module), "%s", module);
		slot_send(s, IPC_LOG_LEVEL, &m, sizeof(m), NULL, 0);
	}
}

int
logfile_open(void)
{
	struct conf_error err;
	int fd;

	if (master.conf.log_target == LOG_TARGET_file) {
		fd = file_open(&master.conf, &err);
		if (fd < 0) {
			log_err("logfile: %s", err.text);
			return fd;
		}
		file_close();
		file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		dup2(fd,
		    STDERR_FILENO); /* libraries and sanitizers print there; children inherit it */
		log_to(LOG_TO_FD, fd);
	} else {
		file_close();
		fd = master.conf.log_target == LOG_TARGET_syslog ? log_syslog_socket() : -1;
		if (fd < 0 && master.conf.log_target == LOG_TARGET_syslog)
			return fd;
		log_to(fd >= 0 ? LOG_TO_SYSLOG : LOG_TO_STDERR, fd);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		logfile_to(&master.slot[i]);
	return 0;
}

int
logfile_apply(void)
{
	log_levels_set(conf_log_level_of(master.conf.log_level), master.conf.log_modules.s);
	return logfile_open();
}
