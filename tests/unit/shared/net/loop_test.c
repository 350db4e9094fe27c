#include "shared/net/loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/unit/unit.h"

struct one {
	struct watch watch;
	struct loop *loop;
	struct one *kills; /* deleted when this is called */
	struct one *again; /* and added anew */
	unsigned calls;
};

static void
on_event(struct watch *w, uint32_t events)
{
	struct one *o = container_of(w, struct one, watch);
	int fd;

	(void)events;
	o->calls++;
	if (o->kills == NULL)
		return;
	fd = o->kills->watch.fd;
	loop_del(o->loop, &o->kills->watch);
	if (o->again != NULL)
		CU_ASSERT_EQUAL(loop_add(o->loop, &o->again->watch, fd, EPOLLIN), 0);
	o->kills = o->again = NULL;
}

static void
one_new(struct one *o, struct loop *l)
{
	*o = (struct one){ .watch.fn = on_event, .loop = l };
	CU_ASSERT_EQUAL_FATAL(
	    loop_add(l, &o->watch, eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), EPOLLIN), 0);
}

static void
one_free(struct one *o)
{
	int fd = o->watch.fd;

	loop_del(o->loop, &o->watch);
	if (fd >= 0)
		close(fd);
}

static struct loop *
new_loop(void)
{
	struct loop *l;

	CU_ASSERT_EQUAL_FATAL(loop_new(&l), 0);
	return l;
}

/* Whichever of the two is first deletes the other, whose event is in the same batch. */
static void
a_watch_deleted_by_another_is_not_called(void)
{
	struct loop *l = new_loop();
	struct one a, b;
	int fd[2];

	one_new(&a, l);
	one_new(&b, l);
	fd[0] = a.watch.fd;
	fd[1] = b.watch.fd;
	a.kills = &b;
	b.kills = &a;
	CU_ASSERT_TRUE(loop_turn(l, 1000));
	CU_ASSERT_EQUAL(a.calls + b.calls, 1);
	CU_ASSERT_TRUE((a.watch.fd < 0) != (b.watch.fd < 0));
	loop_turn(l, 0);
	CU_ASSERT_EQUAL(a.calls + b.calls, 2);
	loop_del(l, &a.watch);
	loop_del(l, &b.watch); /* one of them for the second time */
	close(fd[0]);
	close(fd[1]);
	loop_free(l);
}

static void
a_watch_deleted_and_added_anew_waits_for_the_next_turn(void)
{
	struct loop *l = new_loop();
	struct one a, b, *first, *other;

	one_new(&a, l);
	one_new(&b, l);
	a.kills = a.again = &b;
	b.kills = b.again = &a;
	loop_turn(l, 1000);
	CU_ASSERT_EQUAL_FATAL(a.calls + b.calls, 1);
	first = a.calls == 1 ? &a : &b;
	other = a.calls == 1 ? &b : &a;
	other->kills = other->again = NULL;
	loop_turn(l, 0);
	CU_ASSERT_TRUE(first->calls == 2 && other->calls == 1);
	one_free(&a);
	one_free(&b);
	loop_free(l);
}

static void
a_watch_may_delete_itself(void)
{
	struct loop *l = new_loop();
	struct one a;
	int fd;

	one_new(&a, l);
	fd = a.watch.fd;
	a.kills = &a;
	loop_turn(l, 1000);
	loop_turn(l, 0);
	CU_ASSERT_EQUAL(a.calls, 1);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) >= 0); /* stays open */
	close(fd);
	loop_free(l);
}

static void
events_that_change_are_told_to_the_kernel(void)
{
	struct loop *l = new_loop();
	struct one a;

	one_new(&a, l);
	CU_ASSERT_EQUAL(loop_mod(l, &a.watch, 0), 0);
	loop_turn(l, 0);
	CU_ASSERT_EQUAL(a.calls, 0);
	CU_ASSERT_EQUAL(loop_mod(l, &a.watch, EPOLLIN), 0);
	loop_turn(l, 1000);
	CU_ASSERT_EQUAL(a.calls, 1);
	one_free(&a);
	loop_free(l);
}

static void
what_cannot_be_watched_is_refused(void)
{
	struct watch w = { .fd = -1, .fn = on_event };
	struct loop *l = new_loop();

	CU_ASSERT_TRUE(loop_add(l, &w, -1, EPOLLIN) < 0);
	CU_ASSERT_EQUAL(w.fd, -1);
	loop_del(l, &w);
	loop_free(l);
	loop_free(NULL);
}

/* --- hooks ------------------------------------------------------------------------------- */

static struct {
	unsigned sleeps, wakes, turns, work;
	int nap;
	bool asleep, wrong;
} seen;

static bool
on_turn(void *arg)
{
	(void)arg;
	seen.wrong |= seen.asleep;
	seen.turns++;
	return seen.work > 0 && seen.work-- > 0;
}

static int
on_sleep(void *arg)
{
	(void)arg;
	seen.wrong |= seen.asleep;
	seen.asleep = true;
	seen.sleeps++;
	return seen.nap;
}

static void
on_woken(void *arg)
{
	(void)arg;
	seen.wrong |= !seen.asleep;
	seen.asleep = false;
	seen.wakes++;
}

static const struct loop_ops ops = { on_turn, on_sleep, on_woken };

static void
who_falls_asleep_is_woken_and_nobody_else(void)
{
	struct loop *l = new_loop();

	memset(&seen, 0, sizeof(seen));
	seen.nap = -1;
	loop_ops(l, &ops, NULL);
	loop_turn(l, 0); /* doesn't wait at all */
	CU_ASSERT_TRUE(seen.sleeps == 0 && seen.wakes == 0 && seen.turns == 1);
	loop_turn(l, 5);
	CU_ASSERT_TRUE(seen.sleeps == 1 && seen.wakes == 1 && seen.turns == 2);
	seen.nap = 0; /* something came meanwhile */
	loop_turn(l, 10000);
	CU_ASSERT_TRUE(seen.sleeps == 2 && seen.wakes == 2 && seen.turns == 3);
	seen.work = 2; /* work left: no sleep before the next turns */
	loop_turn(l, 0);
	loop_turn(l, 10000);
	loop_turn(l, 10000);
	CU_ASSERT_TRUE(seen.sleeps == 2 && seen.wakes == 2 && seen.turns == 6);
	CU_ASSERT_FALSE(seen.wrong || seen.asleep);
	loop_free(l);
}

static void
a_nap_bounds_the_wait(void)
{
	struct loop *l = new_loop();
	uint64_t us = clock_now_us();

	memset(&seen, 0, sizeof(seen));
	seen.nap = 20;
	loop_ops(l, &ops, NULL);
	loop_turn(l, 10000);
	us = clock_now_us() - us;
	CU_ASSERT_TRUE(us >= 19000 && us < 5000000);
	loop_free(l);
}

static uint64_t fired_ms;

static void
on_timer(struct timer *t)
{
	(void)t;
	fired_ms = clock_ms();
}

static void
a_timer_bounds_the_wait_and_is_not_early(void)
{
	struct loop *l = new_loop();
	struct timer t;
	uint64_t due;

	fired_ms = 0;
	clock_tick();
	due = clock_ms() + 35;
	timer_init(&t, on_timer);
	timer_set(loop_timers(l), &t, due);
	for (int i = 0; i < 100 && fired_ms == 0; i++)
		loop_turn(l, 10000);
	CU_ASSERT_TRUE(fired_ms >= due && fired_ms < due + 5000);
	loop_free(l);
}

static void
on_stop(struct timer *t)
{
	loop_stop(*(struct loop **)(t + 1));
}

static void
a_stopped_loop_ends_after_its_turn(void)
{
	struct {
		struct timer timer;
		struct loop *loop;
	} stop = { .loop = new_loop() };

	memset(&seen, 0, sizeof(seen));
	seen.nap = -1;
	loop_ops(stop.loop, &ops, NULL);
	timer_init(&stop.timer, on_stop);
	clock_tick();
	timer_set(loop_timers(stop.loop), &stop.timer, clock_ms() + 10);
	loop_run(stop.loop);
	CU_ASSERT_TRUE(seen.turns > 0);
	CU_ASSERT_FALSE(loop_turn(stop.loop, 0));
	loop_free(stop.loop);
}

/* A test clock jumps without waking anybody, so a loop looks at it every now and then. In a child: it is mapped once a process. */
static void
a_jump_of_the_test_clock_is_noticed_soon(void)
{
	char path[] = "/tmp/loop_test.XXXXXX";
	int fd = mkstemp(path), status = 0;
	int64_t ms = 0;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pwrite(fd, &ms, sizeof(ms), 0), sizeof(ms));
	fired_ms = 0;
	pid = fork();
	if (pid == 0) {
		struct timer t;
		struct loop *l;
		uint64_t us;

		setenv("TBMQ_TEST_CLOCK", path, 1);
		clock_init();
		if (loop_new(&l) != 0)
			_exit(2);
		/* Just behind the time when the wheel would wake the loop anyway. */
		ms = 2560 - (int64_t)(clock_ms() % 2560) + 10;
		if (pwrite(fd, &ms, sizeof(ms), 0) != sizeof(ms))
			_exit(3);
		clock_tick();
		timer_init(&t, on_timer);
		timer_set(loop_timers(l), &t, clock_ms() + 3600000);
		loop_turn(l, 0);
		us = clock_now_us();
		ms += 3700000;
		if (pwrite(fd, &ms, sizeof(ms), 0) != sizeof(ms))
			_exit(3);
		while (fired_ms == 0 && clock_now_us() - us < 5000000)
			loop_turn(l, -1);
		_exit(fired_ms != 0 && clock_now_us() - us < 1500000 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	unlink(path);
	close(fd);
}

UNIT_MAIN("shared/net/loop", TEST(a_watch_deleted_by_another_is_not_called),
    TEST(a_watch_deleted_and_added_anew_waits_for_the_next_turn), TEST(a_watch_may_delete_itself),
    TEST(events_that_change_are_told_to_the_kernel), TEST(what_cannot_be_watched_is_refused),
    TEST(who_falls_asleep_is_woken_and_nobody_else), TEST(a_nap_bounds_the_wait),
    TEST(a_timer_bounds_the_wait_and_is_not_early), TEST(a_stopped_loop_ends_after_its_turn),
    TEST(a_jump_of_the_test_clock_is_noticed_soon))
