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

UNIT_MAIN("shared/net/timer", TEST(each_fires_once_at_its_time),
    TEST(a_jump_of_the_clock_fires_what_is_due_and_no_more))
