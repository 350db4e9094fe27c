#include "shared/ipc/mesh.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
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
	bool ordered;
};

static int
on_record(void *arg, unsigned from, unsigned type, struct span body)
{
	struct side *s = arg;
	uint32_t n;

	(void)from;
	if (type == 99)
		return -EPROTO;
	memcpy(&n, body.p, sizeof(n));
	s->ordered &= n == s->next;
	s->next = n + 1;
	s->got++;
	s->bytes += body.len;
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
	CU_ASSERT_EQUAL_FATAL(mesh_new(slot, gen, &key, RING, 4 << 20, 64 << 20, &ops, s, &s->mesh,
				  &s->segment, &s->bell),
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

UNIT_MAIN("shared/ipc/mesh", TEST(nobody_else_can_write_into_a_segment),
    TEST(an_unsealed_or_foreign_segment_is_refused), TEST(records_large_and_small_come_in_order),
    TEST(what_waits_is_bounded_and_room_is_told),
    TEST(a_mark_is_consumed_when_the_reader_has_released),
    TEST(the_successor_of_a_worker_gets_nothing_old),
    TEST(the_successor_of_persist_goes_on_where_the_dead_one_had_released),
    TEST(a_liar_is_named_once_and_not_read_again))
