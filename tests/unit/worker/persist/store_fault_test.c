/*
 * A fixed sequence of work on a store, in which one read, write, sync or allocation fails: each of them in turn. The process that works must not crash, and what
 * it had been told was safe is there when the store is opened again, whole steps only.
 *
 * Faults take the place of the C library's calls; of allocations those of our own code, which include Berkeley DB's: the linker wraps them.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "shared/base/log.h"
#include "tests/unit/worker/persist/fake.h"
#include "worker/persist/kv.h"

#define STEPS 24
#define STEPS_REOPENED 6 /* of them, after the store was closed and opened again */
#define TRIES 3          /* of an operation: memory that has run out may be back */
#define DEADLINE_MS 60000
#define RUNS 150 /* of a kind, SCALE times; more faults than that are sampled */

enum kind { READS, WRITES, SYNCS, ALLOCATIONS, KINDS };

/* Exit codes of the processes. What Berkeley DB doesn't get over ends persist at once. */
enum { ENDED = 1, FAILED };

/* What goes wrong, and whether it stays so. */
struct fault {
	enum kind kind;
	int error; /* 0: a write is short */
	bool stays;
};

static struct shared {                 /* with the process that works */
	_Atomic uint64_t calls[KINDS]; /* so far */
	_Atomic uint64_t safe, begun;  /* steps */
	_Atomic bool has_failed;       /* a fault was met */
	_Atomic bool said;             /* an operation told of it */
} * it;

static struct fault fault;
static uint64_t fails_at; /* 0: never */

static bool
fails(enum kind kind)
{
	uint64_t n;

	if (it == NULL)
		return false;
	n = ++it->calls[kind];
	if (fails_at == 0 || kind != fault.kind || n < fails_at || (n > fails_at && !fault.stays))
		return false;
	it->has_failed = true;
	errno = fault.error;
	return true;
}

/* Of a write: what is left of it, -1: nothing. */
static ssize_t
shortened(size_t len)
{
	if (!fails(WRITES))
		return (ssize_t)len;
	return fault.error == 0 ? (ssize_t)(len + 1) / 2 : -1;
}

ssize_t
write(int fd, const void *p, size_t len)
{
	ssize_t n = fd > STDERR_FILENO ? shortened(len) : (ssize_t)len;

	return n < 0 ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t len, off_t at)
{
	ssize_t n = shortened(len);

	return n < 0 ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
read(int fd, void *p, size_t len)
{
	return fails(READS) ? -1 : syscall(SYS_read, fd, p, len);
}

ssize_t
pread(int fd, void *p, size_t len, off_t at)
{
	return fails(READS) ? -1 : syscall(SYS_pread64, fd, p, len, at);
}

/* The power stays on: to do nothing is as good, and quicker. */
int
fdatasync(int fd)
{
	(void)fd;
	return fails(SYNCS) ? -1 : 0;
}

int
fsync(int fd)
{
	(void)fd;
	return fails(SYNCS) ? -1 : 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *
__wrap_malloc(size_t n)
{
	return fails(ALLOCATIONS) ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails(ALLOCATIONS) ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails(ALLOCATIONS) ? NULL : __real_realloc(p, n);
}

/* --- a step ------------------------------------------------------------------------------ */

enum { QUEUE_A = 1000001, QUEUE_B, QUEUE_C, QUEUES = 3 };

#define DUE_MS 1000000

static struct store_queue *queue[QUEUES];
static char payload[24 << 10];

static struct msg_view
message_of(const char *topic, uint64_t i, size_t len)
{
	memset(payload, (int)('a' + i % 26), sizeof(payload));
	return (struct msg_view){ .topic = span_str(topic),
		.payload = span_of(payload, len),
		.publish_ms = i,
		.qos = 1 };
}

static const char *
name_of(const char *what, uint64_t i)
{
	static char name[8][32];
	static unsigned turn;

	snprintf(name[turn % 8], sizeof(name[0]), "%s/%u", what, (unsigned)i);
	return name[turn++ % 8];
}

/* What was done already is not done again: a step that failed is tried from its start. */
static int
add_entries(uint64_t i)
{
	struct msg_view v = message_of("shared", i, sizeof(payload));
	struct store_msg m;
	int err = 0;

	store_msg_init(&m, &v, 2);
	for (int k = 0; k < 2 && err == 0; k++)
		if (queue[k]->next_seq <= i)
			err = store_entry_add(
			    queue[k], &(struct store_entry){ .seq = i, .size = 7, .qos = 1 }, &m);
	store_msg_fini(&m);
	if (err != 0 || queue[2]->next_seq > i)
		return err;
	v = message_of("alone", i, 100);
	store_msg_init(&m, &v, 1);
	err = store_entry_add(queue[2],
	    &(struct store_entry){ .seq = i, .size = 7, .qos = 2, .expires_ms = DUE_MS + i * 100 },
	    &m);
	store_msg_fini(&m);
	return err;
}

static int
drop_entries(uint64_t i)
{
	struct store_entry e;
	int err = 0;

	if (i > 3 && store_entry_get(queue[0], i - 3, &e))
		err = store_entry_del(queue[0], &e);
	if (err == 0 && i > 2 && store_entry_get(queue[1], i - 2, &e))
		err = store_entry_del(queue[1], &e);
	if (err == 0 && i > 1 && store_entry_get(queue[2], i - 1, &e)) {
		store_entry_sent(queue[2], &e);
		err = store_entry_release(queue[2], &e);
	}
	return err;
}

static int
change_sessions(uint64_t i)
{
	const struct store_session s = {
		.client_id = span_str(name_of("client", i % 8)),
		.user_name = span_str("user"),
		.queue = i,
		.left_ms = i,
		.number = (uint32_t)(i % 8),
		.expiry = (uint32_t)i,
	};
	const struct store_sub sub = { span_str(name_of("a", i % 8)), (uint32_t)i, 1 };
	uint32_t off = (uint32_t)((i + 4) % 8);
	uint64_t q;
	int err = store_session_put(&s);

	if (err == 0)
		err = store_session_del(off);
	if (err == 0)
		err = store_sub_put(s.number, &sub);
	if (err == 0)
		err = store_sub_del(off, span_str(name_of("a", off)));
	if (err == 0 && store_group_get(span_str(name_of("$share/g", i % 3)), &q) == 0)
		err = -ENOMEM;
	return err;
}

static int
change_others(uint64_t i)
{
	struct msg_view v = message_of(name_of("r", i % 5), i, 1000);
	uint32_t number = (uint32_t)(i % 4);
	struct store_retained old;
	int err;

	v.has_expiry = true;
	v.expiry = DUE_MS / 1000;
	err = store_retained_put(
	    &(struct store_retained){ .v = v, .seq = i, .source = span_str("who") },
	    store_retained_get(v.topic, &old) ? &old : NULL);
	if (err == 0 && store_retained_get(span_str(name_of("r", (i + 2) % 5)), &old))
		err = store_retained_del(&old);
	if (err == 0)
		err = store_will_put(
		    &(struct store_will){ .v = v, .number = number, .delay = (uint32_t)i });
	if (err == 0)
		err = store_will_del((number + 2) % 4);
	if (err == 0 && !store_rxid_has(number, (uint16_t)i))
		err = store_rxid_add(number, (uint16_t)i);
	if (err == 0 && i > 1)
		store_rxid_drop((uint32_t)((i - 1) % 4));
	if (err == 0)
		err = store_position_put(0, 1, i * 8);
	return err != 0 ? err : store_meta_put("step", i);
}

static int
step(uint64_t i)
{
	int err = add_entries(i);

	if (err == 0)
		err = drop_entries(i);
	if (err == 0)
		err = change_sessions(i);
	return err != 0 ? err : change_others(i);
}

/* --- what must be there after it --------------------------------------------------------- */

/* The last step up to s that put what is `at` modulo n, unless `gone` steps later it went again; 0: none. */
static uint64_t
put_last(uint64_t s, uint64_t at, uint64_t n, uint64_t gone)
{
	for (uint64_t i = s; i > 0 && i + n > s; i--)
		if (i % n == at)
			return i + gone <= s ? 0 : i;
	return 0;
}

static void
entries_are(unsigned k, uint64_t from, uint64_t to)
{
	struct store_entry e;
	uint64_t at = 0;

	CU_ASSERT_EQUAL(queue[k]->entries, to - from + 1);
	CU_ASSERT_EQUAL(queue[k]->bytes, 7 * (to - from + 1));
	for (uint64_t i = from; i <= to; i++, at = e.seq) {
		struct msg_view v =
		    k < 2 ? message_of("shared", i, sizeof(payload)) : message_of("alone", i, 100);

		CU_ASSERT_TRUE_FATAL(store_entry_next(queue[k], at, &e));
		CU_ASSERT_EQUAL(e.seq, i);
		CU_ASSERT_EQUAL(e.state == ENTRY_RELEASED, k == 2 && i < to);
		CU_ASSERT_TRUE(e.state == ENTRY_RELEASED ||
		    (span_eq(e.msg.v.topic, v.topic) && span_eq(e.msg.v.payload, v.payload)));
	}
	CU_ASSERT_FALSE(store_entry_next(queue[k], at, &e));
}

static void
sub_is(void *arg, const struct store_sub *s)
{
	uint64_t *i = arg;

	CU_ASSERT_EQUAL(s->id, *i);
	*i = 0;
}

static void
sessions_are(uint64_t s)
{
	struct store_session got;
	uint32_t number = 0;

	for (uint32_t k = 0; k < 8; k++) {
		uint64_t i = put_last(s, k, 8, 4), sub = i;

		store_sub_each(k, sub_is, &sub);
		CU_ASSERT_EQUAL(sub, 0);
		if (i == 0)
			continue;
		CU_ASSERT_TRUE_FATAL(store_session_next(&number, &got));
		CU_ASSERT_TRUE(got.number == k && got.queue == i && got.expiry == i);
	}
	CU_ASSERT_FALSE(store_session_next(&number, &got));
}

static void
others_are(uint64_t s)
{
	for (uint32_t k = 0; k < 5; k++) {
		uint64_t i = put_last(s, k, 5, 3);
		struct store_retained r;

		CU_ASSERT_EQUAL(store_retained_get(span_str(name_of("r", k)), &r), i > 0);
		CU_ASSERT_TRUE(i == 0 || (r.seq == i && r.v.publish_ms == i));
	}
	for (uint32_t k = 0; k < 4; k++) {
		uint64_t i = put_last(s, k, 4, 2);
		struct store_will w;

		CU_ASSERT_EQUAL(store_will_get(k, &w), i > 0);
		CU_ASSERT_TRUE(i == 0 || w.delay == i);
		CU_ASSERT_EQUAL(store_rxid_count(k), s > 0 && k == s % 4);
	}
	CU_ASSERT_TRUE(s == 0 || store_rxid_has((uint32_t)(s % 4), (uint16_t)s));
	CU_ASSERT_EQUAL(store_position(0, 1), s * 8);
}

/* All that expires has its place in the index, or would be dropped late. */
static void
due_are(uint64_t s)
{
	unsigned retained = 0, entries = 0;
	struct store_due due;
	int err;

	while (store_turn())
		;
	CU_ASSERT_EQUAL(store_due(DUE_MS - 1, &due), 0);
	while ((err = store_due(2 * DUE_MS, &due)) != 0) {
		entries += err == 1 && due.queue == queue[2] && due.entry.seq == s;
		retained += err == 1 && due.queue == NULL;
	}
	CU_ASSERT_EQUAL(entries, s > 0);
	for (uint32_t k = 0; k < 5; k++)
		retained -= put_last(s, k, 5, 3) > 0;
	CU_ASSERT_EQUAL(retained, 0);
}

/* --- the process that works -------------------------------------------------------------- */

static bool
open_all(void)
{
	int err = store_open(fake.dir);

	for (unsigned k = 0; k < QUEUES && err == 0; k++)
		err = store_queue_open(QUEUE_A + k, &queue[k]);
	if (err == 0)
		return true;
	it->said = true;
	return false;
}

static void
close_all(void)
{
	for (unsigned k = 0; k < QUEUES; k++)
		store_queue_close(&queue[k]);
	store_close();
}

/* What was written is safe. False: nothing more can be promised. */
static bool
make_safe(void)
{
	struct pollfd p = { .fd = store_fd(), .events = POLLIN };
	int tries = 0;

	while (store_safe(DURABILITY_power) < store_batch()) {
		int err = store_write();

		if (err == -EIO || (err < 0 && err != -EAGAIN && ++tries == TRIES)) {
			it->said = true;
			return false;
		}
		if (err == -EAGAIN && poll(&p, 1, DEADLINE_MS) != 1)
			return false;
		if (store_synced() != 0) {
			it->said = true;
			return false;
		}
	}
	return true;
}

static void
work_until(uint64_t end)
{
	for (uint64_t i = it->safe + 1; i <= end; i++) {
		int err = -ENOMEM;

		it->begun = i;
		for (int tries = 0; err != 0 && tries < TRIES; tries++)
			err = step(i);
		if (err != 0 || !make_safe())
			return;
		it->safe = i;
		(void)store_turn();
	}
	/* The move goes on to its end. */
	for (int k = 0; end == STEPS && k < 1000 && kv_numbers().is_moving; k++) {
		struct pollfd p = { .fd = store_fd(), .events = POLLIN };

		if (!store_turn())
			(void)poll(&p, 1, 10);
		if (store_synced() != 0)
			return;
	}
}

static void
work(void)
{
	static const uint64_t end[] = { STEPS - STEPS_REOPENED, STEPS };

	for (unsigned k = 0; k < 2; k++) {
		if (!open_all()) /* another process would be started */
			return;
		work_until(end[k]);
		if (it->safe < end[k])
			it->said = true;
		close_all();
		if (it->safe < end[k])
			return;
	}
}

static int
in_child(void (*fn)(void))
{
	unsigned before = CU_get_number_of_failures();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(CU_get_number_of_failures() != before ? FAILED : 0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return status;
}

static void
look(void)
{
	uint64_t s = 0;
	struct store_status status;

	CU_ASSERT_TRUE_FATAL(open_all());
	store_status(&status);
	CU_ASSERT_EQUAL(status.opened.damaged, 0);
	(void)store_meta_get("step", &s);
	CU_ASSERT_TRUE(s >= it->safe && s <= it->begun);
	sessions_are(s);
	others_are(s);
	entries_are(0, s > 3 ? s - 2 : 1, s);
	entries_are(1, s > 2 ? s - 1 : 1, s);
	entries_are(2, 1, s);
	due_are(s);
	close_all();
}

/* --- each in turn ------------------------------------------------------------------------ */

static void
start(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&self, 0, sizeof(self));
	clock_init();
	conf_defaults(&self.conf);
	self.conf.store_journal = 1 << 20;
	self.conf.store_cache = 1 << 20;
	strcpy(fake.dir, "/tmp/store_fault_test.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fake.dir));
	it = mmap(NULL, sizeof(*it), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(it != MAP_FAILED);
	if (getenv("KV_LOG") == NULL)
		log_to(LOG_TO_FD, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void
stop(void)
{
	munmap(it, sizeof(*it));
	it = NULL;
	fake_remove(fake.dir);
}

static uint64_t
run(struct fault f, uint64_t n)
{
	int worked, looked;
	uint64_t calls;
	bool told;

	start();
	fault = f;
	fails_at = n;
	worked = in_child(work);
	fails_at = 0;
	calls = it->calls[f.kind];
	if (WIFEXITED(worked) && WEXITSTATUS(worked) == ENDED) {
		it->said = true;
		worked = 0;
	}
	looked = in_child(look);
	told = it->safe == STEPS || (n > 0 && it->has_failed && it->said);
	if (worked != 0 || looked != 0 || !told)
		printf("\nkind=%d error=%d at=%u: worked=%d looked=%d said=%d safe=%u begun=%u ",
		    (int)f.kind, f.error, (unsigned)n, worked, looked, it->said, (unsigned)it->safe,
		    (unsigned)it->begun);
	CU_ASSERT_TRUE(worked == 0 && looked == 0 && told);
	stop();
	return calls;
}

static void
each(struct fault f)
{
	const char *scale = getenv("SCALE");
	uint64_t runs = RUNS * (uint64_t)(scale != NULL && atoi(scale) > 1 ? atoi(scale) : 1);
	uint64_t all = run(f, 0), pace = all / runs + 1;

	CU_ASSERT_TRUE(all > STEPS);
	for (uint64_t n = 1; n <= all; n += pace)
		run(f, n);
	printf("(%u of %u) ", (unsigned)((all + pace - 1) / pace), (unsigned)all);
}

static void
a_read_that_fails_once(void)
{
	each((struct fault){ READS, EIO, false });
}

static void
a_write_that_fails_once(void)
{
	each((struct fault){ WRITES, EIO, false });
}

static void
a_disk_that_is_full_from_then_on(void)
{
	each((struct fault){ WRITES, ENOSPC, true });
}

static void
a_write_that_is_short(void)
{
	each((struct fault){ WRITES, 0, false });
}

static void
a_sync_that_fails_once(void)
{
	each((struct fault){ SYNCS, EIO, false });
}

static void
memory_that_runs_out_once(void)
{
	each((struct fault){ ALLOCATIONS, ENOMEM, false });
}

UNIT_MAIN("worker/persist/store_fault", TEST(a_read_that_fails_once), TEST(a_write_that_fails_once),
    TEST(a_disk_that_is_full_from_then_on), TEST(a_write_that_is_short),
    TEST(a_sync_that_fails_once), TEST(memory_that_runs_out_once))
