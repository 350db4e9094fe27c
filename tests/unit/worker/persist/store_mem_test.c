#include "tests/unit/unit.h"

#include <errno.h>

#include "worker/persist/store.h"

static uint64_t
message(const char *topic, const char *payload)
{
	struct msg_view v = { .topic = span_str(topic), .payload = span_str(payload) };
	uint64_t id = 0;

	CU_ASSERT_EQUAL_FATAL(store_msg_new(&v, &id), 0);
	return id;
}

static void
an_entry_that_is_not_there_is_not_found(void)
{
	struct store_queue *q = NULL;
	struct store_entry e;

	store_open("");
	CU_ASSERT_EQUAL(store_queue_open(1, &q), 0);
	CU_ASSERT_FALSE(store_entry_next(q, 0, &e));
	CU_ASSERT_FALSE(store_entry_next(q, UINT64_MAX, &e));
	CU_ASSERT_FALSE(store_entry_get(q, 1, &e));
	CU_ASSERT_EQUAL(store_entry_del(q, 1), -ENOENT);
	CU_ASSERT_EQUAL(store_entry_state(q, 1, ENTRY_SENT), -ENOENT);
	store_queue_close(&q);
	CU_ASSERT_PTR_NULL(q);
	store_queue_close(&q);
	store_close();
}

/* Against a plain array of what should be there. */
static void
a_queue_is_what_was_added_and_not_deleted(void)
{
	enum { N = 20000 };
	static bool there[N + 1];
	struct store_queue *q = NULL;
	struct store_entry e;
	uint64_t m, seq = 0, at;
	unsigned left = 0, seed = 7;
	const uint32_t ids[2] = { 3, 4 };

	memset(there, 0, sizeof(there));
	store_open("");
	store_queue_open(1, &q);
	m = message("t", "x");
	for (int i = 0; i < 60000; i++) {
		seed = seed * 1103515245 + 12345;
		if (seq < N && seed >> 16 & 1) {
			seq += 1 + (seed >> 20 & 1);
			if (seq > N)
				break;
			store_msg_ref(m);
			CU_ASSERT_EQUAL_FATAL(store_entry_add(q,
						  &(struct store_entry){ .seq = seq,
						      .msg = m,
						      .subids = ids,
						      .nsubids = seq % 3,
						      .qos = 1 }),
			    0);
			there[seq] = true;
			left++;
		} else if (seq > 0) {
			at = (seed >> 10) % (seq + 1);
			if (store_entry_del(q, at) != (there[at] ? 0 : -ENOENT))
				CU_FAIL("deleted wrongly");
			left -= there[at];
			there[at] = false;
		}
	}
	at = 0;
	for (uint64_t s = 1; s <= N; s++) {
		if (store_entry_get(q, s, &e) != there[s])
			CU_FAIL("found wrongly");
		if (!there[s])
			continue;
		if (!store_entry_next(q, at, &e) || e.seq != s || e.nsubids != s % 3 ||
		    (e.nsubids && e.subids[0] != 3))
			CU_FAIL("next is wrong");
		at = s;
		left--;
	}
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_FALSE(store_entry_next(q, at, &e));
	store_queue_close(&q);
	CU_ASSERT_EQUAL(store_msg_get(m)->refs, 1);
	store_msg_unref(m);
	store_close();
}

static void
one_old_entry_does_not_keep_the_memory_of_later_ones(void)
{
	struct store_queue *q = NULL;
	struct store_entry e;
	uint64_t m;

	store_open("");
	store_queue_open(1, &q);
	m = message("t", "x");
	for (uint64_t s = 1; s <= 100000; s++) {
		store_msg_ref(m);
		store_entry_add(q, &(struct store_entry){ .seq = s, .msg = m });
		if (s > 1)
			CU_ASSERT_EQUAL_FATAL(store_entry_del(q, s), 0);
	}
	CU_ASSERT_TRUE(store_entry_next(q, 0, &e));
	CU_ASSERT_EQUAL(e.seq, 1);
	CU_ASSERT_EQUAL(store_entry_state(q, 1, ENTRY_RELEASED), 0);
	CU_ASSERT_TRUE(store_entry_get(q, 1, &e));
	CU_ASSERT_EQUAL(e.state, ENTRY_RELEASED);
	store_queue_close(&q);
	store_msg_unref(m);
	store_close();
}

static void
retained_topics_are_in_byte_order(void)
{
	static const char *const topics[] = { "b", "a/b", "a", "a!", "\xc3\xa9", "$SYS/x", "a/b/c",
		"/" };
	static const char *const sorted[] = { "$SYS/x", "/", "a", "a!", "a/b", "a/b/c", "b",
		"\xc3\xa9" };
	struct store_retained r;
	struct span at = span_of(NULL, 0);
	uint64_t m;

	store_open("");
	for (uint64_t i = 0; i < 8; i++) {
		m = message(topics[i], "x");
		CU_ASSERT_EQUAL(store_retained_put(span_str(topics[i]), m, i), 0);
		store_msg_unref(m);
	}
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_TRUE_FATAL(store_retained_seek(at, true, &r));
		CU_ASSERT_TRUE(span_eq(r.topic, span_str(sorted[i])));
		at = r.topic;
	}
	CU_ASSERT_FALSE(store_retained_seek(at, true, &r));
	CU_ASSERT_TRUE(store_retained_seek(span_str("a/"), false, &r));
	CU_ASSERT_TRUE(span_eq(r.topic, span_str("a/b")));
	CU_ASSERT_TRUE(store_retained_seek(span_str("a/b"), false, &r));
	CU_ASSERT_TRUE(span_eq(r.topic, span_str("a/b")));
	CU_ASSERT_TRUE(store_retained_del(span_str("a/b")));
	CU_ASSERT_FALSE(store_retained_del(span_str("a/b")));
	CU_ASSERT_FALSE(store_retained_get(span_str("a/b"), &r));
	m = message("a", "new");
	store_retained_put(span_str("a"), m, 77);
	store_msg_unref(m);
	CU_ASSERT_TRUE(store_retained_get(span_str("a"), &r));
	CU_ASSERT_EQUAL(r.seq, 77);
	CU_ASSERT_EQUAL(store_msg_get(r.msg)->payload_len, 3);
	store_close();
}

static void
wills_and_ids_belong_to_their_session(void)
{
	struct msg_view v = { .topic = span_str("w"), .payload = span_str("x") };
	uint32_t delay = 0;

	store_open("");
	CU_ASSERT_PTR_NULL(store_will_get(1, NULL));
	store_will_del(1);
	CU_ASSERT_EQUAL(store_will_put(1, &v, 5), 0);
	CU_ASSERT_EQUAL(store_will_put(1, &v, 6), 0);
	CU_ASSERT_PTR_NOT_NULL(store_will_get(1, &delay));
	CU_ASSERT_EQUAL(delay, 6);
	CU_ASSERT_PTR_NULL(store_will_get(2, NULL));
	store_will_del(1);
	CU_ASSERT_PTR_NULL(store_will_get(1, NULL));

	CU_ASSERT_FALSE(store_rxid_del(1, 3));
	for (unsigned i = 65535; i > 0; i -= 5)
		CU_ASSERT_EQUAL_FATAL(store_rxid_add(1, (uint16_t)i), 0);
	CU_ASSERT_EQUAL(store_rxid_add(1, 65535), -EEXIST);
	CU_ASSERT_EQUAL(store_rxid_count(1), 13107);
	CU_ASSERT_TRUE(store_rxid_has(1, 5));
	CU_ASSERT_FALSE(store_rxid_has(1, 6));
	CU_ASSERT_FALSE(store_rxid_has(2, 5));
	CU_ASSERT_TRUE(store_rxid_del(1, 5));
	CU_ASSERT_FALSE(store_rxid_has(1, 5));
	store_rxid_drop(1);
	store_rxid_drop(1);
	CU_ASSERT_EQUAL(store_rxid_count(1), 0);
	CU_ASSERT_EQUAL(store_will_put(9, &v, 6), 0);
	CU_ASSERT_EQUAL(store_rxid_add(9, 1), 0);
	store_close(); /* what is left goes with it */
}

UNIT_MAIN("worker/persist/store_mem", TEST(an_entry_that_is_not_there_is_not_found),
    TEST(a_queue_is_what_was_added_and_not_deleted),
    TEST(one_old_entry_does_not_keep_the_memory_of_later_ones),
    TEST(retained_topics_are_in_byte_order), TEST(wills_and_ids_belong_to_their_session))
