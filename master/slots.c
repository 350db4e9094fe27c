#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/master.h"
#include "master/suspects.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"

#define BIRTH_MS 30000 /* from fork to READY; persist may take longer while its heart beats */
#define ABORT_MS 2000  /* between SIGABRT and SIGKILL */
#define STOP_MS 10000  /* for a child to end when asked */
#define QUICK_MS 10000 /* a death so soon after birth lengthens the pause before the next */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000
#define LEND_MS 1000    /* a slot that waits longer than this lends its listening sockets */
#define ACCUSE_MS 60000 /* who accuses a second peer within this time is restarted itself */

static struct {
	uint64_t at_ms;
	unsigned peer;
} accused[SLOTS]; /* by slot of the accuser */

static const char stands_still[] = "its loop stands still";

static struct msg_drain drain; /* as it was asked for last */

static int on_segment(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_ready(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_liar(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_vote(struct chan *ch, const void *body, size_t len, const int *fd);
static int on_left(struct chan *ch, const void *body, size_t len, const int *fd);
static void on_timer(struct timer *t);
static void slot_birth(struct slot *s);
static void slot_unwant(struct slot *s);
static void slot_drain(struct slot *s, const struct msg_drain *how);
static void slot_death(struct slot *s, pid_t pid, int status);
static void stop_next(void);

static ipc_fn *const on_msg[IPC_TYPES] = {
	[IPC_SEGMENT] = on_segment,
	[IPC_READY] = on_ready,
	[IPC_LIAR] = on_liar,
	[IPC_CONF_VOTE] = on_vote,
	[IPC_LEFT] = on_left,
};

static struct slot *
slot_of(struct chan *ch)
{
	return container_of(ch, struct slot, chan);
}

static void
on_end(struct chan *ch, int err)
{
	struct slot *s = slot_of(ch);

	log_debug("slots: channel closed process=%s error=%d", proc_title(s->n), err);
	if (s->pid <= 0 || s->hung || s->stop_asked || s->state == SLOT_STOPPING)
		return;
	/* It is ending: a signal would take the place of what it has to say. */
	if (err != -EPROTO)
		timer_set(loop_timers(master.loop), &s->timer, clock_ms() + ABORT_MS);
	else
		slot_kill(s, SIGKILL, "sent on its control socket what can't be");
}

bool
slot_is_live(const struct slot *s)
{
	return s->pid > 0 && s->seg != NULL && s->chan.fd >= 0;
}

int
slot_send(
    struct slot *s, enum ipc_type type, const void *body, size_t len, const int *fds, int nfds)
{
	int err;

	if (s->pid <= 0 || s->chan.fd < 0)
		return -EPIPE;
	err = chan_send(&s->chan, type, body, len, fds, nfds);
	/* One that is just ending has closed its end: the reap will tell. */
	if (err != 0 && err != -EPIPE && err != -ECONNRESET) {
		log_err("slots: cannot send %s to process=%s: %s", ipc_name(type), proc_title(s->n),
		    strerror(-err));
		slot_kill(s, SIGKILL, "does not read its control socket");
	}
	return err;
}

void
slot_kill(struct slot *s, int sig, const char *why)
{
	if (s->pid <= 0 || s->hung)
		return;
	log_err("slots: ending process=%s pid=%d: %s", proc_title(s->n), s->pid, why);
	s->hung = true;
	s->why = why;
	kill(s->pid, sig);
	timer_set(loop_timers(master.loop), &s->timer, clock_ms() + ABORT_MS);
}

void
slots_init(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &master.slot[i];

		*s = (struct slot){ .n = i, .segment = -1, .bell = -1, .chan = { .fd = -1 } };
		timer_init(&s->timer, on_timer);
	}
	must(getrandom(&master.key, sizeof(master.key), 0) == (ssize_t)sizeof(master.key));
	must(getrandom(&master.broker_id, sizeof(master.broker_id), 0) ==
	    (ssize_t)sizeof(master.broker_id));
}

void
slots_start(void)
{
	master.slot[SLOT_PERSIST].wanted = master.slot[SLOT_AUTH].wanted = true;
	slot_birth(&master.slot[SLOT_PERSIST]);
	/* The others are born when it can be mapped: then they know from the start whom to wait for, and accept nobody before it has recovered. */
}

void
slots_want(unsigned workers)
{
	master.workers = workers;
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];
		bool wanted = w < workers;

		if (wanted && !s->wanted) {
			s->wanted = true;
			if (s->state == SLOT_EMPTY)
				slot_birth(s);
		} else if (!wanted && s->wanted) {
			slot_unwant(s);
			if (s->state == SLOT_DRAINING)
				slot_drain(s, &(struct msg_drain){ 0 });
		}
	}
}

static void
slot_drain(struct slot *s, const struct msg_drain *how)
{
	slot_send(s, IPC_DRAIN, how, sizeof(*how), NULL, 0);
}

/* It takes nobody new; one that is not yet linked is told when it is ready. */
static void
slot_unwant(struct slot *s)
{
	s->wanted = false;
	listen_close_worker(s->n);
	if (s->state == SLOT_READY || s->state == SLOT_LINKING) {
		s->state = SLOT_DRAINING;
	} else if (s->state == SLOT_BACKOFF) {
		timer_del(&s->timer);
		s->state = SLOT_EMPTY;
	}
}

/*
 * The rate is that of the broker: each worker gets the share that it has of the connections, so that all are done at
 * the same time. Some leave by themselves meanwhile, so the shares are dealt again and again.
 */
static void
deal_drain(void)
{
	uint64_t of[SLOT_MQTT_MAX] = { 0 }, all = 0;

	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (master.slot[w].kicks && slot_is_live(&master.slot[w])) {
			of[w] = atomic_load(&master.slot[w].seg->counter[CNT_connections]);
			all += of[w];
		}
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];
		struct msg_drain m = drain;

		if (!s->kicks || !slot_is_live(s))
			continue;
		if (drain.rate_milli > 0) /* 0 is at once */
			m.rate_milli = all > 0 && drain.rate_milli * of[w] >= all
			    ? (uint32_t)(drain.rate_milli * of[w] / all)
			    : 1;
		if (!s->dealt || s->share != m.rate_milli)
			slot_drain(s, &m);
		s->dealt = true;
		s->share = m.rate_milli;
	}
}

void
slots_drain(const struct msg_drain *how)
{
	drain = *how;
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		struct slot *s = &master.slot[w];

		if (s->wanted)
			slot_unwant(s);
		s->kicks = s->pid > 0;
		s->dealt = false;
	}
	deal_drain();
}

bool
slots_ready(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (master.slot[i].wanted && master.slot[i].state != SLOT_READY)
			return false;
	return true;
}

/* --- birth ------------------------------------------------------------------------------- */

static void
slot_pause(struct slot *s)
{
	uint64_t ms =
	    s->quick > 0 ? (uint64_t)PAUSE_MIN_MS << (s->quick < 8 ? s->quick - 1 : 7) : 0;

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	s->state = SLOT_BACKOFF;
	timer_set(loop_timers(master.loop), &s->timer, clock_ms() + ms);
	if (ms == 0)
		return;
	log_notice("slots: next start of process=%s in %" PRIu64 " ms", proc_title(s->n), ms);
	for (unsigned w = 0; ms > LEND_MS && s->n < SLOT_MQTT_MAX && w < SLOT_MQTT_MAX; w++)
		if (w != s->n && master.slot[w].state == SLOT_READY) {
			slot_listeners(s, &master.slot[w], true);
			s->lent_to = w + 1;
			break;
		}
}

static void
slot_birth(struct slot *s)
{
	struct msg_start m = {
		.abi = IPC_ABI,
		.slot = s->n,
		.gen = ++master.gens,
		.restarts = s->restarts,
		.key = master.key,
		.broker_start_ms = master.start_ms,
		.broker_id = master.broker_id,
		.workers = master.workers,
	};
	int fd[2], err;

	snprintf(m.data_dir, sizeof(m.data_dir), "%s", master.dirs.data);
	snprintf(m.backup_dir, sizeof(m.backup_dir), "%s",
	    master.conf.backup_dir.s[0] != '\0' ? master.conf.backup_dir.s : master.dirs.dir);
	if (s->n == SLOT_PERSIST)
		quarantine_tell_records(&m);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0) {
		log_err("slots: cannot make a control socket: %m");
		s->quick++;
		slot_pause(s);
		return;
	}
	s->gen = m.gen;
	s->why = NULL;
	s->hung = s->stop_asked = s->kicks = false;
	s->born_ms = clock_ms();
	s->offered = 0;
	err = spawn_child(s, fd[1]);
	close(fd[1]);
	if (err == 0)
		err = chan_open(&s->chan, master.loop, fd[0], P_MASTER, 1u << proc_kind_of(s->n),
		    on_msg, on_end);
	else
		close(fd[0]);
	if (err != 0) {
		log_err("slots: cannot start process=%s: %s", proc_title(s->n), strerror(-err));
		if (!master.ready)
			master_failed("cannot start %s: %s", proc_title(s->n), strerror(-err));
		s->quick++;
		slot_pause(s);
		return;
	}
	s->state = SLOT_BORN;
	timer_set(loop_timers(master.loop), &s->timer, clock_ms() + BIRTH_MS);
	logfile_to(s);
	tls_give(s, false);
	acl_give(s, false);
	authfiles_give(s, false);
	tls_give_tickets(s);
	slot_send(s, IPC_START, &m, sizeof(m), &master.snapshot, 1);
	logfile_levels_to(s);
}

/* It can be mapped: it and everybody who is there hear of each other. */
static int
on_segment(struct chan *ch, const void *body, size_t len, const int *fd)
{
	struct slot *s = slot_of(ch);
	int err = s->seg != NULL ? -EPROTO : segment_reopen(fd[0], &s->segment);

	(void)body;
	(void)len;
	close(fd[0]);
	if (err == 0)
		err = segment_attach(s->segment, s->n, s->gen, &s->seg, &s->shape);
	if (err != 0) {
		close(fd[1]);
		log_err("slots: segment of process=%s is not as it must be: %s", proc_title(s->n),
		    strerror(-err));
		return -EPROTO;
	}
	s->bell = fd[1];
	if (s->pid <= 0 || s->state != SLOT_BORN)
		return 0; /* it ends, or has ended: what it says there is all that is of use */
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *p = &master.slot[i];
		struct msg_peer me = { s->n, s->gen }, it = { p->n, p->gen };

		if (p == s || !slot_is_live(p))
			continue;
		slot_send(s, IPC_PEER_UP, &it, sizeof(it), (int[]){ p->segment, p->bell }, 2);
		slot_send(p, IPC_PEER_UP, &me, sizeof(me), (int[]){ s->segment, s->bell }, 2);
	}
	if (s->n < SLOT_MQTT_MAX)
		slot_listeners(s, s, false);
	quarantine_tell_clients(s);
	block_tell(s);
	s->state = SLOT_LINKING;
	slot_send(s, IPC_GO, &(struct msg_none){ 0 }, sizeof(struct msg_none), NULL, 0);
	if (master.workers == 0) {
		slot_birth(&master.slot[SLOT_AUTH]);
		slots_want(proc_workers(master.conf.workers));
	}
	return 0;
}

static int
on_ready(struct chan *ch, const void *body, size_t len, const int *fd)
{
	struct slot *s = slot_of(ch);

	(void)body;
	(void)len;
	(void)fd;
	if (s->pid <= 0 || s->state != SLOT_LINKING)
		return 0;
	s->state = SLOT_READY;
	s->ready_ms = clock_ms();
	timer_del(&s->timer);
	log_notice("slots: ready process=%s pid=%d gen=%u", proc_title(s->n), s->pid, s->gen);
	if (s->lent_to > 0 && slot_is_live(&master.slot[s->lent_to - 1]))
		slot_take_back(s, &master.slot[s->lent_to - 1]);
	s->lent_to = 0;
	if (!s->wanted) {
		s->state = SLOT_DRAINING;
		if (!s->kicks)
			slot_drain(s, &(struct msg_drain){ 0 });
	}
	if (slots_ready())
		master_ready();
	return 0;
}

/* --- life -------------------------------------------------------------------------------- */

static int
on_liar(struct chan *ch, const void *body, size_t len, const int *fd)
{
	const struct msg_peer *m = body;
	struct slot *s = slot_of(ch), *p;

	(void)len;
	(void)fd;
	if (m->slot >= SLOTS || m->slot == s->n)
		return -EPROTO;
	p = &master.slot[m->slot];
	if (accused[s->n].at_ms != 0 && clock_ms() - accused[s->n].at_ms < ACCUSE_MS &&
	    accused[s->n].peer != m->slot) {
		slot_kill(s, SIGABRT, "accuses one peer after the other");
		return 0;
	}
	accused[s->n].at_ms = clock_ms();
	accused[s->n].peer = m->slot;
	if (p->gen == m->gen)
		slot_kill(p, SIGABRT, "wrote into its rings what can't be");
	return 0;
}

static int
on_vote(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)len;
	(void)fd;
	reload_vote(slot_of(ch), body);
	return 0;
}

static int
on_left(struct chan *ch, const void *body, size_t len, const int *fd)
{
	(void)body;
	(void)len;
	(void)fd;
	slot_of(ch)->stop_asked = true; /* its end is no accident */
	return 0;
}

static void
on_timer(struct timer *t)
{
	struct slot *s = container_of(t, struct slot, timer);

	if (s->state == SLOT_BACKOFF) {
		slot_birth(s);
	} else if (s->hung) {
		if (s->pid > 0)
			kill(s->pid, SIGKILL);
	} else if (s->state == SLOT_STOPPING || s->stop_asked) {
		slot_kill(s, SIGKILL, "did not end when asked");
	} else if (s->chan.fd < 0) {
		slot_kill(s, SIGKILL, "closed its control socket, but did not end");
	} else if (s->n == SLOT_PERSIST && s->seg != NULL) {
		timer_set(loop_timers(master.loop), &s->timer,
		    clock_ms() + BIRTH_MS); /* it recovers; slots_tick() looks at its heart */
	} else {
		slot_kill(s, SIGABRT, "did not get ready in time");
	}
}

/* A loop that sleeps does not beat: halfway to the limit it is woken, and beats unless it can't. */
void
slots_tick(void)
{
	uint64_t now = clock_now_us() / 1000, limit = master.conf.hang_timeout * UINT64_C(1000),
		 one = 1;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &master.slot[i];
		uint64_t beat;

		if (!slot_is_live(s) || s->state == SLOT_BORN)
			continue;
		beat = atomic_load(&s->seg->beat_ms);
		if (beat == 0 || now < beat + limit / 2)
			continue;
		if (s->rung_beat != beat) {
			s->rung_beat = beat;
			s->rung_ms = now;
			(void)!write(s->bell, &one, sizeof(one));
		} else if (now >= s->rung_ms + limit / 2 && now >= beat + limit) {
			slot_kill(s, SIGABRT, stands_still);
		}
	}
	deal_drain();
	if (master.stopping)
		stop_next();
}

/* --- death ------------------------------------------------------------------------------- */

/* For a terminal and for JSON: a process that died may have written anything. */
static void
make_printable(char *text)
{
	bool is_utf8 = utf8_is_valid(span_str(text));

	for (; *text != '\0'; text++)
		if ((uint8_t)*text < ' ' || *text == 0x7f || (!is_utf8 && (uint8_t)*text > 0x7f))
			*text = ' ';
}

static void
last_words(struct slot *s, int status)
{
	char how[64], must_text[MUST_TEXT_MAX + 16] = "", client[SUSPECT_TEXT_MAX] = "";

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(status));
	if (s->seg != NULL) {
		struct flight f;

		memcpy(&f, &s->seg->flight, sizeof(f));
		f.must[sizeof(f.must) - 1] = '\0';
		make_printable(f.must);
		if (f.must[0] != '\0')
			snprintf(must_text, sizeof(must_text), " %s", f.must);
		if (f.packet != 0) {
			who_end(&f.who);
			suspect_text(&f.who, f.packet, client);
		}
	}
	snprintf(s->last_words, sizeof(s->last_words), "%s%s%s%s%s%s", s->why != NULL ? s->why : "",
	    s->why != NULL ? ": " : "", how, must_text, client[0] != '\0' ? " " : "", client);
}

static void
slot_forget(struct slot *s)
{
	struct msg_peer m = { s->n, s->gen };

	chan_close(&s->chan);
	timer_del(&s->timer);
	if (s->seg != NULL) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (i != s->n && slot_is_live(&master.slot[i]))
				slot_send(&master.slot[i], IPC_PEER_DOWN, &m, sizeof(m), NULL, 0);
		segment_detach(&s->seg, s->shape.size);
	}
	if (s->segment >= 0)
		close(s->segment);
	if (s->bell >= 0)
		close(s->bell);
	s->segment = s->bell = -1;
	s->hung = false;
	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++)
		if (master.slot[w].lent_to == s->n + 1)
			master.slot[w].lent_to = 0;
}

/* If it was at a packet, can that have been the cause? Not if it was ended from outside, or by us for something else. */
static bool
is_by_packet(const struct slot *s, int status)
{
	if (s->why != NULL)
		return s->why == stands_still;
	return !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
}

static void
slot_death(struct slot *s, pid_t pid, int status)
{
	bool asked = s->stop_asked || s->state == SLOT_STOPPING,
	     clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	uint64_t lived = clock_ms() - s->born_ms;
	bool removed = false; /* what it has died of, so the next need not wait */

	last_words(s, status);
	if (asked && clean) {
		snprintf(s->last_words, sizeof(s->last_words), "ended as asked");
		log_notice("slots: ended process=%s pid=%d", proc_title(s->n), pid);
	} else {
		log_err("slots: died process=%s pid=%d gen=%u after=%" PRIu64 "ms: %s",
		    proc_title(s->n), pid, s->gen, lived, s->last_words);
		if (s->n == SLOT_PERSIST && s->seg != NULL)
			removed = quarantine_note_record(s->seg);
		else if (s->seg != NULL && is_by_packet(s, status))
			removed = quarantine_note_client(s->seg);
	}
	slot_forget(s);
	reload_gone();
	if (master.stopping || !s->wanted) {
		s->state = SLOT_EMPTY;
		if (master.stopping)
			stop_next();
		return;
	}
	if (!master.ready && !asked) {
		master_failed("%s ended while starting: %s", proc_title(s->n), s->last_words);
		return;
	}
	if (!asked)
		s->restarts++;
	s->quick = asked || removed || lived > QUICK_MS ? 0 : s->quick + 1;
	if (s->quick <= 1 || asked) /* the first successor comes at once */
		slot_birth(s);
	else
		slot_pause(s);
}

void
slots_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < SLOTS; i++) {
			struct slot *s = &master.slot[i];

			if (s->pid != pid)
				continue;
			s->pid = 0;
			chan_read(&s->chan); /* it may have said that it goes */
			slot_death(s, pid, status);
			break;
		}
}

/* --- stop -------------------------------------------------------------------------------- */

static bool
stop_some(unsigned from, unsigned to)
{
	bool left = false;

	for (unsigned i = from; i < to; i++) {
		struct slot *s = &master.slot[i];

		s->wanted = false;
		if (s->state == SLOT_BACKOFF) {
			timer_del(&s->timer);
			s->state = SLOT_EMPTY;
		}
		if (s->pid <= 0)
			continue;
		left = true;
		if (s->state == SLOT_STOPPING)
			continue;
		s->state = SLOT_STOPPING;
		timer_set(loop_timers(master.loop), &s->timer, clock_ms() + STOP_MS);
		slot_send(s, IPC_STOP, &(struct msg_none){ 0 }, sizeof(struct msg_none), NULL, 0);
	}
	return left;
}

/* Workers first: what they still have to store goes to persist. */
static void
stop_next(void)
{
	if (stop_some(0, SLOT_MQTT_MAX))
		return;
	if (stop_some(SLOT_MQTT_MAX, SLOTS))
		return;
	loop_stop(master.loop);
}

void
slots_stop(void)
{
	stop_next();
}

void
slot_restart(struct slot *s)
{
	s->stop_asked = true;
	timer_set(loop_timers(master.loop), &s->timer, clock_ms() + STOP_MS);
	s->hung = false;
	slot_send(s, IPC_STOP, &(struct msg_none){ 0 }, sizeof(struct msg_none), NULL, 0);
}
