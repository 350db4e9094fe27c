#include "shared/net/timer.h"

#include <stdlib.h>

#define STEP_MS 10
#define BITS 8 /* slots of a wheel: 2.56 s, 11 min, 46 h, 497 days */
#define SLOTS_OF_WHEEL (1u << BITS)
#define WHEELS 4

struct timers {
	uint64_t now; /* steps that have been fired */
	size_t count;
	struct list slot[WHEELS][SLOTS_OF_WHEEL];
};

struct timers *
timers_new(void)
{
	struct timers *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	for (int i = 0; i < WHEELS; i++)
		for (unsigned j = 0; j < SLOTS_OF_WHEEL; j++)
			list_init(&w->slot[i][j]);
	return w;
}

void
timers_free(struct timers *w)
{
	free(w);
}

void
timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	list_init(&t->link);
	t->fn = fn;
	t->due_ms = 0;
}

bool
timer_is_set(const struct timer *t)
{
	return !list_is_empty(&t->link);
}

void
timer_del(struct timer *t)
{
	list_del(&t->link);
}

/* earliest: the first step whose slot is still to be looked at. */
static void
place(struct timers *w, struct timer *t, uint64_t earliest)
{
	uint64_t step = (t->due_ms + STEP_MS - 1) / STEP_MS, ahead;
	unsigned wheel = 0;

	if (step < earliest)
		step = earliest;
	ahead = step - w->now;
	while (wheel < WHEELS - 1 && ahead >= UINT64_C(1) << BITS * (wheel + 1))
		wheel++;
	if (ahead >=
	    UINT64_C(1) << BITS * WHEELS) /* beyond the last wheel: looked at again there */
		step = w->now + (UINT64_C(1) << BITS * WHEELS) - 1;
	list_add_tail(&w->slot[wheel][step >> BITS * wheel & (SLOTS_OF_WHEEL - 1)], &t->link);
}

void
timer_set(struct timers *w, struct timer *t, uint64_t due_ms)
{
	list_del(&t->link);
	t->due_ms = due_ms;
	place(w, t, w->now + 1);
}

static void
take_all(struct list *from, struct list *to)
{
	list_init(to);
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

/* The timers of the next slot of an upper wheel move down. */
static void
cascade(struct timers *w, unsigned wheel)
{
	struct list all;
	struct timer *t;

	take_all(&w->slot[wheel][w->now >> BITS * wheel & (SLOTS_OF_WHEEL - 1)], &all);
	while (!list_is_empty(&all)) {
		t = LIST_FIRST(&all, struct timer, link);
		list_del(&t->link);
		place(w, t, w->now); /* those due in this very step belong into its slot */
	}
}

static bool
is_idle(const struct timers *w)
{
	for (int i = 0; i < WHEELS; i++)
		for (unsigned j = 0; j < SLOTS_OF_WHEEL; j++)
			if (!list_is_empty(&w->slot[i][j]))
				return false;
	return true;
}

void
timers_run(struct timers *w, uint64_t now_ms)
{
	uint64_t until = now_ms / STEP_MS;
	struct list due;
	struct timer *t;

	/* After a jump (the first call, a clock that was moved) nothing to fire is no reason to walk through all steps. */
	if (until > w->now + SLOTS_OF_WHEEL && is_idle(w))
		w->now = until;
	while (w->now < until) {
		w->now++;
		/* From the top: what comes down may belong into a slot further down. */
		for (unsigned wheel = WHEELS - 1; wheel > 0; wheel--)
			if ((w->now & ((UINT64_C(1) << BITS * wheel) - 1)) == 0)
				cascade(w, wheel);
		take_all(&w->slot[0][w->now & (SLOTS_OF_WHEEL - 1)], &due);
		while (!list_is_empty(&due)) {
			t = LIST_FIRST(&due, struct timer, link);
			list_del(&t->link);
			if (t->due_ms > now_ms)
				place(w, t, w->now + 1);
			else
				t->fn(t);
		}
	}
}

int
timers_wait_ms(struct timers *w, uint64_t now_ms)
{
	uint64_t step, at;
	unsigned i, wheel;

	for (i = 1; i <= SLOTS_OF_WHEEL; i++) {
		step = w->now + i;
		if (!list_is_empty(&w->slot[0][step & (SLOTS_OF_WHEEL - 1)]))
			break;
		if ((step & (SLOTS_OF_WHEEL - 1)) == 0) /* timers may come down from above here */
			break;
	}
	if (i > SLOTS_OF_WHEEL || list_is_empty(&w->slot[0][(w->now + i) & (SLOTS_OF_WHEEL - 1)])) {
		for (wheel = 1; wheel < WHEELS; wheel++)
			for (unsigned j = 0; j < SLOTS_OF_WHEEL; j++)
				if (!list_is_empty(&w->slot[wheel][j]))
					goto some;
		for (unsigned j = 0; j < SLOTS_OF_WHEEL; j++)
			if (!list_is_empty(&w->slot[0][j]))
				goto some;
		return -1;
	}
some:
	at = (w->now + i) * STEP_MS;
	return at <= now_ms ? 0 : (int)(at - now_ms);
}
