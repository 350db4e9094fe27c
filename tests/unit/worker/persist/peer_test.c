#include <poll.h>
#include <sys/syscall.h>

#include "tests/unit/worker/persist/fake.h"

/* --- a disk that fails --------------------------------------------------------------------- */

static _Atomic bool fails, stands_still;

static int
sync_of(long call, int fd)
{
	while (stands_still)
		usleep(1000);
	if (!fails)
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

int
fdatasync(int fd)
{
	return sync_of(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return sync_of(SYS_fsync, fd);
}

static void
send_store(const struct client *from, const char *payload)
{
	struct msg_view v = { .topic = span_str("t"),
		.payload = span_str(payload),
		.qos = 1,
		.publish_ms = clock_wall_ms() };
	struct rec_store rec = {
		.token = 5,
		.epoch = from != NULL ? from->epoch : 0,
		.session = from != NULL ? from->session : UINT32_MAX,
		.want = STORE_DURABLE | STORE_ANSWER,
		.m = rec_msg_of(&v, 0, true),
	};

	fake.position += 100;
	CU_ASSERT_EQUAL(tell_parts(1, REC_STORE, &rec, sizeof(rec), v.topic, span_str(payload)), 0);
}

/* Until it has ended, or the worker is answered. */
static bool
is_stored(void)
{
	struct rec_stored r;

	for (int i = 0; i < 100 && fake.exit == 0 && !has(1, REC_STORED); i++) {
		turn_once();
		loop_turn(self.loop, 100);
	}
	return TAKE(&r, 1, REC_STORED) && r.reason == MQTT_SUCCESS;
}

static void
a_sync_that_fails_acknowledges_nothing_and_is_the_end(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	uint64_t before;

	fake_start();
	join(&c);
	subscribe(&c, "t", 1, 0);
	leave(&c, 0, 0);
	send_store(NULL, "kept");
	CU_ASSERT_TRUE(is_stored());
	turn();
	before = fake.position;
	CU_ASSERT_EQUAL(fake.released, before);

	fails = true;
	send_store(NULL, "not");
	CU_ASSERT_FALSE(is_stored());
	CU_ASSERT_EQUAL(fake.exit, 1);
	CU_ASSERT_EQUAL(fake.released, before);
	fake_end();
	CU_ASSERT_FALSE(has(1, REC_STORED));

	/* Its successor finds what was acknowledged, and in the ring what was not. */
	fails = false;
	fake.exit = 0;
	fake_restart(2, 1);
	CU_ASSERT_TRUE(counted(CNT_queued) >= 1);
	fake.position = before;
	send_store(NULL, "not");
	CU_ASSERT_TRUE(is_stored());
	fake_stop();
}

/* The disk is done: the eventfd is written after whatever the thread that syncs does by itself. */
static void
wait_for_disk(void)
{
	struct pollfd p = { .fd = store_fd(), .events = POLLIN };

	CU_ASSERT_EQUAL(poll(&p, 1, 60000), 1);
}

static void
an_answer_does_not_wait_until_the_loop_has_woken(void)
{
	struct client d = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_stored r;

	fake_start();
	join(&d);
	subscribe(&d, "t", 1, 0);
	turn();
	for (int i = 0; i < 20; i++) {
		bool sleeps = i % 2 == 0;

		send_store(NULL, "x");
		stands_still = true;
		turn_once();
		CU_ASSERT_FALSE(has(1, REC_STORED));
		if (sleeps)
			peer_before_sleep();
		stands_still = false;
		wait_for_disk();
		if (sleeps)
			peer_after_sleep();
		CU_ASSERT_EQUAL(has(1, REC_STORED), sleeps);
		CU_ASSERT_TRUE(fake.released < fake.position); /* the rest is the loop's */
		turn();
		CU_ASSERT_TRUE(TAKE(&r, 1, REC_STORED));
		CU_ASSERT_FALSE(has(1, REC_STORED));
		CU_ASSERT_EQUAL(fake.released, fake.position);
	}
	fake_stop();
}

static void
a_publisher_is_answered_by_the_class_of_its_listener(void)
{
	struct client fast = { .id = "f", .slot = 1, .handle = 1, .durability = DURABILITY_memory },
		      sound = { .id = "s", .slot = 1, .handle = 2 },
		      d = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_stored r;

	fake_start();
	join(&fast);
	join(&sound);
	join(&d);
	subscribe(&d, "t", 1, 0);
	turn();
	stands_still = true;
	send_store(&fast, "1");
	send_store(&sound, "2");
	turn_once();
	CU_ASSERT_TRUE(TAKE(&r, 1, REC_STORED));
	CU_ASSERT_FALSE(has(1, REC_STORED));
	/* The disk is busy: there is no batch yet that this could be in. */
	send_store(&fast, "3");
	turn_once();
	CU_ASSERT_FALSE(has(1, REC_STORED));
	stands_still = false;
	turn();
	CU_ASSERT_TRUE(TAKE(&r, 1, REC_STORED));
	CU_ASSERT_TRUE(TAKE(&r, 1, REC_STORED));
	CU_ASSERT_FALSE(has(1, REC_STORED));
	fake_stop();
}

static void
what_a_dead_persist_may_have_delivered_comes_with_dup(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct delivery d;

	fake_start();
	join(&c);
	subscribe(&c, "t", 1, 0);
	leave(&c, 0, 0);
	turn();
	fake_end();
	fake.published = fake.position + 100;
	fake_restart(2, 1);
	send_store(NULL, "read before");
	send_store(NULL, "not read before");
	registered();
	CU_ASSERT_TRUE(is_stored());
	join(&c);
	turn();
	CU_ASSERT_TRUE_FATAL(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "read before");
	CU_ASSERT_TRUE(d.rec.m.flags & REC_DUP);
	CU_ASSERT_TRUE_FATAL(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "not read before");
	CU_ASSERT_FALSE(d.rec.m.flags & REC_DUP);
	fake_stop();
}

/* Workers get it when it is safe that it is forgotten, and of a successor if it was so and they did not. */
static void
a_will_is_sent_when_no_crash_can_bring_it_again(void)
{
	struct client c = { .id = "w", .handle = 1, .will_topic = "will" };
	struct rec_gone gone = { .flags = GONE_WILL };

	fake_start();
	fake.wants[1] = true;
	for (int dies = 0; dies < 2; dies++) {
		join(&c);
		gone.epoch = c.epoch;
		gone.session = c.session;
		stands_still = true;
		CU_ASSERT_EQUAL(tell_parts(0, REC_GONE, &gone, sizeof(gone), NOTHING, NOTHING), 0);
		for (int i = 0; i < 3; i++)
			turn_once();
		CU_ASSERT_EQUAL(wills_seen(), 0);
		stands_still = false;
		if (dies) {
			fake_end();
			fake_restart(2, 1);
			turn();
			CU_ASSERT_EQUAL(wills_seen(), 0);
			registered();
		}
		turn();
		CU_ASSERT_EQUAL(wills_seen(), 1);
		turn();
		CU_ASSERT_EQUAL(wills_seen(), 0);
	}
	fake_end();
	fake_restart(3, 2);
	registered();
	turn();
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake_stop();
}

UNIT_MAIN("worker/persist/peer", TEST(an_answer_does_not_wait_until_the_loop_has_woken),
    TEST(a_publisher_is_answered_by_the_class_of_its_listener),
    TEST(what_a_dead_persist_may_have_delivered_comes_with_dup),
    TEST(a_will_is_sent_when_no_crash_can_bring_it_again),
    TEST(a_sync_that_fails_acknowledges_nothing_and_is_the_end))
