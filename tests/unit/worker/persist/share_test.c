#include "tests/unit/worker/persist/fake.h"

static struct client
member(const char *id, unsigned slot, uint16_t window)
{
	static uint32_t handle = 500;
	struct client c = {
		.id = id, .slot = slot, .handle = ++handle, .expiry = 1000, .window = window
	};

	join(&c);
	subscribe(&c, "$share/g/t", 2, 0);
	return c;
}

static uint8_t
give(const char *payload, uint8_t qos)
{
	struct rec_store rec = { 0 };

	(void)rec;
	return store_full(NULL, 1, "t", payload, qos, STORE_DURABLE, 0, 0, "t", "g", NULL);
}

static void
a_group_nobody_has_is_counted(void)
{
	fake_start();
	CU_ASSERT_EQUAL(give("m", 1), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__no_member), 1);
	fake_stop();
}

static void
a_name_that_does_not_fit_the_topic_is_no_group(void)
{
	struct client a;

	fake_start();
	a = member("a", 0, 10);
	store_full(NULL, 1, "other", "m", 1, STORE_DURABLE, 0, 0, "t", "g", NULL);
	CU_ASSERT_FALSE(has(a.slot, REC_DELIVER));
	CU_ASSERT_EQUAL(counted(CNT_dropped__no_member), 1);
	fake_stop();
}

static void
members_take_turns(void)
{
	struct client a, b;
	struct delivery d;
	unsigned na = 0, nb = 0;

	fake_start();
	a = member("a", 0, 10);
	b = member("b", 1, 10);
	for (int i = 0; i < 6; i++)
		give("m", 1);
	while (take_delivery(&a, &d))
		na++;
	while (take_delivery(&b, &d))
		nb++;
	CU_ASSERT_EQUAL(na, 3);
	CU_ASSERT_EQUAL(nb, 3);
	fake_stop();
}

static void
a_member_with_a_full_window_is_passed_over_and_what_nobody_can_take_waits(void)
{
	struct client a, b;
	struct delivery d, da;

	fake_start();
	a = member("a", 0, 1);
	b = member("b", 1, 1);
	give("1", 1);
	give("2", 1);
	give("3", 1);
	give("4", 1);
	CU_ASSERT_TRUE(take_delivery(&a, &da));
	CU_ASSERT_TRUE(take_delivery(&b, &d));
	CU_ASSERT_FALSE(take_delivery(&a, &d));
	CU_ASSERT_FALSE(take_delivery(&b, &d));
	CU_ASSERT_EQUAL(counted(CNT_queued), 4);
	ack(&a, &da, PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "3");
	ack(&a, &d, PKT_PUBACK, 0);
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "4");
	ack(&a, &d, PKT_PUBACK, 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	fake_stop();
}

static void
with_all_members_offline_messages_wait_for_the_first_to_return(void)
{
	struct client a, b;
	struct delivery d;

	fake_start();
	a = member("a", 0, 10);
	b = member("b", 1, 10);
	leave(&a, 0, 0);
	leave(&b, 0, 0);
	give("1", 1);
	give("2", 2);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	join(&b);
	CU_ASSERT_TRUE(take_delivery(&b, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "1");
	CU_ASSERT_TRUE(take_delivery(&b, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "2");
	CU_ASSERT_EQUAL(d.rec.m.qos, 2);
	fake_stop();
}

static void
what_an_ended_member_had_goes_to_another_but_not_qos_2_that_has_begun(void)
{
	struct client a, b;
	struct delivery d;

	fake_start();
	a = member("a", 0, 10);
	give("one", 1);
	give("two", 2);
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	CU_ASSERT_TRUE(take_delivery(&a, &d));
	b = member("b", 1, 10);
	leave(&a, 0, 0);
	CU_ASSERT_FALSE(take_delivery(&b, &d)); /* it may come back */
	pass_ms(1001000);
	CU_ASSERT_TRUE(take_delivery(&b, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "one");
	CU_ASSERT_FALSE(d.rec.m.flags & REC_DUP);
	CU_ASSERT_FALSE(take_delivery(&b, &d));
	CU_ASSERT_EQUAL(counted(CNT_dropped__session_end), 1);
	CU_ASSERT_EQUAL(counted(CNT_queued), 1);
	fake_stop();
}

static void
what_moves_within_a_full_store_is_not_one_more(void)
{
	struct client a, b;
	struct delivery d;

	fake_start();
	a = member("a", 0, 10);
	b = member("b", 1, 10);
	leave(&a, 0, 0);
	leave(&b, 0, 0);
	give("1", 1);
	give("2", 1);
	self.conf.store_max_messages = 2;
	join(&a); /* from the group to its member */
	CU_ASSERT_TRUE(take_delivery(&a, &d) && take_delivery(&a, &d));
	leave(&a, 0, 0);
	join(&b);
	session_clear(directory_find(span_str("a"))); /* and to another */
	turn();
	CU_ASSERT_TRUE(take_delivery(&b, &d) && take_delivery(&b, &d));
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued), 2);
	CU_ASSERT_EQUAL(give("3", 1), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__store_limit), 1);
	fake_stop();
}

static void
what_waited_comes_in_few_batches(void)
{
	struct client a;
	struct delivery d;
	uint64_t before;
	unsigned n = 0;

	fake_start();
	a = member("a", 0, 60);
	leave(&a, 0, 0);
	for (int i = 0; i < 50; i++)
		give("m", 1 + i % 2);
	before = store_batch();
	join(&a);
	while (take_delivery(&a, &d))
		n++;
	CU_ASSERT_EQUAL(n, 50);
	CU_ASSERT(store_batch() - before < 10);
	fake_stop();
}

static void
the_last_members_end_drops_what_waits(void)
{
	struct client a;

	fake_start();
	a = member("a", 0, 10);
	leave(&a, 0, 0);
	give("1", 1);
	pass_ms(1001000);
	CU_ASSERT_EQUAL(counted(CNT_queued), 0);
	CU_ASSERT_EQUAL(counted(CNT_queued_bytes), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__session_end), 1);
	fake_stop();
}

static void
clean_members_take_part_by_their_number(void)
{
	struct client a;
	struct delivery d;
	unsigned na = 0, nf = 0;

	fake_start();
	a = member("a", 0, 100);
	/* Worker 0 has the durable member, and still one whose end has come here first; worker 1 has three clean ones. */
	fake.group[0] = (struct fake_group){ 0,
		{ interest_group_hash(&self.key, span_str("t"), span_str("g")), 2, 0 } };
	fake.group[1] = (struct fake_group){ 1,
		{ interest_group_hash(&self.key, span_str("t"), span_str("g")), 3, 3 } };
	fake.ngroups = 2;
	for (int i = 0; i < 8; i++)
		give("m", 1);
	while (take_delivery(&a, &d))
		na++;
	while (next(1, REC_FWD) != NULL)
		nf++;
	CU_ASSERT_FALSE(has(0, REC_FWD));
	CU_ASSERT_EQUAL(na, 2);
	CU_ASSERT_EQUAL(nf, 6);
	fake.group[0].hit.weight = 0;
	leave(&a, 0, 0);
	give("m", 1);
	CU_ASSERT_TRUE(has(1, REC_FWD));
	fake_stop();
}

static void
the_least_loaded_member_is_picked(void)
{
	struct client a, b;
	struct delivery d;
	unsigned nb = 0;

	fake_start();
	self.conf.shared_policy = SHARE_least_loaded;
	a = member("a", 0, 10);
	b = member("b", 1, 10);
	for (int i = 0; i < 3; i++)
		give("m", 1);
	while (take_delivery(&b, &d)) {
		ack(&b, &d, PKT_PUBACK, 0);
		nb++;
	}
	CU_ASSERT_TRUE(nb >= 1);
	for (int i = 0; i < 2; i++) {
		give("m", 1);
		if (take_delivery(&b, &d))
			ack(&b, &d, PKT_PUBACK, 0);
		else
			CU_FAIL("not the idle one");
	}
	(void)a;
	fake_stop();
}

UNIT_MAIN("worker/persist/share", TEST(a_group_nobody_has_is_counted),
    TEST(a_name_that_does_not_fit_the_topic_is_no_group), TEST(members_take_turns),
    TEST(a_member_with_a_full_window_is_passed_over_and_what_nobody_can_take_waits),
    TEST(with_all_members_offline_messages_wait_for_the_first_to_return),
    TEST(what_an_ended_member_had_goes_to_another_but_not_qos_2_that_has_begun),
    TEST(what_moves_within_a_full_store_is_not_one_more), TEST(what_waited_comes_in_few_batches),
    TEST(the_last_members_end_drops_what_waits), TEST(clean_members_take_part_by_their_number),
    TEST(the_least_loaded_member_is_picked))
