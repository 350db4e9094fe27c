#include "shared/child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/secrets.h"
#include "shared/child/sandbox.h"
#include "shared/conf/rules.h"
#include "shared/mem/heap.h"

#define HEAP_MS 1000 /* how old the counter may be */

struct self self;

static struct {
	const struct child *kind;
	struct chan chan;
	struct watch bell, signals;
	struct mesh_ops ops;
	struct conf offer; /* voted for, not yet in force */
	struct conf was;   /* before the last commit */
	bool has_offer, started, gone, ready, stopping;
	int code;
	uint64_t heap_due_ms;
} me;

static int start(void);
static int start_confined(void);
static int on_start(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_peer_up(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_peer_down(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_listener(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_listener_gone(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_go(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_conf_offer(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_conf_commit(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_conf_withdraw(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_log_level(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_log_file(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_log_syslog(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_request(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_drain(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_tls_files(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_auth_files(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_tls_tickets(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_acl_rules(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_stop(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_quarantine(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_blocks(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_block(struct chan *ch, const void *body, size_t len, const int *fd);

static ipc_fn *const on_msg[IPC_TYPES] = {
	[IPC_START] = on_start,
	[IPC_PEER_UP] = on_peer_up,
	[IPC_PEER_DOWN] = on_peer_down,
	[IPC_LISTENER] = on_listener,
	[IPC_LISTENER_GONE] = on_listener_gone,
	[IPC_GO] = on_go,
	[IPC_CONF_OFFER] = on_conf_offer,
	[IPC_CONF_COMMIT] = on_conf_commit,
	[IPC_CONF_WITHDRAW] = on_conf_withdraw,
	[IPC_LOG_LEVEL] = on_log_level,
	[IPC_LOG_FILE] = on_log_file,
	[IPC_REQUEST] = on_request,
	[IPC_DRAIN] = on_drain,
	[IPC_STOP] = on_stop,
	[IPC_TLS_FILES] = on_tls_files,
	[IPC_TLS_TICKETS] = on_tls_tickets,
	[IPC_ACL_RULES] = on_acl_rules,
	[IPC_AUTH_FILES] = on_auth_files,
	[IPC_QUARANTINE] = on_quarantine,
	[IPC_BLOCKS] = on_blocks,
	[IPC_BLOCK] = on_block,
	[IPC_LOG_SYSLOG] = on_log_syslog,
};

/* --- the loop ---------------------------------------------------------------------------- */

static void
on_bell(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	mesh_wake(self.mesh);
}

static void
on_liar(void *arg, unsigned slot, const char *what)
{
	/* Not what its segment says: a liar would name another's. */
	struct msg_peer m = { .slot = slot, .gen = mesh_gen(self.mesh, slot) };

	(void)arg;
	(void)what;
	child_send(IPC_LIAR, &m, sizeof(m));
}

static void
try_go(void)
{
	int err;

	if (!me.gone || me.ready || !mesh_is_linked(self.mesh))
		return;
	me.gone = false;
	err = me.kind->go();
	if (err == 0)
		child_ready();
	else if (err != -EAGAIN)
		child_exit(1);
}

static bool
on_turn(void *arg)
{
	bool more = false;

	(void)arg;
	if (!me.started)
		return false;
	count_set(CNT_log_lost, log_lost());
	if (clock_ms() >= me.heap_due_ms) {
		count_set(CNT_heap, heap_bytes());
		me.heap_due_ms = clock_ms() + HEAP_MS;
	}
	mesh_drain(self.mesh);
	try_go();
	more = me.kind->on_turn();
	mesh_flush(self.mesh);
	if (me.kind->after_flush != NULL)
		more |= me.kind->after_flush();
	return more;
}

static int
on_sleep(void *arg)
{
	int most_ms = self.mesh != NULL ? mesh_sleep_begin(self.mesh) : -1;

	(void)arg;
	if (me.started && me.kind->before_sleep != NULL)
		me.kind->before_sleep();
	return most_ms;
}

static void
on_woken(void *arg)
{
	(void)arg;
	if (me.started && me.kind->after_sleep != NULL)
		me.kind->after_sleep();
	if (self.mesh != NULL &&
	    (atomic_load_explicit(&mesh_segment(self.mesh)->sleeps, memory_order_relaxed) & 1))
		mesh_sleep_end(self.mesh);
}

static void
set_state(enum life_state s)
{
	atomic_store_explicit(&mesh_segment(self.mesh)->state, s, memory_order_relaxed);
}

void
child_ready(void)
{
	me.ready = true;
	set_state(LIFE_READY);
	child_send(IPC_READY, &(struct msg_none){ 0 }, sizeof(struct msg_none));
}

void
child_exit(int code)
{
	me.code = code;
	loop_stop(self.loop);
}

void
child_fail(const char *why)
{
	struct flight *f = &mesh_segment(self.mesh)->flight;

	log_write(LOG_ERR, "%s", why);
	snprintf(f->must, sizeof(f->must), "%s", why);
	child_exit(1);
}

void
child_send(enum ipc_type type, const void *body, size_t len)
{
	int err = chan_send(&me.chan, type, body, len, NULL, 0);

	if (err != 0)
		log_err("child: cannot send %s to the master: %s", ipc_name(type), strerror(-err));
}

/* --- log --------------------------------------------------------------------------------- */

/* As the configuration says. A file or a socket is opened by the master, which sends a descriptor. */
static void
log_apply(void)
{
	log_levels_set(conf_log_level_of(self.conf.log_level), self.conf.log_modules.s);
	if (self.conf.log_target == LOG_TARGET_stderr)
		log_to(LOG_TO_STDERR, -1);
}

/* --- messages ---------------------------------------------------------------------------- */

static int
on_start(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_start *m = body;
	int err, fds[2];

	(void)len;
	if (self.mesh != NULL || m->abi != IPC_ABI || proc_kind_of(m->slot) != me.kind->kind) {
		close(fd[0]);
		return -EPROTO;
	}
	self.birth = *m;
	self.birth.data_dir[sizeof(self.birth.data_dir) - 1] = '\0';
	self.birth.backup_dir[sizeof(self.birth.backup_dir) - 1] = '\0';
	self.slot = m->slot;
	self.gen = m->gen;
	self.key = m->key;
	err = conf_load(fd[0], &self.conf);
	close(fd[0]);
	if (err != 0) {
		log_err("child: the configuration's snapshot can't be used: %s", strerror(-err));
		child_exit(1);
		return 0;
	}
	log_apply();
	me.ops = me.kind->mesh;
	me.ops.on_liar = on_liar;
	err = mesh_new(self.slot, self.gen, &self.key,
	    (struct ring_caps){
		(uint32_t)self.conf.ring_size, (uint32_t)self.conf.store_ring_size },
	    self.conf.overflow_size, RECORD_MAX, &me.ops, NULL, &self.mesh, &fds[0], &fds[1]);
	if (err != 0) {
		log_err("child: cannot make shared memory: %s", strerror(-err));
		child_exit(1);
		return 0;
	}
	me.bell.fn = on_bell;
	err = loop_add(self.loop, &me.bell, mesh_bell(self.mesh), EPOLLIN);
	if (err == 0)
		err = chan_send(
		    ch, IPC_SEGMENT, &(struct msg_none){ 0 }, sizeof(struct msg_none), fds, 2);
	close(fds[0]);
	if (err == 0)
		err = start();
	if (err != 0) {
		log_err("child: cannot start: %s", strerror(-err));
		child_exit(1);
		return 0;
	}
	me.started = true;
	return 0;
}

/* What it says of a failure is for who has started the broker, so the master has to know. */
static int
start(void)
{
	struct flight *f = &mesh_segment(self.mesh)->flight;
	int err;

	log_err_sink(f->must, sizeof(f->must));
	err = start_confined();
	log_err_sink(NULL, 0);
	if (err == 0)
		f->must[0] = '\0';
	return err;
}

/* What start() opens and makes is more than what is needed later; its threads are bound to the same files. */
static int
start_confined(void)
{
	const char *const dir[] = { self.birth.data_dir, self.birth.backup_dir };
	int err = 0;

	secrets_keep(self.conf.sandbox);
	if (self.conf.sandbox && me.kind->has_files)
		err = sandbox_files(dir, sizeof(dir) / sizeof(dir[0]));
	if (err == 0)
		err = me.kind->start();
	if (err == 0 && self.conf.sandbox)
		err = sandbox_calls(me.kind->kind);
	return err;
}

static int
on_peer_up(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_peer *m = body;
	int err;

	(void)ch;
	(void)len;
	if (!me.started) {
		close(fd[0]);
		close(fd[1]);
		return self.mesh == NULL ? -EPROTO : 0; /* it could not start, and ends */
	}
	err = mesh_peer_up(self.mesh, m->slot, m->gen, fd[0], fd[1]);
	if (err != 0)
		log_err("child: cannot map peer=%s gen=%u: %s", proc_title(m->slot), m->gen,
		    strerror(-err));
	return 0;
}

static int
on_peer_down(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_peer *m = body;

	(void)ch;
	(void)len;
	(void)fd;
	if (me.started)
		mesh_peer_down(self.mesh, m->slot, m->gen);
	return 0;
}

static int
on_listener(struct chan *ch, const void *body, size_t len, const int *fd)
{
	struct msg_listener m = *(const struct msg_listener *)body;

	(void)ch;
	(void)len;
	m.name[sizeof(m.name) - 1] = '\0';
	if (!me.started || me.kind->listener == NULL || m.index >= CONF_LISTENERS) {
		close(fd[0]);
		return 0;
	}
	return me.kind->listener(&m, fd[0]);
}

static int
on_listener_gone(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)len;
	(void)fd;
	if (me.started && me.kind->listener_gone != NULL)
		me.kind->listener_gone(((const struct msg_listener *)body)->id);
	return 0;
}

static int
on_go(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	(void)fd;
	me.gone = true;
	if (me.started)
		try_go();
	return 0;
}

static int
on_conf_offer(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_conf *m = body;
	struct msg_vote vote = { .number = m->number };
	int err;

	(void)ch;
	(void)len;
	if (me.has_offer && me.kind->conf_withdraw != NULL)
		me.kind->conf_withdraw();
	me.has_offer = false;
	err = conf_load(fd[0], &me.offer);
	close(fd[0]);
	if (err != 0)
		snprintf(
		    vote.why, sizeof(vote.why), "the snapshot can't be used: %s", strerror(-err));
	else if (me.kind->conf_check != NULL)
		err = me.kind->conf_check(&me.offer, vote.why);
	vote.yes = err == 0;
	me.has_offer = err == 0;
	child_send(IPC_CONF_VOTE, &vote, sizeof(vote));
	return 0;
}

static int
on_conf_commit(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)len;
	(void)fd;
	if (!me.started || !me.has_offer ||
	    me.offer.number != ((const struct msg_conf *)body)->number)
		return 0;
	me.was = self.conf;
	self.conf = me.offer;
	me.has_offer = false;
	log_apply();
	mesh_set_overflow(self.mesh, self.conf.overflow_size);
	if (me.kind->conf_commit != NULL)
		me.kind->conf_commit(&me.was);
	return 0;
}

static int
on_conf_withdraw(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	(void)fd;
	if (me.has_offer && me.kind->conf_withdraw != NULL)
		me.kind->conf_withdraw();
	me.has_offer = false;
	return 0;
}

/* What comes before the configuration that it is of, so also before START. */
static int
hand_over(void (*taker)(int fd), int fd)
{
	if (taker != NULL)
		taker(fd);
	else
		close(fd);
	return 0;
}

static int
on_tls_files(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	return hand_over(me.kind->tls_files, fd[0]);
}

static int
on_acl_rules(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_rules *m = body;

	(void)ch;
	(void)len;
	if (m->from >= RULES_FROM || me.kind->acl_rules == NULL) {
		close(fd[0]);
		return m->from >= RULES_FROM ? -EPROTO : 0;
	}
	me.kind->acl_rules(m->from, fd[0]);
	return 0;
}

static int
on_auth_files(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	return hand_over(me.kind->auth_files, fd[0]);
}

static int
on_tls_tickets(struct chan *ch, const void *body, size_t len, const int *fd)
{
	struct tls_ticket_key key[TLS_TICKET_KEYS];

	(void)ch;
	(void)len;
	(void)fd;
	static_assert(sizeof(key) == sizeof(struct msg_tls_tickets), "as they are sent");
	memcpy(key, body, sizeof(key));
	if (me.kind->tls_tickets != NULL)
		me.kind->tls_tickets(key);
	return 0;
}

static int
on_log_level(struct chan *ch, const void *body, size_t len, const int *fd)
{
	struct msg_log_level m = *(const struct msg_log_level *)body;

	(void)ch;
	(void)len;
	(void)fd;
	m.module[sizeof(m.module) - 1] = '\0';
	log_level_set(m.module[0] != '\0' ? m.module : NULL, m.level);
	return 0;
}

static int
on_log_file(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	dup2(fd[0], STDERR_FILENO); /* what libraries and sanitizers print */
	log_to(LOG_TO_FD, fd[0]);
	return 0;
}

static int
on_log_syslog(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	log_to(LOG_TO_SYSLOG, fd[0]);
	return 0;
}

static int
on_request(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	if (!me.started || me.kind->request == NULL)
		close(fd[0]);
	else
		me.kind->request(body, len, fd[0]);
	return 0;
}

static int
on_drain(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)len;
	(void)fd;
	if (me.started && me.kind->drain != NULL) {
		set_state(LIFE_DRAINING);
		me.kind->drain(body);
	}
	return 0;
}

static int
on_quarantine(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)len;
	(void)fd;
	if (me.kind->quarantine != NULL)
		me.kind->quarantine(body);
	return 0;
}

static int
on_blocks(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	if (me.started && me.kind->blocks != NULL)
		me.kind->blocks(fd[0]);
	else
		close(fd[0]);
	return 0;
}

static int
on_block(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)fd;
	if (me.started && me.kind->block != NULL)
		me.kind->block(body, len);
	return 0;
}

static void
stop(void)
{
	if (me.stopping)
		return;
	me.stopping = true;
	if (!me.started) {
		child_exit(0);
		return;
	}
	set_state(LIFE_STOPPING);
	me.kind->stop();
}

static int
on_stop(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)ch;
	(void)body;
	(void)len;
	(void)fd;
	stop();
	return 0;
}

static void
on_signal(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) == sizeof(info) &&
	    (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT))
		stop();
}

static void
on_master_gone(struct chan *ch, int err)
{
	(void)ch;
	log_err(
	    "child: the master has gone%s%s", err != 0 ? ": " : "", err != 0 ? strerror(-err) : "");
	child_exit(2);
}

/* --- start ------------------------------------------------------------------------------- */

static int
privileges(void)
{
	struct rlimit lim;
	sigset_t set;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	secrets_keep(true); /* until the configuration says otherwise */
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like others */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	me.signals.fn = on_signal;
	return loop_add(self.loop, &me.signals, fd, EPOLLIN);
}

int
child_main(const struct child *c, int argc, char **argv)
{
	static const struct loop_ops ops = {
		.on_turn = on_turn, .on_sleep = on_sleep, .on_woken = on_woken
	};
	int err, type;
	socklen_t n = sizeof(type);

	if (argc != 2 || getsockopt(CHILD_CHAN_FD, SOL_SOCKET, SO_TYPE, &type, &n) != 0 ||
	    type != SOCK_SEQPACKET) {
		fprintf(
		    stderr, "%s is started by tbmqd, not by hand; see tbmqctl --help\n", argv[0]);
		exit(1); /* there is nothing that the caller could take down */
	}
	me.kind = c;
	log_init(argv[1]);
	clock_init();
	fcntl(CHILD_CHAN_FD, F_SETFD, FD_CLOEXEC);
	fcntl(CHILD_LOCK_FD, F_SETFD, FD_CLOEXEC);
	err = loop_new(&self.loop);
	if (err == 0)
		err = privileges();
	if (err == 0)
		err = chan_open(&me.chan, self.loop, CHILD_CHAN_FD, 1u << c->kind, P_MASTER, on_msg,
		    on_master_gone);
	if (err != 0) {
		log_err("child: cannot start: %s", strerror(-err));
		return 1;
	}
	loop_ops(self.loop, &ops, NULL);
	loop_run(self.loop);
	return me.code;
}

void
child_fini(void)
{
	chan_close(&me.chan);
	mesh_free(self.mesh);
	close(me.signals.fd);
	loop_free(self.loop);
}
