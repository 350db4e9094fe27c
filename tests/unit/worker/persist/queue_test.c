#include "tests/unit/worker/persist/fake.h"

static struct client
online(const char *id, const char *filter, uint8_t options, uint16_t window)
{
	static uint32_t handle = 100;
	struct client c = { .id = id, .handle = ++handle, .expiry = 1000, .window = window };

	join(&c);
	subscribe(&c, filter, options, 0);
	return c;
}

static void
an_acknowledgement_of_nothing_changes_nothing(void)
{
	struct client c;
	struct delivery d, bad;

	fake_start();
	c = online("d", "t", 2, 1);
	store("t", "1", 1);
	store("t", "2", 2);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	bad = d;
	bad.rec.seq += 100;
	ack(&c, &bad, PKT_PUBACK, 0);
	bad.rec.seq = d.rec.seq + 1; /* not sent yet */
	bad.rec.packet_id++;
	ack(&c, &bad, PKT_PUBACK, 0);
	bad = d;
	bad.rec.packet_id++;
	ack(&c, &bad, PKT_PUBACK, 0);
	ack(&c, &d, PKT_PUBREC, 0); /* a QoS 1 message */
	ack(&c, &d, PKT_PUBCOMP, 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	{
		struct rec_acked rec = {
			.epoch = c.epoch, .seq = d.rec.seq, .session = c.session, .packet = 77
		};

		CU_ASSERT_EQUAL(tell_parts(0, REC_ACKED, &rec, sizeof(rec), NOTHING, NOTHING), 0);
		rec.seq = 1;
		rec.packet_id = 2;
		CU_ASSERT_EQUAL(
		    tell_parts(0, REC_ACKED, &rec, sizeof(rec), NOTHING, NOTHING), -EPROTO);
	}
	fake_stop();
}

static void
the_window_bounds_what_is_under_way(void)
{
	struct client c;
	struct delivery d[3], more;

	fake_start();
	c = online("d", "t", 1, 2);
	store("t", "1", 1);
	store("t", "2", 1);
	store("t", "3", 1);
	CU_ASSERT_TRUE(take_delivery(&c, &d[0]));
	CU_ASSERT_TRUE(take_delivery(&c, &d[1]));
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	CU_ASSERT_STRING_EQUAL(d[0].payload, "1");
	CU_ASSERT_STRING_EQUAL(d[1].payload, "2");
	ack(&c, &d[1], PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &d[2]));
	CU_ASSERT_STRING_EQUAL(d[2].payload, "3");
	CU_ASSERT_FALSE(d[2].rec.m.flags & REC_DUP);
	ack(&c, &d[0], 0, 0); /* the worker could not send it */
	ack(&c, &d[2], PKT_PUBACK, 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued_bytes), 0);
	fake_stop();
}

/* The one that goes beyond is the last; what is known to be received counts until PUBCOMP. */
static void
bytes_under_way_are_bounded_too(void)
{
	struct client c;
	struct delivery d[3], more;
	uint64_t size;

	fake_start();
	c = online("d", "t", 2, 10);
	store("t", "1", 2);
	size = counted(CNT_queued_bytes);
	CU_ASSERT_TRUE(take_delivery(&c, &d[0]));
	self.conf.inflight_max_bytes = size + 1;
	store("t", "2", 2);
	store("t", "3", 2);
	CU_ASSERT_TRUE(take_delivery(&c, &d[1]));
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	ack(&c, &d[0], PKT_PUBREC, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &more) && more.rec.what == DELIVER_PUBREL);
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	ack(&c, &d[0], PKT_PUBCOMP, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &d[2]));
	CU_ASSERT_STRING_EQUAL(d[2].payload, "3");
	leave(&c, 0, 0);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &more) && take_delivery(&c, &more));
	CU_ASSERT_STRING_EQUAL(more.payload, "3");
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	self.conf.inflight_max_bytes = 1; /* a message larger than that goes alone */
	leave(&c, 0, 0);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &more));
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	fake_stop();
}

static void
what_was_under_way_comes_again_with_dup_and_the_same_id(void)
{
	struct client c;
	struct delivery a[3], b[4];

	fake_start();
	c = online("d", "t", 1, 3);
	for (int i = 0; i < 5; i++)
		store("t", (char[]){ (char)('1' + i), 0 }, 1);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(take_delivery(&c, &a[i]));
	ack(&c, &a[1], PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &b[0])); /* 4 */
	leave(&c, 0, 0);
	c.slot = 1;
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &b[0]));
	CU_ASSERT_TRUE(take_delivery(&c, &b[1]));
	CU_ASSERT_TRUE(take_delivery(&c, &b[2]));
	CU_ASSERT_FALSE(take_delivery(&c, &b[3]));
	CU_ASSERT_STRING_EQUAL(b[0].payload, "1");
	CU_ASSERT_STRING_EQUAL(b[1].payload, "3");
	CU_ASSERT_STRING_EQUAL(b[2].payload, "4");
	CU_ASSERT_EQUAL(b[0].rec.packet_id, a[0].rec.packet_id);
	CU_ASSERT_EQUAL(b[1].rec.packet_id, a[2].rec.packet_id);
	CU_ASSERT_TRUE(b[0].rec.m.flags & b[1].rec.m.flags & b[2].rec.m.flags & REC_DUP);
	ack(&c, &b[0], PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &b[3]));
	CU_ASSERT_STRING_EQUAL(b[3].payload, "5");
	CU_ASSERT_FALSE(b[3].rec.m.flags & REC_DUP);
	fake_stop();
}

static void
a_smaller_window_holds_on_resume_too(void)
{
	struct client c;
	struct delivery d, more;

	fake_start();
	c = online("d", "t", 1, 3);
	store("t", "1", 1);
	store("t", "2", 1);
	while (take_delivery(&c, &d))
		;
	leave(&c, 0, 0);
	c.window = 1;
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "1");
	CU_ASSERT_FALSE(take_delivery(&c, &more));
	ack(&c, &d, PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &more));
	CU_ASSERT_STRING_EQUAL(more.payload, "2");
	fake_stop();
}

static void
qos_2_resumes_in_the_state_it_had(void)
{
	struct client c;
	struct delivery a[4], b;

	fake_start();
	c = online("d", "t", 2, 10);
	for (int i = 0; i < 4; i++)
		store("t", (char[]){ (char)('1' + i), 0 }, 2);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(take_delivery(&c, &a[i]));
	ack(&c, &a[0], PKT_PUBREC, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &b));
	CU_ASSERT_TRUE(b.rec.what & DELIVER_PUBREL);
	CU_ASSERT_EQUAL(b.rec.packet_id, a[0].rec.packet_id);
	ack(&c, &a[0], PKT_PUBCOMP, 0); /* done */
	ack(&c, &a[1], PKT_PUBREC, 0);  /* released */
	CU_ASSERT_TRUE(take_delivery(&c, &b));
	ack(&c, &a[2], PKT_PUBREC, MQTT_QUOTA_EXCEEDED); /* refused: done */
	ack(&c, &a[3], PKT_PUBCOMP, 0);                  /* out of turn: still sent */
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	leave(&c, 0, 0);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &b));
	CU_ASSERT_TRUE(b.rec.what & DELIVER_PUBREL);
	CU_ASSERT_EQUAL(b.rec.packet_id, a[1].rec.packet_id);
	ack(&c, &b, PKT_PUBCOMP, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &b));
	CU_ASSERT_FALSE(b.rec.what & DELIVER_PUBREL);
	CU_ASSERT_TRUE(b.rec.m.flags & REC_DUP);
	CU_ASSERT_EQUAL(b.rec.packet_id, a[3].rec.packet_id);
	ack(&c, &b, PKT_PUBREC, 0);
	ack(&c, &b, PKT_PUBREC, 0); /* again: PUBREL again */
	CU_ASSERT_TRUE(take_delivery(&c, &b) && take_delivery(&c, &b));
	ack(&c, &b, PKT_PUBCOMP, 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	fake_stop();
}

/* How far a queue may be handed out has to be on the disk, so now and then it is waited for. */
static bool
take_in_haste(const struct client *c, struct delivery *d)
{
	if (take_delivery(c, d))
		return true;
	fake.is_hasty = false;
	turn();
	fake.is_hasty = true;
	return take_delivery(c, d);
}

static void
packet_ids_go_round_and_pass_over_those_in_use(void)
{
	static bool used[65536];
	struct client c;
	struct delivery first, d;
	uint16_t last = 0;

	fake_start();
	self.conf.queue_max_messages = 0;
	memset(used, 0, sizeof(used));
	c = online("d", "t", 1, 2);
	store("t", "first", 1);
	CU_ASSERT_TRUE(take_delivery(&c, &first)); /* is never acknowledged */
	fake.is_hasty = true;
	for (int i = 0; i < 70000; i++) {
		store("t", "x", 1);
		if (!take_in_haste(&c, &d)) {
			CU_FAIL("stalled");
			break;
		}
		if (d.rec.packet_id == 0 || d.rec.packet_id == first.rec.packet_id)
			CU_FAIL("identifier 0 or in use");
		last = d.rec.packet_id;
		used[last] = true;
		ack(&c, &d, PKT_PUBACK, 0);
		if (i % 50 == 0)
			fake_forget();
	}
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	CU_ASSERT_TRUE(used[65535] && used[1]);
	fake.is_hasty = false;
	fake_stop();
}

static void
a_long_queue_waits_for_an_id_in_use(void)
{
	struct client c;
	struct delivery first, d;
	int n = 0;

	fake_start();
	self.conf.queue_max_messages = 0;
	c = online("d", "t", 1, 2);
	leave(&c, 0, 0);
	fake.is_hasty = true;
	for (int i = 0; i < 65600; i++)
		store("t", "x", 1);
	fake.is_hasty = false;
	turn();
	fake_forget();
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &first));
	fake.is_hasty = true;
	while (take_in_haste(&c, &d)) {
		if (d.rec.packet_id == first.rec.packet_id)
			CU_FAIL("in use");
		n++;
		ack(&c, &d, PKT_PUBACK, 0);
		if (n % 1000 == 0) {
			struct delivery ahead;

			/* Keep the list short: take what is there, then forget the rest. */
			CU_ASSERT_TRUE(take_in_haste(&c, &ahead));
			fake_forget();
			ack(&c, &ahead, PKT_PUBACK, 0);
			n++;
		}
	}
	fake.is_hasty = false;
	CU_ASSERT_EQUAL(n, 65534);
	ack(&c, &first, PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_EQUAL(d.rec.packet_id, first.rec.packet_id);
	fake_stop();
}

static void
a_full_queue_drops_the_newest(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	self.conf.queue_max_messages = 2;
	self.conf.queue_drop = DROP_newest;
	c = online("d", "t", 1, 10);
	leave(&c, 0, 0);
	CU_ASSERT_EQUAL(store("t", "1", 1), 0);
	CU_ASSERT_EQUAL(store("t", "2", 1), 0);
	CU_ASSERT_EQUAL(store("t", "3", 1), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__queue_full), 1);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "1");
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "2");
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	fake_stop();
}

static void
a_full_queue_drops_the_oldest_that_was_not_sent(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	self.conf.queue_max_messages = 2;
	self.conf.queue_drop = DROP_oldest;
	c = online("d", "t", 1, 1);
	store("t", "sent", 1);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	store("t", "1", 1);
	store("t", "2", 1);
	store("t", "3", 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__queue_full), 1);
	ack(&c, &d, PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "2");
	fake_stop();
}

static void
a_full_queue_rejects_towards_the_publisher_and_stores_nothing(void)
{
	struct client c, other;

	fake_start();
	self.conf.queue_max_messages = 1;
	self.conf.queue_drop = DROP_reject;
	c = online("d", "t", 1, 10);
	leave(&c, 0, 0);
	CU_ASSERT_EQUAL(store("t", "1", 1), 0);
	other = online("e", "t", 1, 10);
	CU_ASSERT_EQUAL(store("t", "2", 1), MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_FALSE(has(other.slot, REC_DELIVER));
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	fake_stop();
}

static void
bytes_are_limited_too(void)
{
	struct client c;

	fake_start();
	self.conf.queue_max_bytes = 200;
	c = online("d", "t", 1, 10);
	leave(&c, 0, 0);
	for (int i = 0; i < 20; i++)
		store("t", "0123456789012345678901234567890123456789", 1);
	CU_ASSERT_TRUE(counted(CNT_queued) >= 1 && counted(CNT_queued) < 6);
	CU_ASSERT_TRUE(counted(CNT_queued_bytes) <= 200);
	fake_stop();
}

static void
the_store_is_limited_as_a_whole(void)
{
	struct client a, b;
	struct delivery d;

	fake_start();
	self.conf.store_max_messages = 3;
	a = online("a", "a", 1, 10);
	b = online("b", "b", 1, 10);
	leave(&a, 0, 0);
	leave(&b, 0, 0);
	store("a", "1", 1);
	store("a", "2", 1);
	store("b", "1", 1);
	CU_ASSERT_EQUAL(store("b", "2", 1), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__queue_full), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	self.conf.queue_drop = DROP_oldest; /* of the same client's */
	store("b", "3", 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 2);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	self.conf.store_max_messages = 0;
	self.conf.store_max_bytes = counted(CNT_queued_bytes);
	store("a", "3", 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 3);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	join(&a);
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "2");
	ack(&a, &d, PKT_PUBACK, 0);
	store("b", "4", 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 3);
	fake_stop();
}

static void
what_the_whole_store_has_no_room_for_is_rejected_for_all(void)
{
	struct client a, b;

	fake_start();
	self.conf.store_max_messages = 3;
	self.conf.queue_drop = DROP_reject;
	a = online("a", "t", 1, 10);
	b = online("b", "t", 1, 10);
	leave(&a, 0, 0);
	leave(&b, 0, 0);
	CU_ASSERT_EQUAL(store("t", "1", 1), 0);
	CU_ASSERT_EQUAL(store("t", "2", 1), MQTT_QUOTA_EXCEEDED); /* one would fit */
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 1);
	fake_stop();
}

static void
what_expired_while_it_waited_is_dropped(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	c = online("d", "t", 1, 1);
	leave(&c, 0, 0);
	store_full(NULL, 1, "t", "short", 1, STORE_DURABLE, 0, 5, NULL, NULL, NULL);
	store_full(NULL, 1, "t", "long", 1, STORE_DURABLE, 0, 50, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	pass_ms(6000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "long");
	/* Under way it does not expire: the client may have it. */
	pass_ms(60000);
	leave(&c, 0, 0);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_TRUE(d.rec.m.flags & REC_DUP);
	CU_ASSERT_TRUE(msg_expiry_left(d.rec.m.publish_ms, d.rec.m.expiry, clock_wall_ms()) > 0);
	fake_stop();
}

static void
a_full_ring_holds_deliveries_back(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	c = online("d", "t", 1, 10);
	fake.waits[0] = true;
	store("t", "1", 1);
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	fake.waits[0] = false;
	turn();
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	fake_stop();
}

static void
queue_qos0_keeps_messages_for_who_is_offline_only(void)
{
	struct client c;
	struct delivery d;

	fake_start();
	self.conf.queue_qos0 = true;
	sub_show_all();
	c = online("d", "t", 0, 10);
	CU_ASSERT_EQUAL(fake.interests, 1);
	store("t", "live", 0);
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	leave(&c, 0, 0);
	store("t", "kept", 0);
	join(&c);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "kept");
	CU_ASSERT_EQUAL(d.rec.packet_id, 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	self.conf.queue_qos0 = false;
	sub_show_all();
	CU_ASSERT_EQUAL(fake.interests, 0);
	fake_stop();
}

/* The connection ended while deliveries were on their way to its worker. */
static void
what_never_came_to_the_client_goes_as_new_or_expires(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_gone gone = { 0 };
	struct delivery d[4];

	fake_start();
	join(&c);
	subscribe(&c, "t", 2, 0);
	for (int i = 0; i < 4; i++) {
		store_full(NULL, 1, "t", i == 1 ? "old" : "x", 1 + i % 2, STORE_DURABLE, 0,
		    i == 1 ? 10 : 0, NULL, NULL, NULL);
		CU_ASSERT_TRUE(take_delivery(&c, &d[i]));
	}
	gone.epoch = c.epoch;
	gone.session = c.session;
	gone.last_seq = d[0].rec.seq;
	CU_ASSERT_EQUAL(tell_parts(0, REC_GONE, &gone, sizeof(gone), NOTHING, NOTHING), 0);
	turn();
	pass_ms(11000);
	CU_ASSERT_EQUAL(counted(CNT_dropped__expired), 1);
	CU_ASSERT_EQUAL(counted(CNT_queued), 3);
	join(&c);
	turn();
	for (int i = 0; i < 4; i += i == 0 ? 2 : 1) {
		struct delivery now;

		CU_ASSERT_TRUE(take_delivery(&c, &now));
		CU_ASSERT_EQUAL(now.rec.seq, d[i].rec.seq);
		CU_ASSERT_EQUAL((now.rec.m.flags & REC_DUP) != 0, i == 0);
	}
	/* This time none came, but the first had before. */
	gone.epoch = c.epoch;
	gone.last_seq = 0;
	CU_ASSERT_EQUAL(tell_parts(0, REC_GONE, &gone, sizeof(gone), NOTHING, NOTHING), 0);
	turn();
	join(&c);
	turn();
	CU_ASSERT_TRUE(take_delivery(&c, &d[0]));
	CU_ASSERT_TRUE(d[0].rec.m.flags & REC_DUP);
	CU_ASSERT_TRUE(take_delivery(&c, &d[2]));
	CU_ASSERT_FALSE(d[2].rec.m.flags & REC_DUP);
	/* Its worker has died: nobody knows. */
	fake.open[0] = false;
	peer_down(NULL, 0);
	turn();
	c.slot = 1;
	join(&c);
	turn();
	CU_ASSERT_TRUE(take_delivery(&c, &d[0]) && take_delivery(&c, &d[2]));
	CU_ASSERT_TRUE(d[0].rec.m.flags & d[2].rec.m.flags & REC_DUP);
	fake_stop();
}

UNIT_MAIN("worker/persist/queue", TEST(an_acknowledgement_of_nothing_changes_nothing),
    TEST(the_window_bounds_what_is_under_way), TEST(bytes_under_way_are_bounded_too),
    TEST(what_was_under_way_comes_again_with_dup_and_the_same_id),
    TEST(a_smaller_window_holds_on_resume_too), TEST(qos_2_resumes_in_the_state_it_had),
    TEST(packet_ids_go_round_and_pass_over_those_in_use), TEST(a_long_queue_waits_for_an_id_in_use),
    TEST(a_full_queue_drops_the_newest), TEST(a_full_queue_drops_the_oldest_that_was_not_sent),
    TEST(a_full_queue_rejects_towards_the_publisher_and_stores_nothing),
    TEST(bytes_are_limited_too), TEST(the_store_is_limited_as_a_whole),
    TEST(what_the_whole_store_has_no_room_for_is_rejected_for_all),
    TEST(what_expired_while_it_waited_is_dropped), TEST(a_full_ring_holds_deliveries_back),
    TEST(queue_qos0_keeps_messages_for_who_is_offline_only),
    TEST(what_never_came_to_the_client_goes_as_new_or_expires))
