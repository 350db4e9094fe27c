#include "shared/conf/dirs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUN_PATH_MAX 108

int
dirs_init(struct dirs *d, const char *dir, const char *conf)
{
	char here[PATH_MAX / 2];

	*d = (struct dirs){ .is_private = dir != NULL, .is_own_conf = conf == NULL };
	if (dir == NULL) {
		snprintf(d->conf, sizeof(d->conf), "%s", TBMQ_SYSCONFDIR "/tbmq/tbmq.conf");
		snprintf(d->run, sizeof(d->run), "/run/tbmq");
		snprintf(d->data, sizeof(d->data), "/var/lib/tbmq");
		snprintf(d->log, sizeof(d->log), "/var/log/tbmq");
	} else {
		if (dir[0] != '/') {
			if (getcwd(here, sizeof(here)) == NULL ||
			    strlen(here) + strlen(dir) + 2 > sizeof(d->dir))
				return -ENAMETOOLONG;
			snprintf(d->dir, sizeof(d->dir), "%.1000s/%.1000s", here, dir);
		} else if (strlen(dir) >= sizeof(d->dir)) {
			return -ENAMETOOLONG;
		} else {
			strcpy(d->dir, dir);
		}
		snprintf(d->conf, sizeof(d->conf), "%s/tbmq.conf", d->dir);
		snprintf(d->run, sizeof(d->run), "%s/run", d->dir);
		snprintf(d->data, sizeof(d->data), "%s/data", d->dir);
		snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	}
	if (conf != NULL && snprintf(d->conf, sizeof(d->conf), "%s", conf) >= (int)sizeof(d->conf))
		return -ENAMETOOLONG;
	snprintf(d->control, sizeof(d->control), "%.4000s/control.sock", d->run);
	snprintf(d->lock, sizeof(d->lock), "%.4000s/lock", d->run);
	snprintf(d->pid, sizeof(d->pid), "%.4000s/tbmqd.pid", d->run);
	snprintf(d->logfile, sizeof(d->logfile), "%.4000s/tbmq.log", d->log);
	if (strlen(d->control) >= SUN_PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}
