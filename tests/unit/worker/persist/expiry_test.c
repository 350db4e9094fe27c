#include "worker/persist/expiry.h"

#include <sys/wait.h>

#include "tests/unit/worker/persist/fake.h"
#include "worker/persist/kv.h"

static struct client
offline(const char *id, const char *filter)
{
	static uint32_t handle = 100;
	struct client c = { .id = id, .handle = ++handle, .expiry = MQTT_EXPIRY_NEVER };

	join(&c);
	subscribe(&c, filter, 1, 0);
	leave(&c, 0, 0);
	return c;
}

/* In the middle of a second, whatever it is that takes time; when that was. */
static uint64_t
publish(const char *topic, const char *payload, uint32_t expiry, uint8_t want)
{
	uint64_t at;

	clock_tick();
	*fake.clock += 1500 - (int64_t)(clock_wall_ms() % 1000);
	clock_tick();
	at = clock_wall_ms();
	store_full(NULL, 1, topic, payload, 1, want, 0, expiry, NULL, NULL, NULL);
	return at;
}

static void
pass_until(uint64_t wall_ms)
{
	clock_tick();
	CU_ASSERT_TRUE_FATAL(clock_wall_ms() < wall_ms);
	pass_ms((int64_t)(wall_ms - clock_wall_ms()));
}

static void
begin(void)
{
	memset(fake.seg[SLOT_PERSIST]->counter, 0, sizeof(fake.seg[SLOT_PERSIST]->counter));
	fake_restart(self.gen + 1, self.birth.restarts + 1);
	registered();
	turn();
}

/* Opens it and is killed. */
static void
begin_shortly(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		CU_ASSERT_EQUAL_FATAL(store_open(fake.dir), 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void
begin_again(bool killed)
{
	fake_end();
	if (killed)
		begin_shortly();
	begin();
}

/* Fills the journal until what it had has moved to the trees. */
static void
move_all(void)
{
	uint64_t batch = kv_batch(), until = clock_now_us() + 60 * 1000000;

	for (unsigned i = 0; kv_moved() < batch && clock_now_us() < until; i++) {
		char key[16];

		snprintf(key, sizeof(key), "fill%u", i % 16);
		if (!kv_numbers().is_moving)
			CU_ASSERT_PTR_NOT_NULL_FATAL(kv_put(KV_MSG, span_str(key), 1 << 20, false));
		CU_ASSERT_PTR_NOT_NULL_FATAL(kv_put(KV_MSG, span_str("one"), 1, false));
		turn();
	}
	CU_ASSERT_TRUE(kv_moved() >= batch);
}

static size_t
indexed(void)
{
	struct span key = span_str(""), value;
	size_t n = 0;

	while (kv_next(KV_EXPIRY, key, true, &key, &value) == 0)
		n++;
	return n;
}

static bool
next_is(struct client *c, const char *payload)
{
	struct delivery d;

	return take_delivery(c, &d) && strcmp(d.payload, payload) == 0;
}

static void
what_expires_behind_what_does_not_goes_in_its_second(void)
{
	struct client c;
	struct delivery d;
	uint64_t at[2];

	fake_start();
	c = offline("d", "t");
	publish("t", "first", 0, STORE_DURABLE);
	at[0] = publish("t", "short", 100, STORE_DURABLE) + 100000;
	at[1] = publish("t", "shorter", 50, STORE_DURABLE) + 50000;
	publish("t", "last", 0, STORE_DURABLE);
	pass_until(at[1] - 200);
	CU_ASSERT_EQUAL(counted(CNT_queued), 4);
	pass_until(at[1] + 600);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	pass_until(at[0] - 200);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	pass_until(at[0] + 600);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 2);
	CU_ASSERT_EQUAL(indexed(), 0);
	CU_ASSERT_EQUAL(store_due_ms(), UINT64_MAX);
	join(&c);
	CU_ASSERT_TRUE(next_is(&c, "first") && next_is(&c, "last"));
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	fake_stop();
}

static void
what_is_sent_or_acknowledged_leaves_nothing_behind(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	c = offline("d", "t");
	join(&c);
	for (int i = 0; i < 100; i++) {
		publish("t", "x", 3600, STORE_DURABLE);
		CU_ASSERT_TRUE_FATAL(take_delivery(&c, &d));
		CU_ASSERT_EQUAL(indexed(), 0);
		if (i % 2)
			ack(&c, &d, PKT_PUBACK, 0);
	}
	begin_again(false);
	CU_ASSERT_EQUAL(indexed(), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 50);
	move_all();
	pass_ms(4000000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 50); /* the client may have seen them */
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 0);
	fake_stop();
}

/* In memory, in the journal, or in the trees. */
static void
a_restart_forgets_nothing_that_expires(void)
{
	struct client c;

	for (int how = 0; how < 3; how++) {
		fake_start();
		fake_end();
		self.conf.store_journal = 4 << 20;
		fake_restart(1, 0);
		begin_again(false);
		c = offline("d", "t");
		publish("t", "first", 0, STORE_DURABLE);
		publish("t", "short", 100, STORE_DURABLE);
		publish("r", "kept", 100, STORE_RETAIN);
		publish("t", "long", 1000, STORE_DURABLE);
		if (how == 2)
			move_all();
		begin_again(how > 0);
		CU_ASSERT_EQUAL(counted(CNT_queued), 3);
		CU_ASSERT_EQUAL(counted(CNT_retained), 1);
		pass_ms(103000);
		CU_ASSERT_EQUAL(counted(CNT_queued), 2);
		CU_ASSERT_EQUAL(counted(CNT_retained), 0);
		CU_ASSERT_EQUAL(counted(CNT_retained_bytes), 0);
		CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 2);
		*fake.clock += 1000000; /* while nobody was looking */
		clock_tick();
		begin_again(true);
		CU_ASSERT_EQUAL(counted(CNT_queued), 1);
		join(&c);
		CU_ASSERT_TRUE(next_is(&c, "first"));
		fake_stop();
	}
}

/* As a version without an index has left it. */
static void
a_store_without_an_index_gets_one(void)
{
	struct span key = span_str(""), value;
	uint64_t version = 0;
	struct client c;

	fake_start();
	fake_end();
	self.conf.store_journal = 4 << 20;
	fake_restart(1, 0);
	begin_again(false);
	c = offline("d", "t");
	publish("t", "first", 0, STORE_DURABLE);
	for (int i = 0; i < 3000; i++)
		store_full(NULL, 1, "t", "x", 1, STORE_DURABLE, 0, 100, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1000);
	publish("r", "kept", 100, STORE_RETAIN);
	move_all();
	while (kv_next(KV_EXPIRY, key, true, &key, &value) == 0)
		kv_del(KV_EXPIRY, key);
	CU_ASSERT_EQUAL(store_meta_put("version", 1), 0);
	move_all();
	CU_ASSERT_EQUAL(indexed(), 0);
	for (int i = 0; i < 2; i++) { /* it is begun anew when it was cut off */
		begin_again(true);
		CU_ASSERT_EQUAL(counted(CNT_queued), 1000);
		CU_ASSERT_TRUE(store_meta_get("version", &version) && version == 1);
		CU_ASSERT_EQUAL(indexed(), 1000);
	}
	move_all();
	turn();
	CU_ASSERT_TRUE(store_meta_get("version", &version) && version == 2);
	turn();
	begin_again(true);
	CU_ASSERT_EQUAL(indexed(), 1000);
	pass_ms(103000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	CU_ASSERT_EQUAL(counted(CNT_retained), 0);
	join(&c);
	CU_ASSERT_TRUE(next_is(&c, "first"));
	fake_stop();
}

static void
an_index_that_is_lost_is_made_again(void)
{
	uint64_t version = 0;
	char path[128];

	fake_start();
	fake_end();
	self.conf.store_journal = 4 << 20;
	fake_restart(1, 0);
	begin_again(false);
	offline("d", "t");
	for (int i = 0; i < 10; i++)
		publish("t", "x", 100, STORE_DURABLE);
	move_all();
	fake_end();
	snprintf(path, sizeof(path), "%s/expiry.db", fake.dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	begin_shortly();
	begin();
	CU_ASSERT_TRUE(store_meta_get("version", &version) && version == 1);
	CU_ASSERT_EQUAL(indexed(), 10);
	move_all();
	pass_ms(101000);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 10);
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	fake_stop();
}

static void
many_that_are_due_at_once_go_in_slices(void)
{
	struct client c[4];
	char topic[4][2] = { "0", "1", "2", "3" };

	fake_start();
	self.conf.queue_max_messages = 0;
	for (int i = 0; i < 4; i++)
		c[i] = offline(topic[i], topic[i]);
	for (int i = 0; i < 8000; i++) {
		store_full(NULL, 1, topic[i % 4], "x", 1, STORE_DURABLE, 0, 50, NULL, NULL, NULL);
		if (i % 1000 == 0)
			fake_forget();
	}
	*fake.clock += 51000;
	clock_tick();
	CU_ASSERT_TRUE(expiry_turn());
	CU_ASSERT_TRUE(counted(CNT_queued) < 8000 && counted(CNT_queued) > 5000);
	join(&c[3]); /* and nothing of it is delivered meanwhile */
	CU_ASSERT_FALSE(has(0, REC_DELIVER));
	turn();
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued_bytes), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 8000);
	fake_stop();
}

/* Who reads ahead must not give out what has gone meanwhile. */
static void
what_was_read_ahead_expires_too(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	fake_end();
	self.conf.store_journal = 4 << 20;
	fake_restart(1, 0);
	begin_again(false);
	c = offline("d", "t");
	for (int i = 0; i < 10; i++)
		publish("t", i % 2 ? "short" : "long", i % 2 ? 100 : 0, STORE_DURABLE);
	move_all();
	c.window = 1;
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	pass_ms(111000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 5);
	for (int i = 1; i < 5; i++) {
		ack(&c, &d, PKT_PUBACK, 0);
		CU_ASSERT_TRUE(take_delivery(&c, &d));
		CU_ASSERT_STRING_EQUAL(d.payload, "long");
	}
	ack(&c, &d, PKT_PUBACK, 0);
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	fake_stop();
}

static void
what_waits_for_a_member_of_a_group_expires(void)
{
	struct client c = { .id = "m", .handle = 1, .expiry = MQTT_EXPIRY_NEVER };

	fake_start();
	join(&c);
	subscribe(&c, "$share/g/t", 1, 0);
	leave(&c, 0, 0);
	store_full(NULL, 1, "t", "first", 1, STORE_DURABLE, 0, 0, "t", "g", NULL);
	store_full(NULL, 1, "t", "short", 1, STORE_DURABLE, 0, 10, "t", "g", NULL);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	pass_ms(11000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	join(&c);
	CU_ASSERT_TRUE(next_is(&c, "first"));
	fake_stop();
}

static void
an_update_of_a_retained_message_has_its_own_time(void)
{
	fake_start();
	publish("r", "1", 10, STORE_RETAIN);
	publish("r", "2", 1000, STORE_RETAIN);
	CU_ASSERT_EQUAL(indexed(), 1);
	publish("s", "1", 10, STORE_RETAIN);
	publish("s", "2", 0, STORE_RETAIN);
	CU_ASSERT_EQUAL(indexed(), 1);
	publish("gone", "1", 10, STORE_RETAIN);
	publish("gone", "", 0, STORE_RETAIN);
	CU_ASSERT_EQUAL(indexed(), 1);
	pass_ms(100000);
	CU_ASSERT_EQUAL(counted(CNT_retained), 2);
	pass_ms(1000000);
	CU_ASSERT_EQUAL(counted(CNT_retained), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	fake_stop();
}

static void
what_waits_too_long_goes(void)
{
	struct rec_retain_get rec = {
		.token = 55,
		.max = 10,
		.max_bytes = 1000,
		.filter_len = 1,
		.options = 1,
		.durable = 1,
	};
	struct client c, d;
	uint64_t at[2];

	fake_start();
	c = offline("c", "t");
	publish("t", "before", 0, STORE_DURABLE);
	self.conf.queue_max_age = 100;
	at[0] = publish("t", "old", 0, STORE_DURABLE) + 100000;
	publish("t", "expires", 50, STORE_DURABLE);
	at[1] = publish("t", "expires later", 500, STORE_DURABLE) + 100000;
	self.conf.queue_max_age = 0;
	publish("t", "after", 0, STORE_DURABLE);
	pass_until(at[0] - 200);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__too_old), 0);
	pass_until(at[1] + 600);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__too_old), 2);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	join(&c);
	CU_ASSERT_TRUE(next_is(&c, "before") && next_is(&c, "after"));
	/* A retained message is as old as it is, but waits from now on. */
	publish("r", "kept", 0, STORE_RETAIN);
	pass_ms(1000000);
	self.conf.queue_max_age = 100;
	d = offline("d", "r");
	join(&d);
	rec.epoch = d.epoch;
	rec.since = d.since;
	rec.session = d.session;
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_RETAIN_GET, &rec, sizeof(rec), span_str("r"), NOTHING), 0);
	turn();
	CU_ASSERT_TRUE(next_is(&d, "kept"));
	fake_stop();
}

UNIT_MAIN("worker/persist/expiry", TEST(what_expires_behind_what_does_not_goes_in_its_second),
    TEST(what_is_sent_or_acknowledged_leaves_nothing_behind),
    TEST(a_restart_forgets_nothing_that_expires), TEST(a_store_without_an_index_gets_one),
    TEST(an_index_that_is_lost_is_made_again), TEST(many_that_are_due_at_once_go_in_slices),
    TEST(what_was_read_ahead_expires_too), TEST(what_waits_for_a_member_of_a_group_expires),
    TEST(an_update_of_a_retained_message_has_its_own_time), TEST(what_waits_too_long_goes))
