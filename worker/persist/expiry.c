#include "worker/persist/expiry.h"

#include "shared/base/clock.h"
#include "shared/child/child.h"
#include "worker/persist/queue.h"
#include "worker/persist/retained.h"
#include "worker/persist/share.h"

#define SLICE 1000

static struct {
	struct timer timer;
	uint64_t set_for; /* wall clock */
} the;

static void on_timer(struct timer *t);

int
expiry_init(void)
{
	timer_init(&the.timer, on_timer);
	the.set_for = UINT64_MAX;
	return 0;
}

void
expiry_fini(void)
{
	if (the.timer.fn != NULL)
		timer_del(&the.timer);
}

bool
expiry_turn(void)
{
	uint64_t now = clock_wall_ms(), first = store_due_ms();
	struct store_due due;
	int err = 0;

	for (unsigned n = 0; first <= now && n < SLICE && (err = store_due(now, &due)) == 1; n++) {
		if (due.queue == NULL)
			retained_expired(&due.retained);
		else
			queue_expired(due.queue, &due.entry);
	}
	if (err != 0)
		return true;
	first = store_due_ms();
	if (first == the.set_for)
		return false;
	the.set_for = first;
	timer_del(&the.timer);
	if (first != UINT64_MAX)
		timer_set(loop_timers(self.loop), &the.timer,
		    clock_ms() + (first > now ? first - now : 0));
	return false;
}

static void
on_timer(struct timer *t)
{
	(void)t; /* the turn itself is what it is for */
	the.set_for = UINT64_MAX;
}
