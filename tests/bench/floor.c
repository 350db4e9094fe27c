/*
 * floor.c - what storing takes without a broker: records appended and synced, records read by a cursor in bulk
 *
 * No broker that keeps its word is faster than this at the same number of records a sync. The file
 * grows, as a log does: to write over blocks that are there is faster. When it has got long it
 * begins anew, and the time for that does not count.
 *
 * Nor does one that keeps queues in Berkeley DB hand them out faster than a cursor brings them, many at a time, from a
 * tree that was closed: the first time all of it is read is what counts.
 */
#include <db.h>
#include <endian.h>
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

/* --- reading ----------------------------------------------------------------------------- */

#define BULK (1u << 20) /* bytes of a read */
#define PAGE_SIZE 4096

static void
db_check(int err)
{
	if (err != 0)
		fail("%s: %s", opt.dir, db_strerror(err));
}

static DB *
tree_open(const char *path, uint32_t flags)
{
	DB *db;

	db_check(db_create(&db, NULL, 0));
	db_check(db->set_cachesize(db, 0, 64 << 20, 1));
	db_check(db->set_pagesize(db, PAGE_SIZE));
	db_check(db->set_flags(db, DB_CHKSUM));
	db_check(db->open(db, NULL, path, NULL, DB_BTREE, flags, 0600));
	return db;
}

static void
tree_fill(const char *path)
{
	uint8_t *value = grab(1, opt.size);
	DB *db = tree_open(path, DB_CREATE);

	memset(value, 'x', opt.size);
	for (uint64_t i = 0; i < opt.clients; i++)
		for (uint64_t k = 0; k < opt.messages; k++) {
			uint64_t name[2] = { htobe64(i), htobe64(k) };
			DBT key = { .data = name, .size = sizeof(name) };
			DBT data = { .data = value, .size = (uint32_t)opt.size };

			db_check(db->put(db, NULL, &key, &data, 0));
		}
	db_check(db->close(db, 0));
	free(value);
}

static uint64_t
tree_read(const char *path)
{
	DB *db = tree_open(path, DB_RDONLY);
	DBT key = { .flags = 0 }, data = { .flags = DB_DBT_USERMEM, .ulen = BULK };
	uint64_t n = 0;
	DBC *cursor;
	int err;

	data.data = grab(1, BULK);
	db_check(db->cursor(db, NULL, &cursor, 0));
	while ((err = cursor->get(cursor, &key, &data, DB_NEXT | DB_MULTIPLE_KEY)) == 0) {
		void *at, *k, *v;
		uint32_t klen, vlen;

		DB_MULTIPLE_INIT(at, &data);
		for (;;) {
			DB_MULTIPLE_KEY_NEXT(at, &data, k, klen, v, vlen);
			if (at == NULL)
				break;
			n += k != NULL && v != NULL && klen == 16 && vlen == opt.size;
		}
	}
	if (err != DB_NOTFOUND)
		db_check(err);
	db_check(cursor->close(cursor));
	db_check(db->close(db, 0));
	free(data.data);
	return n;
}

bool
floor_read(void)
{
	char dir[4096], path[4200];
	uint64_t began, own, n;
	double records;

	snprintf(dir, sizeof(dir), "%s/tbmq-bench-XXXXXX", opt.dir);
	if (mkdtemp(dir) == NULL)
		fail("%s: %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/tree", dir);
	tree_fill(path);
	began = now_ns();
	own = own_cpu_ns();
	n = tree_read(path);
	own = own_cpu_ns() - own;
	records = (double)n;
	figure("records_per_s", "records", records * 1e9 / (double)(now_ns() - began), "/s");
	figure("own_us_per_record", "own CPU per record", (double)own / 1e3 / records, "us");
	if (unlink(path) != 0 || rmdir(dir) != 0)
		fail("%s: %s", dir, strerror(errno));
	return figure_fault("missing", "missing", opt.clients * opt.messages - n);
}
