#include "shared/net/timer.h"

#include "tests/unit/unit.h"

#define N 2000

struct one {
	struct timer timer;
	uint64_t due, fired;
};

static uint64_t now;

static void
on_fire(struct timer *t)
{
	container_of(t, struct one, timer)->fired = now;
}

static void
each_fires_once_at_its_time(void)
{
	static struct one all[N];
	struct timers *w = timers_new();
	unsigned seed = 9;

	now = 123456789;
	timers_run(w, now);
	for (int i = 0; i < N; i++) {
		uint64_t ahead = (uint64_t)rand_r(&seed) %
		    (i % 3 == 0          ? 100
			    : i % 3 == 1 ? 10000
					 : 5000000);

		all[i] = (struct one){ .due = now + ahead };
		timer_init(&all[i].timer, on_fire);
		timer_set(w, &all[i].timer, all[i].due);
	}
	for (int i = 0; i < N; i += 10)
		timer_del(&all[i].timer);
	while (now < 123456789 + UINT64_C(5100000)) {
		int wait = timers_wait_ms(w, now);

		if (wait < 0)
			break;
		now += wait > 0 ? (uint64_t)wait : 1;
		timers_run(w, now);
	}
	for (int i = 0; i < N; i++) {
		if (i % 10 == 0) {
			CU_ASSERT_EQUAL(all[i].fired, 0);
			continue;
		}
		CU_ASSERT_TRUE(all[i].fired >= all[i].due && all[i].fired <= all[i].due + 20);
		CU_ASSERT_FALSE(timer_is_set(&all[i].timer));
	}
	timers_free(w);
}

static void
a_jump_of_the_clock_fires_what_is_due_and_no_more(void)
{
	struct one soon = { .due = 0 }, far = { .due = 0 };
	struct timers *w = timers_new();

	now = 1000;
	timers_run(w, now);
	timer_init(&soon.timer, on_fire);
	timer_init(&far.timer, on_fire);
	timer_set(w, &soon.timer, now + 60000);
	timer_set(w, &far.timer, now + UINT64_C(90000000));
	now += 86400000;
	timers_run(w, now);
	CU_ASSERT_EQUAL(soon.fired, now);
	CU_ASSERT_EQUAL(far.fired, 0);
	now += 4000000;
	timers_run(w, now);
	CU_ASSERT_EQUAL(far.fired, now);
	CU_ASSERT_EQUAL(timers_wait_ms(w, now), -1);
	timers_free(w);
}

static void
what_was_deleted_or_moved_is_not_waited_for(void)
{
	struct one a = { .due = 0 }, b = { .due = 0 };
	struct timers *w = timers_new();
	int wait;

	now = 5120; /* where the lowest wheel has just begun */
	timers_run(w, now);
	CU_ASSERT_EQUAL(timers_wait_ms(w, now), -1);
	timer_init(&a.timer, on_fire);
	timer_init(&b.timer, on_fire);
	CU_ASSERT_FALSE(timer_is_set(&a.timer));
	timer_set(w, &a.timer, now + 100);
	timer_set(w, &b.timer, now + 700);
	wait = timers_wait_ms(w, now);
	CU_ASSERT_TRUE(wait >= 100 && wait <= 110);
	timer_del(&a.timer);
	timer_del(&a.timer);
	wait = timers_wait_ms(w, now);
	CU_ASSERT_TRUE(wait >= 700 && wait <= 710);
	timer_set(w, &b.timer, now + 300); /* moves it */
	wait = timers_wait_ms(w, now);
	CU_ASSERT_TRUE(wait >= 300 && wait <= 310);
	timer_del(&b.timer);
	CU_ASSERT_EQUAL(timers_wait_ms(w, now), -1);
	now += 1000;
	timers_run(w, now);
	CU_ASSERT_TRUE(a.fired == 0 && b.fired == 0);
	timers_free(w);
}

/* Whatever the distance and wherever the wheels stand: never before it is due, at most a step after, and the waits lead there. */
static void
waits_lead_to_each_distance_in_time(void)
{
	static const uint64_t steps[] = { 0, 1, 255, 256, 257, 511, 65535, 65536, 65537, 131071 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct timers *w = timers_new();
			struct one a = { .due = 0 };
			int wait, naps = 0;

			now = 10230 + steps[i] * 10 + 3;
			timers_run(w, now);
			a.due = now + steps[j] * 10;
			timer_init(&a.timer, on_fire);
			timer_set(w, &a.timer, a.due);
			while ((wait = timers_wait_ms(w, now)) >= 0 && naps++ < 2000) {
				now += (uint64_t)wait;
				timers_run(w, now);
			}
			CU_ASSERT_TRUE_FATAL(a.fired >= a.due && a.fired <= a.due + 10);
			timers_free(w);
		}
}

static struct timers *wheel;

static void
on_set_again(struct timer *t)
{
	struct one *o = container_of(t, struct one, timer);

	if (++o->fired < 5)
		timer_set(wheel, t, o->due += 20);
}

static void
on_kill(struct timer *t)
{
	timer_del(&container_of(t, struct one, timer)[1].timer);
}

static void
a_timer_may_set_itself_again_and_delete_others(void)
{
	struct one again = { .due = 5020 }, pair[2] = { { .due = 5050 }, { .due = 5050 } };

	wheel = timers_new();
	now = 5000;
	timers_run(wheel, now);
	timer_init(&again.timer, on_set_again);
	timer_init(&pair[0].timer, on_kill);
	timer_init(&pair[1].timer, on_fire);
	timer_set(wheel, &again.timer, again.due);
	timer_set(wheel, &pair[0].timer, pair[0].due);
	timer_set(
	    wheel, &pair[1].timer, pair[1].due); /* the same slot, behind the one that deletes it */
	for (; now < 5200; now += 10)
		timers_run(wheel, now);
	CU_ASSERT_EQUAL(again.fired, 5);
	CU_ASSERT_EQUAL(pair[1].fired, 0);
	CU_ASSERT_EQUAL(timers_wait_ms(wheel, now), -1);
	timers_free(wheel);
}

UNIT_MAIN("shared/net/timer", TEST(each_fires_once_at_its_time),
    TEST(a_jump_of_the_clock_fires_what_is_due_and_no_more),
    TEST(what_was_deleted_or_moved_is_not_waited_for), TEST(waits_lead_to_each_distance_in_time),
    TEST(a_timer_may_set_itself_again_and_delete_others))
