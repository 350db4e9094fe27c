#include "shared/ipc/rec.h"

#include "shared/ipc/proc.h"

#include "tests/unit/unit.h"

/* What follows the fixed part: two groups, topic "a/b", props "PP", payload "xyz". */
#define REST "0123456789abcdefa/bPPxyz"

static struct rec_msg
msg(void)
{
	return (struct rec_msg){ .publish_ms = 5,
		.expiry = 6,
		.props_len = 2,
		.payload_len = 3,
		.topic_len = 3,
		.ngroups = 2,
		.qos = 1 };
}

static bool
parses(const struct rec_msg *m, const char *rest, size_t len)
{
	/* In memory of its own, so that a byte too far is seen by a sanitizer. */
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct msg_view v;
	struct span groups;
	bool ok;

	memcpy(copy, rest, len);
	ok = rec_msg_parse(m, span_of(copy, len), &v, &groups);
	free(copy);
	return ok;
}

static void
records_of_others_and_short_ones_are_refused(void)
{
	uint8_t body[512] = { 0 };

	CU_ASSERT_FALSE(rec_may(REC_NONE, P_ANY, P_ANY, span_of(body, sizeof(body))));
	CU_ASSERT_FALSE(rec_may(REC_TYPES, P_ANY, P_ANY, span_of(body, sizeof(body))));
	CU_ASSERT_FALSE(rec_may(UINT16_MAX, P_ANY, P_ANY, span_of(body, sizeof(body))));
	CU_ASSERT_FALSE(rec_may(REC_GRANT, P_MQTT, P_MQTT, span_of(body, sizeof(body))));
	CU_ASSERT_FALSE(rec_may(REC_GRANT, P_PERSIST, P_PERSIST, span_of(body, sizeof(body))));
	CU_ASSERT_TRUE(rec_may(REC_GRANT, P_PERSIST, P_MQTT, span_of(body, sizeof(body))));
	for (unsigned t = REC_NONE + 1; t < REC_TYPES; t++) {
		size_t fixed = rec_rule[t].fixed;

		CU_ASSERT_TRUE_FATAL(fixed > 0 && fixed <= sizeof(body));
		CU_ASSERT_PTR_NOT_NULL(rec_rule[t].name);
		CU_ASSERT_TRUE(rec_may(t, P_ANY, P_ANY, span_of(body, fixed)));
		CU_ASSERT_FALSE(rec_may(t, P_ANY, P_ANY, span_of(body, fixed - 1)));
		CU_ASSERT_FALSE(rec_may(t, P_ANY, P_ANY, span_of(NULL, 0)));
	}
}

static void
a_cut_beyond_the_end_is_refused_and_changes_nothing(void)
{
	struct span rest = span_str("abcdef"), was = rest, out = span_str("?");
	uint8_t copy[7];

	CU_ASSERT_FALSE(rec_span(&rest, 7, &out));
	CU_ASSERT_FALSE(rec_span(&rest, SIZE_MAX, &out));
	CU_ASSERT_FALSE(rec_take(&rest, copy, 7));
	CU_ASSERT_TRUE(rest.p == was.p && rest.len == was.len && span_eq(out, span_str("?")));
	CU_ASSERT_TRUE(rec_span(&rest, 2, &out));
	CU_ASSERT_TRUE(span_eq(out, span_str("ab")) && span_eq(rest, span_str("cdef")));
	CU_ASSERT_TRUE(rec_take(&rest, copy, 4));
	CU_ASSERT_EQUAL(memcmp(copy, "cdef", 4), 0);
	CU_ASSERT_TRUE(rec_span(&rest, 0, &out));
	CU_ASSERT_FALSE(rec_span(&rest, 1, &out));
}

static void
lengths_must_add_up_to_the_record(void)
{
	struct rec_msg m = msg();

	for (size_t len = 0; len < sizeof(REST) - 1; len++)
		CU_ASSERT_FALSE(parses(&m, REST, len));
	CU_ASSERT_TRUE(parses(&m, REST, sizeof(REST) - 1));
	CU_ASSERT_FALSE(parses(&m, REST "!", sizeof(REST)));
	m.payload_len = UINT32_MAX;
	CU_ASSERT_FALSE(parses(&m, REST, sizeof(REST) - 1));
	m = msg();
	m.props_len = UINT32_MAX - 2; /* sums that would wrap around in 32 bits */
	m.payload_len = 8;
	CU_ASSERT_FALSE(parses(&m, REST, sizeof(REST) - 1));
	m = msg();
	m.ngroups = UINT16_MAX;
	CU_ASSERT_FALSE(parses(&m, REST, sizeof(REST) - 1));
	m = msg();
	m.topic_len = UINT16_MAX;
	CU_ASSERT_FALSE(parses(&m, REST, sizeof(REST) - 1));
}

static void
what_no_client_could_have_published_is_refused(void)
{
	static const char *const topics[] = { "a/+", "a/#", "#", "a\xff", "\xc0\xaf",
		"\xed\xa0\x80" };
	struct rec_msg m = msg();

	m.qos = 3;
	CU_ASSERT_FALSE(parses(&m, REST, sizeof(REST) - 1));
	m = (struct rec_msg){ .qos = 0 };
	CU_ASSERT_FALSE(parses(&m, "", 0)); /* no topic */
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		m.topic_len = (uint16_t)strlen(topics[i]);
		CU_ASSERT_FALSE(parses(&m, topics[i], m.topic_len));
	}
	m.topic_len = 3;
	CU_ASSERT_FALSE(parses(&m, "a\0b", 3));
	CU_ASSERT_TRUE(parses(&m, "a/b", 3));
}

static void
a_message_comes_out_as_it_went_in(void)
{
	const struct msg_view in = {
		.topic = span_str("a/b"),
		.props = span_str("PP"),
		.payload = span_str("xyz"),
		.publish_ms = UINT64_C(1) << 40,
		.expiry = 77,
		.qos = 2,
		.retain = true,
		.has_expiry = true,
	};
	struct rec_msg m = rec_msg_of(&in, 2, true);
	struct msg_view out;
	struct span groups;

	CU_ASSERT_EQUAL(m.plain, 1);
	CU_ASSERT_TRUE_FATAL(rec_msg_parse(&m, span_str(REST), &out, &groups));
	CU_ASSERT_TRUE(span_eq(groups, span_str("0123456789abcdef")));
	CU_ASSERT_TRUE(span_eq(out.topic, in.topic) && span_eq(out.props, in.props) &&
	    span_eq(out.payload, in.payload));
	CU_ASSERT_TRUE(out.publish_ms == in.publish_ms && out.expiry == in.expiry &&
	    out.qos == in.qos && out.retain && out.has_expiry);
	m = rec_msg_of(&(struct msg_view){ .topic = span_str("t") }, 0, false);
	CU_ASSERT_TRUE_FATAL(rec_msg_parse(&m, span_str("t"), &out, NULL));
	CU_ASSERT_TRUE(!m.plain && out.payload.len == 0 && !out.retain && !out.has_expiry);
}

UNIT_MAIN("shared/ipc/rec", TEST(records_of_others_and_short_ones_are_refused),
    TEST(a_cut_beyond_the_end_is_refused_and_changes_nothing),
    TEST(lengths_must_add_up_to_the_record), TEST(what_no_client_could_have_published_is_refused),
    TEST(a_message_comes_out_as_it_went_in))
