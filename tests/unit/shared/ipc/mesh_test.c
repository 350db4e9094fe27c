#include "shared/ipc/mesh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define RING 65536u

static const struct hash_key key = { { 1, 2 } };

struct side {
	struct mesh *mesh;
	int segment, bell; /* as the master has them */
	unsigned slot, up, down, room, liars;
	uint32_t gen;
	uint64_t got, bytes;
	uint32_t next; /* number that the next record must have */
	bool ordered, echoes;
	void (*within)(void *arg, unsigned from); /* a record */
};

static enum mesh_sent send_number(struct side *s, unsigned to, uint32_t n, size_t len);

static int
on_record(void *arg, unsigned from, unsigned type, struct span body)
{
	struct side *s = arg;
	uint32_t n;

	if (type == 99)
		return -EPROTO;
	memcpy(&n, body.p, sizeof(n));
	s->ordered &= n == s->next;
	s->next = n + 1;
	s->got++;
	s->bytes += body.len;
	if (s->within != NULL)
		s->within(arg, from);
	if (s->echoes)
		CU_ASSERT_TRUE(send_number(s, from, n, 0) <= MESH_WAITS);
	return 0;
}

static void
on_up(void *arg, unsigned slot)
{
	(void)slot;
	((struct side *)arg)->up++;
}

static void
on_down(void *arg, unsigned slot)
{
	(void)slot;
	((struct side *)arg)->down++;
}

static void
on_room(void *arg, unsigned slot)
{
	(void)slot;
	((struct side *)arg)->room++;
}

static void
on_liar(void *arg, unsigned slot, const char *what)
{
	(void)slot;
	(void)what;
	((struct side *)arg)->liars++;
}

static const struct mesh_ops ops = { on_record, on_up, on_down, on_room, on_liar };

static void
side_new(struct side *s, unsigned slot, uint32_t gen)
{
	*s = (struct side){ .slot = slot, .gen = gen, .ordered = true };
	CU_ASSERT_EQUAL_FATAL(mesh_new(slot, gen, &key, (struct ring_caps){ RING, RING }, 4 << 20,
				  64 << 20, &ops, s, &s->mesh, &s->segment, &s->bell),
	    0);
}

static void
side_free(struct side *s)
{
	mesh_free(s->mesh);
	close(s->segment);
}

static int
introduce(struct side *to, const struct side *who)
{
	int ro;

	CU_ASSERT_EQUAL_FATAL(segment_reopen(who->segment, &ro), 0);
	return mesh_peer_up(to->mesh, who->slot, who->gen, ro, dup(who->bell));
}

static void
turn(struct side *s)
{
	mesh_drain(s->mesh);
	mesh_flush(s->mesh);
}

static void
link_up(struct side *a, struct side *b)
{
	CU_ASSERT_EQUAL_FATAL(introduce(a, b), 0);
	CU_ASSERT_EQUAL_FATAL(introduce(b, a), 0);
	for (int i = 0; i < 3; i++) {
		turn(a);
		turn(b);
	}
	CU_ASSERT_TRUE_FATAL(mesh_is_linked(a->mesh) && mesh_is_linked(b->mesh));
	CU_ASSERT_TRUE(a->up == 1 && b->up == 1);
}

static enum mesh_sent
send_number(struct side *s, unsigned to, uint32_t n, size_t len)
{
	static uint8_t fill[2 << 20];
	struct iovec iov[2] = { { &n, sizeof(n) }, { fill, len } };

	return mesh_send(s->mesh, to, 5, iov, 2);
}

static void
nobody_else_can_write_into_a_segment(void)
{
	struct side a;
	int ro;

	side_new(&a, 0, 1);
	CU_ASSERT_PTR_EQUAL(
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.segment, 0), MAP_FAILED);
	CU_ASSERT_EQUAL(pwrite(a.segment, "x", 1, 0), -1);
	CU_ASSERT_EQUAL(ftruncate(a.segment, 0), -1);
	CU_ASSERT_EQUAL_FATAL(segment_reopen(a.segment, &ro), 0);
	{
		void *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);

		CU_ASSERT_PTR_NOT_EQUAL_FATAL(m, MAP_FAILED);
		CU_ASSERT_NOT_EQUAL(mprotect(m, 4096, PROT_READ | PROT_WRITE), 0);
		munmap(m, 4096);
	}
	close(ro);
	mesh_segment(a.mesh)->flight.packet = 3; /* the owner goes on */
	side_free(&a);
}

static void
an_unsealed_or_foreign_segment_is_refused(void)
{
	int fd = memfd_create("no segment", MFD_CLOEXEC | MFD_ALLOW_SEALING), ro;
	struct side a, b;

	CU_ASSERT_EQUAL(segment_reopen(fd, &ro), -EPROTO);
	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	CU_ASSERT_EQUAL(mesh_peer_up(a.mesh, 1, 2, fd, dup(b.bell)), -EPROTO);
	CU_ASSERT_EQUAL_FATAL(segment_reopen(b.segment, &ro), 0);
	CU_ASSERT_EQUAL(
	    mesh_peer_up(a.mesh, 1, 3, ro, dup(b.bell)), -EPROTO); /* another generation */
	side_free(&a);
	side_free(&b);
}

static void
records_large_and_small_come_in_order(void)
{
	struct side a, b;
	uint32_t sent = 0;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	while (sent < 3000) {
		for (int i = 0; i < 7; i++, sent++)
			CU_ASSERT_TRUE_FATAL(
			    send_number(&a, 1, sent,
				sent % 100 == 7 ? 1 << 20 : sent * 13 % 9000) <= MESH_WAITS);
		for (int i = 0; i < 40 && b.next < sent; i++) {
			turn(&a);
			turn(&b);
		}
	}
	CU_ASSERT_EQUAL(b.got, sent);
	CU_ASSERT_TRUE(b.ordered);
	CU_ASSERT_TRUE(a.room > 0);
	CU_ASSERT_EQUAL(a.liars + b.liars, 0);
	side_free(&a);
	side_free(&b);
}

static void
what_waits_is_bounded_and_room_is_told(void)
{
	struct side a, b;
	enum mesh_sent sent;
	uint32_t n = 0;
	bool waited = false;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	while ((sent = send_number(&a, 1, n, 8000)) != MESH_FULL) {
		waited |= sent == MESH_WAITS;
		n++;
		CU_ASSERT_TRUE_FATAL(n < 10000);
	}
	CU_ASSERT_TRUE(waited && mesh_waits(a.mesh, 1));
	for (int i = 0; i < 2000 && b.next < n; i++) {
		turn(&a);
		turn(&b);
	}
	turn(&a);
	CU_ASSERT_TRUE(b.ordered && b.next == n && a.room == 1 && !mesh_waits(a.mesh, 1));
	side_free(&a);
	side_free(&b);
}

static void
a_mark_is_consumed_when_the_reader_has_released(void)
{
	struct side a, b;
	struct mesh_mark mark;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	send_number(&a, 1, 0, 10);
	mesh_mark(a.mesh, &mark);
	CU_ASSERT_FALSE(mesh_is_published(a.mesh, &mark));
	mesh_flush(a.mesh);
	CU_ASSERT_TRUE(mesh_is_published(a.mesh, &mark));
	CU_ASSERT_FALSE(mesh_is_consumed(a.mesh, &mark));
	turn(&b);
	CU_ASSERT_TRUE(mesh_is_consumed(a.mesh, &mark));
	side_free(&a);
	side_free(&b);
}

/* What persist had released is done when it dies; the rest is its successor's to consume, be it sent again. */
static void
a_mark_at_persist_outlives_it(void)
{
	static const size_t len[] = { 10, 200000 }; /* whole, in pieces */

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		struct mesh_mark early, late;
		struct side a, p, q;

		side_new(&a, 0, 1);
		side_new(&p, SLOT_PERSIST, 2);
		link_up(&a, &p);
		send_number(&a, SLOT_PERSIST, 0, 10);
		mesh_mark(a.mesh, &early);
		turn(&a);
		turn(&p);
		send_number(&a, SLOT_PERSIST, 1, len[i]);
		mesh_flush(a.mesh);
		if (len[i] > RING)
			turn(&p); /* the first pieces */
		send_number(&a, SLOT_PERSIST, 2, 10);
		mesh_mark(a.mesh, &late);
		mesh_flush(a.mesh);
		mesh_peer_down(a.mesh, SLOT_PERSIST, 2);
		CU_ASSERT_TRUE(mesh_has_consumed(a.mesh, SLOT_PERSIST, &early));
		CU_ASSERT_FALSE(mesh_has_consumed(a.mesh, SLOT_PERSIST, &late));
		side_new(&q, SLOT_PERSIST, 3);
		q.next = 1;
		CU_ASSERT_EQUAL_FATAL(introduce(&a, &q) | introduce(&q, &a), 0);
		for (int k = 0; k < 20; k++) {
			CU_ASSERT_EQUAL(mesh_has_consumed(a.mesh, SLOT_PERSIST, &late), q.got == 2);
			turn(&a);
			turn(&q);
		}
		CU_ASSERT_TRUE(q.got == 2 && q.ordered);
		CU_ASSERT_TRUE(mesh_is_consumed(a.mesh, &late));
		side_free(&a);
		side_free(&p);
		side_free(&q);
	}
}

static void
the_successor_of_a_worker_gets_nothing_old(void)
{
	struct side a, b, c;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	for (uint32_t i = 0; i < 5; i++)
		send_number(&a, 1, i, 10);
	send_number(&b, 0, 0, 10);
	mesh_flush(b.mesh); /* published, then it dies */
	mesh_flush(a.mesh);
	mesh_peer_down(a.mesh, 1, 2);
	CU_ASSERT_EQUAL(a.got, 1); /* what the dead one had published is handled */
	CU_ASSERT_EQUAL(a.down, 1);
	CU_ASSERT_EQUAL(send_number(&a, 1, 9, 10), MESH_NO_PEER);
	side_new(&c, 1, 3);
	a.up = 0;
	link_up(&a, &c);
	send_number(&a, 1, 77, 10);
	turn(&a);
	turn(&c);
	CU_ASSERT_TRUE(c.got == 1 && c.next == 78);
	side_free(&a);
	side_free(&b);
	side_free(&c);
}

static void
the_successor_of_persist_goes_on_where_the_dead_one_had_released(void)
{
	struct side a, p, q;

	side_new(&a, 0, 1);
	side_new(&p, SLOT_PERSIST, 2);
	mesh_hold(p.mesh);
	link_up(&a, &p);
	for (uint32_t i = 0; i < 10; i++)
		send_number(&a, SLOT_PERSIST, i, 10);
	turn(&a);
	mesh_drain(p.mesh);
	CU_ASSERT_EQUAL(p.got, 10);
	mesh_peer_down(a.mesh, SLOT_PERSIST, 2); /* without having released any */
	CU_ASSERT_EQUAL(send_number(&a, SLOT_PERSIST, 10, 10), MESH_SENT);
	mesh_flush(a.mesh);
	side_new(&q, SLOT_PERSIST, 3);
	a.up = 0;
	link_up(&a, &q);
	turn(&q);
	CU_ASSERT_TRUE(q.got == 11 && q.ordered && q.next == 11);
	side_free(&a);
	side_free(&p);
	side_free(&q);
}

static void
a_liar_is_named_once_and_not_read_again(void)
{
	struct side a, b;
	struct iovec iov = { (void *)"xxxx", 4 };

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	mesh_send(b.mesh, 0, 99, &iov, 1); /* a body that can't be, says the reader */
	turn(&b);
	turn(&a);
	CU_ASSERT_EQUAL(a.liars, 1);
	send_number(&b, 0, 0, 10);
	turn(&b);
	turn(&a);
	turn(&a);
	CU_ASSERT_TRUE(a.liars == 1 && a.got == 0);
	side_free(&a);
	side_free(&b);
}

/* A reader of 16 KiB pieces that dies between two of them. */
static void
persist_killed_within_a_record_gets_it_again_whole(void)
{
	/* Whether all of the record is in the ring by then, and whether more stands behind it there. */
	static const struct {
		size_t len;
		unsigned behind;
	} tries[] = { { 1 << 20, 5 }, { 80000, 0 }, { 80000, 5 } };

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct side a, p, q;
		uint32_t n = 0;

		side_new(&a, 0, 1);
		side_new(&p, SLOT_PERSIST, 2);
		link_up(&a, &p);
		CU_ASSERT_EQUAL(send_number(&a, SLOT_PERSIST, n++, 10), MESH_SENT);
		CU_ASSERT_EQUAL(send_number(&a, SLOT_PERSIST, n++, tries[i].len), MESH_WAITS);
		turn(&a);
		turn(&p); /* takes what fits into a ring, and releases it */
		CU_ASSERT_EQUAL(p.got, 1);
		for (unsigned j = 0; j < tries[i].behind; j++)
			send_number(&a, SLOT_PERSIST, n++, 3000);
		turn(&a);
		mesh_peer_down(a.mesh, SLOT_PERSIST, 2);
		send_number(&a, SLOT_PERSIST, n++, 40000);
		turn(&a);
		side_new(&q, SLOT_PERSIST, 3);
		q.next = 1;
		a.up = 0;
		link_up(&a, &q);
		for (int j = 0; j < 100; j++) {
			turn(&a);
			turn(&q);
		}
		CU_ASSERT_EQUAL(q.liars, 0);
		CU_ASSERT_TRUE(q.got == n - 1 && q.ordered && q.next == n);
		CU_ASSERT_FALSE(mesh_waits(a.mesh, SLOT_PERSIST));
		side_free(&a);
		side_free(&p);
		side_free(&q);
	}
}

static void
a_record_longer_than_the_limit_goes_alone(void)
{
	struct side a, b;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	mesh_set_overflow(a.mesh, 100000);
	CU_ASSERT_EQUAL(send_number(&a, 1, 0, 1 << 20), MESH_WAITS);
	CU_ASSERT_EQUAL(send_number(&a, 1, 1, 10), MESH_FULL);
	for (int i = 0; i < 100; i++) {
		turn(&a);
		turn(&b);
	}
	CU_ASSERT_EQUAL(b.got, 1);
	CU_ASSERT_EQUAL(send_number(&a, 1, 1, 10), MESH_SENT);
	side_free(&a);
	side_free(&b);
}

/* What the list itself costs counts too. */
static void
small_records_that_wait_count_with_their_overhead(void)
{
	struct side a, b;
	uint64_t n = 0;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	mesh_set_overflow(a.mesh, 1 << 20);
	while (send_number(&a, 1, (uint32_t)n, 4) != MESH_FULL)
		n++;
	CU_ASSERT_TRUE(n < RING / 16 + (1 << 20) / 32);
	side_free(&a);
	side_free(&b);
}

static void
who_waits_for_a_peer_that_dies_before_it_opens_is_told(void)
{
	struct side a, b;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	CU_ASSERT_EQUAL(introduce(&a, &b), 0);
	CU_ASSERT_EQUAL(send_number(&a, 1, 0, 10), MESH_WAITS);
	turn(&a);
	CU_ASSERT_EQUAL(a.room, 0);
	mesh_peer_down(a.mesh, 1, 2);
	CU_ASSERT_EQUAL(a.room + a.down, 1);
	side_free(&a);
	side_free(&b);
}

/* Sleeps as a loop does; false: nobody rang in time. */
static bool
slept(struct side *s)
{
	struct pollfd fd = { .fd = mesh_bell(s->mesh), .events = POLLIN };
	int ms = mesh_sleep_begin(s->mesh), n = 1;

	if (ms != 0)
		n = poll(&fd, 1, ms > 0 ? ms : 5000);
	mesh_sleep_end(s->mesh);
	mesh_wake(s->mesh);
	return n > 0 || ms > 0;
}

static bool
all_told(struct side *s, uint64_t want)
{
	while (s->got < want) {
		mesh_drain(s->mesh);
		mesh_flush(s->mesh);
		if (s->got < want && !slept(s))
			return false;
	}
	return true;
}

/* Ping-pong with bursts of a few: both fall asleep all the time, just when the other writes. */
static void
no_bell_is_lost_in_a_hundred_thousand_messages(void)
{
	enum { N = 120000 };
	struct side a, b;
	unsigned seed = 5;
	int status = 1;
	uint32_t sent = 0;
	pid_t pid;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	b.echoes = true;
	pid = fork();
	if (pid == 0) {
		alarm(120);
		_exit(all_told(&b, N) && b.ordered && !mesh_waits(b.mesh, 0) ? 0 : 1);
	}
	while (sent < N) {
		uint32_t burst = 1 + (uint32_t)rand_r(&seed) % 9;

		for (; burst > 0 && sent < N; burst--, sent++)
			CU_ASSERT_EQUAL(
			    send_number(&a, 1, sent, (size_t)rand_r(&seed) % 40), MESH_SENT);
		mesh_flush(a.mesh);
		CU_ASSERT_TRUE_FATAL(all_told(&a, sent));
	}
	CU_ASSERT_TRUE(a.ordered && a.next == N);
	CU_ASSERT_TRUE(atomic_load(&counters[CNT_bells]) > N / 100); /* they did sleep */
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	side_free(&a);
	side_free(&b);
}

/* One way and more than the ring takes: the writer naps until there is room, the reader sleeps whenever it has caught up. */
static void
a_flood_arrives_whole_and_in_order(void)
{
	enum { N = 150000 };
	struct side a, b;
	uint32_t sent = 0;
	int status = 1;
	pid_t pid;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	pid = fork();
	if (pid == 0) {
		alarm(120);
		_exit(all_told(&b, N) && b.ordered && b.next == N ? 0 : 1);
	}
	while (sent < N) {
		size_t len = sent % 5000 == 4999 ? 100000 : sent % 300;

		if (mesh_waits(a.mesh, 1))
			(void)slept(&a);
		for (int i = 0; i < 200 && sent < N && !mesh_waits(a.mesh, 1); i++, sent++)
			CU_ASSERT_TRUE_FATAL(send_number(&a, 1, sent, len) <= MESH_WAITS);
		mesh_flush(a.mesh);
	}
	while (mesh_waits(a.mesh, 1)) {
		(void)slept(&a);
		mesh_flush(a.mesh);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	side_free(&a);
	side_free(&b);
}

/* A peer that scribbles over its segment while we read it. What it says is dropped, and it is named. */
static void
a_peer_that_scribbles_over_its_segment_is_dropped(void)
{
	struct side a, b;
	pid_t pid;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	pid = fork();
	if (pid == 0) {
		const struct segment_shape shape = { mesh_segment(b.mesh)->size, { RING, RING },
			1 };
		struct segment *seg = mesh_segment(b.mesh);
		struct ring_head *ring =
		    (struct ring_head *)(uintptr_t)segment_ring(seg, &shape, 0);
		unsigned seed = 3;

		alarm(60);
		for (;;) {
			uint32_t v = (uint32_t)rand_r(&seed);

			memcpy(ring->data + (unsigned)rand_r(&seed) % (RING - 4), &v, 4);
			if (rand_r(&seed) % 1000 == 0) {
				atomic_fetch_add(&ring->head, (unsigned)rand_r(&seed) % 512 * 8);
				atomic_store(&seg->link[0].tail, (uint64_t)rand_r(&seed));
				seg->gen = seg->caps.plain = seg->caps.store = v;
			}
		}
	}
	for (uint32_t i = 0; a.liars == 0 && i < 100000000; i++) {
		send_number(&a, 1, i, 1000);
		turn(&a);
	}
	CU_ASSERT_EQUAL(a.liars, 1);
	CU_ASSERT_EQUAL(mesh_gen(a.mesh, 1), 2); /* whatever it says itself */
	for (int i = 0; i < 100; i++)
		turn(&a);
	CU_ASSERT_EQUAL(a.liars, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	mesh_peer_down(a.mesh, 1, 2);
	CU_ASSERT_TRUE(a.down == 1 && a.liars == 1 && mesh_gen(a.mesh, 1) == 0);
	side_free(&a);
	side_free(&b);
}

/* The tail that a dying persist leaves behind is a lie: its successor begins behind all that, and gets what is sent from then on. */
static void
a_lying_tail_of_a_dead_persist_is_not_believed(void)
{
	static const uint64_t lies[] = { UINT64_MAX, UINT64_C(1) << 40, 20, RING + 8 };

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct side a, p, q;

		side_new(&a, 0, 1);
		side_new(&p, SLOT_PERSIST, 2);
		link_up(&a, &p);
		for (uint32_t n = 0; n < 5; n++)
			send_number(&a, SLOT_PERSIST, n, 10);
		send_number(&a, SLOT_PERSIST, 5, 200000); /* partly in the ring */
		mesh_flush(a.mesh);
		atomic_store(&mesh_segment(p.mesh)->link[0].tail, lies[i]);
		mesh_peer_down(a.mesh, SLOT_PERSIST, 2);
		side_new(&q, SLOT_PERSIST, 3);
		q.next = 5;
		a.up = 0;
		link_up(&a, &q);
		send_number(&a, SLOT_PERSIST, 6, 10);
		for (int j = 0; j < 20; j++) {
			turn(&a);
			turn(&q);
		}
		CU_ASSERT_TRUE(q.liars == 0 && q.got == 2 && q.ordered);
		side_free(&a);
		side_free(&p);
		side_free(&q);
	}
}

/* Pieces that no sender of ours makes. */
static void
pieces_that_do_not_fit_together_drop_the_link(void)
{
	static const struct {
		uint16_t flags;
		uint64_t whole; /* as the first piece says */
		uint32_t len;
	} tries[][2] = {
		{ { 1, 0, 16 } },                   /* no beginning */
		{ { 3, 100, 16 }, { 3, 100, 16 } }, /* two beginnings */
		{ { 3, 100, 16 }, { 1, 0, 200 } },  /* more than there is to be */
		{ { 3, 100, 16 }, { 5, 0, 16 } },   /* ends early */
		{ { 3, UINT64_C(1) << 40, 16 } },   /* longer than any record */
		{ { 3, 2, 64 } },                   /* shorter than its first piece */
		{ { 3, 100, 4 } },                  /* no room for the length */
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct segment_shape shape;
		struct ring_tx tx;
		_Atomic uint64_t tail = 0;
		struct side a, b;

		side_new(&a, 0, 1);
		side_new(&b, 1, 2);
		link_up(&a, &b);
		shape = (struct segment_shape){ mesh_segment(b.mesh)->size, { RING, RING }, 1 };
		ring_tx_open(&tx,
		    (struct ring_head *)(uintptr_t)segment_ring(mesh_segment(b.mesh), &shape, 0),
		    &tail, 0);
		for (int j = 0; j < 2 && tries[i][j].flags != 0; j++) {
			uint8_t *to = ring_reserve(&tx, tries[i][j].len, 5, tries[i][j].flags);

			if (tries[i][j].whole != 0)
				memcpy(to, &tries[i][j].whole,
				    tries[i][j].len < 8 ? tries[i][j].len : 8);
		}
		ring_publish(&tx);
		turn(&a);
		CU_ASSERT_TRUE(a.liars == 1 && a.got == 0);
		side_free(&a);
		side_free(&b);
	}
}

#ifndef __SANITIZE_ADDRESS__ /* which takes address space of its own */
/* The receiver's want of memory is not the sender's fault: the record is passed over, what follows comes. */
static void
a_record_there_is_no_memory_for_is_passed_over(void)
{
	struct side a, b;
	struct rlimit lim = { 0 };
	int status = 1;
	pid_t pid;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	pid = fork();
	if (pid == 0) {
		uint8_t *fill = calloc(1, 40 << 20);
		struct iovec iov = { fill, 40 << 20 };
		FILE *f = fopen("/proc/self/statm", "r");
		unsigned long pages = 0;

		mesh_set_overflow(a.mesh, 64 << 20);
		if (mesh_send(a.mesh, 1, 5, &iov, 1) != MESH_WAITS ||
		    send_number(&a, 1, 77, 10) != MESH_WAITS)
			_exit(3);
		if (f == NULL || fscanf(f, "%lu", &pages) != 1)
			_exit(2);
		lim.rlim_cur = lim.rlim_max = pages * 4096 + (8 << 20);
		setrlimit(RLIMIT_AS, &lim);
		while (malloc(40 << 20) != NULL) /* what the allocator has kept of earlier tests */
			;
		b.next = 77;
		for (int i = 0; i < 2000 && b.got == 0; i++) {
			turn(&a);
			turn(&b);
		}
		_exit(b.got == 1 && b.ordered && b.liars == 0 &&
			    atomic_load(&counters[CNT_dropped__no_memory]) == 1
			? 0
			: 1);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	side_free(&a);
	side_free(&b);
}
#else
static void
a_record_there_is_no_memory_for_is_passed_over(void)
{
}
#endif

static void
a_death_is_over_when_all_have_drained_it(void)
{
	struct side a, b, c, d;

	side_new(&a, 0, 1);
	side_new(&b, 1, 2);
	side_new(&c, 2, 3);
	CU_ASSERT_EQUAL(introduce(&a, &b) | introduce(&b, &a), 0);
	CU_ASSERT_EQUAL(introduce(&a, &c) | introduce(&c, &a), 0);
	CU_ASSERT_EQUAL(introduce(&b, &c) | introduce(&c, &b), 0);
	for (int i = 0; i < 3; i++) {
		turn(&a);
		turn(&b);
		turn(&c);
	}
	send_number(&c, 1, 0, 10);
	mesh_flush(c.mesh);
	mesh_peer_down(a.mesh, 2, 3);
	CU_ASSERT_FALSE(mesh_is_drained_by_all(a.mesh, 2, 3)); /* b hasn't heard of it */
	side_new(&d, 2, 4);
	CU_ASSERT_EQUAL(introduce(&a, &d), 0);
	mesh_peer_down(a.mesh, 2, 4); /* its successor didn't live long */
	CU_ASSERT_FALSE(mesh_is_drained_by_all(a.mesh, 2, 3));
	mesh_peer_down(b.mesh, 2, 3);
	CU_ASSERT_EQUAL(b.got, 1);
	CU_ASSERT_TRUE(mesh_is_drained_by_all(a.mesh, 2, 3));
	side_free(&a);
	side_free(&b);
	side_free(&c);
	side_free(&d);
}

static void
whoever_sleeps_or_turns_has_seen_what_was_before(void)
{
	struct side a, b;
	struct mesh_turns since;

	side_new(&a, SLOT_PERSIST, 1);
	side_new(&b, 1, 2);
	link_up(&a, &b);
	mesh_turns(a.mesh, &since);
	CU_ASSERT_FALSE(mesh_all_turned(a.mesh, &since));
	mesh_flush(b.mesh);
	CU_ASSERT_TRUE(mesh_all_turned(a.mesh, &since));
	mesh_turns(a.mesh, &since);
	CU_ASSERT_FALSE(mesh_all_turned(a.mesh, &since));
	(void)mesh_sleep_begin(b.mesh);
	CU_ASSERT_TRUE(mesh_all_turned(a.mesh, &since));
	mesh_sleep_end(b.mesh);
	CU_ASSERT_TRUE(mesh_all_turned(a.mesh, &since));
	mesh_turns(a.mesh, &since);
	mesh_peer_down(a.mesh, 1, 2);
	CU_ASSERT_TRUE(mesh_all_turned(a.mesh, &since)); /* the dead don't count */
	side_free(&a);
	side_free(&b);
}

static void
what_is_held_stays_in_the_ring_until_released(void)
{
	struct side a, p;
	struct mesh_mark mark;
	uint64_t at;

	side_new(&a, 0, 1);
	side_new(&p, SLOT_PERSIST, 2);
	mesh_hold(p.mesh);
	link_up(&a, &p);
	send_number(&a, SLOT_PERSIST, 0, 10);
	mesh_flush(a.mesh);
	turn(&p);
	at = mesh_position(p.mesh, 0);
	mesh_mark(a.mesh, &mark);
	send_number(&a, SLOT_PERSIST, 1, 10);
	turn(&a);
	turn(&p);
	CU_ASSERT_EQUAL(p.got, 2);
	CU_ASSERT_FALSE(mesh_is_consumed(a.mesh, &mark));
	mesh_release(p.mesh, 0, at);
	CU_ASSERT_TRUE(mesh_is_consumed(a.mesh, &mark));
	CU_ASSERT_TRUE(mesh_position(p.mesh, 0) > at);
	side_free(&a);
	side_free(&p);
}

static struct side says, persist;

/* A worker tells persist and us something, and persist tells us of it, when we have looked at the worker. */
static void
persist_hears_before_us(void *arg, unsigned from)
{
	if (from != 2)
		return;
	send_number(&says, 1, 1, 10);
	send_number(&says, SLOT_PERSIST, 0, 10);
	mesh_flush(says.mesh);
	mesh_drain(persist.mesh);
	CU_ASSERT_EQUAL(persist.got, 1);
	send_number(&persist, 1, 2, 10);
	mesh_flush(persist.mesh);
	((struct side *)arg)->within = NULL;
}

static void
meet(struct side *const side[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < n; j++)
			if (i != j)
				CU_ASSERT_EQUAL(introduce(side[i], side[j]), 0);
	for (unsigned i = 0; i < 3 * n; i++)
		turn(side[i % n]);
}

static void
what_persist_speaks_of_is_read_before(bool is_killed)
{
	struct side us, other;
	struct side *const all[] = { &us, &says, &other, &persist };

	side_new(&says, 0, 1);
	side_new(&us, 1, 2);
	side_new(&other, 2, 3);
	side_new(&persist, SLOT_PERSIST, 4);
	meet(all, 4);
	us.within = persist_hears_before_us;
	send_number(&other, 1, 0, 10);
	mesh_flush(other.mesh);
	turn(&us);
	CU_ASSERT_EQUAL(us.got, 1);
	if (is_killed)
		mesh_peer_down(us.mesh, SLOT_PERSIST, 4);
	turn(&us);
	CU_ASSERT_TRUE(us.got == 3 && us.ordered);
	for (unsigned i = 0; i < 4; i++)
		side_free(all[i]);
}

static void
what_persist_speaks_of_is_read_before_that(void)
{
	what_persist_speaks_of_is_read_before(false);
	what_persist_speaks_of_is_read_before(true);
}

/* A ring that nobody reads must not fill for ever. */
static void
nobody_sends_to_itself_or_to_an_empty_slot(void)
{
	struct side a, p;

	side_new(&a, 0, 1);
	side_new(&p, SLOT_PERSIST, 2);
	CU_ASSERT_EQUAL(send_number(&a, 0, 0, 10), MESH_NO_PEER);
	CU_ASSERT_EQUAL(send_number(&a, 1, 0, 10), MESH_NO_PEER);
	CU_ASSERT_EQUAL(send_number(&a, SLOTS - 1, 0, 10), MESH_NO_PEER);
	CU_ASSERT_EQUAL(send_number(&p, SLOT_PERSIST, 0, 10), MESH_NO_PEER);
	CU_ASSERT_EQUAL(send_number(&a, SLOT_PERSIST, 0, 10), MESH_SENT); /* will come */
	CU_ASSERT_FALSE(mesh_is_open(a.mesh, SLOT_PERSIST));
	CU_ASSERT_EQUAL(mesh_gen(a.mesh, SLOTS), 0);
	side_free(&a);
	side_free(&p);
}

UNIT_MAIN("shared/ipc/mesh", TEST(nobody_else_can_write_into_a_segment),
    TEST(an_unsealed_or_foreign_segment_is_refused), TEST(records_large_and_small_come_in_order),
    TEST(what_waits_is_bounded_and_room_is_told),
    TEST(a_mark_is_consumed_when_the_reader_has_released), TEST(a_mark_at_persist_outlives_it),
    TEST(the_successor_of_a_worker_gets_nothing_old),
    TEST(the_successor_of_persist_goes_on_where_the_dead_one_had_released),
    TEST(a_liar_is_named_once_and_not_read_again),
    TEST(persist_killed_within_a_record_gets_it_again_whole),
    TEST(a_record_longer_than_the_limit_goes_alone),
    TEST(small_records_that_wait_count_with_their_overhead),
    TEST(who_waits_for_a_peer_that_dies_before_it_opens_is_told),
    TEST(a_lying_tail_of_a_dead_persist_is_not_believed),
    TEST(pieces_that_do_not_fit_together_drop_the_link),
    TEST(a_record_there_is_no_memory_for_is_passed_over),
    TEST(a_death_is_over_when_all_have_drained_it),
    TEST(whoever_sleeps_or_turns_has_seen_what_was_before),
    TEST(what_is_held_stays_in_the_ring_until_released),
    TEST(what_persist_speaks_of_is_read_before_that),
    TEST(nobody_sends_to_itself_or_to_an_empty_slot),
    TEST(a_peer_that_scribbles_over_its_segment_is_dropped),
    TEST(no_bell_is_lost_in_a_hundred_thousand_messages), TEST(a_flood_arrives_whole_and_in_order))
