#include "worker/mqtt/limit.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "worker/mqtt/deliver.h"
#include "worker/mqtt/share.h"

#define IDLE_MAX                                                                                   \
	10000 /* users without a connection whose buckets are not full again; the oldest goes */
#define IDLE_LOOK_MS 10000

enum scope { CLIENT, USER, BROKER, SCOPES };

struct user {
	struct list link; /* in the.idle */
	struct share share;
	uint32_t connections;
	struct quota quota[LIMITS];
};

struct limits {
	struct conn *conn;
	struct timer in, out;
	const struct rate *rate[LIMITS]; /* the client's, in self.conf */
	uint8_t action;                  /* likewise */
	bool waits;                      /* a packet, and it is counted */
	bool refuses;                    /* the one that is handled */
	struct bucket own[LIMITS];
	struct user *user; /* NULL: it has no name, or no limit */
	struct held *first, *last;
};

static struct {
	struct htab users;
	struct list idle;
	uint32_t nidle;
	struct timer timer;
	bool ready;
	struct share broker;
	struct quota quota[LIMITS];
} the;

static void on_in(struct timer *t);
static void on_out(struct timer *t);
static void on_idle(struct timer *t);
static struct user *user_enter(const struct conn *c);
static void user_leave(struct user *u);
static void user_free(struct user *u);

/* --- which apply -------------------------------------------------------------------------- */

static const struct rate *
client_rate(const struct conf *c, uint16_t listener, enum limit_kind kind)
{
	const struct conf_listener *l =
	    listener != CONN_NO_LISTENER ? &c->listener[listener] : NULL;
	const struct rate *own, *all;

	switch (kind) {
	case LIMIT_PUBLISH:
		own = l != NULL ? &l->client_publish_rate : NULL;
		all = &c->client_publish_rate;
		break;
	case LIMIT_BYTES:
		own = l != NULL ? &l->client_byte_rate : NULL;
		all = &c->client_byte_rate;
		break;
	case LIMIT_SUBSCRIBE:
		own = l != NULL ? &l->client_subscribe_rate : NULL;
		all = &c->client_subscribe_rate;
		break;
	case LIMIT_DELIVERY:
		own = l != NULL ? &l->client_delivery_rate : NULL;
		all = &c->client_delivery_rate;
		break;
	default:
		own = l != NULL ? &l->client_delivery_byte_rate : NULL;
		all = &c->client_delivery_byte_rate;
	}
	return own == NULL || own->inherits ? all : own;
}

static const struct rate *
user_rate(const struct conf *c, enum limit_kind kind)
{
	const struct rate *const r[LIMITS] = {
		[LIMIT_PUBLISH] = &c->user_publish_rate,
		[LIMIT_BYTES] = &c->user_byte_rate,
		[LIMIT_SUBSCRIBE] = &c->user_subscribe_rate,
		[LIMIT_DELIVERY] = &c->user_delivery_rate,
		[LIMIT_DELIVERY_BYTES] = &c->user_delivery_byte_rate,
	};

	return r[kind];
}

static const struct rate *
broker_rate(const struct conf *c, enum limit_kind kind)
{
	static const struct rate none;

	return kind == LIMIT_PUBLISH ? &c->broker_publish_rate
	    : kind == LIMIT_DELIVERY ? &c->broker_delivery_rate
				     : &none;
}

static bool
are_users_limited(void)
{
	bool any = self.conf.user_max_connections > 0;

	for (unsigned k = 0; k < LIMITS; k++)
		any |= user_rate(&self.conf, k)->n > 0;
	return any;
}

static bool
is_limited(const struct conn *c)
{
	bool any = c->user != NULL && are_users_limited();

	for (unsigned k = 0; k < LIMITS; k++)
		any |= client_rate(&self.conf, c->listener, k)->n > 0 ||
		    broker_rate(&self.conf, k)->n > 0;
	return any;
}

static void
set_rates(struct limits *l)
{
	const struct conn *c = l->conn;

	for (unsigned k = 0; k < LIMITS; k++)
		l->rate[k] = client_rate(&self.conf, c->listener, k);
	l->action = self.conf.client_rate_action;
	if (c->listener != CONN_NO_LISTENER)
		l->action =
		    (uint8_t)conf_rate_action_of(&self.conf.listener[c->listener], l->action);
}

/* --- users -------------------------------------------------------------------------------- */

static uint64_t
user_hash(const void *entry)
{
	const struct user *u = entry;

	return u->share.hash;
}

/* The key is secret and its hashes have 64 bits: what is equal is the same. */
static bool
user_eq(const void *entry, const void *key)
{
	return user_hash(entry) == *(const uint64_t *)key;
}

static void
get_ready(void)
{
	if (the.ready)
		return;
	htab_init(&the.users, user_hash);
	list_init(&the.idle);
	timer_init(&the.timer, on_idle);
	the.broker = share_of_broker();
	share_use(&the.broker, 1);
	for (unsigned k = 0; k < LIMITS; k++)
		quota_begin(&the.quota[k], &the.broker, k);
	the.ready = true;
}

static struct user *
user_enter(const struct conn *c)
{
	uint64_t hash = hash_bytes(&self.key, span_of(c->user, c->user_len));
	struct share share = share_open(SHARES_USER, hash);
	struct user *u = htab_find(&the.users, share.hash, user_eq, &share.hash);

	if (u == NULL) {
		u = calloc(1, sizeof(*u));
		if (u == NULL)
			return NULL;
		u->share = share;
		list_init(&u->link);
		for (unsigned k = 0; k < LIMITS; k++)
			quota_begin(&u->quota[k], &u->share, k);
		if (htab_add(&the.users, share.hash, u) != 0) {
			free(u);
			return NULL;
		}
	} else if (u->connections == 0) {
		u->share = share; /* another may have got its place meanwhile */
		list_del(&u->link);
		the.nidle--;
	}
	if (u->connections == 0 && share.row == NULL)
		count(CNT_limits_unshared);
	u->connections++;
	share_use(&u->share, 1);
	return u;
}

static bool
is_forgettable(struct user *u)
{
	for (unsigned k = 0; k < LIMITS; k++)
		if (!bucket_is_full(&u->quota[k].bucket, user_rate(&self.conf, k), clock_ms()))
			return false;
	return true;
}

/* What it has spent is remembered until it would have come back, or coming anew were a way around it. */
static void
user_leave(struct user *u)
{
	share_use(&u->share, -1);
	if (--u->connections > 0)
		return;
	list_add_tail(&the.idle, &u->link);
	the.nidle++;
	if (the.nidle > IDLE_MAX)
		user_free(LIST_FIRST(&the.idle, struct user, link));
	else if (is_forgettable(u))
		user_free(u);
	if (the.nidle > 0 && !timer_is_set(&the.timer))
		timer_set(loop_timers(self.loop), &the.timer, clock_ms() + IDLE_LOOK_MS);
}

static void
user_free(struct user *u)
{
	htab_del(&the.users, u->share.hash, u);
	list_del(&u->link);
	the.nidle--;
	free(u);
}

static void
on_idle(struct timer *t)
{
	struct user *u, *tmp;

	LIST_FOREACH(u, tmp, &the.idle, struct user, link)
		if (is_forgettable(u))
			user_free(u);
	if (the.nidle > 0)
		timer_set(loop_timers(self.loop), t, clock_ms() + IDLE_LOOK_MS);
}

/* --- connections -------------------------------------------------------------------------- */

static bool
limits_add(struct conn *c)
{
	struct limits *l;

	if (!is_limited(c))
		return true;
	get_ready();
	l = c->limits = calloc(1, sizeof(*l));
	if (l == NULL) {
		count(CNT_dropped__no_memory);
		return false;
	}
	l->conn = c;
	timer_init(&l->in, on_in);
	timer_init(&l->out, on_out);
	set_rates(l);
	return true;
}

static void
limits_user(struct limits *l)
{
	bool wants = l->conn->user != NULL && are_users_limited();

	if (wants && l->user == NULL) {
		l->user = user_enter(l->conn);
	} else if (!wants && l->user != NULL) {
		user_leave(l->user);
		l->user = NULL;
	}
}

bool
limit_open(struct conn *c, const char **why)
{
	uint32_t most = self.conf.user_max_connections;
	struct limits *l;

	*why = "no memory";
	if (!limits_add(c))
		return false;
	l = c->limits;
	if (l == NULL)
		return true;
	*why = "too many connections of this user name";
	limits_user(l);
	/* It is counted before others are looked at: of two at once none may get in, but never one too many. */
	if (most == 0 || l->user == NULL ||
	    l->user->connections + (uint64_t)share_uses(&l->user->share) <= most)
		return true;
	user_leave(l->user);
	l->user = NULL;
	return false;
}

void
limit_close(struct conn *c)
{
	struct limits *l = c->limits;

	if (l == NULL)
		return;
	timer_del(&l->in);
	timer_del(&l->out);
	if (l->user != NULL)
		user_leave(l->user);
	l->user = NULL;
}

void
limit_free(struct conn *c)
{
	struct held *h;

	if (c->limits == NULL)
		return;
	limit_close(c);
	while ((h = limit_held(c)) != NULL) {
		limit_held_take(c);
		msg_unref(&h->msg);
		free(h);
	}
	free(c->limits);
	c->limits = NULL;
}

/* How long the next has to wait, and for whose rate. */
static uint64_t
wait_ms(struct limits *l, enum limit_kind kind, enum scope *scope)
{
	uint64_t wait[SCOPES] = { 0 }, most = 0;
	const struct rate *r;

	if (l->rate[kind]->n > 0)
		wait[CLIENT] = bucket_wait_ms(&l->own[kind], l->rate[kind], clock_ms());
	r = user_rate(&self.conf, kind);
	if (l->user != NULL && r->n > 0)
		wait[USER] = quota_wait_ms(&l->user->quota[kind], r, &l->user->share, kind);
	r = broker_rate(&self.conf, kind);
	if (r->n > 0)
		wait[BROKER] = quota_wait_ms(&the.quota[kind], r, &the.broker, kind);
	for (unsigned s = 0; s < SCOPES; s++)
		if (wait[s] > most) {
			most = wait[s];
			*scope = s;
		}
	return most;
}

static void
take(struct limits *l, enum limit_kind kind, uint64_t amount)
{
	const struct rate *r;

	if (l->rate[kind]->n > 0)
		bucket_take(&l->own[kind], l->rate[kind], amount);
	r = user_rate(&self.conf, kind);
	if (l->user != NULL && r->n > 0)
		quota_take(&l->user->quota[kind], r, &l->user->share, kind, amount);
	r = broker_rate(&self.conf, kind);
	if (r->n > 0)
		quota_take(&the.quota[kind], r, &the.broker, kind, amount);
}

/* --- what comes --------------------------------------------------------------------------- */

static enum conf_rate_action
action_of(const struct limits *l, enum scope scope)
{
	return scope == CLIENT ? l->action
	    : scope == USER    ? self.conf.user_rate_action
			       : self.conf.broker_rate_action;
}

static void
slow_down(struct limits *l, enum scope scope, uint64_t wait)
{
	static const struct {
		enum counter counter;
		const char *name;
	} by[SCOPES] = {
		[CLIENT] = { CNT_slowed__client_rate, "client" },
		[USER] = { CNT_slowed__user_rate, "user" },
		[BROKER] = { CNT_slowed__broker_rate, "broker" },
	};
	struct conn *c = l->conn;

	if (!l->waits) {
		count(by[scope].counter);
		log_every(10, LOG_WARNING, "limit: slowed id=%s peer=%s by the rate of its=%s",
		    conn_name(c), c->peer, by[scope].name);
	}
	l->waits = true;
	conn_pause(c, PAUSE_RATE);
	timer_set(loop_timers(self.loop), &l->in, clock_ms() + wait);
}

bool
limit_in(struct conn *c, const struct packet *pk, size_t bytes)
{
	struct limits *l = c->limits;
	enum scope scope = CLIENT, other = CLIENT;
	uint64_t wait = wait_ms(l, LIMIT_BYTES, &scope), more = 0;
	bool is_publish = pk->type == PKT_PUBLISH, is_subscribe = pk->type == PKT_SUBSCRIBE;

	if (is_publish || is_subscribe)
		more = wait_ms(l, is_publish ? LIMIT_PUBLISH : LIMIT_SUBSCRIBE, &other);
	if (more > wait) {
		wait = more;
		scope = other;
	}
	l->refuses = false;
	if (wait == 0) {
		l->waits = false;
		take(l, LIMIT_BYTES, bytes);
		if (is_publish)
			take(l, LIMIT_PUBLISH, 1);
		return true;
	}
	switch (action_of(l, scope)) {
	case RATE_ACTION_disconnect:
		conn_end(c, CNT_ends__rate, MQTT_MESSAGE_RATE_TOO_HIGH, "too fast");
		return false;
	case RATE_ACTION_refuse:
		l->refuses = is_publish || is_subscribe;
		break;
	case RATE_ACTION_drop_qos0:
		l->refuses = is_publish && (pk->flags & 6) == 0;
		break;
	default:
		break;
	}
	if (!l->refuses)
		slow_down(l, scope, wait);
	return l->refuses;
}

bool
limit_is_refusing(const struct conn *c)
{
	return c->limits->refuses;
}

void
limit_subscribed(struct conn *c)
{
	if (c->limits != NULL)
		take(c->limits, LIMIT_SUBSCRIBE, 1);
}

static void
on_in(struct timer *t)
{
	conn_resume(container_of(t, struct limits, in)->conn, PAUSE_RATE);
}

/* --- what goes ---------------------------------------------------------------------------- */

bool
limit_out(struct conn *c)
{
	enum scope scope;

	return wait_ms(c->limits, LIMIT_DELIVERY, &scope) == 0 &&
	    wait_ms(c->limits, LIMIT_DELIVERY_BYTES, &scope) == 0;
}

void
limit_sent(struct conn *c, size_t bytes)
{
	take(c->limits, LIMIT_DELIVERY, 1);
	take(c->limits, LIMIT_DELIVERY_BYTES, bytes);
}

void
limit_pump_later(struct conn *c)
{
	struct limits *l = c->limits;
	enum scope scope;
	uint64_t wait, more;

	if (l == NULL || timer_is_set(&l->out) || c->state != CONN_OPEN)
		return;
	wait = wait_ms(l, LIMIT_DELIVERY, &scope);
	more = wait_ms(l, LIMIT_DELIVERY_BYTES, &scope);
	wait = more > wait ? more : wait;
	if (wait > 0)
		timer_set(loop_timers(self.loop), &l->out, clock_ms() + wait);
}

static void
on_out(struct timer *t)
{
	deliver_pump(container_of(t, struct limits, out)->conn);
}

void
limit_hold(struct conn *c, struct held *h)
{
	struct limits *l = c->limits;

	h->next = NULL;
	if (l->first == NULL)
		l->first = h;
	else
		l->last->next = h;
	l->last = h;
}

struct held *
limit_held(const struct conn *c)
{
	return c->limits != NULL ? c->limits->first : NULL;
}

void
limit_held_take(struct conn *c)
{
	c->limits->first = c->limits->first->next;
}

/* --- reload ------------------------------------------------------------------------------- */

static uint16_t
listener_then(const struct conf *was, const struct conn *c)
{
	return c->listener != CONN_NO_LISTENER
	    ? conn_listener_index(was, self.conf.listener[c->listener].name.s)
	    : CONN_NO_LISTENER;
}

static void
begin_anew(const struct conf *was)
{
	for (unsigned k = 0; k < LIMITS; k++) {
		struct user *u;
		uint64_t pos = 0;

		if (!rate_eq(broker_rate(was, k), broker_rate(&self.conf, k)))
			quota_begin(&the.quota[k], &the.broker, k);
		if (rate_eq(user_rate(was, k), user_rate(&self.conf, k)))
			continue;
		while ((u = htab_next(&the.users, &pos)) != NULL)
			quota_begin(&u->quota[k], &u->share, k);
	}
}

void
limit_conf(const struct conf *was)
{
	uint32_t handle = 0;
	struct conn *c;

	get_ready();
	begin_anew(was);
	while ((c = conn_next(&handle)) != NULL) {
		uint16_t then = listener_then(was, c);
		struct limits *l;

		if (c->state != CONN_OPEN)
			continue;
		if (c->limits == NULL)
			(void)limits_add(c); /* without memory for it, it goes without */
		l = c->limits;
		if (l == NULL)
			continue;
		set_rates(l);
		limits_user(l);
		for (unsigned k = 0; k < LIMITS; k++)
			if (!rate_eq(client_rate(was, then, k), l->rate[k]))
				l->own[k] = (struct bucket){ 0 };
		/* What waits looks again. */
		conn_resume(c, PAUSE_RATE);
		timer_del(&l->in);
		timer_set(loop_timers(self.loop), &l->out, clock_ms());
		if (!is_limited(c) && l->first == NULL && c->wait_first == NULL &&
		    list_is_empty(&c->gets))
			limit_free(c);
	}
}

void
limit_fini(void)
{
	struct user *u;
	uint64_t pos = 0;

	if (!the.ready)
		return;
	timer_del(&the.timer);
	while ((u = htab_next(&the.users, &pos)) != NULL)
		free(u);
	htab_fini(&the.users);
}
