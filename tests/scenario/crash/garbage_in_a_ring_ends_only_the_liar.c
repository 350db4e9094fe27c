#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "shared/ipc/segment.h"
#include "tests/lib/scenario.h"

/* Where the process has its own segment mapped: the only one it may write. */
static uint64_t
segment_at(int pid)
{
	char path[64], line[512];
	unsigned long from, to;
	uint64_t at = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	while (at == 0 && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " rw-s ") != NULL && strstr(line, "memfd:tbmq:") != NULL &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2)
			at = from;
	fclose(f);
	return at;
}

/* As a wild pointer of its own would: a record that can't be, in the ring to the slot. */
static void
scribble(int pid, unsigned slot)
{
	static struct segment seg;
	struct ring_rec rec = { .len = 0xfffffff0u, .type = 77 };
	struct segment_shape shape;
	char path[64];
	uint64_t at = segment_at(pid), ring, head;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	check(at != 0 && fd >= 0);
	check(pread(fd, &seg, sizeof(seg), (off_t)at) == (ssize_t)sizeof(seg));
	shape = (struct segment_shape){ seg.size, seg.caps, seg.slot };
	ring = at + ((uintptr_t)segment_ring(&seg, &shape, slot) - (uintptr_t)&seg);
	check(pread(fd, &head, sizeof(head), (off_t)(ring + offsetof(struct ring_head, head))) ==
	    (ssize_t)sizeof(head));
	check(pwrite(fd, &rec, sizeof(rec),
		  (off_t)(ring + sizeof(struct ring_head) + (head & (seg.caps.plain - 1)))) ==
	    (ssize_t)sizeof(rec));
	head += 64;
	check(pwrite(fd, &head, sizeof(head), (off_t)(ring + offsetof(struct ring_head, head))) ==
	    (ssize_t)sizeof(head));
	close(fd);
}

SCENARIO(2)
{
	struct mq *sub, *pub, *victim;
	char path[64];
	int pid;

	broker_start();
	sub = mq_on_worker(0, (struct mq_opts){ .id = "sub" });
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	check(mq_subscribe(sub, "t", 1) == 1);
	pid = broker_pid_of("mqtt/1");
	if (geteuid() !=
	    0) { /* nobody but root can do this to another process: that is to be shown then */
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		check(open(path, O_RDWR) < 0 && errno == EACCES);
		return;
	}
	for (unsigned to = 0; to <= SLOT_PERSIST; to += SLOT_PERSIST) {
		victim = mq_on_worker(1, (struct mq_opts){ .id = "victim" });
		pid = broker_pid_of("mqtt/1");
		broker_expect_death();
		scribble(pid, to);
		/* What it has is looked at when its reader next turns. */
		check(mq_publish(pub, "t", "go on", 1, false) == 0);
		mq_need_publish(sub, "t", "go on");
		check(ctl("client", "list") == 0); /* persist turns */
		wait_for(broker_pid_of("mqtt/1") != pid);
		mq_need_close(victim);
		mq_close(victim);
		broker_wait_ready();
		check(mq_publish(pub, "t", "still", 1, false) == 0);
		mq_need_publish(sub, "t", "still");
		victim = mq_on_worker(1, (struct mq_opts){ .id = "victim" });
		mq_disconnect(victim);
	}
	check(broker_counter("ring_bad") == 2);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
