#include "tests/unit/worker/persist/fake.h"

static struct client
with_will(uint32_t expiry, uint32_t delay)
{
	struct client c = {
		.id = "w", .handle = 1, .expiry = expiry, .will_topic = "will", .will_delay = delay
	};

	fake.wants[1] = true;
	join(&c);
	return c;
}

static void
a_goodbye_drops_the_will(void)
{
	struct client c;

	fake_start();
	c = with_will(0, 0);
	leave(&c, GONE_EXPIRY, 0);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	c = with_will(100, 5);
	leave(&c, 0, 0);
	pass_ms(200000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake_stop();
}

static void
a_will_that_ends_before_its_client_is_not_published(void)
{
	struct rec_will_end end;
	struct client c;

	fake_start();
	c = with_will(100, 0);
	end = (struct rec_will_end){ .epoch = c.epoch - 1, .session = c.session };
	CU_ASSERT_EQUAL(tell_parts(0, REC_WILL_END, &end, sizeof(end), NOTHING, NOTHING), 0);
	CU_ASSERT_NOT_EQUAL(
	    tell_parts(0, REC_WILL_END, &end, sizeof(end), span_str("x"), NOTHING), 0);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1); /* that was about another connection */
	c = with_will(100, 0);
	end = (struct rec_will_end){ .epoch = c.epoch, .session = c.session };
	CU_ASSERT_EQUAL(tell_parts(0, REC_WILL_END, &end, sizeof(end), NOTHING, NOTHING), 0);
	leave(&c, GONE_WILL, 0);
	pass_ms(200000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake_stop();
}

static void
an_unclean_end_publishes_it_once(void)
{
	struct client c, old;

	fake_start();
	c = with_will(0, 0);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	c = with_will(100, 0);
	old = c;
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	leave(&old, GONE_WILL, 0);
	pass_ms(200000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	CU_ASSERT_EQUAL(counted(CNT_wills_published), 2);
	fake_stop();
}

static void
a_delay_is_waited_for(void)
{
	struct client c;

	fake_start();
	c = with_will(100, 10);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(counted(CNT_wills_pending), 1);
	pass_ms(9900);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	pass_ms(200);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	CU_ASSERT_EQUAL(counted(CNT_wills_pending), 0);
	pass_ms(200000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake_stop();
}

static void
the_end_of_the_session_comes_before_a_longer_delay(void)
{
	struct client c;

	fake_start();
	c = with_will(5, 100);
	leave(&c, GONE_WILL, 0);
	pass_ms(5100);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	CU_ASSERT_EQUAL(directory_count(), 0);
	c = with_will(0, 100);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	c = with_will(50, 100);
	leave(&c, GONE_WILL | GONE_EXPIRY, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	CU_ASSERT_EQUAL(counted(CNT_wills_pending), 0);
	fake_stop();
}

static void
who_returns_in_time_has_no_will_published(void)
{
	struct client c;

	fake_start();
	c = with_will(100, 10);
	leave(&c, GONE_WILL, 0);
	pass_ms(5000);
	c.will_topic = NULL;
	join(&c);
	CU_ASSERT_TRUE(c.flags & GRANT_PRESENT);
	pass_ms(50000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	CU_ASSERT_EQUAL(counted(CNT_wills_pending), 0);
	/* Nor later: the new connection has none. */
	leave(&c, GONE_WILL, 0);
	pass_ms(50000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake_stop();
}

static void
who_returns_with_clean_start_has_it_published_at_once(void)
{
	struct client c;

	fake_start();
	c = with_will(100, 10);
	leave(&c, GONE_WILL, 0);
	c.clean = true;
	join(&c);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	fake_stop();
}

static void
a_takeover_publishes_it_unless_it_has_a_delay_and_the_session_goes_on(void)
{
	struct client c, n = { .id = "w", .slot = 0, .handle = 2, .expiry = 100 };

	fake_start();
	c = with_will(100, 0);
	ask_connect(&n);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(wills_seen(), 1);
	CU_ASSERT_TRUE(take_grant(&n));
	leave(&n, 0, 0);
	c = with_will(100, 10);
	ask_connect(&n);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_TRUE(take_grant(&n));
	CU_ASSERT_EQUAL(wills_seen(), 0);
	leave(&n, 0, 0);
	c = with_will(100, 10);
	n.clean = true;
	ask_connect(&n);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_TRUE(take_grant(&n));
	CU_ASSERT_EQUAL(wills_seen(), 1);
	fake_stop();
}

static void
a_dead_workers_wills_come_once_and_after_it_is_drained(void)
{
	struct client c;

	fake_start();
	c = with_will(0, 0);
	(void)c;
	fake.undrained = true;
	fake.open[0] = false;
	peer_down(NULL, 0);
	turn();
	turn();
	CU_ASSERT_EQUAL(wills_seen(), 0);
	fake.undrained = false;
	turn();
	CU_ASSERT_EQUAL(wills_seen(), 1);
	turn();
	pass_ms(10000);
	CU_ASSERT_EQUAL(wills_seen(), 0);
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

static void
a_gone_before_the_death_counts_not_again(void)
{
	struct client c;

	fake_start();
	c = with_will(0, 0);
	leave(&c, GONE_WILL, 0);
	fake.open[0] = false;
	peer_down(NULL, 0);
	turn();
	CU_ASSERT_EQUAL(wills_seen(), 1);
	fake_stop();
}

static void
it_reaches_durable_sessions(void)
{
	struct client c, d = { .id = "d", .slot = 1, .handle = 8, .expiry = 10 };
	struct delivery got;

	fake_start();
	join(&d);
	subscribe(&d, "will", 1, 0);
	c = with_will(0, 0);
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_TRUE(take_delivery(&d, &got));
	CU_ASSERT_STRING_EQUAL(got.payload, "bye");
	CU_ASSERT_EQUAL(got.rec.m.qos, 1);
	fake_stop();
}

/* --- around the death of persist ----------------------------------------------------------- */

static void
persist_dies(void)
{
	fake_end();
	fake_restart(self.gen + 1, self.birth.restarts + 1);
}

/* Worker 0 has not heard that persist was told, and its ring still has what told it. */
static void
what_came_of_an_end_that_is_on_the_disk_does_not_come_again(void)
{
	struct client c[2];
	uint64_t told;

	fake_start();
	for (int i = 0; i < 2; i++) {
		fake.position += 100;
		told = fake.position;
		c[i] = with_will(i * 100, 0);
		leave(&c[i], GONE_WILL, 0);
		CU_ASSERT_EQUAL(wills_seen(), 1);
		for (int deaths = 0; deaths < 2; deaths++) {
			persist_dies();
			fake.position = told;
			leave(&c[i], GONE_WILL, 0);
			fake.position += 100;
			CU_ASSERT_EQUAL(enlist(&c[i], c[i].epoch, i > 0 ? CONNECT_QUEUE : 0), 0);
			registered();
			leave(&c[i], GONE_WILL, 0);
			turn();
			CU_ASSERT_EQUAL(wills_seen(), 0);
		}
		CU_ASSERT_EQUAL(directory_count(), (size_t)i);
	}
	fake_stop();
}

static void
an_end_that_was_not_heard_of_is_one_for_the_successor(void)
{
	struct client c;

	fake_start();
	for (int i = 0; i < 4; i++) {
		c = with_will(i / 2 * 100, 0);
		persist_dies();
		fake.position += 100;
		leave(&c, i % 2 == 0 ? GONE_WILL : 0, 0);
		CU_ASSERT_EQUAL(enlist(&c, c.epoch, i / 2 > 0 ? CONNECT_QUEUE : 0), 0);
		leave(&c, GONE_WILL, 0);
		CU_ASSERT_EQUAL(wills_seen(), 0);
		registered();
		turn();
		CU_ASSERT_EQUAL(wills_seen(), i % 2 == 0);
		c.clean = true;
		c.will_topic = NULL;
		join(&c);
		leave(&c, GONE_EXPIRY, 0);
		CU_ASSERT_EQUAL(directory_count(), 0);
	}
	fake_stop();
}

/* Its CONNECT is on the disk, and the answer did not come. */
static void
the_will_of_who_asks_again_is_not_that_of_who_has_gone(void)
{
	struct client c;

	fake_start();
	for (int i = 0; i < 2; i++) {
		c = with_will(i * 100, 0);
		persist_dies();
		CU_ASSERT_EQUAL(tell_connect(&c, REC_CONNECT, c.handle, CONNECT_AGAIN), 0);
		registered();
		turn();
		CU_ASSERT_EQUAL(wills_seen(), 0);
		CU_ASSERT_TRUE(take_grant(&c));
		leave(&c, GONE_WILL, 0);
		CU_ASSERT_EQUAL(wills_seen(), 1);
	}
	fake_stop();
}

static void
who_was_gone_with_the_broker_has_it_published_once(void)
{
	fake_start();
	with_will(0, 0);
	for (int i = 0; i < 2; i++) {
		persist_dies();
		registered();
		turn();
		CU_ASSERT_EQUAL(wills_seen(), i == 0);
	}
	fake_stop();
}

UNIT_MAIN("worker/persist/will", TEST(a_goodbye_drops_the_will),
    TEST(a_will_that_ends_before_its_client_is_not_published),
    TEST(an_unclean_end_publishes_it_once), TEST(a_delay_is_waited_for),
    TEST(the_end_of_the_session_comes_before_a_longer_delay),
    TEST(who_returns_in_time_has_no_will_published),
    TEST(who_returns_with_clean_start_has_it_published_at_once),
    TEST(a_takeover_publishes_it_unless_it_has_a_delay_and_the_session_goes_on),
    TEST(a_dead_workers_wills_come_once_and_after_it_is_drained),
    TEST(a_gone_before_the_death_counts_not_again), TEST(it_reaches_durable_sessions),
    TEST(what_came_of_an_end_that_is_on_the_disk_does_not_come_again),
    TEST(an_end_that_was_not_heard_of_is_one_for_the_successor),
    TEST(the_will_of_who_asks_again_is_not_that_of_who_has_gone),
    TEST(who_was_gone_with_the_broker_has_it_published_once))
