/*
 * A reload is a transaction: parse, bind what is new, offer the snapshot to every child, switch only if all say yes in time. A change of the rules that the
 * master keeps is one, too, with the configuration as it was.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/forwarded.h"

#define VOTE_MS 5000

static struct {
	bool running, timer_ready;
	bool kept_rules; /* nothing else: what the configuration names is as it was */
	struct conf next;
	int snapshot;
	struct listener listener[LISTENERS_MAX];
	struct timer timer;
	reload_done_fn *done;
	void *arg;
} the = { .snapshot = -1 };

static void discard_files(void);
static void reload_end(int err, const char *why);
static void reload_count(void);

bool
reload_is_running(void)
{
	return the.running;
}

int
reload_parse(const char *file, struct conf *out, struct conf *of_file, struct conf_error *err)
{
	struct conf c;
	int bad = conf_parse(file, &c, err);

	if (bad == 0 && of_file != NULL)
		*of_file = c;
	for (int i = 0; i < master.noverrides && bad == 0; i++)
		bad = conf_override(&c, master.overrides[i].text, err);
	if (bad == 0)
		bad = conf_check(&c, err);
	if (bad == 0)
		*out = c;
	return bad;
}

const char *
reload_override(const struct conf *c, const char *key)
{
	for (int i = master.noverrides - 1; i >= 0; i--)
		if (conf_overrides(c, master.overrides[i].text, key))
			return master.overrides[i].from;
	return NULL;
}

/* One that was born since has not been asked: it gets what was decided. */
static bool
owes_vote(const struct slot *s)
{
	return slot_is_live(s) && s->offered == the.next.number && !s->voted;
}

static void
on_late(struct timer *t)
{
	(void)t;
	for (unsigned i = 0; i < SLOTS; i++)
		if (owes_vote(&master.slot[i])) {
			char why[128];

			snprintf(why, sizeof(why), "%s did not answer within %d s", proc_title(i),
			    VOTE_MS / 1000);
			reload_end(-ETIMEDOUT, why);
			return;
		}
}

/* What only a restart applies keeps its value. */
static void
keep_restart_keys(struct conf *next)
{
#define K(name, type, def, min, max, when, help)                                                   \
	if (CONF_##when == CONF_RESTART)                                                           \
		next->name = master.conf.name;
#include "shared/conf/keys.def"
}

static void
offer(struct slot *s)
{
	struct msg_conf m = { .number = the.next.number };

	tls_give(s, !the.kept_rules);
	acl_give(s, true);
	authfiles_give(s, !the.kept_rules);
	slot_send(s, IPC_CONF_OFFER, &m, sizeof(m), &the.snapshot, 1);
}

/* Files, then sockets. */
static int
prepare(struct conf_error *err)
{
	int bad;

	if (the.kept_rules)
		return acl_prepare_staged(err);
	bad = logfile_check(&the.next, err);
	if (bad == 0)
		bad = forwarded_check(&the.next, err);
	if (bad == 0)
		bad = tls_prepare(&the.next, err);
	if (bad == 0)
		bad = acl_prepare(&the.next, err);
	if (bad == 0)
		bad = authfiles_prepare(&the.next, err);
	if (bad == 0)
		bad = listen_bind(&the.next, the.listener, err);
	if (bad != 0)
		discard_files();
	return bad;
}

static void
discard_files(void)
{
	acl_discard();
	if (the.kept_rules)
		return;
	tls_discard();
	authfiles_discard();
}

static void
discard(void)
{
	discard_files();
	if (!the.kept_rules)
		listen_discard(the.listener);
}

static void
commit(void)
{
	acl_commit();
	if (the.kept_rules)
		return;
	tls_commit();
	authfiles_commit();
	listen_commit(the.listener);
	(void)logfile_apply();
	listen_warn();
	slots_want(proc_workers(master.conf.workers));
}

static void
begin(const struct conf *next, reload_done_fn *done, void *arg)
{
	struct conf_error err;
	struct msg_conf m;
	int bad;

	the.done = done;
	the.arg = arg;
	the.next = *next;
	keep_restart_keys(&the.next);
	the.next.number = m.number = ++master.numbers;
	bad = prepare(&err);
	if (bad != 0) {
		done(arg, bad, err.text);
		return;
	}
	the.snapshot = conf_snapshot(&the.next);
	if (the.snapshot < 0) {
		discard();
		done(arg, the.snapshot, "cannot make a snapshot");
		return;
	}
	if (!the.timer_ready)
		timer_init(&the.timer, on_late);
	the.timer_ready = true;
	the.running = true;
	timer_set(loop_timers(master.loop), &the.timer, clock_ms() + VOTE_MS);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &master.slot[i];

		if (!slot_is_live(s))
			continue;
		s->voted = false;
		s->offered = m.number;
		offer(s);
	}
	reload_count();
}

void
reload_begin(const struct conf *next, reload_done_fn *done, void *arg)
{
	the.kept_rules = false;
	begin(next, done, arg);
}

void
reload_kept_rules(reload_done_fn *done, void *arg)
{
	the.kept_rules = true;
	begin(&master.conf, done, arg);
}

void
reload_vote(struct slot *s, const struct msg_vote *v)
{
	char why[sizeof(v->why) + 32];

	if (!the.running || v->number != the.next.number)
		return;
	if (!v->yes) {
		snprintf(why, sizeof(why), "%s: %.255s", proc_title(s->n), v->why);
		reload_end(-EINVAL, why);
		return;
	}
	s->voted = true;
	reload_count();
}

/* Its successor starts with the snapshot in force when it is born; the vote goes on without it. */
void
reload_gone(void)
{
	if (the.running)
		reload_count();
}

static void
reload_count(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (owes_vote(&master.slot[i]))
			return;
	reload_end(0, NULL);
}

static void
reload_end(int err, const char *why)
{
	struct msg_conf m = { .number = the.next.number };
	char unkept[128];

	the.running = false;
	timer_del(&the.timer);
	if (err == 0 && (err = acl_keep(unkept)) != 0)
		why = unkept;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &master.slot[i];

		if (s->pid <= 0)
			continue;
		/* One that was born meanwhile has the old snapshot. */
		if (s->offered != m.number && err == 0)
			offer(s);
		slot_send(
		    s, err == 0 ? IPC_CONF_COMMIT : IPC_CONF_WITHDRAW, &m, sizeof(m), NULL, 0);
	}
	if (err != 0) {
		discard();
		close(the.snapshot);
		the.done(the.arg, err, why);
		return;
	}
	close(master.snapshot);
	master.snapshot = the.snapshot;
	master.conf = the.next;
	commit();
	log_notice(
	    "reload: configuration number=%llu is in force", (unsigned long long)the.next.number);
	the.done(the.arg, 0, NULL);
}
