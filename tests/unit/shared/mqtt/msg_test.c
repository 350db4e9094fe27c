#include "tests/unit/memory.h"

#include "shared/mqtt/msg.c"

#include "tests/unit/unit.h"

static void
an_unexpired_message_has_at_least_a_second(void)
{
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 10, 1000), 10);
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 10, 2000), 9);
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 10, 10999), 1);
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 10, 11000), 0);
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 0, 1000), 0);
	CU_ASSERT_EQUAL(msg_expiry_left(1000, 10, 500), 10); /* the clock went back */
	CU_ASSERT_EQUAL(msg_expiry_left(0, UINT32_MAX, 1), UINT32_MAX);
}

static void
only_a_message_with_an_expiry_expires(void)
{
	struct msg_view v = { .publish_ms = 1000, .expiry = 10, .has_expiry = true };

	CU_ASSERT_FALSE(msg_is_expired(&v, 10999));
	CU_ASSERT_TRUE(msg_is_expired(&v, 11000));
	v.has_expiry = false;
	CU_ASSERT_FALSE(msg_is_expired(&v, UINT64_MAX));
}

static void
the_moment_at_which_it_expires_fits_its_seconds(void)
{
	struct msg_view v = { .publish_ms = 1000, .expiry = UINT32_MAX, .has_expiry = true };

	CU_ASSERT_EQUAL(msg_expires_ms(&v), 1000 + UINT64_C(4294967295000));
	CU_ASSERT_TRUE(msg_is_expired(&v, msg_expires_ms(&v)));
	CU_ASSERT_FALSE(msg_is_expired(&v, msg_expires_ms(&v) - 1));
	v.has_expiry = false;
	CU_ASSERT_EQUAL(msg_expires_ms(&v), 0);
}

static void
without_memory_there_is_none(void)
{
	memory_is_gone = true;
	CU_ASSERT_PTR_NULL(msg_new(&(struct msg_view){ .topic = span_str("t") }));
	memory_is_gone = false;
}

static void
it_lives_as_long_as_its_last_holder(void)
{
	struct msg_view v = { .topic = span_str("t"),
		.props = span_str("props"),
		.payload = span_str("payload"),
		.qos = 1,
		.retain = true };
	struct msg *a = msg_new(&v), *b = msg_ref(a);
	struct msg_view w = msg_view(a);

	CU_ASSERT_TRUE(span_eq(w.topic, v.topic) && span_eq(w.props, v.props) &&
	    span_eq(w.payload, v.payload) && w.qos == 1 && w.retain);
	CU_ASSERT_EQUAL(msg_size(a), sizeof(*a) + 13);
	CU_ASSERT_EQUAL(msg_view_size(&v), msg_size(a)); /* known before it is made */
	msg_unref(&a);
	CU_ASSERT_PTR_NULL(a);
	CU_ASSERT_EQUAL(b->refs, 1);
	msg_unref(&b);
	msg_unref(&b);

	/* Only a topic is a must. */
	v = (struct msg_view){ .topic = span_str("t") };
	a = msg_new(&v);
	w = msg_view(a);
	CU_ASSERT_TRUE(span_eq(w.topic, v.topic) && w.props.len == 0 && w.payload.len == 0);
	msg_unref(&a);
}

UNIT_MAIN("shared/mqtt/msg", TEST(an_unexpired_message_has_at_least_a_second),
    TEST(only_a_message_with_an_expiry_expires),
    TEST(the_moment_at_which_it_expires_fits_its_seconds), TEST(without_memory_there_is_none),
    TEST(it_lives_as_long_as_its_last_holder))
