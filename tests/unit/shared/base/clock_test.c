#include "shared/base/clock.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/clock_test.XXXXXX";
static int fd; /* of path: made by the first test that needs it */

static void
move(int64_t ms)
{
	CU_ASSERT_EQUAL(pwrite(fd, &ms, sizeof(ms), 0), sizeof(ms));
}

/* clock_init() is once a process: what it refuses is tried in a child. Gives clock_is_moved(). */
static bool
is_moved_in_child(const char *name)
{
	int status = 0;

	if (fork() == 0) {
		setenv("TBMQ_TEST_CLOCK", name, 1);
		clock_init();
		_exit(clock_is_moved());
	}
	wait(&status);
	CU_ASSERT(WIFEXITED(status));
	return WEXITSTATUS(status) != 0;
}

static void
missing_file_is_no_test_clock(void)
{
	CU_ASSERT_FALSE(is_moved_in_child("/nonexistent/clock"));
}

static void
file_too_short_to_be_read_is_no_test_clock(void)
{
	fd = mkstemp(path);
	CU_ASSERT_EQUAL(ftruncate(fd, 7), 0);
	CU_ASSERT_FALSE(is_moved_in_child(path));
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	move(0);
	CU_ASSERT_TRUE(is_moved_in_child(path));
}

static void
time_stands_still_between_ticks(void)
{
	struct timespec nap = { .tv_nsec = 5000000 };
	uint64_t ms, wall, us;

	setenv("TBMQ_TEST_CLOCK", path, 1);
	clock_init();
	ms = clock_ms();
	wall = clock_wall_ms();
	us = clock_now_us();
	nanosleep(&nap, NULL);
	CU_ASSERT_EQUAL(clock_ms(), ms);
	CU_ASSERT_EQUAL(clock_wall_ms(), wall);
	CU_ASSERT(clock_now_us() >= us + 5000);
	clock_tick();
	CU_ASSERT(clock_ms() >= ms + 4);
	CU_ASSERT(clock_wall_ms() > wall);
}

static void
wall_clock_is_the_time_of_day(void)
{
	clock_tick();
	CU_ASSERT(llabs((long long)clock_wall_ms() - (long long)time(NULL) * 1000) < 60000);
}

static void
test_clock_moves_both_and_back_moves_only_the_wall(void)
{
	uint64_t ms, wall;

	clock_tick();
	ms = clock_ms();
	wall = clock_wall_ms();
	move(3600000);
	clock_tick();
	CU_ASSERT(clock_ms() - ms >= 3600000 && clock_ms() - ms < 3660000);
	CU_ASSERT(clock_wall_ms() - wall >= 3600000 && clock_wall_ms() - wall < 3660000);
	ms = clock_ms();
	move(0);
	clock_tick();
	CU_ASSERT_EQUAL(clock_ms(), ms);
	CU_ASSERT(clock_wall_ms() < wall + 60000);
	move(INT64_MIN);
	clock_tick();
	CU_ASSERT_EQUAL(clock_ms(), ms);
	CU_ASSERT_EQUAL(clock_wall_ms(), 0);
	move(0);
}

static void
test_clock_does_not_touch_measuring(void)
{
	uint64_t us = clock_now_us();

	move(3600000);
	CU_ASSERT(clock_now_us() - us < 60000000);
	move(0);
	unlink(path);
}

UNIT_MAIN("shared/base/clock", TEST(missing_file_is_no_test_clock),
    TEST(file_too_short_to_be_read_is_no_test_clock), TEST(time_stands_still_between_ticks),
    TEST(wall_clock_is_the_time_of_day), TEST(test_clock_moves_both_and_back_moves_only_the_wall),
    TEST(test_clock_does_not_touch_measuring))
