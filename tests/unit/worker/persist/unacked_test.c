#include "worker/persist/unacked.h"

#include "tests/unit/unit.h"

static void
add(struct unackeds *u, uint64_t seq)
{
	unackeds_add(u,
	    &(struct store_entry){ .seq = seq,
		.size = (uint32_t)seq * 3,
		.qos = 1 + seq % 2,
		.msg = { .id = seq, .is_shared = seq % 2 } });
}

static void
what_is_not_there_is_not_found(void)
{
	struct unackeds u = { 0 };
	struct store_entry e;

	CU_ASSERT_FALSE(unackeds_get(&u, 1, &e));
	unackeds_del(&u, 1);
	unackeds_released(&u, 1);
	add(&u, 5);
	CU_ASSERT_FALSE(unackeds_get(&u, 4, &e));
	CU_ASSERT_FALSE(unackeds_get(&u, 6, &e));
	unackeds_del(&u, 5);
	CU_ASSERT_FALSE(unackeds_get(&u, 5, &e));
	unackeds_clear(&u);
	unackeds_clear(&u);
}

static void
an_entry_comes_back_as_far_as_its_end_needs(void)
{
	struct unackeds u = { 0 };
	struct store_entry e;

	add(&u, 2);
	add(&u, 3);
	CU_ASSERT_TRUE(unackeds_get(&u, 3, &e));
	CU_ASSERT_TRUE(e.seq == 3 && e.size == 9 && e.qos == 2 && e.state == ENTRY_SENT);
	CU_ASSERT_TRUE(e.msg.is_shared && e.msg.id == 3);
	CU_ASSERT_TRUE(unackeds_get(&u, 2, &e) && !e.msg.is_shared);
	unackeds_released(&u, 3);
	CU_ASSERT_TRUE(unackeds_get(&u, 3, &e) && e.state == ENTRY_RELEASED);
	unackeds_clear(&u);
}

/* Against a plain array, acknowledged in and out of order. */
static void
it_is_what_was_added_and_not_deleted(void)
{
	enum { N = 20000, WINDOW = 100 };
	static bool there[N + 1];
	struct unackeds u = { 0 };
	uint64_t next = 1, oldest = 1;
	unsigned seed = 3;
	struct store_entry e;

	while (oldest <= N) {
		seed = seed * 1103515245 + 12345;
		if (next <= N && next - oldest < WINDOW && (seed >> 16 & 1)) {
			add(&u, next);
			there[next++] = true;
		} else if (next > oldest) {
			uint64_t at = oldest + (seed >> 18) % (next - oldest);

			unackeds_del(&u, at);
			there[at] = false;
		}
		while (oldest < next && !there[oldest])
			oldest++;
		for (uint64_t s = oldest; s < next; s++)
			CU_ASSERT_EQUAL_FATAL(unackeds_get(&u, s, &e), there[s]);
	}
	CU_ASSERT_EQUAL(u.n, 0);
	CU_ASSERT_TRUE(u.cap <= 4 * WINDOW);
	unackeds_clear(&u);
}

UNIT_MAIN("worker/persist/unacked", TEST(what_is_not_there_is_not_found),
    TEST(an_entry_comes_back_as_far_as_its_end_needs), TEST(it_is_what_was_added_and_not_deleted))
