#include "worker/persist/will.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "worker/persist/publish.h"
#include "worker/persist/queue.h"
#include "worker/persist/store.h"

struct delay { /* a will that waits */
	struct timer timer;
	uint32_t number;
};

static struct {
	struct htab delays; /* by number of the session */
	bool is_open;
} the;

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
	htab_init(&the.delays, delay_hash);
	the.is_open = true;
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
	for (pos = 0; (d = htab_next(&the.delays, &pos)) != NULL; pos = 0)
		delay_free(d);
	htab_fini(&the.delays);
	the.is_open = false;
}

int
will_set(struct session *s, const struct msg_view *v, uint32_t delay)
{
	int err;

	will_drop(s);
	err = store_will_put(s->number, v, delay);
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
	struct msg_view v;
	struct msg *copy;

	if (!s->has_will || !store_will_get(s->number, &w))
		return;
	w.v.publish_ms = clock_wall_ms(); /* 3.1.3.2.4: its expiry begins now */
	copy = msg_new(&w.v);
	/* First forgotten, then published: in one commit, but never twice in this process. */
	will_drop(s);
	if (copy == NULL) {
		count(CNT_dropped__no_memory);
		return;
	}
	v = msg_view(copy);
	log_debug("will: published id=%s topic=%s", log_esc(session_id(s)), log_esc(v.topic));
	count(CNT_wills_published);
	publish_own(&v, s);
	msg_unref(&copy);
}

void
will_start(struct session *s, uint32_t expiry, uint64_t since_ms)
{
	uint64_t passed = (clock_wall_ms() - since_ms) / 1000;
	struct store_will w;
	uint32_t seconds;
	struct delay *d;

	if (!s->has_will || !store_will_get(s->number, &w))
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
will_recover(void)
{
	uint32_t number = 0;
	struct session *s;
	struct store_will w;

	while (store_will_next(&number, &w)) {
		struct msg *copy;
		struct msg_view v;

		s = directory_at(w.number);
		if (s != NULL && !s->has_will && s->state == SESSION_OFFLINE) {
			s->has_will = true;
			will_start(s, s->durable->expiry, s->durable->left_ms);
		}
		if (s != NULL)
			continue;
		w.v.publish_ms = clock_wall_ms();
		copy = msg_new(&w.v);
		store_will_del(w.number);
		if (copy == NULL) {
			count(CNT_dropped__no_memory);
			continue;
		}
		v = msg_view(copy);
		count(CNT_wills_published);
		publish_own(&v, NULL);
		msg_unref(&copy);
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
