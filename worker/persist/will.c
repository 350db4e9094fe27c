#include "worker/persist/will.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "worker/persist/peer.h"
#include "worker/persist/publish.h"
#include "worker/persist/queue.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/source.h"

#define DUE UINT32_C(0x80000000) /* numbers of wills that belong to no session any more */
#define DUES (UINT32_MAX - DUE)  /* how many there are: the last of all is no number */

struct delay { /* a will that waits */
	struct timer timer;
	uint32_t number;
};

struct due { /* workers are still to get it */
	struct list link;
	struct msg *msg;
	uint64_t batch; /* has it in the store */
	uint32_t number;
};

static struct {
	struct htab delays; /* by number of the session */
	struct list dues;
	uint32_t last_due;
	bool is_open;
} the;

static void publish(struct msg *m, const struct session *s, struct span source);
static void publish_stored(struct store_will *w, struct session *s);
static struct due *due_new(uint32_t number, struct msg *m, uint64_t batch);
static void due_free(struct due *d);
static void on_delay(struct timer *t);

static uint64_t
delay_hash(const void *entry)
{
	return hash_mix(((const struct delay *)entry)->number + UINT64_C(0x9e3779b97f4a7c15));
}

static bool
delay_eq(const void *entry, const void *key)
{
	return ((const struct delay *)entry)->number == *(const uint32_t *)key;
}

static struct delay *
delay_find(uint32_t number)
{
	struct delay key = { .number = number };

	return htab_find(&the.delays, delay_hash(&key), delay_eq, &number);
}

int
will_init(void)
{
	uint32_t number = DUE;
	struct store_will w;

	htab_init(&the.delays, delay_hash);
	list_init(&the.dues);
	the.last_due = DUE;
	the.is_open = true;
	while (store_will_next(&number, &w)) {
		struct msg *m = msg_new(&w.v);

		the.last_due = w.number;
		if (m == NULL || due_new(w.number, m, 0) == NULL)
			return -ENOMEM;
		msg_unref(&m);
	}
	return 0;
}

static void
delay_free(struct delay *d)
{
	timer_del(&d->timer);
	htab_del(&the.delays, delay_hash(d), d);
	free(d);
	count_sub(CNT_wills_pending, 1);
}

void
will_fini(void)
{
	struct delay *d;
	uint64_t pos;

	if (!the.is_open)
		return;
	while (!list_is_empty(&the.dues))
		due_free(LIST_FIRST(&the.dues, struct due, link));
	for (pos = 0; (d = htab_next(&the.delays, &pos)) != NULL; pos = 0)
		delay_free(d);
	htab_fini(&the.delays);
	the.is_open = false;
}

int
will_set(struct session *s, const struct store_will *w)
{
	struct store_will x = *w;
	int err;

	will_drop(s);
	x.number = s->number;
	err = store_will_put(&x);
	s->has_will = err == 0;
	return err;
}

static void
delay_stop(struct session *s)
{
	struct delay *d = s->will_waits ? delay_find(s->number) : NULL;

	s->will_waits = false;
	if (d != NULL)
		delay_free(d);
}

void
will_drop(struct session *s)
{
	if (!s->has_will)
		return;
	delay_stop(s);
	store_will_del(s->number);
	s->has_will = false;
}

void
will_publish(struct session *s)
{
	struct store_will w;

	if (s->has_will && store_will_get(s->number, &w))
		publish_stored(&w, s);
}

/* s NULL: of a session that isn't there any more. w is gone then. */
static void
publish_stored(struct store_will *w, struct session *s)
{
	bool may = source_may_will(w);
	size_t len = self.conf.check_retain_source ? w->source.len : 0;
	uint8_t *source = may && len > 0 ? malloc(len) : NULL;
	struct msg *copy = NULL;

	w->v.publish_ms = clock_wall_ms(); /* 3.1.3.2.4: its expiry begins now */
	if (source != NULL)
		memcpy(source, w->source.p, len);
	if (may && (source != NULL || len == 0))
		copy = msg_new(&w->v);
	/* First forgotten, then published: in one commit, but never twice in this process. */
	if (s != NULL)
		will_drop(s);
	else
		store_will_del(w->number);
	if (may)
		publish(copy, s, span_of(source, source != NULL ? len : 0));
	free(source);
}

/* Takes m, which may be NULL: there is no memory for it. */
static void
publish(struct msg *m, const struct session *s, struct span source)
{
	struct due *due = NULL;
	struct msg_view v;

	if (m == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	v = msg_view(m);
	log_debug("will: published id=%s topic=%s", s != NULL ? log_esc(session_id(s)) : "",
	    log_esc(v.topic));
	count(CNT_wills_published);
	publish_own_kept(&v, s, source);
	/* Before all have registered nobody can tell. */
	if (!peer_is_recovered() || publish_has_rest(&v)) {
		the.last_due = DUE + (the.last_due + 1 - DUE) % DUES;
		due = due_new(the.last_due, m, store_batch());
		if (due == NULL ||
		    store_will_put(&(struct store_will){ .v = v, .number = due->number }) != 0) {
			if (due != NULL)
				due_free(due);
			publish_own_rest(&v);
		}
	}
	msg_unref(&m);
}

void
will_turn(void)
{
	uint64_t safe = store_safe(store_strictest());
	struct due *d, *tmp;

	if (!peer_is_recovered())
		return;
	LIST_FOREACH(d, tmp, &the.dues, struct due, link) {
		struct msg_view v = msg_view(d->msg);

		if (d->batch > safe)
			break;
		publish_own_rest(&v);
		store_will_del(d->number);
		due_free(d);
	}
}

bool
will_is_sent(uint64_t batch)
{
	return list_is_empty(&the.dues) || LIST_FIRST(&the.dues, struct due, link)->batch > batch;
}

/* NULL: no memory, which is counted. */
static struct due *
due_new(uint32_t number, struct msg *m, uint64_t batch)
{
	struct due *d = malloc(sizeof(*d));

	if (d == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	*d = (struct due){ .msg = msg_ref(m), .batch = batch, .number = number };
	list_add_tail(&the.dues, &d->link);
	retained_live_later();
	return d;
}

static void
due_free(struct due *d)
{
	list_del(&d->link);
	msg_unref(&d->msg);
	free(d);
}

void
will_start(struct session *s, uint32_t expiry, uint64_t since_ms)
{
	uint64_t passed = (clock_wall_ms() - since_ms) / 1000;
	struct store_will w;
	uint32_t seconds;
	struct delay *d;

	if (!s->has_will || s->will_waits || !store_will_get(s->number, &w))
		return;
	seconds = w.delay < expiry ? w.delay : expiry; /* [MQTT-3.1.3-9]: whichever comes first */
	seconds = seconds > passed ? seconds - (uint32_t)passed : 0;
	d = seconds > 0 ? malloc(sizeof(*d)) : NULL;
	if (d != NULL) {
		d->number = s->number;
		timer_init(&d->timer, on_delay);
		if (htab_add(&the.delays, delay_hash(d), d) != 0) {
			free(d);
			d = NULL;
		}
	}
	if (d == NULL) {
		will_publish(s);
		return;
	}
	timer_set(loop_timers(self.loop), &d->timer, clock_ms() + seconds * UINT64_C(1000));
	s->will_waits = true;
	count_add(CNT_wills_pending, 1);
}

void
will_load(struct session *s, uint64_t epoch)
{
	struct store_will w;

	s->has_will = store_will_get(s->number, &w) && w.epoch == epoch;
}

void
will_gone(uint32_t number, uint64_t epoch, bool is_due)
{
	struct store_will w;

	if (!store_will_get(number, &w) || w.epoch != epoch)
		return;
	if (is_due)
		publish_stored(&w, NULL);
	else
		store_will_del(number);
}

void
will_recover(void)
{
	uint32_t number = 0;
	struct store_will w;

	while (store_will_next(&number, &w) && w.number < DUE) {
		struct session *s = directory_at(w.number);

		if (s != NULL && s->has_will)
			continue;
		/* Who is back without one had another before. */
		if ((s != NULL && s->state != SESSION_OFFLINE) || session_is_asked(&w.asker)) {
			store_will_del(w.number);
		} else if (s != NULL) {
			s->has_will = true;
			will_start(s, s->durable->expiry, s->durable->left_ms);
		} else {
			publish_stored(&w, NULL);
		}
	}
}

static void
on_delay(struct timer *t)
{
	struct delay *d = container_of(t, struct delay, timer);
	struct session *s = directory_at(d->number);

	if (s == NULL) {
		delay_free(d);
		return;
	}
	will_publish(s);
}
