#include "shared/ipc/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define RING 65536u
#define STORE_RING (4 * RING)
#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static const struct ring_caps caps = { RING, STORE_RING };

struct own {
	struct segment *seg;
	int fd;
	uint64_t size;
};

static struct own
own_new(unsigned slot, uint32_t gen)
{
	struct own o;

	CU_ASSERT_EQUAL_FATAL(segment_create(slot, gen, caps, &o.seg, &o.fd), 0);
	o.size = o.seg->size;
	return o;
}

static void
own_free(struct own *o)
{
	const struct segment *seg = o->seg;

	segment_leave();
	segment_detach(&seg, o->size);
	close(o->fd);
}

static int
try_reopen(int fd)
{
	int ro = -1, err = segment_reopen(fd, &ro);

	if (err == 0)
		close(ro);
	return err;
}

static int
try_attach(int fd, unsigned slot, uint32_t gen)
{
	const struct segment *seg;
	struct segment_shape shape;
	int err = segment_attach(fd, slot, gen, &seg, &shape);

	if (err == 0)
		segment_detach(&seg, shape.size);
	return err;
}

static void
what_is_not_a_sealed_memfd_is_refused(void)
{
	struct own o = own_new(1, 1);
	int fd[2], some;

	CU_ASSERT_EQUAL_FATAL(pipe2(fd, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(try_reopen(fd[0]), -EPROTO);
	CU_ASSERT_NOT_EQUAL(try_attach(fd[0], 1, 1), 0);
	close(fd[0]);
	close(fd[1]);
	some = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(try_reopen(some), -EPROTO);
	close(some);
	CU_ASSERT_EQUAL(try_reopen(-1), -EPROTO);

	/* Each seal that is missing is enough. */
	for (int i = 0; i < 4; i++) {
		static const int all[] = { F_SEAL_FUTURE_WRITE, F_SEAL_GROW, F_SEAL_SHRINK,
			F_SEAL_SEAL };

		some = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		CU_ASSERT_EQUAL_FATAL(ftruncate(some, (off_t)o.size), 0);
		CU_ASSERT_EQUAL_FATAL(fcntl(some, F_ADD_SEALS, SEALS & ~all[i]), 0);
		CU_ASSERT_EQUAL(try_reopen(some), -EPROTO);
		close(some);
	}
	own_free(&o);
}

static void
a_segment_of_another_size_is_refused(void)
{
	struct own o = own_new(1, 1);
	const uint64_t sizes[] = { 0, 4096, o.size - 4096, o.size + 4096 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)sizes[i]), 0);
		if (sizes[i] > 0) /* with a header that says all is well */
			CU_ASSERT_TRUE(pwrite(fd, o.seg, sizes[i] < 4096 ? sizes[i] : 4096, 0) > 0);
		CU_ASSERT_EQUAL(try_attach(fd, 1, 1), -EPROTO);
		CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_ADD_SEALS, SEALS), 0);
		if (sizes[i] <=
		    4096) /* the master reads life signs and counters: they must be there */
			CU_ASSERT_EQUAL(try_reopen(fd), -EPROTO);
		close(fd);
	}
	own_free(&o);
}

/* A page of it that can't be had when it is touched would kill the reader. */
static void
huge_pages_are_refused(void)
{
	struct own o = own_new(1, 1);
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	uint64_t huge = (o.size + (1 << 30) - 1) & ~((UINT64_C(1) << 30) - 1);

	if (fd >= 0) {
		if (ftruncate(fd, (off_t)huge) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
			CU_ASSERT_EQUAL(try_reopen(fd), -EPROTO);
		close(fd);
	}
	own_free(&o);
}

static void
headers_that_do_not_fit_are_refused(void)
{
	struct own o = own_new(1, 7);

	CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), 0);
	CU_ASSERT_EQUAL(try_attach(o.fd, 2, 7), -EPROTO);
	CU_ASSERT_EQUAL(try_attach(o.fd, 1, 8), -EPROTO);
	o.seg->abi++;
	CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), -EPROTO);
	o.seg->abi--;
	o.seg->nlinks++;
	CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), -EPROTO);
	o.seg->nlinks--;
	for (unsigned bit = 0; bit < 32; bit++) {
		o.seg->caps.plain = RING ^ 1u << bit;
		CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), -EPROTO);
		o.seg->caps.plain = RING;
		o.seg->caps.store = STORE_RING ^ 1u << bit;
		CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), -EPROTO);
		o.seg->caps.store = STORE_RING;
	}
	CU_ASSERT_EQUAL(try_attach(o.fd, 1, 7), 0);
	own_free(&o);
}

static void
a_header_that_changes_later_moves_nothing(void)
{
	struct own o = own_new(1, 7);
	const struct segment *seg;
	struct segment_shape shape;
	const struct ring_head *ring;
	const void *tables;

	CU_ASSERT_EQUAL_FATAL(segment_attach(o.fd, 1, 7, &seg, &shape), 0);
	ring = segment_ring(seg, &shape, SLOTS - 1);
	tables = segment_tables(seg);
	CU_ASSERT_TRUE(
	    (const uint8_t *)ring + sizeof(*ring) + RING <= (const uint8_t *)seg + shape.size);
	o.seg->caps = (struct ring_caps){ 1u << 31, 1u << 31 };
	o.seg->size = UINT64_MAX / 2;
	CU_ASSERT_PTR_EQUAL(segment_ring(seg, &shape, SLOTS - 1), ring);
	CU_ASSERT_PTR_EQUAL(segment_tables(seg), tables);
	CU_ASSERT_TRUE(shape.caps.plain == RING && shape.caps.store == STORE_RING);
	segment_detach(&seg, shape.size);
	CU_ASSERT_PTR_NULL(seg);
	segment_detach(&seg, shape.size); /* nothing is there any more */
	own_free(&o);
}

static void
nobody_but_the_owner_can_write(void)
{
	struct own o = own_new(1, 7);
	const int fl = PROT_READ | PROT_WRITE;
	char path[40];
	void *map;
	int ro, rw;

	CU_ASSERT_EQUAL_FATAL(segment_reopen(o.fd, &ro), 0);
	CU_ASSERT_EQUAL(fcntl(ro, F_GETFD), FD_CLOEXEC);
	CU_ASSERT_EQUAL(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
	/* Neither by what the master hands out, nor by the owner's descriptor, nor by opening either anew. */
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", ro);
		rw = i == 0 ? ro : i == 1 ? o.fd : open(path, O_RDWR | O_CLOEXEC);
		if (rw < 0)
			continue; /* refused already */
		CU_ASSERT_PTR_EQUAL(mmap(NULL, o.size, fl, MAP_SHARED, rw, 0), MAP_FAILED);
		CU_ASSERT_EQUAL(pwrite(rw, "x", 1, 0), -1);
		CU_ASSERT_EQUAL(ftruncate(rw, 4096), -1);
		CU_ASSERT_EQUAL(ftruncate(rw, (off_t)o.size * 2), -1);
		CU_ASSERT_EQUAL(
		    fallocate(rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
		if (i == 2)
			close(rw);
	}
	CU_ASSERT_EQUAL(fcntl(o.fd, F_ADD_SEALS, 0), -1);
	map = mmap(NULL, o.size, PROT_READ, MAP_SHARED, ro, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(map, MAP_FAILED);
	CU_ASSERT_EQUAL(mprotect(map, o.size, fl), -1);
	/* The owner goes on, and the others see it. */
	atomic_store(&o.seg->turns, 42);
	CU_ASSERT_EQUAL(atomic_load(&((const struct segment *)map)->turns), 42);
	munmap(map, o.size);
	close(ro);
	own_free(&o);
}

static void
a_new_segment_is_empty_and_sparse(void)
{
	static const unsigned slots[] = { 0, SLOT_PERSIST, SLOTS - 1 };

	for (size_t n = 0; n < sizeof(slots) / sizeof(slots[0]); n++) {
		struct own o = own_new(slots[n], 3);
		const struct segment_shape shape = { o.size, caps, slots[n] };
		const uint8_t *end = NULL;
		struct stat st;

		for (unsigned i = 0; i < SLOTS; i++) {
			const struct ring_head *r = segment_ring(o.seg, &shape, i);

			CU_ASSERT_TRUE((const uint8_t *)r >= end); /* none reaches into another */
			end = r->data + r->cap;
			CU_ASSERT_EQUAL((uintptr_t)r % 64, 0);
			CU_ASSERT_EQUAL(r->cap,
			    slots[n] == SLOT_PERSIST || i == SLOT_PERSIST ? STORE_RING : RING);
			CU_ASSERT_EQUAL(atomic_load(&r->head), 0);
			CU_ASSERT_EQUAL(atomic_load(&o.seg->link[i].gen), 0);
		}
		CU_ASSERT_TRUE(end <= (const uint8_t *)o.seg + o.size);
		CU_ASSERT_EQUAL(o.seg->pid, (uint32_t)getpid());
		CU_ASSERT_EQUAL_FATAL(fstat(o.fd, &st), 0);
		CU_ASSERT_TRUE((uint64_t)st.st_blocks * 512 < 1 << 20);
		own_free(&o);
	}
}

UNIT_MAIN("shared/ipc/segment", TEST(what_is_not_a_sealed_memfd_is_refused),
    TEST(a_segment_of_another_size_is_refused), TEST(huge_pages_are_refused),
    TEST(headers_that_do_not_fit_are_refused), TEST(a_header_that_changes_later_moves_nothing),
    TEST(nobody_but_the_owner_can_write), TEST(a_new_segment_is_empty_and_sparse))
