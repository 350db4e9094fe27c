#include "tests/unit/worker/persist/fake.h"

static int
raw(unsigned slot, unsigned type, const void *p, size_t len)
{
	return peer_record(NULL, slot, type, span_of(p, len));
}

static void
records_that_cannot_be_are_refused(void)
{
	struct rec_connect c = { .window = 10, .version = MQTT_5, .client_id_len = 3 };
	struct rec_sub s = { .filter_len = 2 };
	struct rec_gone g = { 0 };
	struct rec_acked a = { 0 };
	uint8_t buf[256];

	fake_start();
	memcpy(buf, &c, sizeof(c));
	memcpy(buf + sizeof(c), "abc", 3);
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) - 1), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) + 2), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) + 4), -EPROTO);
	memcpy(buf + sizeof(c), "\xff\xff\xff", 3);
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) + 3), -EPROTO);
	c.flags = CONNECT_WILL; /* and no will behind */
	memcpy(buf, &c, sizeof(c));
	memcpy(buf + sizeof(c), "abc", 3);
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) + 3), -EPROTO);
	c = (struct rec_connect){ .window = 10, .version = 9, .client_id_len = 3 };
	memcpy(buf, &c, sizeof(c));
	CU_ASSERT_EQUAL(raw(0, REC_CONNECT, buf, sizeof(c) + 3), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_GONE, &g, sizeof(g) - 1), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_ACKED, &a, sizeof(a) - 1), -EPROTO);
	memcpy(buf, &s, sizeof(s));
	memcpy(buf + sizeof(s), "a#", 2);
	CU_ASSERT_EQUAL(raw(0, REC_SUB, buf, sizeof(s) + 2), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_GRANT, buf, sizeof(s) + 2), -EPROTO);
	CU_ASSERT_EQUAL(raw(0, REC_TYPES, buf, sizeof(s) + 2), -EPROTO);
	CU_ASSERT_EQUAL(raw(SLOTS, REC_GONE, &g, sizeof(g)), -EPROTO);
	fake_stop();
}

static void
a_record_of_an_old_epoch_does_nothing(void)
{
	struct client c = { .id = "x", .handle = 1, .expiry = 100 };
	struct client old;

	fake_start();
	join(&c);
	old = c;
	leave(&c, 0, 0);
	join(&c);
	CU_ASSERT_NOT_EQUAL(c.epoch, old.epoch);
	leave(&old, GONE_WILL | GONE_EXPIRY, 0);
	CU_ASSERT_EQUAL(directory_find(span_str("x"))->state, SESSION_ONLINE);
	/* Another worker can't speak for it either. */
	old = c;
	old.slot = 1;
	leave(&old, GONE_WILL | GONE_EXPIRY, 0);
	CU_ASSERT_EQUAL(directory_find(span_str("x"))->state, SESSION_ONLINE);
	fake_stop();
}

static void
a_number_that_nobody_has_is_ignored(void)
{
	struct client c = { .id = "x", .session = SESSION_NUMBERS + 5, .epoch = 1 };

	fake_start();
	leave(&c, GONE_WILL, 0);
	c.session = UINT32_MAX;
	leave(&c, GONE_WILL, 0);
	c.session = 12345;
	leave(&c, GONE_WILL, 0);
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

static void
a_session_without_expiry_ends_with_its_connection(void)
{
	struct client c = { .id = "clean", .handle = 1, .clean = true };

	fake_start();
	join(&c);
	CU_ASSERT_EQUAL(c.flags, 0);
	CU_ASSERT_EQUAL(directory_count(), 1);
	CU_ASSERT_EQUAL(counted(CNT_sessions), 1);
	leave(&c, 0, 0);
	CU_ASSERT_EQUAL(directory_count(), 0);
	CU_ASSERT_EQUAL(counted(CNT_sessions), 0);
	fake_stop();
}

static void
a_durable_session_is_present_when_its_client_returns(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_resume r;

	fake_start();
	join(&c);
	CU_ASSERT_EQUAL(c.flags, GRANT_DURABLE);
	subscribe(&c, "a/+", 1, 7);
	subscribe(&c, "$share/g/b", 2, 0);
	leave(&c, 0, 0);
	CU_ASSERT_EQUAL(counted(CNT_sessions_offline), 1);
	c.slot = 1;
	c.handle = 9;
	join(&c);
	CU_ASSERT_EQUAL(c.flags, GRANT_DURABLE | GRANT_PRESENT);
	CU_ASSERT_EQUAL(counted(CNT_sessions_offline), 0);
	CU_ASSERT_TRUE(TAKE(&r, 1, REC_RESUME));
	CU_ASSERT_EQUAL(r.token, 9);
	CU_ASSERT_EQUAL(r.subid, 7);
	CU_ASSERT_EQUAL(r.filter_len, 3);
	CU_ASSERT_TRUE(TAKE(&r, 1, REC_RESUME));
	CU_ASSERT_EQUAL(r.filter_len, strlen("$share/g/b"));
	CU_ASSERT_FALSE(has(1, REC_RESUME));
	fake_stop();
}

static void
clean_start_drops_what_was_kept(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct delivery d;

	fake_start();
	join(&c);
	subscribe(&c, "t", 1, 0);
	leave(&c, 0, 0);
	store("t", "m", 1);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	c.clean = true;
	join(&c);
	CU_ASSERT_EQUAL(c.flags, GRANT_DURABLE);
	CU_ASSERT_FALSE(has(0, REC_RESUME));
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__session_end), 1);
	CU_ASSERT_EQUAL(fake.interests, 0);
	fake_stop();
}

static void
an_owner_is_let_go_before_the_next_is_granted(void)
{
	struct client a = { .id = "x", .handle = 1, .clean = true },
		      b = { .id = "x", .slot = 1, .handle = 2, .clean = true };
	struct rec_let_go l;

	fake_start();
	join(&a);
	ask_connect(&b);
	CU_ASSERT_FALSE(take_grant(&b));
	CU_ASSERT_TRUE(TAKE(&l, 0, REC_LET_GO));
	CU_ASSERT_EQUAL(l.reason, MQTT_SESSION_TAKEN_OVER);
	CU_ASSERT_EQUAL(l.epoch, a.epoch);
	CU_ASSERT_EQUAL(l.handle, 1);
	leave(&a, GONE_WILL | GONE_TAKEN, 0);
	CU_ASSERT_TRUE(take_grant(&b));
	CU_ASSERT_TRUE(b.epoch > a.epoch);
	CU_ASSERT_EQUAL(counted(CNT_takeovers), 1);
	fake_stop();
}

static void
a_newer_connect_supersedes_those_that_wait(void)
{
	struct client a = { .id = "x", .handle = 1, .clean = true },
		      b = { .id = "x", .slot = 1, .handle = 2, .clean = true },
		      c = { .id = "x", .slot = 0, .handle = 3, .clean = true };

	fake_start();
	join(&a);
	ask_connect(&b);
	ask_connect(&c);
	CU_ASSERT_FALSE(take_grant(&b));
	CU_ASSERT_EQUAL(b.reason, MQTT_SESSION_TAKEN_OVER);
	leave(&a, GONE_WILL, 0);
	CU_ASSERT_TRUE(take_grant(&c));
	CU_ASSERT_EQUAL(directory_count(), 1);
	fake_stop();
}

static void
an_owner_that_never_lets_go_makes_the_next_come_again(void)
{
	struct client a = { .id = "x", .handle = 1, .clean = true },
		      b = { .id = "x", .slot = 1, .handle = 2, .clean = true };

	fake_start();
	join(&a);
	ask_connect(&b);
	pass_ms(4900);
	CU_ASSERT_FALSE(has(1, REC_GRANT));
	pass_ms(200);
	CU_ASSERT_FALSE(take_grant(&b));
	CU_ASSERT_EQUAL(b.reason, MQTT_SERVER_BUSY);
	/* The owner's word still counts when it comes. */
	leave(&a, 0, 0);
	join(&b);
	fake_stop();
}

static void
sessions_max_refuses_one_more_durable_session(void)
{
	struct client a = { .id = "a", .handle = 1, .expiry = 10 },
		      b = { .id = "b", .handle = 2, .expiry = 10 },
		      c = { .id = "c", .handle = 3, .clean = true };

	fake_start();
	self.conf.sessions_max = 1;
	join(&a);
	ask_connect(&b);
	CU_ASSERT_FALSE(take_grant(&b));
	CU_ASSERT_EQUAL(b.reason, MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_EQUAL(directory_count(), 1);
	join(&c);
	leave(&a, 0, 0);
	join(&a); /* it has its place */
	fake_stop();
}

static void
expiry_is_capped_and_overridden(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 1000 };

	fake_start();
	self.conf.session_expiry_max = 60;
	join(&c);
	CU_ASSERT_EQUAL(directory_find(span_str("d"))->durable->expiry, 60);
	self.conf.session_expiry_max = 10; /* not for who is connected */
	leave(&c, GONE_EXPIRY, 50);
	CU_ASSERT_EQUAL(directory_find(span_str("d"))->durable->expiry, 50);
	join(&c);
	leave(&c, GONE_EXPIRY, 0);
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

static void
a_session_expires_to_the_second(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 10 },
		      never = { .id = "n", .handle = 2, .expiry = MQTT_EXPIRY_NEVER };

	fake_start();
	join(&c);
	join(&never);
	leave(&never, 0, 0);
	leave(&c, 0, 0);
	pass_ms(9900);
	CU_ASSERT_EQUAL(directory_count(), 2);
	pass_ms(200);
	CU_ASSERT_EQUAL(directory_count(), 1);
	CU_ASSERT_EQUAL(counted(CNT_sessions_expired), 1);
	CU_ASSERT_EQUAL(counted(CNT_sessions_offline), 1);
	pass_ms(INT64_C(1000) * 86400 * 365);
	CU_ASSERT_EQUAL(directory_count(), 1);
	fake_stop();
}

static void
sessions_of_a_dead_worker_are_free_when_all_have_drained_it(void)
{
	struct client a = { .id = "x", .handle = 1, .clean = true },
		      d = { .id = "d", .handle = 2, .expiry = 100 },
		      b = { .id = "x", .slot = 1, .handle = 3, .clean = true };

	fake_start();
	join(&a);
	join(&d);
	fake.undrained = true;
	fake.open[0] = false;
	peer_down(NULL, 0);
	turn();
	ask_connect(&b);
	CU_ASSERT_FALSE(take_grant(&b));
	fake.undrained = false;
	turn();
	CU_ASSERT_TRUE(take_grant(&b));
	CU_ASSERT_EQUAL(directory_find(span_str("d"))->state, SESSION_OFFLINE);
	CU_ASSERT_EQUAL(directory_count(), 2);
	fake_stop();
}

static void
a_successor_of_a_dead_worker_keeps_what_it_was_granted(void)
{
	struct client a = { .id = "a", .handle = 1, .clean = true },
		      b = { .id = "b", .handle = 2, .clean = true };

	fake_start();
	join(&a);
	fake.undrained = true;
	fake.open[0] = false;
	peer_down(NULL, 0);
	fake.open[0] = true;
	peer_up(NULL, 0);
	join(&b);
	fake.undrained = false;
	turn();
	CU_ASSERT_PTR_NULL(directory_find(span_str("a")));
	CU_ASSERT_PTR_NOT_NULL(directory_find(span_str("b")));
	fake_stop();
}

static void
who_waits_at_a_dead_worker_gets_nothing(void)
{
	struct client a = { .id = "x", .slot = 0, .handle = 1, .clean = true },
		      b = { .id = "x", .slot = 1, .handle = 2, .clean = true };

	fake_start();
	join(&a);
	ask_connect(&b);
	fake.open[1] = false;
	peer_down(NULL, 1);
	fake.open[1] = true;
	peer_up(NULL, 1);
	leave(&a, 0, 0);
	CU_ASSERT_FALSE(has(1, REC_GRANT));
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

static void
a_restarted_persist_grants_nothing_before_all_have_registered(void)
{
	struct client a = { .id = "a", .handle = 1, .session = 77, .expiry = 50 },
		      n = { .id = "n", .handle = 5, .clean = true };
	struct delivery d;

	fake_start();
	fake_end();
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	CU_ASSERT_EQUAL(enlist(&a, UINT64_C(1) << 32 | 9, CONNECT_QUEUE), 0);
	subscribe(&a, "t", 1, 0);
	tell_registered(0);
	ask_connect(&n);
	CU_ASSERT_FALSE(take_grant(&n));
	CU_ASSERT_EQUAL(fake.ready, 0);
	tell_registered(1);
	turn();
	CU_ASSERT_EQUAL(fake.ready, 1);
	CU_ASSERT_TRUE(take_grant(&n));
	CU_ASSERT_EQUAL(n.epoch >> 32, 2);
	/* Its epoch and number are still good. */
	store("t", "m", 1);
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "m");
	leave(&a, 0, 0);
	CU_ASSERT_EQUAL(directory_find(span_str("a"))->state, SESSION_OFFLINE);
	fake_stop();
}

/* A predecessor that died young has left in the rings what it had been told. */
static void
who_is_registered_twice_stays_connected(void)
{
	struct client c = { .id = "c", .handle = 1, .session = 5, .expiry = 50 },
		      clean = { .id = "clean", .handle = 2, .session = 6, .clean = true };
	const struct rec_registered old = { .gen = 2 };

	fake_start();
	fake_end();
	fake_restart(3, 2);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	tell_registered(1);
	for (int i = 0; i < 2; i++) {
		enlist(&c, UINT64_C(1) << 32 | 9, CONNECT_QUEUE);
		enlist(&clean, UINT64_C(1) << 32 | 10, 0);
		if (i == 0)
			raw(0, REC_REGISTERED, &old, sizeof(old));
		CU_ASSERT_FALSE(peer_is_recovered());
	}
	tell_registered(0);
	turn();
	CU_ASSERT_TRUE(peer_is_recovered());
	CU_ASSERT_FALSE(has(0, REC_LET_GO));
	CU_ASSERT_EQUAL(directory_find(span_str("c"))->state, SESSION_ONLINE);
	CU_ASSERT_EQUAL(directory_find(span_str("clean"))->state, SESSION_ONLINE);
	fake_stop();
}

/* Rings still have what the dead one was asked. Who has had no answer asks again, and that once for each successor. */
static void
what_was_under_way_when_persist_died_happens_once(void)
{
	struct client gone = { .id = "gone", .handle = 1, .session = 5, .expiry = 50 },
		      n = { .id = "n", .handle = 6, .clean = true },
		      has_it = { .id = "has it", .handle = 7, .session = 8 };
	const struct rec_registered old = { .gen = 2 };

	fake_start();
	fake_end();
	fake_restart(3, 2);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	for (int i = 0; i < 2; i++) {
		ask_connect(&n);
		ask_connect(&has_it);
		enlist(&has_it, UINT64_C(1) << 32 | 10, 0);
		CU_ASSERT_EQUAL(tell_connect(&n, REC_CONNECT, 6, CONNECT_AGAIN), 0);
		if (i == 0)
			raw(0, REC_REGISTERED, &old, sizeof(old));
	}
	enlist(&gone, UINT64_C(1) << 32 | 9, CONNECT_QUEUE);
	leave(&gone, 0, 0);
	CU_ASSERT_EQUAL(directory_find(span_str("gone"))->state, SESSION_OFFLINE);
	tell_registered(0);
	tell_registered(1);
	turn();
	CU_ASSERT_TRUE(take_grant(&n));
	CU_ASSERT_FALSE(has(0, REC_GRANT));
	CU_ASSERT_FALSE(has(0, REC_LET_GO));
	CU_ASSERT_EQUAL(directory_find(span_str("has it"))->epoch, has_it.epoch);
	fake_stop();
}

static void
of_two_who_register_one_id_the_newer_has_it(void)
{
	struct client a = { .id = "x", .handle = 1, .session = 3 },
		      b = { .id = "x", .slot = 1, .handle = 2, .session = 4 };
	struct rec_let_go l;

	fake_start();
	fake_end();
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	enlist(&a, UINT64_C(1) << 32 | 9, 0);
	enlist(&b, UINT64_C(1) << 32 | 10, 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&l, 0, REC_LET_GO));
	CU_ASSERT_EQUAL(l.handle, 1);
	CU_ASSERT_EQUAL(directory_find(span_str("x"))->slot, 1);
	CU_ASSERT_EQUAL(enlist(&a, UINT64_C(2) << 32 | 10, 0), -EPROTO); /* from the future */
	a.session = SESSION_NUMBERS;
	CU_ASSERT_EQUAL(enlist(&a, UINT64_C(1) << 32 | 10, 0), -EPROTO);
	fake_stop();
}

static void
a_worker_that_dies_is_not_waited_for(void)
{
	fake_start();
	fake_end();
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	tell_registered(0);
	CU_ASSERT_EQUAL(fake.ready, 0);
	fake.open[1] = false;
	peer_down(NULL, 1);
	CU_ASSERT_EQUAL(fake.ready, 1);
	fake_stop();
}

static void
an_administrator_kicks_and_clears(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_let_go l;

	fake_start();
	join(&c);
	session_kick(directory_find(span_str("d")), MQTT_ADMINISTRATIVE_ACTION);
	turn();
	CU_ASSERT_TRUE(TAKE(&l, 0, REC_LET_GO));
	CU_ASSERT_EQUAL(l.reason, MQTT_ADMINISTRATIVE_ACTION);
	leave(&c, 0, 0);
	CU_ASSERT_EQUAL(directory_count(), 1);
	session_clear(directory_find(span_str("d")));
	CU_ASSERT_EQUAL(directory_count(), 0);
	CU_ASSERT_EQUAL(counted(CNT_sessions_offline), 0);
	join(&c);
	session_clear(directory_find(span_str("d")));
	leave(&c, GONE_EXPIRY, 100);
	CU_ASSERT_EQUAL(directory_count(), 0);
	fake_stop();
}

UNIT_MAIN("worker/persist/session", TEST(records_that_cannot_be_are_refused),
    TEST(a_record_of_an_old_epoch_does_nothing), TEST(a_number_that_nobody_has_is_ignored),
    TEST(a_session_without_expiry_ends_with_its_connection),
    TEST(a_durable_session_is_present_when_its_client_returns),
    TEST(clean_start_drops_what_was_kept), TEST(an_owner_is_let_go_before_the_next_is_granted),
    TEST(a_newer_connect_supersedes_those_that_wait),
    TEST(an_owner_that_never_lets_go_makes_the_next_come_again),
    TEST(sessions_max_refuses_one_more_durable_session), TEST(expiry_is_capped_and_overridden),
    TEST(a_session_expires_to_the_second),
    TEST(sessions_of_a_dead_worker_are_free_when_all_have_drained_it),
    TEST(a_successor_of_a_dead_worker_keeps_what_it_was_granted),
    TEST(who_waits_at_a_dead_worker_gets_nothing),
    TEST(a_restarted_persist_grants_nothing_before_all_have_registered),
    TEST(who_is_registered_twice_stays_connected),
    TEST(what_was_under_way_when_persist_died_happens_once),
    TEST(of_two_who_register_one_id_the_newer_has_it), TEST(a_worker_that_dies_is_not_waited_for),
    TEST(an_administrator_kicks_and_clears))
