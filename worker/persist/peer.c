#include "worker/persist/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "worker/persist/expiry.h"
#include "worker/persist/kept.h"
#include "worker/persist/out.h"
#include "worker/persist/publish.h"
#include "worker/persist/quarantine.h"
#include "worker/persist/queue.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/store.h"
#include "worker/persist/will.h"

#define LOST_MAX 20000 /* sessions looked at in a turn for those of a dead worker */
#define POLL_NS 1000000
#define AGAIN_MS 1000
#define TELL_S 60

/* A worker that died: its sessions are let go when every peer has seen what they had published. */
struct lost {
	struct lost *next;
	uint64_t epoch;   /* the last that can have been granted to it */
	uint32_t gen, at; /* at: number of the session to look at next */
	uint8_t slot;
	bool drained;
};

struct epochs {
	uint64_t *at;
	size_t n, cap;
	bool is_sorted;
};

static struct {
	struct peer {
		uint32_t gen, ups;
		bool up, registers; /* registers: it has not sent REGISTERED */
		bool stored;        /* STOREs or RELEASEs have been applied since the last batch */
		/* Of those, what is up to this position our predecessor has brought to the disk; 0: none. */
		uint64_t stored_before;
		uint64_t
		    read_before; /* up to here it may have read, and delivered; 0: there was none */
		/* While it registers: epochs of which its ring still has a GONE from before. */
		struct epochs gone;
		/* Positions in its ring: applied; with the batch that is on its way; safe; given back. */
		uint64_t read, writing, safe, released;
	} peer[SLOTS];
	struct lost *lost;
	struct watch poll, disk;
	struct timer again; /* the disk was full */
	bool recovered, going, room, full, is_open;
	bool syncing; /* what is up to writing */
} the = { .poll.fd = -1, .disk.fd = -1 };

/* Whoever runs the loop's code has it: the loop, but while it sleeps, or for a moment the thread that has synced. */
static pthread_mutex_t awake = PTHREAD_MUTEX_INITIALIZER;

typedef int record_fn(unsigned slot, struct span body);
static int on_gone(unsigned slot, struct span body);
static void gone_note(struct peer *p, uint64_t epoch);
static void gone_forget(struct peer *p);
static void arrived(unsigned slot);
static int on_store(unsigned slot, struct span body);
static int on_release(unsigned slot, struct span body);
static int on_registered(unsigned slot, struct span body);
static bool all_registered(void);
static void recovered(void);
static void recovered_when_all(void);
static bool lost_turn(void);
static bool lost_waits(void);
static void on_poll(struct watch *w, uint32_t events);
static void on_disk(struct watch *w, uint32_t events);
static int take_note(void);
static void on_synced(void);
static void on_again(struct timer *t);
static bool write_batch(void);
static void look_at_disk(void);

static record_fn *const on_record[REC_TYPES] = {
	[REC_STORE] = on_store,
	[REC_RELEASE] = on_release,
	[REC_CONNECT] = session_connect,
	[REC_GONE] = on_gone,
	[REC_REGISTER] = session_register,
	[REC_REGISTERED] = on_registered,
	[REC_SUB] = session_subscribe,
	[REC_UNSUB] = session_unsubscribe,
	[REC_RETAIN_GET] = retained_get,
	[REC_ACKED] = session_acked,
	[REC_KEEP] = kept_put,
	[REC_KEPT_GET] = kept_get,
	[REC_WILL_END] = session_will_end,
};

int
peer_init(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	the.poll.fn = on_poll;
	err = loop_add(self.loop, &the.poll, fd, EPOLLIN);
	if (err != 0) {
		close(fd);
		return err;
	}
	timer_init(&the.again, on_again);
	the.disk.fn = on_disk;
	err = loop_add(self.loop, &the.disk, store_fd(), EPOLLIN);
	if (err != 0)
		return err;
	mesh_hold(self.mesh);
	pthread_mutex_lock(&awake);
	the.is_open = true;
	store_tell(on_synced);
	return 0;
}

void
peer_fini(void)
{
	struct lost *l;
	int fd = the.poll.fd;
	bool was_open;

	if (fd >= 0) {
		loop_del(self.loop, &the.poll);
		close(fd);
		timer_del(&the.again);
	}
	loop_del(self.loop, &the.disk);
	while ((l = the.lost) != NULL) {
		the.lost = l->next;
		free(l);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		gone_forget(&the.peer[slot]);
	was_open = the.is_open;
	memset(&the, 0, sizeof(the));
	the.poll.fd = the.disk.fd = -1;
	if (was_open)
		pthread_mutex_unlock(&awake);
}

bool
peer_is_up(unsigned slot)
{
	return slot < SLOTS && the.peer[slot].up;
}

uint32_t
peer_ups(unsigned slot)
{
	return the.peer[slot].ups;
}

bool
peer_registers(unsigned slot)
{
	return the.peer[slot].registers;
}

bool
peer_is_recovered(void)
{
	return the.recovered;
}

bool
peer_is_full(void)
{
	return the.full;
}

void
peer_conf(void)
{
	store_conf();
	look_at_disk();
}

int
peer_record(void *arg, unsigned from, unsigned type, struct span body)
{
	int err;

	(void)arg;
	if (from >= SLOTS || !rec_may(type, 1u << proc_kind_of(from), P_PERSIST, body) ||
	    on_record[type] == NULL)
		return -EPROTO;
	arrived(from); /* it may be heard before it can be answered */
	if (quarantine_begin(from, type, body))
		return 0;
	err = on_record[type](from, body);
	quarantine_end();
	return err;
}

static int
on_store(unsigned slot, struct span body)
{
	struct peer *p = &the.peer[slot];

	if (p->stored_before > 0 && mesh_position(self.mesh, slot) <= p->stored_before)
		return publish_stored_before(slot, body);
	p->stored = true;
	return publish_store(
	    slot, body, p->read_before > 0 && mesh_position(self.mesh, slot) <= p->read_before);
}

/* Its identifier may stand for the next message by now. */
static int
on_release(unsigned slot, struct span body)
{
	struct peer *p = &the.peer[slot];

	if (p->stored_before > 0 && mesh_position(self.mesh, slot) <= p->stored_before)
		return publish_released_before(slot, body);
	p->stored = true;
	return publish_release(slot, body);
}

static int
on_gone(unsigned slot, struct span body)
{
	struct peer *p = &the.peer[slot];
	struct rec_gone rec;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	if (p->registers)
		gone_note(p, rec.epoch);
	session_gone(slot, &rec);
	return 0;
}

static void
gone_note(struct peer *p, uint64_t epoch)
{
	struct epochs *e = &p->gone;

	if (e->n == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : 64;
		uint64_t *at = realloc(e->at, cap * sizeof(*at));

		if (at == NULL) {
			count(CNT_dropped__no_memory);
			return;
		}
		e->at = at;
		e->cap = cap;
	}
	e->at[e->n++] = epoch;
	e->is_sorted = false;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

bool
peer_has_gone(unsigned slot, uint64_t epoch)
{
	struct epochs *e = &the.peer[slot].gone;

	if (e->n == 0)
		return false;
	if (!e->is_sorted)
		qsort(e->at, e->n, sizeof(*e->at), by_number);
	e->is_sorted = true;
	return bsearch(&epoch, e->at, e->n, sizeof(epoch), by_number) != NULL;
}

static void
gone_forget(struct peer *p)
{
	free(p->gone.at);
	p->gone = (struct epochs){ 0 };
}

static void
arrived(unsigned slot)
{
	struct peer *p = &the.peer[slot];

	if (p->up)
		return;
	*p = (struct peer){
		.gen = mesh_gen(self.mesh, slot),
		.ups = p->ups + 1,
		.up = true,
		.registers = !the.going,
	};
	p->stored_before = store_position(slot, p->gen);
	if (self.birth.restarts > 0)
		p->read_before = mesh_published(self.mesh, slot);
}

void
peer_up(void *arg, unsigned slot)
{
	(void)arg;
	arrived(slot);
}

void
peer_down(void *arg, unsigned slot)
{
	struct peer *p = &the.peer[slot];
	struct lost *l;

	(void)arg;
	out_down(slot);
	queue_down(slot);
	retained_down(slot);
	if (slot < SLOT_MQTT_MAX && p->up) {
		l = malloc(sizeof(*l));
		if (l != NULL) {
			*l = (struct lost){
				.next = the.lost,
				.epoch = session_epoch(),
				.gen = p->gen,
				.slot = (uint8_t)slot,
			};
			the.lost = l;
		} else {
			log_err("peer: no memory to let go the sessions of=%s", proc_title(slot));
		}
	}
	gone_forget(p);
	p->up = p->registers = false;
	p->ups++;
	if (the.going)
		recovered_when_all();
}

void
peer_room(void *arg, unsigned slot)
{
	(void)arg;
	(void)slot;
	the.room = true; /* what had to wait goes on in the next turn */
}

/* --- after the death of a persist --------------------------------------------------------- */

int
peer_go(void)
{
	the.going = true;
	if (!all_registered())
		return -EAGAIN;
	recovered();
	return 0;
}

static bool
all_registered(void)
{
	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++)
		if (the.peer[slot].up && the.peer[slot].registers)
			return false;
	return true;
}

static void
recovered(void)
{
	if (directory_count() > 0 || self.birth.restarts > 0) {
		log_notice("persist: workers have registered sessions=%zu", directory_count());
	}
	the.recovered = true;
	look_at_disk();
	session_recovered();
}

static int
on_registered(unsigned slot, struct span body)
{
	struct rec_registered rec;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	if (rec.gen != self.gen) { /* our predecessor died before it had read that */
		session_unregistered(slot);
		return 0;
	}
	the.peer[slot].registers = false;
	gone_forget(&the.peer[slot]);
	if (the.going)
		recovered_when_all();
	return 0;
}

static void
recovered_when_all(void)
{
	if (the.recovered || !all_registered())
		return;
	recovered();
	child_ready();
}

/* --- dead workers ------------------------------------------------------------------------- */

static bool
lost_waits(void)
{
	return the.lost != NULL;
}

/* True: there is more to do now. */
static bool
lost_turn(void)
{
	struct lost **at = &the.lost, *l;
	bool more = false;

	while ((l = *at) != NULL) {
		uint32_t end, stop;
		struct session *s;

		if (!l->drained) {
			/* Wills are not for those only who have registered already. */
			l->drained =
			    the.recovered && mesh_is_drained_by_all(self.mesh, l->slot, l->gen);
			if (!l->drained) {
				at = &l->next;
				continue;
			}
		}
		stop = l->at + LOST_MAX;
		end = directory_end();
		while (l->at < stop && (s = directory_next(&l->at, LOST_MAX)) != NULL)
			if (s->slot == l->slot && s->epoch <= l->epoch &&
			    s->state != SESSION_OFFLINE)
				session_lost(s);
		if (l->at < end) {
			more = true;
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
	return more;
}

/* --- turns -------------------------------------------------------------------------------- */

bool
peer_turn(void)
{
	bool more = lost_turn();
	struct itimerspec soon = { .it_value.tv_nsec = POLL_NS };

	out_commit(); /* before what is delivered to whom it was granted */
	more |= expiry_turn();
	more |= retained_turn();
	more |= queue_turn();
	will_turn();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (the.peer[slot].up)
			the.peer[slot].read = mesh_position(self.mesh, slot);
	more |= write_batch();
	out_commit();
	more |= store_turn();
	interest_step(mesh_interest(self.mesh));
	/* What we wait for happens in other processes, which don't tell. */
	if (!more && (lost_waits() || retained_waits()))
		timerfd_settime(the.poll.fd, 0, &soon, NULL);
	return more;
}

/* What is applied from the rings is given back to them when it is safe. True: it is already. */
static bool
write_batch(void)
{
	bool is_safe; /* at once: nobody asks for power */
	int err = 0;

	for (unsigned slot = 0; slot < SLOTS && err == 0; slot++) {
		struct peer *p = &the.peer[slot];

		if (p->up && p->stored)
			err = store_position_put(slot, p->gen, p->read);
	}
	if (err == 0)
		err = retained_save();
	if (err == 0)
		err = store_write();
	if (err == 1 || err == -ENOSPC || the.full)
		look_at_disk();
	if (err == -EIO) {
		child_fail("persist: the store is broken, and ends");
		return false;
	}
	if (err == -EAGAIN)
		return false;
	if (err < 0) {
		log_every(10, LOG_ERR,
		    "persist: not written, nothing is acknowledged that has to be on disk: %s",
		    strerror(-err));
		timer_set(loop_timers(self.loop), &the.again, clock_ms() + AGAIN_MS);
		return false;
	}
	is_safe = store_safe(store_strictest()) + 1 >= store_batch();
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct peer *p = &the.peer[slot];

		p->stored = false;
		p->writing = p->read;
		if (err == 0 || is_safe)
			p->safe = p->writing;
	}
	the.syncing |= err == 1;
	if (err == 1 && is_safe)
		queue_synced();
	return err == 1 && is_safe;
}

/*
 * Before the disk is full for good, workers stop taking what would have to be kept: they look at the
 * counter. What is here already waits, in memory, and nothing is said about it before it is written.
 */
static void
look_at_disk(void)
{
	bool full = store_is_full();

	if (full) {
		log_every(TELL_S, LOG_ERR,
		    "persist: the disk is full, what would have to be kept is refused. Make room "
		    "in "
		    "%s, or set store_reserve lower",
		    self.birth.data_dir);
		timer_set(loop_timers(self.loop), &the.again, clock_ms() + AGAIN_MS);
	} else if (the.full) {
		log_notice("persist: the disk has room again");
	}
	the.full = full;
	count_set(CNT_store_full, full);
}

static void
on_disk(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	if (take_note() != 0)
		child_fail("persist: the disk did not take what was written");
}

/* Of a sync that has ended, if one has. 0, -EIO. */
static int
take_note(void)
{
	int err = store_synced();

	if (err != 0 || !the.syncing || !store_is_idle())
		return err;
	the.syncing = false;
	for (unsigned slot = 0; slot < SLOTS; slot++)
		the.peer[slot].safe = the.peer[slot].writing;
	queue_synced();
	return 0;
}

/* In the thread that has synced. While the loop sleeps the answers need not wait until it is awake; it has the rest to do. */
static void
on_synced(void)
{
	if (pthread_mutex_trylock(&awake) != 0)
		return;
	if (the.is_open && take_note() == 0) {
		out_commit();
		mesh_flush(self.mesh);
	}
	pthread_mutex_unlock(&awake);
}

void
peer_before_sleep(void)
{
	pthread_mutex_unlock(&awake);
}

void
peer_after_sleep(void)
{
	pthread_mutex_lock(&awake);
}

static void
on_again(struct timer *t)
{
	(void)t; /* the turn itself is what it is for */
}

bool
peer_after_flush(void)
{
	bool more = the.room;

	the.room = false;
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct peer *p = &the.peer[slot];

		if (!p->up || p->safe <= p->released)
			continue;
		mesh_release(self.mesh, slot, p->safe);
		p->released = p->safe;
	}
	return more;
}

static void
on_poll(struct watch *w, uint32_t events)
{
	uint64_t n;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) < 0)
		return; /* the turn itself is what it is for */
}
