#include "tests/unit/worker/persist/fake.h"

static void
records_that_cannot_be_are_refused(void)
{
	struct msg_view v = { .topic = span_str("t"), .payload = span_str("p"), .qos = 2 };
	struct rec_store rec = { .want = STORE_QOS2, .m = rec_msg_of(&v, 0, true) };

	fake_start();
	CU_ASSERT_EQUAL(tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("tp"), NOTHING),
	    -EPROTO); /* no packet id */
	rec.want = 0;
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("tpx"), NOTHING), -EPROTO);
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("#p"), NOTHING), -EPROTO);
	rec.m.qos = 3;
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("tp"), NOTHING), -EPROTO);
	rec.m.qos = 0;
	rec.m.ngroups = 5;
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("tp"), NOTHING), -EPROTO);
	fake_stop();
}

static uint8_t
qos2(const struct client *c, uint16_t id, uint8_t *flags)
{
	return store_full(
	    c, c->slot, "t", "m", 2, STORE_QOS2 | STORE_DURABLE, id, 0, NULL, NULL, flags);
}

static void
a_qos_2_message_is_taken_once_until_released(void)
{
	struct client p = { .id = "p", .handle = 1, .expiry = 100 },
		      d = { .id = "d", .slot = 1, .handle = 2, .expiry = 100 };
	struct rec_release rel = { .token = 3, .packet_id = 7 };
	struct rec_stored answer;
	struct delivery got;
	uint8_t flags;

	fake_start();
	join(&p);
	join(&d);
	subscribe(&d, "t", 2, 0);
	CU_ASSERT_EQUAL(qos2(&p, 7, &flags), 0);
	CU_ASSERT_EQUAL(flags, STORED_MATCHED);
	CU_ASSERT_EQUAL(qos2(&p, 7, &flags), 0);
	CU_ASSERT_EQUAL(flags, STORED_DUPLICATE);
	/* Also after it came back somewhere else. */
	leave(&p, 0, 0);
	p.slot = 1;
	join(&p);
	qos2(&p, 7, &flags);
	CU_ASSERT_EQUAL(flags, STORED_DUPLICATE);
	CU_ASSERT_TRUE(take_delivery(&d, &got));
	CU_ASSERT_FALSE(take_delivery(&d, &got));
	rel.session = p.session;
	rel.epoch = p.epoch;
	CU_ASSERT_EQUAL(tell_parts(1, REC_RELEASE, &rel, sizeof(rel), NOTHING, NOTHING), 0);
	CU_ASSERT_EQUAL(tell_parts(1, REC_RELEASE, &rel, sizeof(rel), NOTHING, NOTHING), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&answer, 1, REC_RELEASED));
	CU_ASSERT_EQUAL(answer.flags, STORED_FOUND);
	CU_ASSERT_TRUE(TAKE(&answer, 1, REC_RELEASED));
	CU_ASSERT_EQUAL(answer.flags, 0);
	qos2(&p, 7, &flags);
	CU_ASSERT_EQUAL(flags, STORED_MATCHED);
	fake_stop();
}

/* They are in the ring before its worker has registered the publisher. */
static void
what_a_dead_persist_had_not_given_back_is_read_again(void)
{
	struct client p = { .id = "p", .handle = 1, .expiry = 100 };
	struct rec_release rel = { .token = 3, .packet_id = 7 };
	struct rec_stored answer;
	uint8_t flags;

	fake_start();
	join(&p);
	subscribe(&p, "t", 2, 0);
	qos2(&p, 7, &flags);
	fake_end();
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(peer_go(), -EAGAIN);
	rel.session = p.session;
	rel.epoch = p.epoch;
	CU_ASSERT_EQUAL(tell_parts(0, REC_RELEASE, &rel, sizeof(rel), NOTHING, NOTHING), 0);
	turn();
	CU_ASSERT_TRUE(TAKE(&answer, 0, REC_RELEASED));
	CU_ASSERT_EQUAL(answer.flags, STORED_FOUND);
	CU_ASSERT_EQUAL(qos2(&p, 8, &flags), 0);
	CU_ASSERT_EQUAL(flags, STORED_MATCHED);
	CU_ASSERT_EQUAL(qos2(&p, 8, &flags), 0);
	CU_ASSERT_EQUAL(flags, STORED_DUPLICATE);
	CU_ASSERT_EQUAL(subscribe(&p, "t", 1, 0), SUBBED_EXISTED);
	fake_stop();
}

static void
a_refused_qos_2_message_leaves_its_id_free(void)
{
	struct client p = { .id = "p", .handle = 1, .expiry = 100 };
	uint8_t flags;

	fake_start();
	join(&p);
	self.conf.retained_max_messages = 1;
	store_full(NULL, 1, "a", "m", 1, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(
	    store_full(&p, 0, "t", "m", 2, STORE_QOS2 | STORE_RETAIN, 5, 0, NULL, NULL, NULL),
	    MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_EQUAL(qos2(&p, 5, &flags), 0);
	CU_ASSERT_EQUAL(flags, 0);
	fake_stop();
}

static void
a_qos_2_message_of_an_old_epoch_is_not_taken(void)
{
	struct client p = { .id = "p", .handle = 1, .expiry = 100 };

	fake_start();
	join(&p);
	p.epoch--;
	CU_ASSERT_EQUAL(qos2(&p, 5, NULL), MQTT_UNSPECIFIED_ERROR);
	CU_ASSERT_EQUAL(store_rxid_count(p.session), 0);
	fake_stop();
}

static void
overlapping_subscriptions_bring_one_copy(void)
{
	struct client d = { .id = "d", .handle = 2, .expiry = 100 };
	struct delivery got;

	fake_start();
	join(&d);
	subscribe(&d, "a/+", 1, 5);
	subscribe(&d, "a/#", 2, 6);
	subscribe(&d, "#", 0, 0);
	store("a/b", "m", 2);
	CU_ASSERT_TRUE(take_delivery(&d, &got));
	CU_ASSERT_EQUAL(got.rec.m.qos, 2);
	CU_ASSERT_EQUAL(got.rec.nsubids, 2);
	CU_ASSERT_TRUE(
	    (got.subid[0] == 5 && got.subid[1] == 6) || (got.subid[0] == 6 && got.subid[1] == 5));
	CU_ASSERT_FALSE(take_delivery(&d, &got));
	store("x", "m", 2); /* QoS 0 for it: its worker's */
	CU_ASSERT_FALSE(take_delivery(&d, &got));
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	fake_stop();
}

static void
subscribing_again_replaces_the_options(void)
{
	struct client d = { .id = "d", .handle = 2, .expiry = 100 };
	struct delivery got;

	fake_start();
	join(&d);
	CU_ASSERT_EQUAL(subscribe(&d, "t", 0, 5), 0);
	CU_ASSERT_EQUAL(fake.interests, 0);
	CU_ASSERT_EQUAL(subscribe(&d, "t", 1, 9), SUBBED_EXISTED);
	CU_ASSERT_EQUAL(fake.interests, 1);
	store("t", "m", 2);
	CU_ASSERT_TRUE(take_delivery(&d, &got));
	CU_ASSERT_EQUAL(got.rec.m.qos, 1);
	CU_ASSERT_EQUAL(got.subid[0], 9);
	CU_ASSERT_EQUAL(subscribe(&d, "t", 0, 9), SUBBED_EXISTED);
	CU_ASSERT_EQUAL(fake.interests, 0);
	fake_stop();
}

static void
unsubscribing_ends_it(void)
{
	struct client d = { .id = "d", .handle = 2, .expiry = 100 };
	struct rec_sub rec = { .token = 4, .filter_len = 1 };
	struct rec_subbed answer;

	fake_start();
	join(&d);
	subscribe(&d, "t", 1, 0);
	rec.session = d.session;
	rec.epoch = d.epoch;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(
		    tell_parts(0, REC_UNSUB, &rec, sizeof(rec), span_str("t"), NOTHING), 0);
		turn();
		CU_ASSERT_TRUE(TAKE(&answer, 0, REC_UNSUBBED));
		CU_ASSERT_EQUAL(answer.flags, i == 0 ? SUBBED_EXISTED : 0);
	}
	store("t", "m", 1);
	CU_ASSERT_FALSE(has(0, REC_DELIVER));
	CU_ASSERT_EQUAL(fake.interests, 0);
	fake_stop();
}

static void
no_local_keeps_a_message_from_its_publisher(void)
{
	struct client d = { .id = "d", .handle = 2, .expiry = 100 };

	fake_start();
	join(&d);
	subscribe(&d, "t", 1 | 4, 0);
	store_full(&d, 0, "t", "own", 1, STORE_DURABLE, 0, 0, NULL, NULL, NULL);
	CU_ASSERT_FALSE(has(0, REC_DELIVER));
	store("t", "other", 1);
	CU_ASSERT_TRUE(has(0, REC_DELIVER));
	fake_stop();
}

static void
retain_is_passed_on_as_published_only_if_asked_for(void)
{
	struct client a = { .id = "a", .handle = 1, .expiry = 100 },
		      b = { .id = "b", .handle = 2, .slot = 1, .expiry = 100 };
	struct delivery got;

	fake_start();
	join(&a);
	join(&b);
	subscribe(&a, "t", 1, 0);
	subscribe(&b, "t", 1 | 8, 0);
	store_full(NULL, 0, "t", "m", 1, STORE_DURABLE | STORE_RETAIN, 0, 0, NULL, NULL, NULL);
	CU_ASSERT_TRUE(take_delivery(&a, &got));
	CU_ASSERT_FALSE(got.rec.m.flags & REC_RETAIN);
	CU_ASSERT_TRUE(take_delivery(&b, &got));
	CU_ASSERT_TRUE(got.rec.m.flags & REC_RETAIN);
	fake_stop();
}

static void
qos_is_upgraded_if_configured(void)
{
	struct client a = { .id = "a", .handle = 1, .expiry = 100 };
	struct delivery got;

	fake_start();
	self.conf.upgrade_outgoing_qos = true;
	join(&a);
	subscribe(&a, "t", 2, 0);
	store("t", "m", 0);
	CU_ASSERT_TRUE(take_delivery(&a, &got));
	CU_ASSERT_EQUAL(got.rec.m.qos, 2);
	fake_stop();
}

static void
our_own_messages_go_to_workers_that_want_them(void)
{
	struct msg_view v = { .topic = span_str("t"), .payload = span_str("p"), .qos = 1 };
	struct rec_msg m;
	const struct sent *s;

	fake_start();
	fake.wants[1] = true;
	fake.group[0] = (struct fake_group){ 0, { 42, 1, 0 } };
	fake.group[1] = (struct fake_group){ 1, { 43, 1, 0 } };
	fake.ngroups = 2;
	publish_own(&v, NULL);
	s = next(1, REC_FWD);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	memcpy(&m, s->body, sizeof(m));
	CU_ASSERT_EQUAL(m.plain, 1);
	CU_ASSERT_EQUAL(m.ngroups, 1);
	s = next(0, REC_FWD);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	memcpy(&m, s->body, sizeof(m));
	CU_ASSERT_EQUAL(m.plain, 0);
	CU_ASSERT_EQUAL(m.ngroups, 1);
	fake_stop();
}

/* Two groups of a topic, each with members in the same two workers: a message for one moves the other on, too. */
static void
each_group_has_its_own_turn(void)
{
	struct msg_view v = { .topic = span_str("t"), .payload = span_str("p"), .qos = 1 };
	unsigned got[2][2] = { { 0 } }; /* by worker and group */

	fake_start();
	for (unsigned i = 0; i < 4; i++)
		fake.group[i] = (struct fake_group){ i / 2, { 42 + i % 2, 1, 0 } };
	fake.ngroups = 4;
	for (int i = 0; i < 10; i++)
		publish_own(&v, NULL);
	for (unsigned slot = 0; slot < 2; slot++) {
		const struct sent *s;

		while ((s = next(slot, REC_FWD)) != NULL) {
			struct rec_msg m;

			memcpy(&m, s->body, sizeof(m));
			for (unsigned i = 0; i < m.ngroups; i++) {
				uint64_t group;

				memcpy(
				    &group, s->body + sizeof(m) + i * sizeof(group), sizeof(group));
				got[slot][group - 42]++;
			}
		}
	}
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(got[i / 2][i % 2], 5);
	fake_stop();
}

UNIT_MAIN("worker/persist/publish", TEST(records_that_cannot_be_are_refused),
    TEST(a_qos_2_message_is_taken_once_until_released),
    TEST(what_a_dead_persist_had_not_given_back_is_read_again),
    TEST(a_refused_qos_2_message_leaves_its_id_free),
    TEST(a_qos_2_message_of_an_old_epoch_is_not_taken),
    TEST(overlapping_subscriptions_bring_one_copy), TEST(subscribing_again_replaces_the_options),
    TEST(unsubscribing_ends_it), TEST(no_local_keeps_a_message_from_its_publisher),
    TEST(retain_is_passed_on_as_published_only_if_asked_for), TEST(qos_is_upgraded_if_configured),
    TEST(our_own_messages_go_to_workers_that_want_them), TEST(each_group_has_its_own_turn))
