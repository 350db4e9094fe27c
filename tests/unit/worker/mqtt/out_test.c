#include "worker/mqtt/out.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct ends {
	int ours, theirs;
};

static struct ends
ends_new(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	return (struct ends){ fd[0], fd[1] };
}

static void
ends_free(struct ends *e)
{
	close(e->ours);
	close(e->theirs);
}

static void
put(struct out *o, uint8_t seed, size_t len)
{
	uint8_t *p = out_room(o, len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i);
}

static void
peer_that_is_gone_is_an_error(void)
{
	struct ends e = ends_new();
	struct out o = { 0 };
	size_t sent;

	out_init();
	close(e.theirs);
	put(&o, 1, 10);
	CU_ASSERT_EQUAL(out_write(&o, e.ours, &sent), -EPIPE);
	out_clear(&o);
	close(e.ours);
	out_fini();
}

static void
nothing_to_write_is_no_system_call(void)
{
	struct out o = { 0 };
	size_t sent = 1;

	CU_ASSERT_EQUAL(out_write(&o, -1, &sent), 0);
	CU_ASSERT_EQUAL(sent, 0);
}

/* Pieces of all sizes, small and by reference, through a socket that takes them in bits. */
static void
bytes_arrive_in_order_through_a_slow_socket(void)
{
	struct ends e = ends_new();
	struct out_big *big;
	struct out o = { 0 };
	uint8_t want[400000], got[400000];
	size_t n = 0, have = 0, sent, total = 0;
	int left = 1;

	out_init();
	for (unsigned i = 0; i < 60; i++) {
		size_t len = i * i * 7 % 9000 + 1;

		if (i % 5 == 4) {
			for (size_t k = 0; k < len; k++)
				want[n + k] = (uint8_t)(i ^ k);
			big = out_big_new(want + n, len);
			CU_ASSERT_EQUAL_FATAL(out_big_add(&o, big), 0);
			out_big_unref(&big);
		} else {
			put(&o, (uint8_t)i, len);
			for (size_t k = 0; k < len; k++)
				want[n + k] = (uint8_t)(i + k);
		}
		n += len;
	}
	CU_ASSERT_EQUAL(o.bytes, n);
	while (have < n) {
		ssize_t r;

		left = out_write(&o, e.ours, &sent);
		CU_ASSERT_FATAL(left >= 0);
		total += sent;
		r = read(e.theirs, got + have, have % 3 == 0 ? 5000 : 700);
		CU_ASSERT_FATAL(r > 0);
		have += (size_t)r;
	}
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(total, n);
	CU_ASSERT_EQUAL(o.bytes, 0);
	CU_ASSERT_PTR_NULL(o.first);
	CU_ASSERT_EQUAL(memcmp(want, got, n), 0);
	ends_free(&e);
	out_fini();
}

static void
shared_payload_lives_as_long_as_its_last_reader(void)
{
	struct out a = { 0 }, b = { 0 };
	struct out_big *big;

	out_init();
	big = out_big_new("payload", 7);
	CU_ASSERT_EQUAL(out_big_add(&a, big), 0);
	CU_ASSERT_EQUAL(out_big_add(&b, big), 0);
	CU_ASSERT_EQUAL(big->refs, 3);
	out_clear(&a);
	CU_ASSERT_EQUAL(big->refs, 2);
	out_big_unref(&big);
	CU_ASSERT_PTR_NULL(big);
	out_clear(&b);
	out_fini();
}

UNIT_MAIN("worker/mqtt/out", TEST(peer_that_is_gone_is_an_error),
    TEST(nothing_to_write_is_no_system_call), TEST(bytes_arrive_in_order_through_a_slow_socket),
    TEST(shared_payload_lives_as_long_as_its_last_reader))
