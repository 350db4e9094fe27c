/*
 * Access rules for workers and persist, which can't read files: compiled here once, and mapped by all of them. Those that administrators have
 * added while the broker runs (rulefile.c) decide before those of the file that the configuration names.
 */
#include <errno.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/acl/acl.h"
#include "shared/conf/rules.h"

static struct {
	int rules[RULES_FROM],
	    next[RULES_FROM]; /* memfds: in force; of a reload under way. -1: there are none */
	bool is_staged;       /* of the reload: it changes the kept rules */
} the = { { -1, -1 }, { -1, -1 }, false };

/* Rules in FILE, or in what is to take its place. A file without any is as good as none, which costs nobody anything. */
static int
read_kept(const char *file, int *out, struct conf_error *err)
{
	char name[PATH_MAX];
	struct acl_error why;
	struct acl_image *im;
	int fd, bad = 0;

	rulefile_path(name);
	fd = acl_read(file, name, ACL_TBMQ, &why);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0) {
		snprintf(err->text, sizeof(err->text), "%.500s", why.text);
		return fd;
	}
	bad = acl_image_map(fd, &im);
	if (bad == 0 && acl_image_rules(im) > 0)
		*out = fd;
	else
		close(fd);
	if (bad == 0)
		acl_image_free(im);
	else
		snprintf(err->text, sizeof(err->text), "%.255s: %s", name, strerror(-bad));
	return bad;
}

int
acl_prepare(const struct conf *next, struct conf_error *err)
{
	char kept[PATH_MAX];
	int bad;

	acl_discard();
	rulefile_path(kept);
	bad = read_kept(kept, &the.next[RULES_KEPT], err);
	if (bad == 0)
		bad = rules_read(next, &the.next[RULES_FILE], err);
	if (bad != 0)
		acl_discard();
	return bad;
}

int
acl_prepare_staged(struct conf_error *err)
{
	char staged[PATH_MAX];
	int bad;

	the.is_staged = true;
	rulefile_staged(staged);
	bad = read_kept(staged, &the.next[RULES_KEPT], err);
	if (bad == 0 && the.rules[RULES_FILE] >= 0) {
		the.next[RULES_FILE] = dup(the.rules[RULES_FILE]);
		if (the.next[RULES_FILE] < 0) {
			bad = -errno;
			snprintf(err->text, sizeof(err->text), "no descriptor for the rules: %m");
		}
	}
	if (bad != 0)
		acl_discard();
	return bad;
}

int
acl_keep(char why[128])
{
	int err = the.is_staged ? rulefile_keep() : 0;

	if (err != 0)
		snprintf(why, 128, "the rules can't be kept: %s", strerror(-err));
	return err;
}

static void
drop(int fd[RULES_FROM])
{
	for (unsigned i = 0; i < RULES_FROM; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

void
acl_commit(void)
{
	drop(the.rules);
	for (unsigned i = 0; i < RULES_FROM; i++) {
		the.rules[i] = the.next[i];
		the.next[i] = -1;
	}
	the.is_staged = false;
}

void
acl_discard(void)
{
	drop(the.next);
	if (the.is_staged)
		rulefile_discard();
	the.is_staged = false;
}

void
acl_give(struct slot *s, bool next)
{
	const int *fd = next ? the.next : the.rules;

	if (s->n >= SLOT_MQTT_MAX && s->n != SLOT_PERSIST)
		return;
	for (unsigned i = 0; i < RULES_FROM; i++) {
		struct msg_rules m = { .from = i };

		if (fd[i] >= 0)
			slot_send(s, IPC_ACL_RULES, &m, sizeof(m), &fd[i], 1);
	}
}
