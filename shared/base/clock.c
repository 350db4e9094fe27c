#include "shared/base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/must.h"

static struct {
	uint64_t ms, wall_ms;
	const int64_t *moved; /* the test clock, or NULL */
} clk;

static const int64_t *map_test_clock(const char *path);
static uint64_t read_us(clockid_t id);
static uint64_t shift(uint64_t ms, int64_t by);

void
clock_init(void)
{
	const char *path = secure_getenv("TBMQ_TEST_CLOCK");

	if (clk.moved == NULL && path != NULL)
		clk.moved = map_test_clock(path);
	clock_tick();
}

void
clock_tick(void)
{
	int64_t by = clk.moved == NULL ? 0 : __atomic_load_n(clk.moved, __ATOMIC_RELAXED);
	uint64_t ms = shift(read_us(CLOCK_MONOTONIC) / 1000, by);

	if (ms > clk.ms) /* a test may move its clock back, intervals must not notice */
		clk.ms = ms;
	clk.wall_ms = shift(read_us(CLOCK_REALTIME) / 1000, by);
}

uint64_t
clock_ms(void)
{
	return clk.ms;
}

uint64_t
clock_wall_ms(void)
{
	return clk.wall_ms;
}

uint64_t
clock_now_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

bool
clock_is_moved(void)
{
	return clk.moved != NULL;
}

/* A file that is missing or too short (reading it would be SIGBUS) is no test clock. */
static const int64_t *
map_test_clock(const char *path)
{
	struct stat st;
	void *map = MAP_FAILED;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(int64_t))
		map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static uint64_t
read_us(clockid_t id)
{
	struct timespec ts;

	must(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t
shift(uint64_t ms, int64_t by)
{
	if (by < 0 && 0 - (uint64_t)by > ms)
		return 0;
	return ms + (uint64_t)by;
}
