#include "tests/unit/worker/persist/fake.h"

static void
answer(unsigned slot, uint64_t token)
{
	struct rec_stored r = { .token = token };

	out_answer(slot, OUT_POWER, REC_STORED, &(struct iovec){ &r, sizeof(r) }, 1);
}

static void
answers_wait_for_the_disk(void)
{
	struct rec_stored r;

	fake_start();
	turn();
	answer(0, 1); /* stands for nothing that was written */
	out_commit();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	store_meta_put("x", 1);
	answer(0, 2);
	out_commit();
	CU_ASSERT_FALSE(has(0, REC_STORED));
	CU_ASSERT_EQUAL(store_write(), 1);
	answer(0, 3);
	out_commit(); /* on its way, but nobody knows how far */
	CU_ASSERT_FALSE(has(0, REC_STORED));
	CU_ASSERT_TRUE(out_is_clear(0));
	turn();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 2);
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 3);
	fake_stop();
}

static void
each_waits_for_its_own_class(void)
{
	struct rec_stored r = { .token = 2 };

	fake_start();
	turn();
	store_meta_put("x", 1);
	answer(0, 1);
	out_answer(0, out_kept(DURABILITY_memory), REC_STORED, &(struct iovec){ &r, sizeof(r) }, 1);
	out_commit();
	CU_ASSERT_FALSE(has(0, REC_STORED));
	CU_ASSERT_EQUAL(store_write(), 1);
	out_commit();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 2);
	CU_ASSERT_FALSE(has(0, REC_STORED));
	turn();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 1);
	fake_stop();
}

static void
a_refusal_does_not_wait(void)
{
	struct rec_stored r = { .token = 2 };

	fake_start();
	turn();
	store_meta_put("x", 1);
	answer(0, 1);
	out_answer(0, OUT_NOTHING, REC_STORED, &(struct iovec){ &r, sizeof(r) }, 1);
	out_commit();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 2);
	CU_ASSERT_FALSE(has(0, REC_STORED));
	turn();
	CU_ASSERT_TRUE(TAKE(&r, 0, REC_STORED));
	CU_ASSERT_EQUAL(r.token, 1);
	fake_stop();
}

static void
answers_wait_for_room_and_keep_their_order(void)
{
	struct rec_stored r;

	fake_start();
	turn();
	fake.full[0] = true;
	for (uint64_t i = 0; i < 10000; i++)
		answer(0, i);
	out_commit();
	CU_ASSERT_FALSE(out_is_clear(0));
	CU_ASSERT_TRUE(out_is_clear(1));
	answer(0, 10000);
	fake.full[0] = false;
	out_commit();
	for (uint64_t i = 0; i <= 10000; i++)
		if (!TAKE(&r, 0, REC_STORED) || r.token != i) {
			CU_FAIL("lost or out of order");
			break;
		}
	CU_ASSERT_FALSE(has(0, REC_STORED));
	CU_ASSERT_TRUE(out_is_clear(0));
	fake_stop();
}

static void
a_dead_worker_is_owed_nothing(void)
{
	fake_start();
	fake.full[0] = true;
	answer(0, 1);
	out_commit();
	fake.full[0] = false;
	fake.open[0] = false;
	peer_down(NULL, 0);
	fake.open[0] = true;
	peer_up(NULL, 0);
	out_commit();
	CU_ASSERT_FALSE(has(0, REC_STORED));
	fake_stop();
}

static void
a_delivery_does_not_overtake_an_answer(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	size_t granted = SIZE_MAX, delivered = SIZE_MAX;

	fake_start();
	join(&c);
	subscribe(&c, "t", 1, 0);
	leave(&c, 0, 0);
	store("t", "m", 1);
	fake.full[0] = true;
	ask_connect(&c);
	CU_ASSERT_FALSE(has(0, REC_GRANT));
	fake.full[0] = false;
	turn();
	for (size_t i = 0; i < fake.n; i++) {
		if (!fake.sent[i].seen && fake.sent[i].type == REC_GRANT)
			granted = i;
		if (fake.sent[i].type == REC_DELIVER)
			delivered = i;
	}
	CU_ASSERT_TRUE(granted < delivered && delivered != SIZE_MAX);
	fake_stop();
}

UNIT_MAIN("worker/persist/out", TEST(answers_wait_for_the_disk), TEST(each_waits_for_its_own_class),
    TEST(a_refusal_does_not_wait), TEST(answers_wait_for_room_and_keep_their_order),
    TEST(a_dead_worker_is_owed_nothing), TEST(a_delivery_does_not_overtake_an_answer))
