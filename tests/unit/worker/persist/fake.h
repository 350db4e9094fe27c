/*
 * fake.h - persist's modules with a mesh of paper: what they send is kept, what they are told is made up
 *
 * The functions of mesh.h and child.h that persist uses are defined here, so the linker takes
 * none from the library. Each test begins with fake_start() and ends with fake_stop(). Workers 0
 * and 1 are up.
 */
#ifndef FAKE_H
#define FAKE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "tests/unit/unit.h"
#include "tests/unit/worker/persist/bdb_sanitized.h"
#include "worker/persist/directory.h"
#include "worker/persist/expiry.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/publish.h"
#include "worker/persist/queue.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/store.h"
#include "worker/persist/sub.h"
#include "worker/persist/will.h"

struct sent {
	unsigned slot, type;
	size_t len;
	uint8_t *body;
	bool seen;
};

struct fake_group {
	unsigned slot;
	struct interest_hit hit;
};

static struct {
	struct sent *sent;
	size_t n, cap;
	bool open[SLOTS], waits[SLOTS], full[SLOTS], wants[SLOTS];
	bool undrained, unturned, unconsumed;
	unsigned ready, interests;
	int exit; /* code it ended with */
	struct fake_group group[8];
	unsigned ngroups;
	struct segment *seg[SLOTS];
	uint64_t position, moves; /* of all rings, and how far they are read in a turn */
	bool is_hasty;            /* turns don't wait for the disk */
	uint64_t released;        /* of the ring that was given back to last */
	uint64_t published;       /* in each ring when we come to it */
	int64_t *clock;
	char dir[64]; /* of the store */
} fake;

struct self self;

/* --- what the modules call --------------------------------------------------------------- */

enum mesh_sent
mesh_send(struct mesh *m, unsigned slot, unsigned type, const struct iovec *iov, int n)
{
	struct sent *s;
	uint8_t *p;

	(void)m;
	if (!fake.open[slot])
		return MESH_NO_PEER;
	if (fake.full[slot])
		return MESH_FULL;
	if (fake.n == fake.cap) {
		fake.cap = fake.cap ? fake.cap * 2 : 64;
		fake.sent = realloc(fake.sent, fake.cap * sizeof(*fake.sent));
	}
	s = &fake.sent[fake.n++];
	*s = (struct sent){ .slot = slot, .type = type };
	for (int i = 0; i < n; i++)
		s->len += iov[i].iov_len;
	p = s->body = malloc(s->len + 1);
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > 0)
			memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	return MESH_SENT;
}

bool
mesh_is_open(struct mesh *m, unsigned slot)
{
	(void)m;
	return fake.open[slot];
}

bool
mesh_waits(struct mesh *m, unsigned slot)
{
	(void)m;
	return fake.waits[slot];
}

void
mesh_beat(struct mesh *m)
{
	(void)m;
}

struct segment *
mesh_segment(struct mesh *m)
{
	(void)m;
	return fake.seg[SLOT_PERSIST];
}

const struct segment *
mesh_peer(struct mesh *m, unsigned slot)
{
	(void)m;
	return fake.open[slot] ? fake.seg[slot] : NULL;
}

uint32_t
mesh_gen(struct mesh *m, unsigned slot)
{
	(void)m;
	return fake.open[slot] ? fake.seg[slot]->gen : 0;
}

struct interest *
mesh_interest(struct mesh *m)
{
	(void)m;
	return NULL;
}

const void *
mesh_tables(struct mesh *m, unsigned slot)
{
	(void)m;
	return (const void *)(uintptr_t)(slot + 1);
}

void
mesh_hold(struct mesh *m)
{
	(void)m;
}

uint64_t
mesh_position(struct mesh *m, unsigned from)
{
	(void)m;
	(void)from;
	return fake.position;
}

uint64_t
mesh_published(struct mesh *m, unsigned from)
{
	(void)m;
	(void)from;
	return fake.published;
}

void
mesh_flush(struct mesh *m)
{
	(void)m;
}

void
mesh_release(struct mesh *m, unsigned from, uint64_t upto)
{
	(void)m;
	(void)from;
	fake.released = upto;
}

bool
mesh_is_drained_by_all(struct mesh *m, unsigned slot, uint32_t gen)
{
	(void)m;
	(void)slot;
	(void)gen;
	return !fake.undrained;
}

void
mesh_turns(struct mesh *m, struct mesh_turns *out)
{
	(void)m;
	memset(out, 0, sizeof(*out));
}

bool
mesh_all_turned(struct mesh *m, const struct mesh_turns *since)
{
	(void)m;
	(void)since;
	return !fake.unturned;
}

void
mesh_mark(struct mesh *m, struct mesh_mark *out)
{
	(void)m;
	memset(out, 0, sizeof(*out));
}

bool
mesh_is_consumed(struct mesh *m, const struct mesh_mark *at)
{
	(void)m;
	(void)at;
	return !fake.unconsumed;
}

void
interest_add(struct interest *x, struct span filter)
{
	(void)x;
	(void)filter;
	fake.interests++;
}

void
interest_del(struct interest *x, struct span filter)
{
	(void)x;
	(void)filter;
	fake.interests--;
}

uint64_t
interest_group_hash(const struct hash_key *key, struct span filter, struct span name)
{
	return hash_mix(hash_bytes(key, filter)) ^ hash_bytes(key, name);
}

void
interest_group(struct interest *x, struct span filter, struct span name, uint32_t weight,
    uint32_t clean, uint64_t *group_out)
{
	(void)x;
	(void)weight;
	(void)clean;
	*group_out = interest_group_hash(&self.key, filter, name);
}

bool
interest_step(struct interest *x)
{
	(void)x;
	return false;
}

bool
interest_probe(const struct interest_head *h, const void *tables, const struct topic_hash *t)
{
	(void)h;
	(void)t;
	return fake.wants[(uintptr_t)tables - 1];
}

unsigned
interest_probe_groups(const struct interest_head *h, const void *tables, const struct topic_hash *t,
    struct interest_hit *out, unsigned max)
{
	unsigned n = 0;

	(void)h;
	(void)t;
	for (unsigned i = 0; i < fake.ngroups && n < max; i++)
		if (fake.group[i].slot == (uintptr_t)tables - 1)
			out[n++] = fake.group[i].hit;
	return n;
}

void
child_ready(void)
{
	fake.ready++;
}

void
child_exit(int code)
{
	fake.exit = code;
}

void
child_fail(const char *why)
{
	log_write(LOG_ERR, "%s", why);
	fake.exit = 1;
}

/* --- a test's side ------------------------------------------------------------------------ */

static inline void
fake_restart(uint32_t gen, uint32_t restarts)
{
	self.slot = SLOT_PERSIST;
	self.gen = gen;
	self.birth.restarts = restarts;
	CU_ASSERT_EQUAL_FATAL(store_open(fake.dir), 0);
	CU_ASSERT_EQUAL_FATAL(directory_init(), 0);
	CU_ASSERT_EQUAL_FATAL(sub_init(), 0);
	CU_ASSERT_EQUAL_FATAL(session_init(), 0);
	CU_ASSERT_EQUAL_FATAL(will_init(), 0);
	CU_ASSERT_EQUAL_FATAL(retained_init(), 0);
	CU_ASSERT_EQUAL_FATAL(expiry_init(), 0);
	CU_ASSERT_EQUAL_FATAL(peer_init(), 0);
	for (unsigned slot = 0; slot < 2; slot++) {
		fake.open[slot] = true;
		peer_up(NULL, slot);
	}
}

/* One for the whole process: the clock maps it once. */
static inline int64_t *
fake_clock(void)
{
	static int64_t *map;
	char path[64];
	int fd;

	if (map != NULL)
		return map;
	snprintf(path, sizeof(path), "/tmp/persist_test_clock.%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, 8) == 0);
	map = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	setenv("TBMQ_TEST_CLOCK", path, 1);
	clock_init();
	unlink(path);
	return map;
}

/* A worker has said who is connected to it. */
static inline void
tell_registered(unsigned slot)
{
	const struct rec_registered rec = { .gen = self.gen };

	CU_ASSERT_EQUAL(peer_record(NULL, slot, REC_REGISTERED, span_of(&rec, sizeof(rec))), 0);
}

/* Both workers have said who is connected to them. */
static inline void
registered(void)
{
	for (unsigned slot = 0; slot < 2; slot++)
		tell_registered(slot);
	CU_ASSERT_EQUAL(peer_go(), 0);
}

static inline void
fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&self, 0, sizeof(self));
	fake.clock = fake_clock();
	strcpy(fake.dir, "/tmp/persist_test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fake.dir));
	self.key = (struct hash_key){ { 1, 2 } };
	conf_defaults(&self.conf);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (slot < 3 || slot == SLOT_PERSIST) {
			fake.seg[slot] = calloc(1, sizeof(struct segment));
			fake.seg[slot]->gen = 1;
			fake.seg[slot]->interest.ngroups = 1;
		}
	counters = fake.seg[SLOT_PERSIST]->counter;
	CU_ASSERT_EQUAL_FATAL(loop_new(&self.loop), 0);
	fake_restart(1, 0);
	registered();
}

static inline void
fake_forget(void)
{
	for (size_t i = 0; i < fake.n; i++)
		free(fake.sent[i].body);
	fake.n = 0;
}

static inline void
fake_end(void)
{
	session_fini();
	queue_fini();
	sub_fini();
	directory_fini();
	will_fini();
	retained_fini();
	expiry_fini();
	publish_fini();
	peer_fini();
	out_fini();
	store_close();
	fake_forget();
}

static inline void
fake_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* The modules have ended. */
static inline void
fake_clean(void)
{
	fake_remove(fake.dir);
	free(fake.sent);
	loop_free(self.loop);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		free(fake.seg[slot]);
}

static inline void
fake_stop(void)
{
	fake_end();
	fake_clean();
}

static inline uint64_t
counted(enum counter c)
{
	return atomic_load(&counters[c]);
}

/* One, without waiting for the disk. */
static inline void
turn_once(void)
{
	peer_turn();
	fake.position += fake.moves;
	peer_after_flush();
}

/* Until all is done and safe; or, if that would be too often, done. */
static inline void
turn(void)
{
	for (;;) {
		for (int i = 0; i < 1000 && peer_turn(); i++)
			fake.position += fake.moves;
		peer_after_flush();
		if (fake.is_hasty || store_safe(DURABILITY_power) >= store_batch()) {
			loop_turn(self.loop, 0);
			break;
		}
		loop_turn(self.loop, 1000);
	}
}

/* Time passes. */
static inline void
pass_ms(int64_t ms)
{
	*fake.clock += ms;
	clock_tick();
	/* The wheel moves by its own steps. */
	timers_run(loop_timers(self.loop), clock_ms());
	*fake.clock += 20;
	clock_tick();
	timers_run(loop_timers(self.loop), clock_ms());
	turn();
}

/* The next record of a type to a worker that was not seen yet, or NULL. */
static inline const struct sent *
next(unsigned slot, unsigned type)
{
	for (size_t i = 0; i < fake.n; i++)
		if (!fake.sent[i].seen && fake.sent[i].slot == slot && fake.sent[i].type == type) {
			fake.sent[i].seen = true;
			return &fake.sent[i];
		}
	return NULL;
}

static inline bool
has(unsigned slot, unsigned type)
{
	for (size_t i = 0; i < fake.n; i++)
		if (!fake.sent[i].seen && fake.sent[i].slot == slot && fake.sent[i].type == type)
			return true;
	return false;
}

#define TAKE(rec, slot, type)                                                                      \
	({                                                                                         \
		const struct sent *s_ = next(slot, type);                                          \
		if (s_ != NULL)                                                                    \
			memcpy(rec, s_->body, sizeof(*(rec)));                                     \
		s_ != NULL;                                                                        \
	})

static inline int
tell_parts(
    unsigned slot, unsigned type, const void *fixed, size_t len, struct span a, struct span b)
{
	uint8_t buf[70000];

	memcpy(buf, fixed, len);
	if (a.len > 0)
		memcpy(buf + len, a.p, a.len);
	if (b.len > 0)
		memcpy(buf + len + a.len, b.p, b.len);
	return peer_record(NULL, slot, type, span_of(buf, len + a.len + b.len));
}

#define NOTHING span_of(NULL, 0)

struct client { /* a connection at a worker, as the worker knows it */
	const char *id;
	unsigned slot;
	uint32_t handle, session, expiry;
	uint64_t epoch;
	uint64_t since;        /* of the last subscription */
	uint8_t flags, reason; /* of the last grant */
	bool granted;
	/* what it asks for */
	bool clean;
	uint16_t window;
	uint8_t durability;
	const char *will_topic;
	uint32_t will_delay;
};

/* CONNECT or REGISTER. */
static inline int
tell_connect(const struct client *c, unsigned type, uint64_t token, uint8_t flags)
{
	struct rec_connect rec = {
		.token = token,
		.handle = c->handle,
		.session = c->session,
		.expiry = c->expiry,
		.window = c->window ? c->window : 100,
		.client_id_len = (uint16_t)strlen(c->id),
		.flags = (uint8_t)(flags | (c->clean ? CONNECT_CLEAN : 0) |
		    (c->will_topic != NULL ? CONNECT_WILL : 0)),
		.version = MQTT_5,
		.durability = c->durability,
		.will_delay = c->will_delay,
	};
	struct msg_view v = { .topic = span_str(c->will_topic ? c->will_topic : ""),
		.payload = span_str("bye"),
		.qos = 1 };
	char will[128] = "";

	if (c->will_topic != NULL) {
		rec.will = rec_msg_of(&v, 0, true);
		snprintf(will, sizeof(will), "%sbye", c->will_topic);
	}
	return tell_parts(c->slot, type, &rec, sizeof(rec), span_str(c->id), span_str(will));
}

static inline void
ask_connect(struct client *c)
{
	c->granted = false;
	CU_ASSERT_EQUAL(tell_connect(c, REC_CONNECT, c->handle, 0), 0);
	turn();
}

/* A worker tells a successor of persist who is connected. */
static inline int
enlist(struct client *c, uint64_t epoch, uint8_t flags)
{
	c->epoch = epoch;
	return tell_connect(c, REC_REGISTER, epoch, flags);
}

/* Takes the answer of its CONNECT, if there is one. */
static inline bool
take_grant(struct client *c)
{
	for (size_t i = 0; i < fake.n; i++) {
		struct sent *s = &fake.sent[i];
		struct rec_grant g;

		if (s->seen || s->slot != c->slot || s->type != REC_GRANT)
			continue;
		memcpy(&g, s->body, sizeof(g));
		if (g.token != c->handle)
			continue;
		s->seen = true;
		c->epoch = g.epoch;
		c->session = g.session;
		c->flags = g.flags;
		c->reason = g.reason;
		return c->granted = g.reason == MQTT_SUCCESS;
	}
	return false;
}

static inline void
join(struct client *c)
{
	ask_connect(c);
	CU_ASSERT_TRUE(take_grant(c));
}

static inline void
leave(struct client *c, uint8_t flags, uint32_t expiry)
{
	struct rec_gone rec = { .last_seq = UINT64_MAX,
		.epoch = c->epoch,
		.session = c->session,
		.flags = flags,
		.expiry = expiry };

	CU_ASSERT_EQUAL(tell_parts(c->slot, REC_GONE, &rec, sizeof(rec), NOTHING, NOTHING), 0);
	turn();
}

static inline uint8_t
subscribe(struct client *c, const char *filter, uint8_t options, uint32_t id)
{
	struct rec_sub rec = {
		.token = 7,
		.epoch = c->epoch,
		.session = c->session,
		.subid = id,
		.filter_len = (uint16_t)strlen(filter),
		.options = options,
	};
	struct rec_subbed answer = { .reason = 0xff };

	CU_ASSERT_EQUAL(
	    tell_parts(c->slot, REC_SUB, &rec, sizeof(rec), span_str(filter), NOTHING), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&answer, c->slot, REC_SUBBED));
	c->since = answer.since;
	return answer.flags;
}

/*
 * A STORE, with the group named if there is one; answers the reason, or 0xff if there was no
 * answer.
 */
static inline uint8_t
store_full(const struct client *from, unsigned slot, const char *topic, const char *payload,
    uint8_t qos, uint8_t want, uint16_t id, uint32_t expiry, const char *group_filter,
    const char *group, uint8_t *flags_out)
{
	struct msg_view v = {
		.topic = span_str(topic),
		.payload = span_str(payload),
		.qos = qos,
		.publish_ms = clock_wall_ms(),
		.retain = want & STORE_RETAIN,
		.has_expiry = expiry > 0,
		.expiry = expiry,
	};
	struct rec_store rec = {
		.token = 99,
		.epoch = from != NULL ? from->epoch : 0,
		.session = from != NULL ? from->session : UINT32_MAX,
		.packet_id = id,
		.want = want | STORE_ANSWER,
		.m = rec_msg_of(&v, group != NULL, true),
	};
	struct rec_stored answer = { .reason = 0xff };
	uint64_t name = 0;
	char body[70000];
	int n;

	if (group != NULL)
		name = interest_group_hash(&self.key, span_str(group_filter), span_str(group));
	memcpy(body, &name, sizeof(name));
	n = snprintf(body + sizeof(name), sizeof(body) - sizeof(name), "%s%s", topic, payload);
	CU_ASSERT_EQUAL(tell_parts(slot, REC_STORE, &rec, sizeof(rec),
			    group != NULL ? span_of(&name, sizeof(name)) : NOTHING,
			    span_of(body + sizeof(name), (size_t)n)),
	    0);
	turn();
	TAKE(&answer, slot, REC_STORED);
	if (flags_out != NULL)
		*flags_out = answer.flags;
	return answer.reason;
}

static inline uint8_t
store(const char *topic, const char *payload, uint8_t qos)
{
	return store_full(NULL, 1, topic, payload, qos, STORE_DURABLE, 0, 0, NULL, NULL, NULL);
}

struct delivery {
	struct rec_deliver rec;
	char payload[32];
	uint32_t subid[4];
};

static inline bool
take_delivery(const struct client *c, struct delivery *out)
{
	const struct sent *s = next(c->slot, REC_DELIVER);
	const uint8_t *p;

	memset(out, 0, sizeof(*out));
	if (s == NULL)
		return false;
	memcpy(&out->rec, s->body, sizeof(out->rec));
	p = s->body + sizeof(out->rec);
	memcpy(out->subid, p, (out->rec.nsubids < 4 ? out->rec.nsubids : 4) * sizeof(uint32_t));
	p += out->rec.nsubids * sizeof(uint32_t) + out->rec.m.topic_len + out->rec.m.props_len;
	if (!(out->rec.what & DELIVER_PUBREL))
		memcpy(out->payload, p, out->rec.m.payload_len < 31 ? out->rec.m.payload_len : 31);
	return true;
}

static inline void
ack(const struct client *c, const struct delivery *d, uint8_t packet, uint8_t reason)
{
	struct rec_acked rec = {
		.epoch = c->epoch,
		.seq = d->rec.seq,
		.session = c->session,
		.packet_id = d->rec.packet_id,
		.packet = packet,
		.reason = reason,
	};

	CU_ASSERT_EQUAL(tell_parts(c->slot, REC_ACKED, &rec, sizeof(rec), NOTHING, NOTHING), 0);
	turn();
}

static inline unsigned
wills_seen(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < fake.n; i++)
		if (!fake.sent[i].seen && fake.sent[i].type == REC_FWD) {
			fake.sent[i].seen = true;
			n++;
		}
	return n;
}

#endif
