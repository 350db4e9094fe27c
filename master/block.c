/*
 * Whom an administrator has blocked. The master keeps it itself, beside its configuration: it has to be there before the first connection, at every
 * birth of a worker, whatever became of the store; and nobody who talks to clients can write there. FILE.blocks is a journal, whose lines are
 * synced before a change is answered; when more than half of them no longer matter it is written anew, under another name first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"
#include "shared/base/dir.h"
#include "shared/base/log.h"
#include "shared/net/blocks.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define LINES_SPARE 1000 /* that no longer matter are left in a small file */

static struct {
	struct blocks set;
	char path[PATH_MAX];
	int fd;       /* to add lines to; -1: there is no file yet */
	size_t lines; /* in it */
} the = { .fd = -1 };

static int load(FILE *f, bool *damaged_out);
static int write_anew(void);

static json_t *
refused(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

/* --- on disk ------------------------------------------------------------------------------ */

int
block_open(void)
{
	bool damaged = false;
	char aside[PATH_MAX];
	FILE *f;
	int err;

	blocks_init(&the.set, &master.key);
	conffile_path(".blocks", the.path);
	f = fopen(the.path, "re");
	if (f == NULL && errno == ENOENT)
		return 0;
	err = f != NULL ? load(f, &damaged) : -errno;
	if (f != NULL)
		fclose(f);
	if (err == 0 && damaged) {
		conffile_path(".blocks.damaged", aside);
		unlink(aside);
		if (link(the.path, aside) != 0)
			err = -errno;
	}
	if (err == 0)
		err = write_anew();
	if (err != 0) /* as if nobody were blocked is no way to start */
		log_err("block: cannot use %s: %s", the.path, strerror(-err));
	return err;
}

/* The last line may be half of one: its change was never answered. */
static int
load(FILE *f, bool *damaged_out)
{
	const struct block *added;
	char *line = NULL, why[256];
	size_t cap = 0;
	ssize_t n;

	for (size_t number = 1; (n = getline(&line, &cap, f)) > 0; number++) {
		if (line[n - 1] != '\n') {
			log_warning("block: the last line of %s is not whole, left out", the.path);
			break;
		}
		if (blocks_apply(&the.set, line, (size_t)n - 1, &added, why) == 0)
			continue;
		log_err("block: left out, %s.damaged keeps it: %s:%zu: %s", the.path, the.path,
		    number, why);
		*damaged_out = true;
	}
	free(line);
	blocks_expire(&the.set, clock_wall_ms());
	return ferror(f) ? -EIO : 0;
}

static int
write_all(FILE *f)
{
	struct block *x, *tmp;
	int err = 0;

	LIST_FOREACH(x, tmp, &the.set.all, struct block, link) {
		char *line = block_line(x, false);

		if (line == NULL)
			err = -ENOMEM;
		else if (fprintf(f, "%s\n", line) < 0)
			err = -EIO;
		free(line);
		if (err != 0)
			break;
	}
	if (fflush(f) != 0 && err == 0)
		err = -errno;
	return err;
}

static int
sync_name(void)
{
	char path[PATH_MAX];

	strcpy(path, the.path);
	return dir_sync(dirname(path));
}

static int
write_anew(void)
{
	char next[PATH_MAX];
	FILE *f;
	int err, fd;

	conffile_path(".blocks.next", next);
	unlink(next);
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(dup(fd), "we") : NULL;
	err = f != NULL ? write_all(f) : -errno;
	if (f != NULL)
		fclose(f);
	if (err == 0 && (fsync(fd) != 0 || rename(next, the.path) != 0))
		err = -errno;
	if (err == 0)
		err = sync_name();
	if (err != 0) {
		if (fd >= 0)
			close(fd);
		unlink(next);
		return err;
	}
	if (the.fd >= 0)
		close(the.fd);
	the.fd = fd;
	the.lines = the.set.n;
	return 0;
}

/* What was written in part is taken back, or the next line would be spoilt too. */
static int
append(const char *line)
{
	size_t len = strlen(line);
	struct iovec iov[2] = { { (void *)line, len }, { (void *)"\n", 1 } };
	struct stat st;
	ssize_t n;
	int err = 0;

	if (the.fd < 0)
		err = write_anew();
	if (err != 0 || fstat(the.fd, &st) != 0)
		return err != 0 ? err : -errno;
	n = writev(the.fd, iov, 2);
	if (n == (ssize_t)len + 1 && fdatasync(the.fd) == 0) {
		the.lines++;
		return 0;
	}
	err = n < 0 || n == (ssize_t)len + 1 ? -errno : -ENOSPC;
	if (ftruncate(the.fd, st.st_size) != 0)
		log_err("block: cannot take half a line out of %s: %m", the.path);
	return err;
}

static void
tidy_up(void)
{
	int err = 0;

	if (the.lines > 2 * the.set.n + LINES_SPARE)
		err = write_anew();
	if (err != 0)
		log_every(
		    60, LOG_WARNING, "block: cannot write %s anew: %s", the.path, strerror(-err));
}

void
block_close(void)
{
	if (the.fd >= 0)
		close(the.fd);
	the.fd = -1;
	blocks_fini(&the.set);
}

/* --- to the workers ----------------------------------------------------------------------- */

void
block_tell(struct slot *s)
{
	int fd, err;
	FILE *f;

	if (s->n >= SLOT_MQTT_MAX || the.set.n == 0)
		return;
	fd = memfd_create("tbmq:blocks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	f = fd >= 0 ? fdopen(dup(fd), "we") : NULL;
	err = f != NULL ? write_all(f) : -errno;
	if (f != NULL)
		fclose(f);
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		err = -errno;
	if (err == 0)
		slot_send(s, IPC_BLOCKS, &(struct msg_none){ 0 }, sizeof(struct msg_none), &fd, 1);
	if (fd >= 0)
		close(fd);
	if (err != 0) {
		log_err("block: cannot tell process=%s who is blocked: %s", proc_title(s->n),
		    strerror(-err));
		slot_kill(s, SIGKILL, "would serve whoever is blocked");
	}
}

static void
tell_all(const char *line)
{
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (slot_is_live(&master.slot[w]))
			slot_send(&master.slot[w], IPC_BLOCK, line, strlen(line), NULL, 0);
}

/* Workers know by themselves whose time is over. */
void
block_tick(void)
{
	size_t n = blocks_expire(&the.set, clock_wall_ms());

	if (n > 0)
		log_notice("block: the time of some is over n=%zu left=%zu", n, the.set.n);
	if (n > 0)
		tidy_up();
}

/* --- requests ----------------------------------------------------------------------------- */

static json_t *
time_json(uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	if (ms == 0)
		return json_string("never");
	strftime(text, sizeof(text), "%FT%TZ", gmtime_r(&s, &tm));
	return json_string(text);
}

static json_t *
block_json(const struct block *x)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:s}", "kind", block_kind_name[x->kind], "value",
	    x->value, "since", time_json(x->since_ms), "until", time_json(x->until_ms), "reason",
	    x->reason);
}

/* The cursor is the number of the last. */
json_t *
block_page(const char *after, unsigned limit)
{
	uint64_t from = strtoull(after, NULL, 10), now = clock_wall_ms(), last = 0;
	json_t *items = json_array();
	struct block *x, *tmp;
	char next[24] = "";

	LIST_FOREACH(x, tmp, &the.set.all, struct block, link) {
		if (x->number <= from || (x->until_ms != 0 && x->until_ms <= now))
			continue;
		if (json_array_size(items) >= limit) {
			snprintf(next, sizeof(next), "%" PRIu64, last);
			break;
		}
		json_array_append_new(items, block_json(x));
		last = x->number;
	}
	return json_pack(
	    "{s:b, s:o, s:s*}", "ok", 1, "items", items, "next", next[0] != '\0' ? next : NULL);
}

static bool
is_named(const char *kind, const char *value, int *kind_out)
{
	*kind_out = kind != NULL ? block_kind_of(kind) : -EINVAL;
	return *kind_out >= 0 && value != NULL;
}

static const char no_kind[] =
    "kind must be client, user, address, client_regex or user_regex, value a text";

json_t *
block_add(const char *kind, const char *value, const char *reason, uint64_t for_s)
{
	uint64_t now = clock_wall_ms();
	struct block *x;
	char why[256], *line;
	int k, err;

	if (!is_named(kind, value, &k))
		return refused(no_kind);
	x = block_new(
	    (enum block_kind)k, value, reason, now, for_s > 0 ? now + for_s * 1000 : 0, why);
	if (x == NULL)
		return refused(why);
	line = block_line(x, false);
	err = blocks_room(&the.set, x, why);
	if (err == 0 && (err = line != NULL ? append(line) : -ENOMEM) != 0)
		snprintf(
		    why, sizeof(why), "cannot be kept in %.150s: %s", the.path, strerror(-err));
	if (err == 0)
		err = blocks_put(&the.set, x, why);
	if (err != 0) {
		block_free(x);
		free(line);
		return refused(why);
	}
	log_notice("block: added %s=\"%s\" for_s=%" PRIu64 " reason=\"%s\"", kind,
	    log_esc(span_str(x->value)), for_s, log_esc(span_str(reason)));
	tell_all(line);
	free(line);
	tidy_up();
	return json_pack("{s:b, s:o}", "ok", 1, "block", block_json(x));
}

json_t *
block_remove(const char *kind, const char *value)
{
	struct block *x;
	char why[256], *line;
	int k, err;

	if (!is_named(kind, value, &k))
		return refused(no_kind);
	x = blocks_find(&the.set, (enum block_kind)k, value);
	if (x == NULL)
		return refused("nothing like that is blocked; see tbmqctl block list");
	line = block_line(x, true);
	err = line != NULL ? append(line) : -ENOMEM;
	if (err != 0) {
		snprintf(
		    why, sizeof(why), "cannot be kept in %.150s: %s", the.path, strerror(-err));
		free(line);
		return refused(why);
	}
	log_notice("block: removed %s=\"%s\"", kind, log_esc(span_str(x->value)));
	blocks_del(&the.set, x);
	tell_all(line);
	free(line);
	tidy_up();
	return json_pack("{s:b}", "ok", 1);
}
