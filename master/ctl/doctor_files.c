#include "master/ctl/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "master/ctl/fit.h"
#include "shared/base/log.h"

#define REMEDY (2 * PATH_MAX)

static const struct {
	unsigned long magic;
	const char *name;
	bool is_memory;
} odd[] = {
	{ TMPFS_MAGIC, "tmpfs", true },
	{ RAMFS_MAGIC, "ramfs", true },
	{ NFS_SUPER_MAGIC, "NFS", false },
	{ SMB_SUPER_MAGIC, "SMB", false },
	{ CIFS_SUPER_MAGIC, "CIFS", false },
	{ SMB2_SUPER_MAGIC, "SMB", false },
	{ CEPH_SUPER_MAGIC, "CephFS", false },
	{ AFS_SUPER_MAGIC, "AFS", false },
	{ AFS_FS_MAGIC, "AFS", false },
	{ CODA_SUPER_MAGIC, "Coda", false },
	{ V9FS_MAGIC, "9P", false },
	{ FUSE_SUPER_MAGIC, "FUSE", false },
	{ OCFS2_SUPER_MAGIC, "OCFS2", false },
	{ 0x0bd00bd0, "Lustre", false },
	{ 0x01161970, "GFS2", false },
};

enum kind { OPEN_TO_READ, SECRET };

struct watchman {
	json_t *findings;
	const struct household *house;
	uid_t user; /* of the children, if there is that user */
	bool has_user;
	unsigned seen, bad;
};

static const char *shown(const char *path);
static void look_at(struct watchman *w, const char *path, enum kind kind);
static void look_into(struct watchman *w, const char *dir);
static void look_at_listener(struct watchman *w, const struct conf_listener *l);
static void look_at_data(struct watchman *w);
static void look_at_disk(json_t *findings, const struct household *h);

void
doctor_files(json_t *findings, const struct household *h)
{
	const struct conf *c = h->conf;
	struct watchman w = {
		.findings = findings, .house = h, .user = geteuid(), .has_user = true
	};
	char dir[PATH_MAX];
	char *slash;

	if (!h->is_private && c->user.s[0] != '\0') {
		const struct passwd *p = getpwnam(c->user.s);

		if (p == NULL)
			fit_add(findings, FIT_PROBLEM, "user",
			    "systemd-sysusers, or useradd --system --user-group --no-create-home "
			    "--home-dir /var/lib/tbmq --shell /usr/sbin/nologin NAME",
			    "there is no user %s for the processes to run as",
			    log_esc(span_str(c->user.s)));
		else
			fit_add(findings, FIT_OK, "user", NULL, "%s is there",
			    log_esc(span_str(c->user.s)));
		w.has_user = p != NULL;
		w.user = p != NULL ? p->pw_uid : w.user;
	}
	if (h->conf_file[0] != '\0') {
		look_at(&w, h->conf_file, OPEN_TO_READ);
		snprintf(dir, sizeof(dir), "%s", h->conf_file);
		slash = strrchr(dir, '/');
		if (slash != NULL && slash != dir) {
			*slash = '\0';
			look_at(&w, dir, OPEN_TO_READ);
		}
	}
	look_at(&w, c->acl_file.s, OPEN_TO_READ);
	look_at(&w, c->jwt_secret_file.s, SECRET);
	look_at(&w, c->jwt_public_key.s, OPEN_TO_READ);
	look_at(&w, c->jwt_jwks_authorities.s, OPEN_TO_READ);
	look_at(&w, c->http_headers_file.s, SECRET);
	look_at(&w, c->http_authorities.s, OPEN_TO_READ);
	for (uint32_t i = 0; i < c->nlisteners; i++)
		look_at_listener(&w, &c->listener[i]);
	look_at_data(&w);
	if (w.bad == 0 && w.seen > 0)
		fit_add(findings, FIT_OK, "files", NULL,
		    "%u are nobody's to change, or to read if they are secret, who should not",
		    w.seen);
	look_at_disk(findings, h);
}

static void
look_at_listener(struct watchman *w, const struct conf_listener *l)
{
	struct stat st;
	bool is_dir = stat(l->certificate.s, &st) == 0 && S_ISDIR(st.st_mode);

	look_at(w, l->certificate.s,
	    l->certificate_key.s[0] == '\0' && !is_dir ? SECRET : OPEN_TO_READ);
	if (is_dir)
		look_into(w, l->certificate.s);
	look_at(w, l->certificate_key.s, SECRET);
	look_at(w, l->key_password_file.s, SECRET);
	look_at(w, l->psk_file.s, SECRET);
	look_at(w, l->client_authorities.s, OPEN_TO_READ);
	look_at(w, l->client_revocations.s, OPEN_TO_READ);
}

/* A directory of pairs NAME.crt and NAME.key. */
static void
look_into(struct watchman *w, const char *dir)
{
	char path[PATH_MAX + NAME_MAX + 2];
	const struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');

		if (dot == NULL || strcmp(dot, ".key") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		look_at(w, path, SECRET);
	}
	if (d != NULL)
		closedir(d);
}

/* As it is, so that a command can be copied; made harmless if there is more in it than names have. */
static const char *
shown(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+,:@%=";

	return path[strspn(path, plain)] == '\0' ? path : log_esc(span_str(path));
}

static void
bad_file(struct watchman *w, const char *path, const char *command, const char *what)
{
	char remedy[REMEDY];

	w->bad++;
	snprintf(remedy, sizeof(remedy), "%s %s", command, shown(path));
	fit_add(w->findings, FIT_PROBLEM, "files", remedy, "%s %s", shown(path), what);
}

/* What isn't there is not for here to say: the configuration is looked at as a whole. */
static void
look_at(struct watchman *w, const char *path, enum kind kind)
{
	struct stat st;

	if (path[0] == '\0' || stat(path, &st) != 0)
		return;
	w->seen++;
	if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != w->user)
		bad_file(w, path, "chown root", "belongs to a user who has nothing to do with it");
	if ((st.st_mode & S_IWOTH) != 0 && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		bad_file(w, path, "chmod o-w", "can be changed by everybody");
	if (kind == SECRET && (st.st_mode & S_IROTH) != 0)
		bad_file(w, path, "chmod o-rwx", "is secret, and everybody may read it");
}

static void
look_at_data(struct watchman *w)
{
	const char *path = w->house->data_dir;
	char owner[32];
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	w->seen++;
	if ((st.st_mode & S_IRWXO) != 0)
		bad_file(w, path, "chmod o-rwx",
		    "has all messages, and is open to everybody on this machine");
	if (st.st_uid == w->user || !w->has_user || w->house->is_private)
		return;
	snprintf(owner, sizeof(owner), "chown -R %u:", (unsigned)w->user);
	bad_file(w, path, owner, "does not belong to whom the store's process runs as");
}

/* --- the store's file system ---------------------------------------------------------------- */

static void
look_at_disk(json_t *findings, const struct household *h)
{
	uint64_t reserve = h->conf->store_reserve, least, has;
	char path[PATH_MAX], remedy[REMEDY];
	struct statvfs room;
	struct statfs fs;
	char *slash;

	snprintf(path, sizeof(path), "%s", h->data_dir);
	while (statfs(path, &fs) != 0 || statvfs(path, &room) != 0) {
		slash = strrchr(path, '/');
		if (slash == NULL || path[1] == '\0' || (errno != ENOENT && errno != EACCES))
			return;
		slash[slash == path] = '\0';
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if ((unsigned long)fs.f_type != odd[i].magic)
			continue;
		snprintf(remedy, sizeof(remedy), "data_dir = \"DIRECTORY\" of a local disk in %s",
		    h->conf_file[0] != '\0' ? h->conf_file : "the configuration");
		fit_add(findings,
		    odd[i].is_memory && h->conf->durability == DURABILITY_power && !h->is_private
			? FIT_PROBLEM
			: FIT_ADVICE,
		    "file system", remedy,
		    odd[i].is_memory
			? "the store in %s is on %s: nothing that was acknowledged outlives a "
			  "power failure"
			: "the store in %s is on %s: what is synced and locked there is another's "
			  "word, and waits for the network",
		    shown(h->data_dir), odd[i].name);
		break;
	}
	if (reserve == 0)
		reserve = h->conf->store_journal / 2;
	least = reserve + 2 * h->conf->store_journal;
	has = (uint64_t)room.f_bavail * room.f_frsize;
	snprintf(remedy, sizeof(remedy), "free %" PRIu64 " MiB there, or another data_dir in %s",
	    (least >> 20) + 1, h->conf_file[0] != '\0' ? h->conf_file : "the configuration");
	if (has < least)
		fit_add(findings, has < reserve ? FIT_PROBLEM : FIT_ADVICE, "room on the disk",
		    remedy,
		    "%" PRIu64 " MiB are free for the store in %s; its journal takes up to %" PRIu64
		    ", and with less than %" PRIu64 " left nothing more is kept",
		    has >> 20, shown(h->data_dir), h->conf->store_journal >> 19, reserve >> 20);
	else
		fit_add(findings, FIT_OK, "room on the disk", NULL, "%" PRIu64 " MiB are free",
		    has >> 20);
}
