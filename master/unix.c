/*
 * Unix sockets of listeners: one socket for all workers, and its file, which has an owner and a mode and is removed with it. A file is known by its
 * inode: what somebody else has put at its path since is not ours.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/log.h"

/* A name that is a number, which need not be anybody's. */
static bool
is_number(const char *name, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	if (strspn(name, "0123456789") != strlen(name) || n >= UINT32_MAX)
		return false;
	*out = (unsigned)n;
	return true;
}

static int
nobody(const struct listener *l, const char *key, const char *name, struct conf_error *err)
{
	snprintf(err->text, sizeof(err->text), "listeners.%.31s.%s: there is no \"%.32s\"",
	    l->conf.name.s, key, name);
	return -EINVAL;
}

int
unix_own(struct listener *l, struct conf_error *err)
{
	const char *owner = l->conf.owner.s, *name = l->conf.group.s;
	const struct passwd *p = owner[0] != '\0' ? getpwnam(owner) : NULL;
	const struct group *g = name[0] != '\0' ? getgrnam(name) : NULL;
	unsigned n;

	l->file.mode = (mode_t)strtoul(l->conf.mode.s, NULL, 8);
	l->file.uid = geteuid();
	l->file.gid = getegid();
	if (p != NULL) {
		l->file.uid = p->pw_uid;
		l->file.gid = p->pw_gid;
	} else if (owner[0] != '\0') {
		if (!is_number(owner, &n))
			return nobody(l, "owner", owner, err);
		l->file.uid = n;
	}
	if (g != NULL) {
		l->file.gid = g->gr_gid;
	} else if (name[0] != '\0') {
		if (!is_number(name, &n))
			return nobody(l, "group", name, err);
		l->file.gid = n;
	}
	return 0;
}

/* Who the file was made by is its owner already. */
static int
give(const struct listener *l)
{
	const struct unix_file *f = &l->file;
	struct stat st;

	if (lstat(l->conf.path.s, &st) != 0)
		return -errno;
	if (st.st_uid == f->uid && st.st_gid == f->gid)
		return 0;
	return lchown(l->conf.path.s, f->uid, f->gid) == 0 ? 0 : -errno;
}

static void
refused(const struct listener *l, int bad, struct conf_error *err)
{
	const char *why = bad == -EADDRINUSE
	    ? "somebody serves it: another program or another broker"
	    : bad == -EEXIST ? "there is something that is no socket"
			     : strerror(-bad);

	snprintf(err->text, sizeof(err->text), "listeners.%.31s.path: cannot listen on %s: %s",
	    l->conf.name.s, l->conf.path.s, why);
}

int
unix_bind(struct listener *l, struct conf_error *err)
{
	const char *path = l->conf.path.s;
	struct stat st;
	int bad = sock_unix_addr(path, &l->addr);

	if (bad == 0)
		bad = sock_unix_listen(path, l->file.mode, (int)l->conf.backlog, &l->fd[0]);
	if (bad != 0) {
		refused(l, bad, err);
		return bad;
	}
	if (lstat(path, &st) == 0) {
		l->file.dev = st.st_dev;
		l->file.ino = st.st_ino;
	}
	bad = give(l);
	if (bad != 0)
		snprintf(err->text, sizeof(err->text),
		    "listeners.%.31s.owner: cannot give %s to user %u and group %u: %s",
		    l->conf.name.s, path, l->file.uid, l->file.gid, strerror(-bad));
	return bad;
}

bool
unix_is_there(const struct listener *l)
{
	struct stat st;

	return lstat(l->conf.path.s, &st) == 0 && st.st_dev == l->file.dev &&
	    st.st_ino == l->file.ino;
}

void
unix_apply(const struct listener *l)
{
	int bad = -ENOENT;

	if (unix_is_there(l)) {
		bad = give(l);
		if (bad == 0 && chmod(l->conf.path.s, l->file.mode) != 0)
			bad = -errno;
	}
	if (bad != 0)
		log_err("listen: listener=%s: cannot change owner and mode of %s: %s",
		    l->conf.name.s, l->conf.path.s, strerror(-bad));
}

void
unix_unlink(const struct listener *l)
{
	if (unix_is_there(l) && unlink(l->conf.path.s) != 0)
		log_warning("listen: listener=%s: cannot remove %s: %s", l->conf.name.s,
		    l->conf.path.s, strerror(errno));
}
