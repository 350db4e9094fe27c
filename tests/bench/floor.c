/*
 * floor.c - what the disk alone takes: records appended to a file and synced
 *
 * No broker that keeps its word is faster than this at the same number of records a sync. The file
 * grows, as a log does: to write over blocks that are there is faster. When it has got long it
 * begins anew, and the time for that does not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/hist.h"
#include "tests/lib/tool.h"

#define FILE_MAX (UINT64_C(256) << 20)

static struct {
	struct hist sync;
	uint64_t busy_ns, own_ns, batches, bytes;
} fl;

static void
append(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0)
			fail("%s: %s", opt.dir, strerror(errno));
		p += n;
		len -= (size_t)n;
	}
}

static void
sync_until(int fd, const uint8_t *batch, size_t len, uint64_t t)
{
	uint64_t now = now_ns();

	while (now < t && !interrupted) {
		uint64_t began, own = own_cpu_ns();

		if (fl.bytes >= FILE_MAX) {
			if (ftruncate(fd, 0) != 0 || fsync(fd) != 0)
				fail("%s: %s", opt.dir, strerror(errno));
			fl.bytes = 0;
			own = own_cpu_ns();
		}
		began = now_ns();
		append(fd, batch, len);
		if (fdatasync(fd) != 0)
			fail("%s: %s", opt.dir, strerror(errno));
		now = now_ns();
		fl.own_ns += own_cpu_ns() - own;
		fl.busy_ns += now - began;
		fl.bytes += len;
		fl.batches++;
		hist_add(&fl.sync, now - began);
	}
}

bool
floor_sync(void)
{
	size_t len = opt.batch * opt.size;
	uint8_t *batch = grab(1, len);
	char path[4096];
	double records;
	int fd;

	for (size_t i = 0; i < len; i++)
		batch[i] = (uint8_t)(i * 31 + 7);
	snprintf(path, sizeof(path), "%s/tbmq-bench-XXXXXX", opt.dir);
	fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	if (unlink(path) != 0) /* it is gone when we are */
		fail("%s: %s", path, strerror(errno));
	sync_until(fd, batch, len, now_ns() + opt.warmup * 1000000000);
	fl.sync = (struct hist){ 0 };
	fl.busy_ns = fl.own_ns = fl.batches = 0;
	sync_until(fd, batch, len, now_ns() + opt.seconds * 1000000000);
	close(fd);
	free(batch);
	if (fl.batches == 0)
		fail("nothing was synced");
	records = (double)(fl.batches * opt.batch);
	figure("records_per_s", "records", records * 1e9 / (double)fl.busy_ns, "/s");
	figure("own_us_per_record", "own CPU per record", (double)fl.own_ns / 1e3 / records, "us");
	figure("sync_p50_us", "batch written and synced, median",
	    (double)hist_quantile(&fl.sync, 0.5) / 1e3, "us");
	figure("sync_p99_us", "batch written and synced, 99 %",
	    (double)hist_quantile(&fl.sync, 0.99) / 1e3, "us");
	return true;
}
