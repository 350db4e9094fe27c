#include "shared/ipc/ring.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define CAP 4096u

struct pair {
	struct ring_head *ring;
	_Atomic uint64_t *tail;
	struct ring_tx tx;
	struct ring_rx rx;
};

static struct pair
pair_of(uint32_t cap)
{
	void *m = mmap(NULL, sizeof(struct ring_head) + cap + 64, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pair p = { .ring = m,
		.tail = (void *)((uint8_t *)m + sizeof(struct ring_head) + cap) };

	ring_init(p.ring, cap);
	ring_tx_open(&p.tx, p.ring, p.tail, 0);
	ring_rx_open(&p.rx, p.ring, cap, p.tail, 0);
	return p;
}

static struct pair
pair_new(void)
{
	return pair_of(CAP);
}

static void
pair_free(struct pair *p)
{
	munmap(p->ring, sizeof(struct ring_head) + p->ring->cap + 64);
}

static void
writer_killed_before_publish_leaves_nothing(void)
{
	struct pair p = pair_new();
	struct ring_rec rec;
	struct span body;

	if (fork() == 0) {
		memcpy(ring_reserve(&p.tx, 5, 1, 0), "hello", 5);
		raise(SIGKILL);
	}
	wait(NULL);
	CU_ASSERT_EQUAL(ring_next(&p.rx, &rec, &body), 0);
	pair_free(&p);
}

static void
indices_and_lengths_that_cannot_be_are_refused(void)
{
	static const uint64_t heads[] = { 1, CAP + 8, UINT64_MAX - 7, UINT64_C(1) << 40 };
	struct ring_rec rec = { .len = 100, .type = 1 }, got;
	struct span body;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct pair p = pair_new();

		atomic_store(&p.ring->head, heads[i]);
		CU_ASSERT_EQUAL(ring_next(&p.rx, &got, &body), -71);
		pair_free(&p);
	}
	for (int i = 0; i < 2;
	     i++) { /* a body longer than what was published; one that reaches past the end */
		struct pair p = pair_new();

		rec.len = i == 0 ? 100 : CAP;
		memcpy(p.ring->data, &rec, sizeof(rec));
		atomic_store(&p.ring->head, i == 0 ? 16 : CAP);
		CU_ASSERT_EQUAL(ring_next(&p.rx, &got, &body), -71);
		pair_free(&p);
	}
	rec.len = 100;
	{ /* all of it is published, but it would go on behind the end of the buffer */
		struct pair p = pair_new();

		ring_rx_open(&p.rx, p.ring, CAP, p.tail, CAP - 64);
		atomic_store(p.tail, CAP - 64);
		memcpy(p.ring->data + CAP - 64, &rec, sizeof(rec));
		atomic_store(&p.ring->head, CAP + 1024);
		CU_ASSERT_EQUAL(ring_next(&p.rx, &got, &body), -EPROTO);
		pair_free(&p);
	}
	{ /* a head that goes back */
		struct pair p = pair_new();

		ring_reserve(&p.tx, 8, 1, 0);
		ring_publish(&p.tx);
		CU_ASSERT_EQUAL(ring_next(&p.rx, &got, &body), 1);
		atomic_store(&p.ring->head, 8);
		CU_ASSERT_EQUAL(ring_next(&p.rx, &got, &body), -71);
		pair_free(&p);
	}
}

static void
a_tail_that_cannot_be_ends_the_writing(void)
{
	struct pair p = pair_new();

	while (ring_reserve(&p.tx, 100, 1, 0) != NULL)
		;
	ring_publish(&p.tx);
	atomic_store(p.tail, CAP * 2);
	CU_ASSERT_PTR_NULL(ring_reserve(&p.tx, 100, 1, 0));
	CU_ASSERT_EQUAL(p.tx.cap, 0);
	pair_free(&p);
}

static void
a_full_ring_takes_nothing_until_released(void)
{
	struct pair p = pair_new();
	struct ring_rec rec;
	struct span body;
	unsigned n = 0;

	while (ring_reserve(&p.tx, 56, 1, 0) != NULL)
		n++;
	CU_ASSERT_EQUAL(n, CAP / 64);
	ring_publish(&p.tx);
	CU_ASSERT_EQUAL(ring_next(&p.rx, &rec, &body), 1);
	CU_ASSERT_PTR_NULL(ring_reserve(&p.tx, 56, 1, 0));
	ring_release(&p.rx, p.rx.read);
	CU_ASSERT_PTR_NOT_NULL(ring_reserve(&p.tx, 56, 1, 0));
	pair_free(&p);
}

/* Records of all lengths over many rounds, so that every end of the buffer is met. */
static void
records_come_in_order_and_whole(void)
{
	struct pair p = pair_new();
	unsigned seed = 1, seed_rx = 1, sent = 0, got = 0;
	struct ring_rec rec;
	struct span body;

	while (got < 20000) {
		for (int i = 0; i < 5 && sent < 20000; i++) {
			unsigned was = seed, len = rand_r(&seed) % (ring_record_max(CAP) + 1);
			uint8_t *to = ring_reserve(&p.tx, len, 7, (uint16_t)sent);

			if (to == NULL) {
				seed = was;
				break;
			}
			memset(to, (int)(sent & 0xff), len);
			sent++;
		}
		ring_publish(&p.tx);
		while (ring_next(&p.rx, &rec, &body) == 1) {
			unsigned len = rand_r(&seed_rx) % (ring_record_max(CAP) + 1);

			CU_ASSERT_EQUAL_FATAL(body.len, len);
			CU_ASSERT_EQUAL_FATAL(rec.flags, (uint16_t)got);
			if (len > 0)
				CU_ASSERT_TRUE_FATAL(
				    body.p[0] == (uint8_t)got && body.p[len - 1] == (uint8_t)got);
			got++;
		}
		ring_release(&p.rx, p.rx.read);
	}
	pair_free(&p);
}

/* A record begins at a multiple of 8, and nothing else is a position. */
static void
positions_within_a_record_are_refused(void)
{
	struct pair p = pair_new();
	struct ring_rec rec;
	struct span body;

	while (ring_reserve(&p.tx, 100, 1, 0) != NULL)
		;
	ring_publish(&p.tx);
	atomic_store(p.tail, 108);
	CU_ASSERT_PTR_NULL(ring_reserve(&p.tx, 100, 1, 0));
	CU_ASSERT_EQUAL(p.tx.cap, 0);
	CU_ASSERT_EQUAL(ring_unread(&p.tx), 0);
	ring_rx_open(&p.rx, p.ring, CAP, p.tail, CAP - 4);
	atomic_store(&p.ring->head, CAP * 2);
	CU_ASSERT_EQUAL(ring_next(&p.rx, &rec, &body), -EPROTO);
	pair_free(&p);
}

/* What a wild pointer in the writer does while we read: every record taken lies in the ring, and the reading ends. */
static void
a_writer_that_scribbles_meanwhile_does_no_harm(void)
{
	struct pair p = pair_new();
	unsigned refused = 0, taken = 0;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned seed = 11;

		for (;;) {
			uint64_t head = atomic_load(&p.ring->head);
			uint32_t at = (uint32_t)rand_r(&seed) % (CAP / 4) * 4;
			uint32_t v = (uint32_t)rand_r(&seed);

			/* Often something that could be. */
			if (rand_r(&seed) % 4)
				v = v % 200;
			memcpy(p.ring->data + at, &v, sizeof(v));
			if (rand_r(&seed) % 8 == 0)
				atomic_store(&p.ring->head,
				    rand_r(&seed) % 64 == 0
					? (uint64_t)rand_r(&seed) << 3
					: head + (unsigned)rand_r(&seed) % 64 * 8);
		}
	}
	/* On until both were seen; a hang would be stopped from outside. */
	for (int i = 0; i < 200000 || refused == 0 || taken == 0; i++) {
		uint64_t start = i % 2 ? atomic_load(&p.ring->head) & ~UINT64_C(7) : 0;
		struct ring_rec rec;
		struct span body;
		int got;

		atomic_store(p.tail, start);
		ring_rx_open(&p.rx, p.ring, CAP, p.tail, start);
		for (int n = 0; (got = ring_next(&p.rx, &rec, &body)) == 1; n++) {
			CU_ASSERT_TRUE_FATAL(body.p >= p.ring->data &&
			    body.p + body.len <= p.ring->data + CAP && rec.type != 0);
			CU_ASSERT_TRUE_FATAL(n < (int)(CAP / sizeof(rec)));
			taken++;
		}
		refused += got < 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pair_free(&p);
}

/* Two processes, no bell: each side only looks. */
static void
records_cross_to_another_process_in_order(void)
{
	enum { N = 200000 };
	struct pair p = pair_new();
	unsigned got = 0;
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		for (unsigned sent = 0; sent < N;) {
			unsigned len = 4 + sent % 60;
			uint8_t *to = ring_reserve(&p.tx, len, 3, 0);

			if (to != NULL) {
				memcpy(to, &sent, 4);
				memset(to + 4, (int)(sent & 0xff), len - 4);
				sent++;
			}
			if (to == NULL || sent % 7 == 0 || sent == N)
				ring_publish(&p.tx);
			if (to == NULL)
				sched_yield();
		}
		_exit(0);
	}
	while (got < N) {
		struct ring_rec rec;
		struct span body;
		int more = ring_next(&p.rx, &rec, &body);
		uint32_t n;

		CU_ASSERT_TRUE_FATAL(more >= 0);
		if (more != 1) {
			ring_release(&p.rx, p.rx.read);
			sched_yield();
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(body.len, 4 + got % 60);
		memcpy(&n, body.p, 4);
		CU_ASSERT_EQUAL_FATAL(n, got);
		CU_ASSERT_TRUE_FATAL(body.len == 4 || body.p[body.len - 1] == (uint8_t)got);
		got++;
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	pair_free(&p);
}

/* Or a small steady load would touch the whole of every ring in turn. */
static void
a_ring_that_is_read_in_time_uses_its_first_part(void)
{
	static const uint32_t caps[] = { CAP, 16 * RING_HOT };

	for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
		struct pair p = pair_of(caps[c]);
		uint32_t part = c == 0 ? CAP / 2 : RING_HOT;
		struct ring_rec rec;
		struct span body;
		uint64_t seen = 0;

		for (int i = 0; i < 10000; i++) {
			for (int n = 0; n < 3; n++) {
				uint8_t *to = ring_reserve(&p.tx, 4 + (unsigned)i % 90, 1, 0);

				CU_ASSERT_PTR_NOT_NULL_FATAL(to);
				CU_ASSERT_TRUE(to < p.ring->data + part + 3 * 128);
				memcpy(to, &i, sizeof(i));
			}
			ring_publish(&p.tx);
			while (ring_next(&p.rx, &rec, &body) == 1) {
				CU_ASSERT_EQUAL(memcmp(body.p, &i, sizeof(i)), 0);
				seen++;
			}
			ring_release(&p.rx, p.rx.read);
		}
		CU_ASSERT_EQUAL(seen, 30000);
		pair_free(&p);
	}
}

UNIT_MAIN("shared/ipc/ring", TEST(writer_killed_before_publish_leaves_nothing),
    TEST(indices_and_lengths_that_cannot_be_are_refused),
    TEST(a_tail_that_cannot_be_ends_the_writing), TEST(a_full_ring_takes_nothing_until_released),
    TEST(records_come_in_order_and_whole), TEST(positions_within_a_record_are_refused),
    TEST(a_ring_that_is_read_in_time_uses_its_first_part),
    TEST(a_writer_that_scribbles_meanwhile_does_no_harm),
    TEST(records_cross_to_another_process_in_order))
