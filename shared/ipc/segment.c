#include "shared/ipc/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "shared/base/clock.h"

#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define PAGE 4096u

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3; headers may be older than the kernel */
#endif

static uint64_t
page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static uint64_t
interest_at(void)
{
	return page_up(sizeof(struct segment));
}

static uint64_t
rings_at(void)
{
	return interest_at() + page_up(interest_size());
}

static uint64_t
stride_of(uint32_t cap)
{
	return page_up(sizeof(struct ring_head) + cap);
}

/* Where the ring to a slot begins; to SLOTS: where the last one ends. */
static uint64_t
ring_at(const struct ring_caps *c, unsigned slot, unsigned to)
{
	uint64_t others = slot != SLOT_PERSIST && to > SLOT_PERSIST ? to - 1 : to;

	if (slot == SLOT_PERSIST)
		return rings_at() + to * stride_of(c->store);
	return rings_at() + others * stride_of(c->plain) + (to - others) * stride_of(c->store);
}

static bool
are_caps_valid(const struct ring_caps *c)
{
	return c->plain >= PAGE && (c->plain & (c->plain - 1)) == 0 && c->store >= PAGE &&
	    (c->store & (c->store - 1)) == 0;
}

/* Never executable where the kernel knows how to promise that. */
static int
memfd_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

int
segment_create(
    unsigned slot, uint32_t gen, struct ring_caps caps, struct segment **out, int *fd_out)
{
	uint64_t size = ring_at(&caps, slot, SLOTS);
	struct segment *seg;
	char name[32];
	int fd, err;

	must(are_caps_valid(&caps));
	snprintf(name, sizeof(name), "tbmq:%u:%u", slot, gen);
	fd = memfd_new(name);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) != 0)
		goto fail;
	seg = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (seg == MAP_FAILED)
		goto fail;
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
		err = -errno;
		munmap(seg, size);
		close(fd);
		return err;
	}
	seg->abi = SEGMENT_ABI;
	seg->slot = slot;
	seg->gen = gen;
	seg->nlinks = SLOTS;
	seg->size = size;
	seg->caps = caps;
	seg->pid = (uint32_t)getpid();
	for (unsigned i = 0; i < SLOTS; i++)
		ring_init((struct ring_head *)(void *)((uint8_t *)seg + ring_at(&caps, slot, i)),
		    ring_cap(&caps, slot, i));
	for (unsigned i = 0; i < COUNTERS; i++)
		atomic_store(&seg->counter[i], atomic_load(&counters[i]));
	counters = seg->counter;
	must_sink(seg->flight.must);
	*out = seg;
	*fd_out = fd;
	return 0;
fail:
	err = -errno;
	close(fd);
	return err;
}

int
segment_attach(int fd, unsigned slot, uint32_t gen, const struct segment **out,
    struct segment_shape *shape_out)
{
	struct segment_shape shape;
	const struct segment *seg;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size < rings_at())
		return -EPROTO;
	seg = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (seg == MAP_FAILED)
		return -errno;
	shape =
	    (struct segment_shape){ .size = (uint64_t)st.st_size, .caps = seg->caps, .slot = slot };
	if (!are_caps_valid(&shape.caps) || shape.size != ring_at(&shape.caps, slot, SLOTS) ||
	    seg->abi != SEGMENT_ABI || seg->slot != slot || seg->gen != gen ||
	    seg->nlinks != SLOTS) {
		munmap((void *)seg, (size_t)st.st_size);
		return -EPROTO;
	}
	*out = seg;
	*shape_out = shape;
	return 0;
}

void
segment_leave(void)
{
	counters_leave();
	must_sink(NULL);
}

void
segment_detach(const struct segment **seg, uint64_t size)
{
	if (*seg != NULL)
		munmap((void *)*seg, size);
	*seg = NULL;
}

int
segment_reopen(int fd, int *ro_out)
{
	char path[40];
	struct stat st;
	struct statfs fs;
	int seals = fcntl(fd, F_GET_SEALS), ro;

	/* Of huge pages there may be none left when a reader touches one, which is a SIGBUS: plain memory only. */
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 ||
	    (uint64_t)st.st_size < rings_at() || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return -EPROTO;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0)
		return -errno;
	*ro_out = ro;
	return 0;
}

const struct ring_head *
segment_ring(const struct segment *seg, const struct segment_shape *shape, unsigned to)
{
	return (const struct ring_head *)(const void *)((const uint8_t *)seg +
	    ring_at(&shape->caps, shape->slot, to));
}

const void *
segment_tables(const struct segment *seg)
{
	return (const uint8_t *)seg + interest_at();
}
