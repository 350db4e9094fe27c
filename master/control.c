#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/master.h"
#include "shared/acl/acl.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/request.h"

#define CONNECTIONS_MAX 64
#define BACKLOG 64
#define REQUEST_MS 10000 /* to send the request */
#define RETRY_MS 500
#define CONFIRM_MAX_S 86400
#define BLOCK_MAX_S 3153600000.0 /* a hundred years */

struct asker {
	struct watch watch;
	struct timer timer;
	int fd;
	size_t len;
	char text[REQUEST_TEXT_MAX];
};

typedef json_t *verb_fn(const struct request *r);

/* What a reload reads, and what becomes of the file if it comes into force. */
enum reload_file {
	FILE_AS_IT_IS,
	FILE_APPLIED,  /* what is staged takes its place, and it that of the one before */
	FILE_WENT_BACK /* what is staged, a copy of the one before, takes its place */
};

static struct {
	struct watch watch;
	int fd, nasking;
	struct reload {
		int fd; /* who waits for its end: -1 nobody */
		enum reload_file file;
		unsigned confirm_s;
		json_t *changes, *overridden;
	} reload;             /* the one under way */
	bool again;           /* another was asked for meanwhile */
	struct timer confirm; /* configuration goes back if nobody confirms it */
} the = { .fd = -1, .reload.fd = -1 };

static void on_connect(struct watch *w, uint32_t events);
static void on_text(struct watch *w, uint32_t events);
static void on_late(struct timer *t);
static void asker_free(struct asker *a, bool keep_fd);
static void handle(struct asker *a);
static void on_unconfirmed(struct timer *t);

int
control_open(void)
{
	int err = sock_unix_listen(master.dirs.control, 0660, BACKLOG, &the.fd);

	if (err != 0) {
		log_err("control: cannot listen on %s: %s", master.dirs.control, strerror(-err));
		return err;
	}
	timer_init(&the.confirm, on_unconfirmed);
	the.watch.fn = on_connect;
	return loop_add(master.loop, &the.watch, the.fd, EPOLLIN);
}

void
control_close(void)
{
	if (the.fd < 0)
		return;
	loop_del(master.loop, &the.watch);
	close(the.fd);
	unlink(master.dirs.control);
	the.fd = -1;
}

/* Root, or whoever the broker belongs to. */
static bool
may_ask(int fd)
{
	struct ucred u;
	socklen_t len = sizeof(u);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == 0 &&
	    (u.uid == 0 || u.uid == geteuid());
}

static void
on_connect(struct watch *w, uint32_t events)
{
	struct asker *a;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (!may_ask(fd) || the.nasking >= CONNECTIONS_MAX || (a = calloc(1, sizeof(*a))) == NULL) {
		log_every(10, LOG_WARNING, "control: connection refused");
		close(fd);
		return;
	}
	a->fd = fd;
	a->watch.fn = on_text;
	timer_init(&a->timer, on_late);
	if (loop_add(master.loop, &a->watch, fd, EPOLLIN) != 0) {
		close(fd);
		free(a);
		return;
	}
	the.nasking++;
	timer_set(loop_timers(master.loop), &a->timer, clock_ms() + REQUEST_MS);
}

static void
on_late(struct timer *t)
{
	asker_free(container_of(t, struct asker, timer), false);
}

static void
asker_free(struct asker *a, bool keep_fd)
{
	loop_del(master.loop, &a->watch);
	timer_del(&a->timer);
	if (!keep_fd)
		close(a->fd);
	the.nasking--;
	free(a);
}

static void
on_text(struct watch *w, uint32_t events)
{
	struct asker *a = container_of(w, struct asker, watch);
	ssize_t n = read(a->fd, a->text + a->len, sizeof(a->text) - a->len);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		asker_free(a, false);
		return;
	}
	a->len += (size_t)n;
	if (memchr(a->text, '\n', a->len) != NULL)
		handle(a);
	else if (a->len == sizeof(a->text)) {
		request_error(
		    master.loop, a->fd, "the request is longer than %d bytes", REQUEST_TEXT_MAX);
		asker_free(a, true);
	}
}

/* --- the master's own verbs -------------------------------------------------------------- */

static json_t *
failed(const char *what)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", what);
}

static json_t *
done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *
broker_status(const struct request *r)
{
	(void)r;
	return status_json();
}

static json_t *
broker_counters(const struct request *r)
{
	return status_counters(request_str(r, "process"));
}

static json_t *
broker_version(const struct request *r)
{
	(void)r;
	return json_pack("{s:b, s:s}", "ok", 1, "version", TBMQ_VERSION);
}

static json_t *
broker_stop(const struct request *r)
{
	(void)r;
	master_stop();
	return done();
}

static json_t *
broker_log_level(const struct request *r)
{
	const char *level = request_str(r, "level"), *module = request_str(r, "module");
	struct msg_log_level m = { 0 };
	int n;

	if (level == NULL || log_level_parse(level, &n) != 0)
		return failed("level must be err, warning, notice, info or debug");
	if (log_level_set(module, n) != 0)
		return failed(
		    "a module's name has at most 23 characters, and at most 32 have a level of "
		    "their own");
	m.level = n;
	snprintf(m.module, sizeof(m.module), "%s", module != NULL ? module : "");
	for (unsigned i = 0; i < SLOTS; i++)
		if (master.slot[i].pid > 0)
			slot_send(&master.slot[i], IPC_LOG_LEVEL, &m, sizeof(m), NULL, 0);
	log_notice("control: log level=%s module=%s until the next reload", level,
	    module != NULL ? module : "all");
	return done();
}

static json_t *
broker_drain(const struct request *r)
{
	const char *reference = request_str(r, "server_reference");
	struct msg_drain m = { .kick = 1, .reason = 0x8b };
	double rate = 0;

	request_num(r, "rate", &rate);
	if (rate < 0 || rate > 1e6)
		return failed("rate must be 0 (at once) to 1000000 clients a second");
	m.rate_milli = (uint32_t)rate * 1000;
	if (reference != NULL) {
		if (strlen(reference) >= sizeof(m.server_reference))
			return failed("server_reference is too long");
		strcpy(m.server_reference, reference);
		m.reason = 0x9c;
	}
	slots_drain(&m);
	log_notice("control: draining rate=%.0f", rate);
	return done();
}

static json_t *
worker_restart(const struct request *r)
{
	const char *name = request_str(r, "name");
	int slot = name != NULL ? proc_slot_of(name) : -EINVAL;

	if (slot < 0 ||
	    (master.slot[slot].state != SLOT_READY && master.slot[slot].state != SLOT_DRAINING))
		return failed(
		    "no such process, or it is neither ready nor draining; see tbmqctl status");
	slot_restart(&master.slot[slot]);
	return done();
}

static json_t *
quarantine_list(const struct request *r)
{
	(void)r;
	return json_pack("{s:b, s:o}", "ok", 1, "items", quarantine_items());
}

static json_t *
quarantine_clear(const struct request *r)
{
	const char *id = request_str(r, "id");
	unsigned n = quarantine_let_in(id);

	if (id != NULL && n == 0)
		return failed("no client of this identifier or address is in quarantine");
	return json_pack("{s:b, s:i}", "ok", 1, "cleared", (int)n);
}

static json_t *
list_blocks(const struct request *r)
{
	return block_page(r->after, r->limit);
}

static json_t *
add_block(const struct request *r)
{
	const char *reason = request_str(r, "reason");
	double for_s = 0;

	if (request_num(r, "for_s", &for_s) && !(for_s >= 1 && for_s <= BLOCK_MAX_S))
		return failed("for_s must be 1 to 3153600000");
	return block_add(request_str(r, "kind"), request_str(r, "value"),
	    reason != NULL ? reason : "", (uint64_t)for_s);
}

static json_t *
remove_block(const struct request *r)
{
	return block_remove(request_str(r, "kind"), request_str(r, "value"));
}

/* --- configuration ----------------------------------------------------------------------- */

static const char *const when_text[] = {
	[CONF_NOW] = "applied now",
	[CONF_NEW] = "for new connections",
	[CONF_RESTART] = "after restart",
};

static void
add_change(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	json_array_append_new(arg,
	    json_pack("{s:s, s:s, s:s, s:s}", "key", key, "from", from, "to", to, "when",
		when_text[when]));
}

struct overridden {
	json_t *said; /* keys that the file sets to something else than the default */
	json_t *list;
};

static void
add_said(void *arg, const char *key, const char *value, bool is_default, const char *help)
{
	const struct overridden *o = arg;

	(void)value;
	(void)help;
	if (!is_default)
		json_object_set_new(o->said, key, json_true());
}

static void
add_overridden(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	const struct overridden *o = arg;
	const char *by = reload_override(&master.conf, key);

	(void)when;
	if (by != NULL && json_object_get(o->said, key) != NULL)
		json_array_append_new(o->list,
		    json_pack(
			"{s:s, s:s, s:s, s:s}", "key", key, "file", from, "value", to, "by", by));
}

/* What the file says and is not followed: the caller's. */
static json_t *
overridden(const struct conf *of_file, const struct conf *next)
{
	struct overridden o = { json_object(), json_array() };

	conf_each(of_file, add_said, &o);
	conf_diff(of_file, next, add_overridden, &o);
	json_decref(o.said);
	return o.list;
}

static void
log_change(void *arg, const char *key, const char *from, const char *to, enum conf_when when)
{
	(void)arg;
	log_notice("reload: %s from=%s to=%s (%s)", key, from, to, when_text[when]);
}

static void
file_applied(void)
{
	timer_del(&the.confirm);
	if (the.reload.confirm_s > 0)
		timer_set(loop_timers(master.loop), &the.confirm,
		    clock_ms() + the.reload.confirm_s * UINT64_C(1000));
	conffile_replace(the.reload.file == FILE_APPLIED, the.reload.confirm_s > 0);
}

static void
reload_over(void)
{
	json_decref(the.reload.changes);
	json_decref(the.reload.overridden);
	the.reload = (struct reload){ .fd = -1 };
	if (the.again)
		control_reload();
}

static void
reload_done(void *arg, int err, const char *why)
{
	int fd = the.reload.fd;

	(void)arg;
	notify_ready();
	if (err != 0)
		log_err("reload: refused, nothing has changed: %s", why);
	if (the.reload.file != FILE_AS_IT_IS && err == 0)
		file_applied();
	else if (the.reload.file != FILE_AS_IT_IS)
		conffile_discard();
	if (fd >= 0 && err == 0)
		request_answer(master.loop, fd,
		    json_pack("{s:b, s:O, s:O}", "ok", 1, "changes", the.reload.changes,
			"overridden", the.reload.overridden));
	else if (fd >= 0)
		request_error(master.loop, fd, "%s", why);
	reload_over();
}

/* fd: who waits for the answer, or -1; taken. confirm_s: of one that is applied, 0: for good. */
static void
reload(int fd, enum reload_file file, unsigned confirm_s)
{
	struct conf_error err;
	static struct conf next, of_file;
	char path[PATH_MAX];

	if (reload_is_running()) {
		request_error(master.loop, fd, "another reload is under way; try again");
		return;
	}
	the.again = false;
	the.reload = (struct reload){
		.fd = fd, .file = file, .confirm_s = confirm_s, .changes = json_array()
	};
	notify_reloading();
	conffile_path(file == FILE_AS_IT_IS ? "" : ".next", path);
	if (reload_parse(path, &next, &of_file, &err) != 0) {
		reload_done(NULL, -EINVAL, err.text);
		return;
	}
	conf_diff(&master.conf, &next, add_change, the.reload.changes);
	conf_diff(&master.conf, &next, log_change, NULL);
	the.reload.overridden = overridden(&of_file, &next);
	reload_begin(&next, reload_done, NULL);
}

void
control_reload(void)
{
	/* The one under way may have read the file before its last change. */
	if (reload_is_running())
		the.again = true;
	else
		reload(-1, FILE_AS_IT_IS, 0);
}

static json_t *
config_diff(const struct request *r)
{
	const char *file = request_str(r, "file");
	static struct conf next, of_file;
	struct conf_error err;
	json_t *changes;

	if (reload_parse(file != NULL ? file : master.dirs.conf, &next, &of_file, &err) != 0)
		return failed(err.text);
	changes = json_array();
	conf_diff(&master.conf, &next, add_change, changes);
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "changes", changes, "overridden",
	    overridden(&of_file, &next));
}

static void
add_key(void *arg, const char *key, const char *value, bool is_default, const char *help)
{
	json_array_append_new(arg,
	    json_pack("{s:s, s:s, s:b, s:s*, s:s}", "key", key, "value", value, "default",
		(int)is_default, "by", reload_override(&master.conf, key), "help", help));
}

static json_t *
config_show(const struct request *r)
{
	json_t *keys = json_array();

	(void)r;
	conf_each(&master.conf, add_key, keys);
	return json_pack("{s:b, s:o}", "ok", 1, "keys", keys);
}

/* Takes fd, which may be -1. */
static void
roll_back(int fd)
{
	char previous[PATH_MAX];
	int err;

	conffile_path(".previous", previous);
	err = reload_is_running() ? 0 : conffile_stage(previous);
	if (err == 0) {
		reload(fd, FILE_WENT_BACK, 0);
		return;
	}
	log_err("control: cannot go back to %s: %s", previous, strerror(-err));
	if (fd >= 0)
		request_error(
		    master.loop, fd, "cannot go back to %s: %s", previous, strerror(-err));
}

static void
on_unconfirmed(struct timer *t)
{
	if (reload_is_running()) { /* its vote ends soon */
		timer_set(loop_timers(master.loop), t, clock_ms() + RETRY_MS);
		return;
	}
	log_warning(
	    "control: configuration was not confirmed in time, going back to the previous one");
	roll_back(-1);
}

static void
config_apply(const struct request *r, int fd)
{
	const char *file = request_str(r, "file");
	static struct conf next;
	struct conf_error bad;
	double confirm = 0;
	int err;

	if (file == NULL) {
		request_error(master.loop, fd, "file is missing");
		return;
	}
	if (request_num(r, "confirm_s", &confirm) && !(confirm >= 1 && confirm <= CONFIRM_MAX_S)) {
		request_error(master.loop, fd, "confirm_s must be 1 to %d", CONFIRM_MAX_S);
		return;
	}
	/* First where it is, so that what is wrong with it is told under its own name. */
	if (reload_parse(file, &next, NULL, &bad) != 0) {
		request_error(master.loop, fd, "%s", bad.text);
		return;
	}
	err = reload_is_running() ? 0 : conffile_stage(file);
	if (err != 0)
		request_error(master.loop, fd, "cannot copy %s to %s.next: %s", file,
		    master.dirs.conf, strerror(-err));
	else
		reload(fd, FILE_APPLIED, (unsigned)confirm);
}

static json_t *
config_confirm(const struct request *r)
{
	(void)r;
	if (!timer_is_set(&the.confirm))
		return failed("nothing waits to be confirmed");
	timer_del(&the.confirm);
	conffile_confirmed();
	return done();
}

/* --- kept access rules ------------------------------------------------------------------- */

static void
rules_done(void *arg, int err, const char *why)
{
	int fd = the.reload.fd;

	(void)arg;
	notify_ready();
	if (err == 0)
		request_answer(master.loop, fd, done());
	else
		request_error(master.loop, fd, "%s", why);
	reload_over();
}

static json_t *
list_rules(const struct request *r)
{
	return rulefile_page(r->after, r->limit);
}

/* add {rule, before}, remove {rule} or {line}, load {file} */
static int
stage_rules(const struct request *r, char why[256])
{
	const char *rule = request_str(r, "rule"), *file = request_str(r, "file");
	double line = 0;

	if ((request_num(r, "before", &line) || request_num(r, "line", &line)) &&
	    !(line >= 1 && line <= ACL_FILE_MAX)) {
		snprintf(why, 256, "lines are counted from 1");
		return -EINVAL;
	}
	if (strcmp(r->verb, "add") == 0 && rule != NULL)
		return rulefile_add(rule, (size_t)line, why);
	if (strcmp(r->verb, "remove") == 0 && (rule != NULL || line > 0))
		return rulefile_remove(rule, (size_t)line, why);
	if (strcmp(r->verb, "load") == 0 && file != NULL)
		return rulefile_load(file, why);
	snprintf(why, 256, "add takes a rule, remove a rule or a line, load a file");
	return -EINVAL;
}

/* Takes fd. */
static void
change_rules(const struct request *r, int fd)
{
	char why[256];

	if (reload_is_running()) {
		request_error(master.loop, fd, "a reload is under way; try again");
		return;
	}
	if (stage_rules(r, why) != 0) {
		request_error(master.loop, fd, "%s", why);
		return;
	}
	log_notice("control: kept access rules are to change: %s", r->verb);
	the.again = false;
	the.reload = (struct reload){ .fd = fd, .file = FILE_AS_IT_IS };
	notify_reloading();
	reload_kept_rules(rules_done, NULL);
}

/* --- dispatch ---------------------------------------------------------------------------- */

static const struct {
	const char *verb, *resource;
	verb_fn *fn;
} verbs[] = {
	{ "status", "broker", broker_status },
	{ "counters", "broker", broker_counters },
	{ "version", "broker", broker_version },
	{ "stop", "broker", broker_stop },
	{ "log-level", "broker", broker_log_level },
	{ "drain", "broker", broker_drain },
	{ "restart", "worker", worker_restart },
	{ "list", "quarantine", quarantine_list },
	{ "clear", "quarantine", quarantine_clear },
	{ "list", "block", list_blocks },
	{ "add", "block", add_block },
	{ "remove", "block", remove_block },
	{ "list", "rule", list_rules },
	{ "diff", "config", config_diff },
	{ "show", "config", config_show },
	{ "confirm", "config", config_confirm },
};

static bool
is(const struct request *r, const char *verb, const char *resource)
{
	return strcmp(r->verb, verb) == 0 && strcmp(r->resource, resource) == 0;
}

/* Takes fd. */
static void
hand_over(const struct request *r, const char *text, size_t len, int fd)
{
	const char *at = json_string_value(json_object_get(r->root, "at"));
	int slot = proc_slot_of(at != NULL ? at : "persist/0");

	if (slot < 0 || master.slot[slot].state < SLOT_LINKING ||
	    !slot_is_live(&master.slot[slot])) {
		request_error(master.loop, fd, "%s does not run; see tbmqctl status",
		    at != NULL ? at : "persist/0");
		return;
	}
	if (slot_send(&master.slot[slot], IPC_REQUEST, text, len, &fd, 1) != 0)
		request_error(
		    master.loop, fd, "%s does not take requests", proc_title((unsigned)slot));
	else
		close(fd);
}

static void
handle(struct asker *a)
{
	size_t len = (size_t)((char *)memchr(a->text, '\n', a->len) - a->text);
	struct request r;
	const char *why;
	int fd = a->fd;

	loop_del(master.loop, &a->watch);
	if (request_parse(a->text, len, &r, &why) != 0) {
		request_error(master.loop, fd, "%s", why);
		asker_free(a, true);
		return;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (is(&r, verbs[i].verb, verbs[i].resource)) {
			request_answer(master.loop, fd, verbs[i].fn(&r));
			goto out;
		}
	if (is(&r, "reload", "broker"))
		reload(fd, FILE_AS_IT_IS, 0);
	else if (is(&r, "apply", "config"))
		config_apply(&r, fd);
	else if (is(&r, "rollback", "config"))
		roll_back(fd);
	else if (strcmp(r.resource, "rule") == 0)
		change_rules(&r, fd);
	else
		hand_over(&r, a->text, len, fd);
out:
	request_fini(&r);
	asker_free(a, true);
}
