#include "shared/mqtt/props.h"

#include "tests/unit/unit.h"

/* 2.2.2.2 once more, in other words than props.def: value is one that is fine. */
enum kind { BYTE, TWO, FOUR, VARINT, STRING, BINARY, PAIR };

static const struct {
	enum prop_id id;
	enum kind kind;
	unsigned in;
} all[] = {
	{ 0x01, BYTE, IN_PUBLISH_C | IN_PUBLISH_S | IN_WILL },
	{ 0x02, FOUR, IN_PUBLISH_C | IN_PUBLISH_S | IN_WILL },
	{ 0x03, STRING, IN_PUBLISH_C | IN_PUBLISH_S | IN_WILL },
	{ 0x08, STRING, IN_PUBLISH_C | IN_PUBLISH_S | IN_WILL },
	{ 0x09, BINARY, IN_PUBLISH_C | IN_PUBLISH_S | IN_WILL },
	{ 0x0b, VARINT, IN_PUBLISH_S | IN_SUBSCRIBE },
	{ 0x11, FOUR, IN_CONNECT | IN_CONNACK | IN_DISCONNECT_C },
	{ 0x12, STRING, IN_CONNACK },
	{ 0x13, TWO, IN_CONNACK },
	{ 0x15, STRING, IN_CONNECT | IN_CONNACK | IN_AUTH },
	{ 0x16, BINARY, IN_CONNECT | IN_CONNACK | IN_AUTH },
	{ 0x17, BYTE, IN_CONNECT },
	{ 0x18, FOUR, IN_WILL },
	{ 0x19, BYTE, IN_CONNECT },
	{ 0x1a, STRING, IN_CONNACK },
	{ 0x1c, STRING, IN_CONNACK | IN_DISCONNECT_S },
	{ 0x1f, STRING, IN_CONNACK | IN_ACK | IN_DISCONNECT_C | IN_DISCONNECT_S | IN_AUTH },
	{ 0x21, TWO, IN_CONNECT | IN_CONNACK },
	{ 0x22, TWO, IN_CONNECT | IN_CONNACK },
	{ 0x23, TWO, IN_PUBLISH_C | IN_PUBLISH_S },
	{ 0x24, BYTE, IN_CONNACK },
	{ 0x25, BYTE, IN_CONNACK },
	{ 0x26, PAIR, ~0u },
	{ 0x27, FOUR, IN_CONNECT | IN_CONNACK },
	{ 0x28, BYTE, IN_CONNACK },
	{ 0x29, BYTE, IN_CONNACK },
	{ 0x2a, BYTE, IN_CONNACK },
};
#define ALL (sizeof(all) / sizeof(all[0]))

static const struct span value[] = {
	[BYTE] = { (const uint8_t *)"\x01", 1 },
	[TWO] = { (const uint8_t *)"\x00\x01", 2 },
	[FOUR] = { (const uint8_t *)"\x00\x00\x00\x01", 4 },
	[VARINT] = { (const uint8_t *)"\x81\x01", 2 },
	[STRING] = { (const uint8_t *)"\x00\x01s", 3 },
	[BINARY] = { (const uint8_t *)"\x00\x01\xff", 3 },
	[PAIR] = { (const uint8_t *)"\x00\x01n\x00\x01v", 6 },
};

/* A block of properties, in memory of just its size. */
struct block {
	uint8_t bytes[64];
	size_t len;
};

static void
put(struct block *b, uint8_t id, struct span v)
{
	b->bytes[b->len++] = id;
	memcpy(b->bytes + b->len, v.p, v.len);
	b->len += v.len;
}

static enum mqtt_reason
decode(const void *bytes, size_t len, enum props_in in, struct props *out)
{
	const char *why = NULL;
	uint8_t *p = malloc(len + 1);
	enum mqtt_reason reason;
	struct rd r;

	p[0] = (uint8_t)len;
	memcpy(p + 1, bytes, len);
	r = rd_of(span_of(p, len + 1));
	reason = props_decode(&r, in, out, &why);
	CU_ASSERT_EQUAL(why == NULL, reason == MQTT_OK);
	CU_ASSERT_TRUE(reason != MQTT_OK || rd_left(&r) == 0);
	free(p);
	return reason;
}

static enum mqtt_reason
one(uint8_t id, struct span v, enum props_in in)
{
	struct block b = { .len = 0 };
	struct props p;

	put(&b, id, v);
	return decode(b.bytes, b.len, in, &p);
}

static void
identifiers_that_are_none_are_malformed_everywhere(void)
{
	for (unsigned id = 0; id < 128; id++) {
		bool is_one = false;

		for (size_t i = 0; i < ALL; i++)
			is_one |= all[i].id == id;
		for (unsigned in = IN_CONNECT; !is_one && in <= IN_AUTH; in <<= 1)
			for (size_t k = 0; k < sizeof(value) / sizeof(value[0]); k++)
				CU_ASSERT_EQUAL(one((uint8_t)id, value[k], in), MQTT_MALFORMED);
	}
}

static void
property_in_the_wrong_packet_is_refused(void)
{
	for (size_t i = 0; i < ALL; i++)
		for (unsigned in = IN_CONNECT; in <= IN_AUTH; in <<= 1) {
			enum mqtt_reason want = all[i].in & in ? MQTT_OK : MQTT_MALFORMED;

			if (all[i].id == PROP_SUBSCRIPTION_ID && in == IN_PUBLISH_C)
				want = MQTT_PROTOCOL_ERROR; /* [MQTT-3.3.4-6] */
			CU_ASSERT_EQUAL(one(all[i].id, value[all[i].kind], in), want);
		}
}

static unsigned
first_packet(size_t i)
{
	return all[i].in & -all[i].in;
}

static void
property_that_ends_early_is_malformed(void)
{
	for (size_t i = 0; i < ALL; i++)
		for (size_t len = 0; len < value[all[i].kind].len; len++)
			CU_ASSERT_EQUAL(
			    one(all[i].id, span_of(value[all[i].kind].p, len), first_packet(i)),
			    MQTT_MALFORMED);
}

static void
second_one_is_a_protocol_error_but_for_user_properties(void)
{
	for (size_t i = 0; i < ALL; i++)
		for (unsigned in = IN_CONNECT; in <= IN_AUTH; in <<= 1) {
			struct block b = { .len = 0 };
			bool may = all[i].id == PROP_USER_PROPERTY ||
			    (all[i].id == PROP_SUBSCRIPTION_ID && in == IN_PUBLISH_S);
			struct props p;

			if (!(all[i].in & in))
				continue;
			put(&b, all[i].id, value[all[i].kind]);
			put(&b, PROP_USER_PROPERTY, value[PAIR]);
			put(&b, all[i].id, value[all[i].kind]);
			CU_ASSERT_EQUAL(
			    decode(b.bytes, b.len, in, &p), may ? MQTT_OK : MQTT_PROTOCOL_ERROR);
		}
}

static void
values_out_of_range_are_protocol_errors(void)
{
	static const struct {
		enum prop_id id;
		struct span v;
	} bad[] = {
		{ PROP_RECEIVE_MAX, { (const uint8_t *)"\0\0", 2 } },
		{ PROP_MAX_PACKET_SIZE, { (const uint8_t *)"\0\0\0\0", 4 } },
		{ PROP_SUBSCRIPTION_ID, { (const uint8_t *)"\0", 1 } },
		{ PROP_PAYLOAD_FORMAT, { (const uint8_t *)"\2", 1 } },
		{ PROP_REQUEST_PROBLEM, { (const uint8_t *)"\2", 1 } },
		{ PROP_REQUEST_RESPONSE, { (const uint8_t *)"\2", 1 } },
		{ PROP_MAX_QOS, { (const uint8_t *)"\2", 1 } },
		{ PROP_RETAIN_AVAILABLE, { (const uint8_t *)"\2", 1 } },
		{ PROP_WILDCARD_AVAILABLE, { (const uint8_t *)"\2", 1 } },
		{ PROP_SUBSCRIPTION_ID_AVAILABLE, { (const uint8_t *)"\2", 1 } },
		{ PROP_SHARED_AVAILABLE, { (const uint8_t *)"\xff", 1 } },
		{ PROP_RESPONSE_TOPIC, { (const uint8_t *)"\0\0", 2 } },
		{ PROP_RESPONSE_TOPIC, { (const uint8_t *)"\0\1+", 3 } },
		{ PROP_RESPONSE_TOPIC, { (const uint8_t *)"\0\3a/#", 5 } },
	};

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		for (size_t i = 0; i < ALL; i++)
			if (all[i].id == bad[k].id)
				CU_ASSERT_EQUAL(
				    one(bad[k].id, bad[k].v, first_packet(i)), MQTT_PROTOCOL_ERROR);
}

static void
text_that_is_not_utf8_is_malformed(void)
{
	for (size_t i = 0; i < ALL; i++)
		if (all[i].kind == STRING)
			CU_ASSERT_EQUAL(
			    one(all[i].id, value[BINARY], first_packet(i)), MQTT_MALFORMED);
	CU_ASSERT_EQUAL(
	    one(PROP_USER_PROPERTY, span_of("\0\1\xff\0\1v", 6), IN_CONNECT), MQTT_MALFORMED);
	CU_ASSERT_EQUAL(
	    one(PROP_USER_PROPERTY, span_of("\0\1n\0\1\0", 6), IN_CONNECT), MQTT_MALFORMED);
}

static void
length_beyond_the_packet_or_of_five_bytes_is_malformed(void)
{
	static const struct span bad[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"\x01", 1 },
		{ (const uint8_t *)"\x80", 1 },
		{ (const uint8_t *)"\x80\x00", 2 },
		{ (const uint8_t *)"\xff\xff\xff\x7f", 4 },
		{ (const uint8_t *)"\x80\x80\x80\x80\x00", 5 },
		/* ends within the property although the packet goes on */
		{ (const uint8_t *)"\x02\x11\x00\x00\x00\x01", 6 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rd r = rd_of(bad[i]);
		const char *why = NULL;
		struct props p;

		CU_ASSERT_EQUAL(props_decode(&r, IN_CONNECT, &p, &why), MQTT_MALFORMED);
		CU_ASSERT_PTR_NOT_NULL(why);
	}
}

static void
an_empty_set_has_nothing(void)
{
	struct props p;
	struct prop prop;
	size_t at = 0;

	CU_ASSERT_EQUAL(decode("", 0, IN_CONNECT, &p), MQTT_OK);
	CU_ASSERT_EQUAL(p.has, 0);
	CU_ASSERT_EQUAL(p.raw.len, 0);
	CU_ASSERT_FALSE(props_next(p.raw, &at, &prop));
	CU_ASSERT_TRUE(props_is_forwardable(&p));
	CU_ASSERT_EQUAL(props_forward(&p, NULL), 0);
}

static void
each_value_is_in_its_field(void)
{
	static const char connack[] = "\x11\x01\x02\x03\x04\x21\x00\x0a\x24\x01\x25\x01"
				      "\x27\x00\x01\x00\x00\x12\x00\x02id\x22\x00\x0b"
				      "\x28\x01\x29\x00\x2a\x01\x13\x00\x3c";
	struct rd r = rd_of(span_of("", 0));
	const char *why = NULL;
	uint8_t with_len[64];
	struct props p;

	with_len[0] = sizeof(connack) - 1;
	memcpy(with_len + 1, connack, sizeof(connack) - 1);
	r = rd_of(span_of(with_len, sizeof(connack)));
	CU_ASSERT_EQUAL(props_decode(&r, IN_CONNACK, &p, &why), MQTT_OK);
	CU_ASSERT_EQUAL(p.session_expiry, 0x01020304);
	CU_ASSERT_EQUAL(p.receive_max, 10);
	CU_ASSERT_EQUAL(p.max_qos, 1);
	CU_ASSERT_EQUAL(p.retain_available, 1);
	CU_ASSERT_EQUAL(p.max_packet_size, 0x10000);
	CU_ASSERT_TRUE(span_eq(p.assigned_client_id, span_str("id")));
	CU_ASSERT_EQUAL(p.topic_alias_max, 11);
	CU_ASSERT_EQUAL(p.wildcard_available, 1);
	CU_ASSERT_EQUAL(p.subscription_id_available, 0);
	CU_ASSERT_EQUAL(p.shared_available, 1);
	CU_ASSERT_EQUAL(p.server_keep_alive, 60);
	CU_ASSERT_TRUE(props_has(&p, PROP_MAX_QOS));
	CU_ASSERT_FALSE(props_has(&p, PROP_REASON_STRING));
}

static void
what_concerns_the_hop_is_not_forwarded_and_the_rest_keeps_its_order(void)
{
	static const char in[] = "\x26\x00\x01"
				 "a\x00\x01"
				 "1\x23\x00\x01\x03\x00\x01t\x02\x00\x00\x00\x05\x26\x00\x01"
				 "a\x00\x01"
				 "2\x09\x00\x01\xff";
	static const char want[] = "\x26\x00\x01"
				   "a\x00\x01"
				   "1\x03\x00\x01t\x26\x00\x01"
				   "a\x00\x01"
				   "2\x09\x00\x01\xff";
	static const char will[] = "\x18\x00\x00\x00\x05\x01\x01";
	uint8_t buf[sizeof(in)];
	struct props p = { .raw = span_of(in, sizeof(in) - 1) };

	p.has = PROP_BIT(PROP_TOPIC_ALIAS);
	CU_ASSERT_FALSE(props_is_forwardable(&p));
	CU_ASSERT_EQUAL(props_forward(&p, buf), sizeof(want) - 1);
	CU_ASSERT_EQUAL(memcmp(buf, want, sizeof(want) - 1), 0);

	p = (struct props){ .raw = span_of(will, sizeof(will) - 1),
		.has = PROP_BIT(PROP_WILL_DELAY) };
	CU_ASSERT_FALSE(props_is_forwardable(&p));
	CU_ASSERT_EQUAL(props_forward(&p, buf), 2);
	CU_ASSERT_EQUAL(memcmp(buf, "\x01\x01", 2), 0);

	p = (struct props){ .raw = span_of(want, sizeof(want) - 1),
		.has = PROP_BIT(PROP_USER_PROPERTY) | PROP_BIT(PROP_CONTENT_TYPE) };
	CU_ASSERT_TRUE(props_is_forwardable(&p));
	CU_ASSERT_EQUAL(props_forward(&p, buf), p.raw.len);
}

static void
walk_gives_each_property_once_in_order(void)
{
	static const char raw[] = "\x0b\x81\x01\x26\x00\x01n\x00\x02vw\x0b\x02\x11\x00\x00\x00\x07";
	struct span s = span_of(raw, sizeof(raw) - 1);
	struct prop p;
	size_t at = 0;

	CU_ASSERT_TRUE(props_next(s, &at, &p));
	CU_ASSERT_TRUE(p.id == PROP_SUBSCRIPTION_ID && p.num == 129);
	CU_ASSERT_TRUE(props_next(s, &at, &p));
	CU_ASSERT_TRUE(p.id == PROP_USER_PROPERTY && span_eq(p.str, span_str("n")) &&
	    span_eq(p.value, span_str("vw")));
	CU_ASSERT_TRUE(props_next(s, &at, &p));
	CU_ASSERT_TRUE(p.id == PROP_SUBSCRIPTION_ID && p.num == 2);
	CU_ASSERT_TRUE(props_next(s, &at, &p));
	CU_ASSERT_TRUE(p.id == PROP_SESSION_EXPIRY && p.num == 7);
	CU_ASSERT_FALSE(props_next(s, &at, &p));
	CU_ASSERT_EQUAL(at, s.len);
}

static void
walk_ends_where_a_property_is_cut_short(void)
{
	static const char raw[] = "\x0b\x01\x11\x00\x00";
	struct span s = span_of(raw, sizeof(raw) - 1);
	struct prop p;
	size_t at = 0;

	CU_ASSERT_TRUE(props_next(s, &at, &p));
	CU_ASSERT_FALSE(props_next(s, &at, &p));
	CU_ASSERT_EQUAL(at, 2);
}

static void
only_user_properties_count_as_such(void)
{
	static const char raw[] = "\x26\x00\x01n\x00\x02vw\x0b\x02\x26\x00\x00\x00\x00";
	struct props p = { .has = PROP_BIT(PROP_SUBSCRIPTION_ID) };

	CU_ASSERT_EQUAL(props_users(&p), 0);
	p.raw = span_of(raw, sizeof(raw) - 1);
	p.has |= PROP_BIT(PROP_USER_PROPERTY);
	CU_ASSERT_EQUAL(props_users(&p), 2);
}

UNIT_MAIN("shared/mqtt/props", TEST(identifiers_that_are_none_are_malformed_everywhere),
    TEST(property_in_the_wrong_packet_is_refused), TEST(property_that_ends_early_is_malformed),
    TEST(second_one_is_a_protocol_error_but_for_user_properties),
    TEST(values_out_of_range_are_protocol_errors), TEST(text_that_is_not_utf8_is_malformed),
    TEST(length_beyond_the_packet_or_of_five_bytes_is_malformed), TEST(an_empty_set_has_nothing),
    TEST(each_value_is_in_its_field),
    TEST(what_concerns_the_hop_is_not_forwarded_and_the_rest_keeps_its_order),
    TEST(walk_gives_each_property_once_in_order), TEST(walk_ends_where_a_property_is_cut_short),
    TEST(only_user_properties_count_as_such))
