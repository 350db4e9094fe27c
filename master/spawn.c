#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

/* What a child needs of the environment; nothing else is handed on. */
static const char *const kept[] = {
	"PATH",
	"TZ",
	"LANG",
	"JOURNAL_STREAM",
	"TBMQ_TEST_CLOCK",
	"ASAN_OPTIONS",
	"UBSAN_OPTIONS",
	"LSAN_OPTIONS",
	"TSAN_OPTIONS",
	"MALLOC_CONF",
};

#define KEPT (sizeof(kept) / sizeof(kept[0]))

static struct {
	bool other; /* than ours */
	uid_t uid;
	gid_t gid;
} user; /* that children run as */

int
spawn_init(void)
{
	const char *name = master.conf.user.s;
	const struct passwd *p;

	if (geteuid() != 0 || master.dirs.is_private || name[0] == '\0')
		return 0;
	p = getpwnam(name);
	if (p == NULL) {
		log_err("spawn: there is no user \"%s\" for the processes to run as; create it, or "
			"set user in %s",
		    name, master.dirs.conf);
		return -ENOENT;
	}
	user.other = true;
	user.uid = p->pw_uid;
	user.gid = p->pw_gid;
	return 0;
}

int
spawn_own(const char *dir)
{
	int err;

	if (!user.other || chown(dir, user.uid, user.gid) == 0)
		return 0;
	err = -errno;
	log_err("spawn: cannot give %s to user \"%s\": %s; set another user in %s", dir,
	    master.conf.user.s, strerror(-err), master.dirs.conf);
	return err;
}

/* Next to us, or where the package puts them. */
static int
find_exe(const char *name, char out[PATH_MAX])
{
	static const char *const places[] = { "", "../libexec/tbmq/" };
	char self[PATH_MAX], *dir;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	dir = dirname(self);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(out, PATH_MAX, "%.3900s/%s%s", dir, places[i], name);
		if (access(out, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static _Noreturn void
child(const char *exe, const char *title, int chan_fd, char **env)
{
	char *const argv[] = { (char *)(strrchr(exe, '/') + 1), (char *)title, NULL };
	sigset_t none;

	setpgid(0, 0); /* a terminal's interrupt is for the master, which ends us in order */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* Both may be in each other's place: move them out of the way first. */
	chan_fd = fcntl(chan_fd, F_DUPFD, 10);
	int lock = fcntl(master.lock, F_DUPFD, 10);
	if (chan_fd < 0 || lock < 0 || dup2(chan_fd, CHILD_CHAN_FD) < 0 ||
	    dup2(lock, CHILD_LOCK_FD) < 0)
		_exit(1);
	close_range(CHILD_LOCK_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	if (user.other &&
	    (setgroups(0, NULL) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0)) {
		log_err(
		    "spawn: process=%s cannot become user \"%s\": %m", title, master.conf.user.s);
		_exit(1);
	}
	execve(exe, argv, env);
	log_err("spawn: process=%s cannot run %s as user id %d: %m", title, exe, (int)geteuid());
	_exit(1);
}

int
spawn_child(struct slot *s, int chan_fd)
{
	const char *name = proc_info[proc_kind_of(s->n)].exe;
	char exe[PATH_MAX], *env[KEPT + 1];
	char *text[KEPT] = { NULL };
	size_t n = 0;
	pid_t pid;
	int err;

	err = find_exe(name, exe);
	if (err != 0) {
		log_err("spawn: cannot find %s next to tbmqd or in ../libexec/tbmq: %s", name,
		    strerror(-err));
		return err;
	}
	for (size_t i = 0; i < KEPT; i++) {
		const char *v = getenv(kept[i]);

		if (v != NULL && asprintf(&text[n], "%s=%s", kept[i], v) >= 0) {
			env[n] = text[n];
			n++;
		}
	}
	env[n] = NULL;
	pid = fork();
	err = pid < 0 ? -errno : 0;
	if (pid == 0)
		child(exe, proc_title(s->n), chan_fd, env);
	while (n > 0)
		free(text[--n]);
	if (err == 0)
		s->pid = pid;
	return err;
}
