#include "worker/persist/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "worker/persist/ends.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/publish.h"
#include "worker/persist/retained.h"
#include "worker/persist/share.h"
#include "worker/persist/sub.h"
#include "worker/persist/will.h"

/* An owner that takes longer is stuck and will be replaced: who waits is told to come again. */
#define LET_GO_MS 5000
#define ENDS_MAX 1000 /* sessions that expire in a turn */

struct connect { /* a CONNECT or REGISTER; borrows from the record */
	struct rec_connect rec;
	struct span id, user, peer, listener, source;
	struct msg_view will;
};

struct pending {          /* a CONNECT that can't be answered yet */
	struct list link; /* in the.held until everybody has registered */
	struct timer deadline;
	struct session *session; /* that it waits for; NULL: none */
	uint32_t ups;            /* of its worker */
	uint8_t slot;
	uint32_t len;
	uint8_t body[];
};

static struct {
	struct list held;
	struct htab awaiting; /* struct pending, by its session's number */
	struct timer ends;    /* session expiry */
	uint64_t epoch;
	struct session_numbers numbers;
	struct store_asker *asker; /* while sessions are recovered; sorted */
	size_t naskers;
} the;

static void session_load(const struct store_session *rec);
static bool connect_parse(struct span body, struct connect *out);
static void connect_begin(unsigned slot, const struct connect *c, struct span body);
static struct pending *pending_new(unsigned slot, struct span body);
static uint64_t pending_hash(const void *entry);
static struct pending *pending_of(const struct session *s);
static int pending_await(struct pending *p, struct session *s);
static void pending_free(struct pending *p);
static void on_deadline(struct timer *t);
static struct store_asker asker_of(unsigned slot, const struct rec_connect *rec);
static void deny(unsigned slot, const struct connect *c, enum mqtt_reason reason, enum counter why);
static void grant(struct session *s, const struct connect *c, unsigned slot);
static void let_go(struct session *s, enum mqtt_reason reason);
static bool set_user(struct session *s, struct span user);
static void save(const struct session *s);
static void queues_load(void);
static void own(struct session *s, const struct connect *c, unsigned slot, uint64_t epoch);
static void owner_left(struct session *s, bool will, const struct rec_gone *rec);
static enum mqtt_reason durable_begin(struct session *s, uint64_t queue_id);
static void offline(const struct session *s, bool is);
static void left(struct session *s);
static void look_at_ends(void);
static void durable_free(struct session *s, bool forget);
static void state_end(struct session *s);
static void session_free(struct session *s);
static void on_ends(struct timer *t);

int
session_init(void)
{
	uint32_t number = 0;
	struct store_session rec;

	list_init(&the.held);
	htab_init(&the.awaiting, pending_hash);
	timer_init(&the.ends, on_ends);
	the.epoch = (uint64_t)self.gen << 32;
	the.numbers = (struct session_numbers){ 0 };
	while (store_session_next(&number, &rec)) {
		session_load(&rec);
		if (directory_count() % 4096 == 0)
			mesh_beat(self.mesh);
	}
	queues_load();
	return 0;
}

/* It is OFFLINE, until a worker says that it still has the connection. */
static void
session_load(const struct store_session *rec)
{
	struct session *s = rec->number < SESSION_NUMBERS && directory_find(rec->client_id) == NULL
	    ? directory_add(rec->client_id, rec->number)
	    : NULL;

	if (s == NULL || !set_user(s, rec->user_name) || durable_begin(s, rec->queue) != MQTT_OK) {
		log_err("session: can't be kept id=%s number=%" PRIu32, log_esc(rec->client_id),
		    rec->number);
		if (s != NULL)
			session_free(s);
		return;
	}
	s->durable->expiry = rec->expiry;
	s->durable->left_ms = rec->left_ms;
	s->epoch = rec->epoch; /* of its last connection, until that is heard of */
	sub_load(s->durable);
	offline(s, true);
}

struct owner { /* of a queue */
	uint64_t id;
	struct durable *durable;
};

static int
by_queue(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Queues with something in them; those that are nobody's any more go on being emptied. */
static void
queues_load(void)
{
	struct owner *owner = malloc((directory_count() + 1) * sizeof(*owner)), *o;
	uint32_t number = 0;
	size_t n = 0;
	struct session *s;

	if (owner == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	while ((s = directory_next(&number, UINT32_MAX)) != NULL)
		owner[n++] = (struct owner){ s->durable->queue_id, s->durable };
	qsort(owner, n, sizeof(*owner), by_queue);
	for (uint64_t id = 0; store_queue_next(&id); id++) {
		o = bsearch(&(struct owner){ .id = id }, owner, n, sizeof(*owner), by_queue);
		if (o != NULL)
			queue_load(o->durable);
		else if (!share_has_queue(id))
			queue_bury_orphan(id);
	}
	free(owner);
}

void
session_fini(void)
{
	struct pending *p, *tmp;
	uint32_t number = 0;
	struct session *s;

	if (the.held.next == NULL)
		return;
	LIST_FOREACH(p, tmp, &the.held, struct pending, link)
		pending_free(p);
	while ((s = directory_next(&number, UINT32_MAX)) != NULL) {
		pending_free(pending_of(s));
		durable_free(s, false);
		directory_del(s);
	}
	htab_fini(&the.awaiting);
	timer_del(&the.ends);
	ends_fini();
}

uint64_t
session_epoch(void)
{
	return the.epoch;
}

struct session_numbers
session_numbers(void)
{
	return the.numbers;
}

struct session *
session_about(unsigned slot, uint32_t number, uint64_t epoch)
{
	struct session *s = directory_at(number);

	if (s == NULL)
		return NULL;
	if (s->state == SESSION_OFFLINE)
		return peer_registers(slot) ? s : NULL;
	return s->epoch == epoch && s->slot == slot ? s : NULL;
}

/* --- records ----------------------------------------------------------------------------- */

static bool
connect_parse(struct span body, struct connect *out)
{
	struct connect c = { .rec.token = 0 };

	if (!rec_take(&body, &c.rec, sizeof(c.rec)) ||
	    !rec_span(&body, c.rec.client_id_len, &c.id) ||
	    !rec_span(&body, c.rec.user_name_len, &c.user) ||
	    !rec_span(&body, c.rec.peer_len, &c.peer) ||
	    !rec_span(&body, c.rec.listener_len, &c.listener) ||
	    !rec_span(&body, c.rec.source_len, &c.source))
		return false;
	if (c.id.len == 0 || !utf8_is_valid(c.id) || !utf8_is_valid(c.user) || c.rec.window == 0)
		return false;
	if (c.rec.version < MQTT_3_1 || c.rec.version > MQTT_5 ||
	    c.rec.durability > DURABILITY_memory)
		return false;
	if (!(c.rec.flags & CONNECT_WILL)
		? body.len != 0 || c.source.len != 0
		: c.rec.will.ngroups != 0 || !rec_msg_parse(&c.rec.will, body, &c.will, NULL))
		return false;
	*out = c;
	return true;
}

int
session_connect(unsigned slot, struct span body)
{
	struct pending *p;
	struct connect c;

	if (!connect_parse(body, &c))
		return -EPROTO;
	/* Answered by our predecessor, or asked again when its worker registers. */
	if (peer_registers(slot) && !(c.rec.flags & CONNECT_AGAIN))
		return 0;
	if (peer_is_recovered()) {
		connect_begin(slot, &c, body);
		return 0;
	}
	p = pending_new(slot, body);
	if (p == NULL)
		deny(slot, &c, MQTT_QUOTA_EXCEEDED, CNT_connects__refused_no_memory);
	else
		list_add_tail(&the.held, &p->link);
	return 0;
}

void
session_unregistered(unsigned slot)
{
	struct pending *p, *tmp;

	LIST_FOREACH(p, tmp, &the.held, struct pending, link)
		if (p->slot == slot)
			pending_free(p);
}

static int
by_asker(const void *a, const void *b)
{
	const struct store_asker *x = a, *y = b;

	if (x->slot != y->slot)
		return (int)x->slot - (int)y->slot;
	if (x->gen != y->gen)
		return x->gen < y->gen ? -1 : 1;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* Of those held, sorted. */
static void
askers_begin(void)
{
	struct pending *p, *tmp;
	size_t n = 0;

	LIST_FOREACH(p, tmp, &the.held, struct pending, link)
		n++;
	the.asker = n > 0 ? malloc(n * sizeof(*the.asker)) : NULL;
	if (n > 0 && the.asker == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	LIST_FOREACH(p, tmp, &the.held, struct pending, link) {
		struct rec_connect rec;

		memcpy(&rec, p->body, sizeof(rec));
		the.asker[the.naskers++] = asker_of(p->slot, &rec);
	}
	if (n > 0)
		qsort(the.asker, n, sizeof(*the.asker), by_asker);
}

static void
askers_end(void)
{
	free(the.asker);
	the.asker = NULL;
	the.naskers = 0;
}

bool
session_is_asked(const struct store_asker *a)
{
	return a->gen != 0 && the.naskers > 0 &&
	    bsearch(a, the.asker, the.naskers, sizeof(*a), by_asker) != NULL;
}

void
session_recovered(void)
{
	uint32_t number = 0;
	struct session *s;

	while ((s = directory_next(&number, UINT32_MAX)) != NULL)
		if (s->state == SESSION_OFFLINE) {
			s->epoch = 0;
			left(s);
		}
	askers_begin();
	will_recover();
	askers_end();
	while (!list_is_empty(&the.held)) {
		struct pending *p = LIST_FIRST(&the.held, struct pending, link);
		struct span body = span_of(p->body, p->len);
		struct connect c;

		list_del(&p->link);
		if (peer_ups(p->slot) == p->ups && connect_parse(body, &c))
			connect_begin(p->slot, &c, body);
		pending_free(p);
	}
}

/* Something of it is on the disk. */
static bool
has_kept(const struct session *s)
{
	return s->durable != NULL || s->has_will;
}

static void
connect_begin(unsigned slot, const struct connect *c, struct span body)
{
	struct session *s = directory_find(c->id);
	struct pending *p, *before;
	struct connect old;

	if (peer_is_full() &&
	    (c->rec.expiry > 0 || (c->rec.flags & CONNECT_WILL) || (s != NULL && has_kept(s)))) {
		deny(slot, c, MQTT_QUOTA_EXCEEDED, CNT_connects__refused_store_full);
		return;
	}
	if (s == NULL) {
		s = directory_add(c->id, SESSION_NO_NUMBER);
		if (s == NULL) {
			count(CNT_dropped__no_memory);
			deny(slot, c, MQTT_QUOTA_EXCEEDED, CNT_connects__refused_no_memory);
			return;
		}
	}
	if (s->state == SESSION_OFFLINE) {
		grant(s, c, slot);
		return;
	}
	p = pending_new(slot, body);
	if (p == NULL) {
		deny(slot, c, MQTT_QUOTA_EXCEEDED, CNT_connects__refused_no_memory);
		return;
	}
	/* Who came before is taken over without ever having had it. */
	before = pending_of(s);
	if (before != NULL) {
		if (connect_parse(span_of(before->body, before->len), &old) &&
		    peer_ups(before->slot) == before->ups)
			deny(before->slot, &old, MQTT_SESSION_TAKEN_OVER,
			    CNT_connects__refused_other);
		pending_free(before);
	}
	if (pending_await(p, s) != 0) {
		pending_free(p);
		deny(slot, c, MQTT_QUOTA_EXCEEDED, CNT_connects__refused_no_memory);
		return;
	}
	timer_set(loop_timers(self.loop), &p->deadline, clock_ms() + LET_GO_MS);
	count(CNT_takeovers);
	let_go(s, MQTT_SESSION_TAKEN_OVER);
}

void
session_gone(unsigned slot, const struct rec_gone *rec)
{
	struct session *s = session_about(slot, rec->session, rec->epoch);
	bool will = rec->flags & GONE_WILL;

	/* It ended under our predecessor, who has not brought that to the disk. */
	if (s != NULL && s->state == SESSION_OFFLINE) {
		if (s->epoch != rec->epoch || s->epoch == 0)
			return;
		offline(s, false);
		will_load(s, rec->epoch);
		s->state = SESSION_ONLINE;
		the.numbers.connected++;
	} else if (s == NULL && peer_registers(slot)) {
		will_gone(rec->session, rec->epoch, will);
	}
	if (s != NULL)
		owner_left(s, will, rec);
}

void
session_lost(struct session *s)
{
	owner_left(s, true, NULL);
}

int
session_register(unsigned slot, struct span body)
{
	struct session *s;
	struct connect c;

	if (!connect_parse(body, &c) || c.rec.session >= SESSION_NUMBERS ||
	    c.rec.token >> 32 >= self.gen)
		return -EPROTO;
	if (peer_has_gone(slot, c.rec.token))
		return 0;
	if (peer_is_recovered()) {
		log_every(10, LOG_WARNING, "session: registered too late, ignored from=%s id=%s",
		    proc_title(slot), log_esc(c.id));
		return 0;
	}
	s = directory_find(c.id);
	/* Our predecessor died before it had read all that it was told, and now we are told again. */
	if (s != NULL && s->state == SESSION_ONLINE && s->slot == slot && s->epoch == c.rec.token) {
		if (s->durable != NULL) {
			queue_pause(s->durable);
			queue_go_on(s->durable, c.rec.window, c.rec.last_seq);
		}
		return 0;
	}
	if (s != NULL && s->state == SESSION_OFFLINE) { /* from the store */
		offline(s, false);
		if (!(c.rec.flags & CONNECT_QUEUE) || s->number != c.rec.session) {
			state_end(s); /* the clean one that came after it had not been written */
			session_free(s);
			s = NULL;
		}
	} else if (s != NULL &&
	    s->epoch < c.rec.token) { /* a takeover was under way: the newer one has it */
		let_go(s, MQTT_SESSION_TAKEN_OVER);
		s->state = SESSION_OFFLINE;
		the.numbers.connected--;
		will_drop(s);
		state_end(s);
		session_free(s);
		s = NULL;
	}
	if (s == NULL)
		s = directory_add(c.id, c.rec.session);
	else if (s->state != SESSION_OFFLINE)
		s = NULL;
	if (s == NULL) {
		struct rec_let_go rec = {
			.epoch = c.rec.token,
			.handle = c.rec.handle,
			.reason = MQTT_SESSION_TAKEN_OVER,
		};

		out_answer(slot, OUT_NOTHING, REC_LET_GO, &(struct iovec){ &rec, sizeof(rec) }, 1);
		return 0;
	}
	if ((c.rec.flags & CONNECT_QUEUE) && s->durable == NULL)
		(void)durable_begin(s, store_queue_id());
	set_user(s, c.user);
	own(s, &c, slot, c.rec.token);
	if (s->durable != NULL) {
		s->durable->expiry = c.rec.expiry;
		s->durable->left_ms = 0;
		save(s);
		queue_go_on(s->durable, c.rec.window, c.rec.last_seq);
	}
	if (c.rec.flags & CONNECT_WILL)
		will_set(s,
		    &(struct store_will){
			.v = c.will,
			.source = c.source,
			.epoch = s->epoch,
			.delay = c.rec.will_delay,
		    });
	return 0;
}

static uint8_t
refused(enum counter why)
{
	count(why);
	return MQTT_QUOTA_EXCEEDED;
}

static int
subscription(unsigned slot, struct span body, bool remove)
{
	struct rec_subbed answer = { .reason = MQTT_SUCCESS };
	bool existed = false;
	struct rec_sub rec;
	struct session *s;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != rec.filter_len ||
	    !utf8_is_valid(body) || !filter_is_valid(body) || (rec.options & 3) == 3 ||
	    rec.subid > MQTT_SUBID_MAX)
		return -EPROTO;
	s = session_about(slot, rec.session, rec.epoch);
	if (s == NULL || s->durable == NULL)
		answer.reason = MQTT_UNSPECIFIED_ERROR; /* it has moved on */
	else if (remove)
		existed = sub_remove(s->durable, body);
	else if (rec.token != 0 && peer_is_full())
		answer.reason = refused(CNT_subscribes__refused_store_full);
	else if (sub_put(s->durable, body, rec.options, rec.subid, &existed) != MQTT_SUCCESS)
		answer.reason = refused(CNT_subscribes__refused_no_memory);
	answer.token = rec.token;
	answer.since = retained_seq();
	answer.flags = existed ? SUBBED_EXISTED : 0;
	if (rec.token != 0)
		out_answer(slot, answer.reason < 0x80 ? out_kept(s->durability) : OUT_NOTHING,
		    remove ? REC_UNSUBBED : REC_SUBBED, &(struct iovec){ &answer, sizeof(answer) },
		    1);
	return 0;
}

int
session_subscribe(unsigned slot, struct span body)
{
	return subscription(slot, body, false);
}

int
session_unsubscribe(unsigned slot, struct span body)
{
	return subscription(slot, body, true);
}

int
session_acked(unsigned slot, struct span body)
{
	struct rec_acked rec;
	const struct session *s;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	s = session_about(slot, rec.session, rec.epoch);
	return s != NULL && s->durable != NULL ? queue_acked(s->durable, &rec) : 0;
}

int
session_will_end(unsigned slot, struct span body)
{
	struct rec_will_end rec;
	struct session *s;

	if (!rec_take(&body, &rec, sizeof(rec)) || body.len != 0)
		return -EPROTO;
	s = session_about(slot, rec.session, rec.epoch);
	/* Of before we began, as it was: who registers says whether there is one. */
	if (s != NULL && s->state != SESSION_OFFLINE)
		will_drop(s);
	return 0;
}

/* --- CONNECTs that wait ------------------------------------------------------------------ */

static struct pending *
pending_new(unsigned slot, struct span body)
{
	struct pending *p = malloc(sizeof(*p) + body.len);

	if (p == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	*p = (struct pending){
		.slot = (uint8_t)slot, .ups = peer_ups(slot), .len = (uint32_t)body.len
	};
	list_init(&p->link);
	timer_init(&p->deadline, on_deadline);
	memcpy(p->body, body.p, body.len);
	return p;
}

static uint64_t
number_hash(uint32_t number)
{
	return hash_mix(number + UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t
pending_hash(const void *entry)
{
	return number_hash(((const struct pending *)entry)->session->number);
}

static bool
pending_eq(const void *entry, const void *key)
{
	return ((const struct pending *)entry)->session == key;
}

static struct pending *
pending_of(const struct session *s)
{
	return s->is_awaited ? htab_find(&the.awaiting, number_hash(s->number), pending_eq, s)
			     : NULL;
}

static int
pending_await(struct pending *p, struct session *s)
{
	if (htab_add(&the.awaiting, number_hash(s->number), p) != 0) {
		count(CNT_dropped__no_memory);
		return -ENOMEM;
	}
	p->session = s;
	s->is_awaited = true;
	return 0;
}

/* It waits for its session no longer, which can be granted to it. */
static void
pending_ready(struct pending *p)
{
	if (p->session == NULL)
		return;
	htab_del(&the.awaiting, pending_hash(p), p);
	p->session->is_awaited = false;
	p->session = NULL;
}

/* NULL is fine. */
static void
pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	pending_ready(p);
	list_del(&p->link);
	timer_del(&p->deadline);
	free(p);
}

static void
on_deadline(struct timer *t)
{
	struct pending *p = container_of(t, struct pending, deadline);
	struct connect c;

	log_every(10, LOG_WARNING,
	    "session: owner does not let go, newcomer refused id=%s owner=%s",
	    log_esc(session_id(p->session)), proc_title(p->session->slot));
	if (peer_ups(p->slot) == p->ups && connect_parse(span_of(p->body, p->len), &c))
		deny(p->slot, &c, MQTT_SERVER_BUSY, CNT_connects__refused_busy);
	pending_free(p);
}

static struct store_asker
asker_of(unsigned slot, const struct rec_connect *rec)
{
	return (struct store_asker){
		.token = rec->token,
		.gen = mesh_gen(self.mesh, slot),
		.slot = (uint8_t)slot,
	};
}

static void
deny(unsigned slot, const struct connect *c, enum mqtt_reason reason, enum counter why)
{
	struct rec_grant rec = { .token = c->rec.token, .reason = (uint8_t)reason };

	count(why);
	out_answer(slot, OUT_NOTHING, REC_GRANT, &(struct iovec){ &rec, sizeof(rec) }, 1);
}

/* --- grants ------------------------------------------------------------------------------ */

static uint8_t
listener_index(struct span name)
{
	for (uint32_t i = 0; i < self.conf.nlisteners && i < CONF_LISTENERS; i++)
		if (span_eq(name, span_str(self.conf.listener[i].name.s)))
			return (uint8_t)i;
	return SESSION_NO_LISTENER;
}

static void
own(struct session *s, const struct connect *c, unsigned slot, uint64_t epoch)
{
	s->epoch = epoch;
	s->slot = (uint8_t)slot;
	s->handle = c->rec.handle;
	s->version = c->rec.version;
	s->durability = c->rec.durability;
	s->keep_alive = c->rec.keep_alive;
	s->connected_s = (uint32_t)(c->rec.connected_ms / 1000);
	s->listener = listener_index(c->listener);
	s->state = SESSION_ONLINE;
	s->clear = false;
	if (++the.numbers.connected > the.numbers.most)
		the.numbers.most = the.numbers.connected;
}

/* False: no memory. */
static bool
set_user(struct session *s, struct span user)
{
	char *p = NULL;

	if (s->user != NULL && span_eq(user, span_str(s->user)))
		return true;
	if (user.len > 0) {
		p = malloc(user.len + 1);
		if (p == NULL)
			return false;
		memcpy(p, user.p, user.len);
		p[user.len] = '\0';
	}
	free(s->user);
	s->user = p;
	return true;
}

static void
save(const struct session *s)
{
	struct store_session rec = {
		.client_id = session_id(s),
		.user_name = span_of(s->user, s->user != NULL ? strlen(s->user) : 0),
		.queue = s->durable->queue_id,
		.left_ms = s->durable->left_ms,
		.epoch = s->epoch,
		.number = s->number,
		.expiry = s->durable->expiry,
	};

	if (store_session_put(&rec) != 0)
		log_every(10, LOG_ERR, "session: not saved id=%s", log_esc(session_id(s)));
}

static void
send_resume(const struct session *s, const struct connect *c, unsigned slot)
{
	static char text[SUB_TEXT_MAX];

	for (uint32_t i = 0; i < s->durable->nsubs; i++) {
		const struct sub *sub = subs_at(&s->durable->subs, s->durable->nsubs, i);
		struct span filter = sub_text(sub, text);
		struct rec_resume rec = {
			.token = c->rec.token,
			.subid = sub->id,
			.filter_len = (uint16_t)filter.len,
			.options = SUB_OPTIONS(sub),
		};
		struct iovec iov[2] = { { &rec, sizeof(rec) }, { text, filter.len } };

		out_answer(slot, out_kept(s->durability), REC_RESUME, iov, 2);
	}
}

/* What it is granted with, it is also let go with: LET_GO must not come first. */
static enum out_kind
kind_of(const struct session *s)
{
	return s->is_kept ? out_kept(s->durability) : OUT_NOTHING;
}

static bool
are_sessions_full(void)
{
	return self.conf.sessions_max > 0 &&
	    atomic_load_explicit(&counters[CNT_sessions_persistent], memory_order_relaxed) >=
	    self.conf.sessions_max;
}

/* The session is OFFLINE, perhaps new. */
static void
grant(struct session *s, const struct connect *c, unsigned slot)
{
	bool present = !(c->rec.flags & CONNECT_CLEAN) && s->durable != NULL;
	struct rec_grant rec = { .token = c->rec.token };
	uint64_t epoch = ++the.epoch;
	struct store_will will = {
		.v = c->will,
		.source = c->source,
		.epoch = epoch,
		.delay = c->rec.will_delay,
		.asker = asker_of(slot, &c->rec),
	};
	enum counter why = CNT_connects__refused_no_memory;
	enum mqtt_reason reason = MQTT_OK;

	rec.expiry = c->rec.expiry < self.conf.session_expiry_max ? c->rec.expiry
								  : self.conf.session_expiry_max;
	s->is_kept = has_kept(s);
	if (s->durable != NULL) {
		offline(s, false);
		ends_del(s->durable);
	}
	if (present)
		will_drop(s); /* back before its delay has passed [MQTT-3.1.3-9] */
	else
		state_end(s);
	if (rec.expiry > 0 && !present && are_sessions_full()) {
		reason = MQTT_QUOTA_EXCEEDED;
		why = CNT_connects__refused_sessions_max;
	} else if (rec.expiry > 0 && !present) {
		reason = durable_begin(s, store_queue_id());
	}
	if (reason == MQTT_OK && s->durable != NULL)
		reason = queue_begin(s->durable, c->rec.window);
	if (reason == MQTT_OK && !set_user(s, c->user))
		reason = MQTT_QUOTA_EXCEEDED;
	if (reason == MQTT_OK && (c->rec.flags & CONNECT_WILL) && will_set(s, &will) != 0)
		reason = MQTT_QUOTA_EXCEEDED;
	if (reason != MQTT_OK) {
		deny(slot, c, reason, why);
		will_drop(s);
		if (present) { /* only for want of memory: it is as if its connection had just ended */
			s->state = SESSION_ONLINE;
			the.numbers.connected++;
			owner_left(s, false, NULL);
			return;
		}
		state_end(s);
		session_free(s);
		return;
	}
	own(s, c, slot, epoch);
	s->is_kept |= has_kept(s);
	if (s->durable != NULL) {
		s->durable->expiry = rec.expiry;
		s->durable->left_ms = 0;
		save(s);
		rec.flags |= GRANT_DURABLE;
	}
	if (present) {
		rec.flags |= GRANT_PRESENT;
		send_resume(s, c, slot);
	}
	rec.epoch = s->epoch;
	rec.session = s->number;
	out_answer(slot, kind_of(s), REC_GRANT, &(struct iovec){ &rec, sizeof(rec) }, 1);
	if (s->durable != NULL)
		queue_ready(s->durable);
}

static void
let_go(struct session *s, enum mqtt_reason reason)
{
	struct rec_let_go rec = {
		.epoch = s->epoch, .handle = s->handle, .reason = (uint8_t)reason
	};

	s->state = SESSION_LEAVING;
	out_answer(s->slot, kind_of(s), REC_LET_GO, &(struct iovec){ &rec, sizeof(rec) }, 1);
}

void
session_kick(struct session *s, enum mqtt_reason reason)
{
	if (s->state == SESSION_ONLINE)
		let_go(s, reason);
}

void
session_clear(struct session *s)
{
	if (s->state != SESSION_OFFLINE) {
		s->clear = true;
		session_kick(s, MQTT_ADMINISTRATIVE_ACTION);
		return;
	}
	if (s->durable != NULL)
		offline(s, false);
	state_end(s);
	session_free(s);
}

/* --- ends -------------------------------------------------------------------------------- */

/* The connection is over, for everybody. rec: what its worker tells of it; NULL: nobody does. */
static void
owner_left(struct session *s, bool will, const struct rec_gone *rec)
{
	struct durable *d = s->durable;
	struct pending *p = pending_of(s);
	struct connect c;

	s->state = SESSION_OFFLINE;
	s->epoch = 0;
	the.numbers.connected--;
	if (!will)
		will_drop(s);
	if (d != NULL) {
		if (rec != NULL)
			queue_not_sent(d, rec->last_seq);
		queue_pause(d);
		if (rec != NULL &&
		    (rec->flags &
			GONE_EXPIRY)) /* within what the client was promised: its worker sees to that */
			d->expiry = rec->expiry;
	}
	if (d == NULL || d->expiry == 0 || s->clear) {
		state_end(s);
	} else {
		offline(s, true);
		left(s);
	}
	if (p != NULL)
		pending_ready(p);
	if (p != NULL && peer_is_up(p->slot) && peer_ups(p->slot) == p->ups &&
	    connect_parse(span_of(p->body, p->len), &c))
		grant(s, &c, p->slot);
	else if (s->durable == NULL)
		session_free(s);
	pending_free(p);
}

static void
offline(const struct session *s, bool is)
{
	if (is) {
		count_add(CNT_sessions_offline, 1);
		the.numbers.offline_subs += s->durable->nsubs;
	} else {
		count_sub(CNT_sessions_offline, 1);
		the.numbers.offline_subs -= s->durable->nsubs;
	}
}

/* It has no connection: its will and its end are due when their time has passed since then. */
static void
left(struct session *s)
{
	struct durable *d = s->durable;

	ends_del(d);
	if (d->left_ms == 0) {
		d->left_ms = clock_wall_ms();
		save(s);
	}
	will_start(s, d->expiry, d->left_ms);
	if (d->expiry == MQTT_EXPIRY_NEVER)
		return;
	if (ends_add(d) != 0) {
		count(CNT_dropped__no_memory);
		log_every(10, LOG_ERR, "session: no memory to see to its end id=%s",
		    log_esc(session_id(s)));
	}
	look_at_ends();
}

/* Sets the timer for the next. */
static void
look_at_ends(void)
{
	const struct durable *d = ends_first();
	uint64_t now = clock_wall_ms(), end;

	if (d == NULL) {
		timer_del(&the.ends);
		return;
	}
	end = ends_ms(d);
	timer_set(loop_timers(self.loop), &the.ends, clock_ms() + (end > now ? end - now : 0));
}

/* queue_id: of a session that the store has, or a new one. */
static enum mqtt_reason
durable_begin(struct session *s, uint64_t queue_id)
{
	struct durable *d;

	d = malloc(sizeof(*d));
	if (d == NULL) {
		count(CNT_dropped__no_memory);
		return MQTT_QUOTA_EXCEEDED;
	}
	queue_init(d, s, queue_id);
	s->durable = d;
	count_add(CNT_sessions_persistent, 1);
	return MQTT_OK;
}

static void
durable_free(struct session *s, bool forget)
{
	struct durable *d = s->durable;

	if (d == NULL)
		return;
	sub_drop_all(d, forget); /* before its messages: they must not come back to it */
	queue_pause(d);
	ends_del(d);
	if (forget)
		queue_bury(d->queue_id, &d->queue, true);
	store_queue_close(&d->queue);
	s->durable = NULL;
	free(d);
	count_sub(CNT_sessions_persistent, 1);
}

/* All that was kept for it goes; its will is due. The entry stays. */
static void
state_end(struct session *s)
{
	bool stored = s->durable != NULL;

	will_publish(s);
	durable_free(s, true);
	if (!stored)
		return;
	store_rxid_drop(s->number);
	store_session_del(s->number);
}

static void
session_free(struct session *s)
{
	pending_free(pending_of(s));
	will_drop(s);
	store_rxid_drop(s->number);
	directory_del(s);
}

static void
on_ends(struct timer *t)
{
	const struct durable *d;

	(void)t;
	for (unsigned n = 0; n < ENDS_MAX && (d = ends_first()) != NULL; n++) {
		struct session *s = d->session;

		if (ends_ms(d) > clock_wall_ms())
			break;
		log_info("session: expired id=%s", log_esc(session_id(s)));
		count(CNT_sessions_expired);
		offline(s, false);
		state_end(s);
		session_free(s);
	}
	look_at_ends();
}
