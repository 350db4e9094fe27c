#include "shared/net/timer.h"

#include <stdlib.h>

#define STEP_MS 10
#define BITS 8 /* slots of a wheel: 2.56 s, 11 min, 46 h, 497 days */
#define SLOTS_OF_WHEEL (1u << BITS)
#define WHEELS 4

struct timers {
	uint64_t now; /* steps that have been fired */
	uint64_t used[WHEELS][SLOTS_OF_WHEEL /
	    64]; /* slots that may have timers: looking for the next must not touch all lists */
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
	uint64_t step = (t->due_ms + STEP_MS - 1) / STEP_MS, ahead, i;
	unsigned wheel = 0;

	if (step < earliest)
		step = earliest;
	ahead = step - w->now;
	while (wheel < WHEELS - 1 && ahead >= UINT64_C(1) << BITS * (wheel + 1))
		wheel++;
	if (ahead >=
	    UINT64_C(1) << BITS * WHEELS) /* beyond the last wheel: looked at again there */
		step = w->now + (UINT64_C(1) << BITS * WHEELS) - 1;
	i = step >> BITS * wheel & (SLOTS_OF_WHEEL - 1);
	list_add_tail(&w->slot[wheel][i], &t->link);
	w->used[wheel][i / 64] |= UINT64_C(1) << i % 64;
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

/* The first slot from one on that has a timer; SLOTS_OF_WHEEL: none. A deleted timer leaves its bit, which goes here. */
static unsigned
next_used(struct timers *w, unsigned wheel, unsigned from)
{
	uint64_t mask = ~UINT64_C(0) << from % 64;

	for (unsigned i = from / 64; i < SLOTS_OF_WHEEL / 64; i++, mask = ~UINT64_C(0)) {
		uint64_t *used = &w->used[wheel][i];

		while ((*used & mask) != 0) {
			unsigned bit = (unsigned)__builtin_ctzll(*used & mask);

			if (!list_is_empty(&w->slot[wheel][i * 64 + bit]))
				return i * 64 + bit;
			*used &= ~(UINT64_C(1) << bit);
		}
	}
	return SLOTS_OF_WHEEL;
}

static bool
is_idle(struct timers *w)
{
	for (unsigned i = 0; i < WHEELS; i++)
		if (next_used(w, i, 0) != SLOTS_OF_WHEEL)
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
	unsigned from = (w->now + 1) & (SLOTS_OF_WHEEL - 1), found = SLOTS_OF_WHEEL;
	uint64_t at;

	if (from > 0)
		found = next_used(w, 0, from);
	if (found == SLOTS_OF_WHEEL) {
		/* Where the lowest wheel begins anew timers may come down from above. */
		if (is_idle(w))
			return -1;
		found = from > 0 ? SLOTS_OF_WHEEL : 0;
	}
	at = (w->now + 1 + found - from) * STEP_MS;
	return at <= now_ms ? 0 : (int)(at - now_ms);
}
