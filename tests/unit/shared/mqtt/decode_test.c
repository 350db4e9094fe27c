#include "shared/mqtt/packet.h"

#include "tests/unit/unit.h"

/* Bytes in memory of just their size, so that the sanitizer sees a look beyond. */
static struct span
exact(const char *hex, uint8_t **to_free)
{
	uint8_t *p = malloc(strlen(hex) / 2 + 1);
	size_t n = 0;
	unsigned v;

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		CU_ASSERT_EQUAL_FATAL(sscanf(hex++, "%2x", &v), 1);
		p[n++] = (uint8_t)v;
	}
	*to_free = malloc(n > 0 ? n : 1);
	memcpy(*to_free, p, n);
	free(p);
	return span_of(*to_free, n);
}

static enum mqtt_reason
decode(struct span whole, enum mqtt_version v)
{
	enum mqtt_version spoken;
	struct disconnect d;
	struct subscribe s;
	struct connect c;
	struct publish p;
	struct packet pk;
	struct span body;
	struct ack a;

	if (packet_peek(whole, v, &pk) != 1 || pk.header_len + pk.body_len != whole.len)
		return MQTT_MALFORMED;
	body = span_of(whole.p + pk.header_len, pk.body_len);
	switch (pk.type) {
	case PKT_CONNECT:
		return connect_decode(body, &c, &spoken, NULL);
	case PKT_PUBLISH:
		return publish_decode(body, pk.flags, v, IN_PUBLISH_C, &p, NULL);
	case PKT_SUBSCRIBE:
		return subscribe_decode(body, v, &s, NULL);
	case PKT_UNSUBSCRIBE:
		return unsubscribe_decode(body, v, &s, NULL);
	case PKT_DISCONNECT:
		return disconnect_decode(body, v, IN_DISCONNECT_C, &d, NULL);
	case PKT_AUTH:
		return auth_decode(body, &d, NULL);
	default:
		return ack_decode(body, pk.type, v, &a, NULL);
	}
}

static const struct {
	const char *hex;
	enum mqtt_version v;
	enum mqtt_reason reason;
} table[] = {
	/* CONNECT: protocol, flags, properties */
	{ "10 0e 0004 4d515454 05 02 003c 00 0001 61", MQTT_5, MQTT_OK },
	{ "10 0d 0004 4d515454 04 02 003c 0001 61", MQTT_3_1_1, MQTT_OK },
	{ "10 0f 0006 4d5149736470 03 02 003c 0001 61", MQTT_3_1, MQTT_OK },
	{ "10 0e 0004 4d515454 07 02 003c 00 0001 61", MQTT_5, MQTT_UNSUPPORTED_PROTOCOL_VERSION },
	{ "10 0e 0004 4d515454 05 03 003c 00 0001 61", MQTT_5, MQTT_MALFORMED },
	{ "10 0e 0004 4d515454 05 0a 003c 00 0001 61", MQTT_5, MQTT_MALFORMED },
	{ "10 0e 0004 4d515454 05 22 003c 00 0001 61", MQTT_5, MQTT_MALFORMED },
	{ "10 15 0004 4d515454 05 1e 003c 00 0001 61 00 0001 74 0001 78", MQTT_5, MQTT_MALFORMED },
	{ "10 15 0004 4d515454 05 06 003c 00 0001 61 00 0001 23 0001 78", MQTT_5,
	    MQTT_PROTOCOL_ERROR },
	{ "10 0e 0004 4d515454 05 82 003c 00 0001 61", MQTT_5, MQTT_MALFORMED },
	{ "10 11 0004 4d515454 05 42 003c 00 0001 61 0001 70", MQTT_5, MQTT_OK },
	{ "10 10 0004 4d515454 04 42 003c 0001 61 0001 70", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 11 0004 4d515454 05 02 003c 03 210000 0001 61", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "10 13 0004 4d515454 05 02 003c 05 2700000000 0001 61", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "10 10 0004 4d515454 05 02 003c 02 1702 0001 61", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "10 12 0004 4d515454 05 02 003c 04 1701 1701 0001 61", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "10 12 0004 4d515454 05 02 003c 04 16000161 0001 61", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "10 10 0004 4d515454 05 02 003c 02 0101 0001 61", MQTT_5, MQTT_MALFORMED },
	{ "10 0f 0004 4d515454 05 02 003c 00 0001 61 00", MQTT_5, MQTT_MALFORMED },
	/* PUBLISH */
	{ "30 04 0001 74 00", MQTT_5, MQTT_OK },
	{ "30 03 0001 74", MQTT_3_1_1, MQTT_OK },
	{ "32 06 0001 74 0001 00", MQTT_5, MQTT_OK },
	{ "36 06 0001 74 0001 00", MQTT_5, MQTT_MALFORMED },
	{ "38 04 0001 74 00", MQTT_5, MQTT_MALFORMED },
	{ "38 03 0001 74", MQTT_3_1, MQTT_OK },
	{ "32 06 0001 74 0000 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 03 0000 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 02 0000", MQTT_3_1_1, MQTT_MALFORMED },
	{ "30 06 0000 03 230001", MQTT_5, MQTT_OK },
	{ "30 06 0001 74 02 0b01", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 06 0001 74 02 0102", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 08 0001 74 04 0800012b", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 04 0001 2b 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "30 05 0002 c080 00", MQTT_5, MQTT_MALFORMED },
	{ "30 06 0003 eda080 00", MQTT_5, MQTT_MALFORMED },
	{ "30 07 0004 f4908080 00", MQTT_5, MQTT_MALFORMED },
	{ "30 06 0003 efbbbf 00", MQTT_5, MQTT_OK },
	{ "30 04 0001 00 00", MQTT_5, MQTT_MALFORMED },
	{ "30 05 0001 74 01 7f", MQTT_5, MQTT_MALFORMED },
	/* acknowledgements */
	{ "40 02 0001", MQTT_5, MQTT_OK },
	{ "40 03 0001 10", MQTT_5, MQTT_OK },
	{ "40 04 0001 10 00", MQTT_5, MQTT_OK },
	{ "40 03 0001 92", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "62 03 0001 92", MQTT_5, MQTT_OK },
	{ "62 03 0001 10", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "40 02 0000", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "40 03 0001 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "40 06 0001 00 02 0101", MQTT_5, MQTT_MALFORMED },
	{ "60 02 0001", MQTT_5, MQTT_MALFORMED },
	{ "6a 02 0001", MQTT_3_1, MQTT_OK },
	{ "6a 02 0001", MQTT_3_1_1, MQTT_MALFORMED },
	/* SUBSCRIBE, UNSUBSCRIBE */
	{ "82 07 0001 00 0001 74 2e", MQTT_5, MQTT_OK },
	{ "82 03 0001 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 07 0000 00 0001 74 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 07 0001 00 0001 74 03", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 07 0001 00 0001 74 30", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 07 0001 00 0001 74 40", MQTT_5, MQTT_MALFORMED },
	{ "82 06 0001 0001 74 04", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 09 0001 02 0b00 0001 74 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "a2 06 0001 00 0001 74", MQTT_5, MQTT_OK },
	{ "a2 03 0001 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	/* DISCONNECT, AUTH, header */
	{ "e0 00", MQTT_5, MQTT_OK },
	{ "e0 01 04", MQTT_5, MQTT_OK },
	{ "e0 01 8b", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "e0 07 00 05 1100000001", MQTT_5, MQTT_OK },
	{ "e0 01 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "f0 02 18 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "f0 06 18 04 15000161", MQTT_5, MQTT_OK },
	{ "f0 06 18 04 15000161", MQTT_3_1_1, MQTT_MALFORMED },
	{ "00 00", MQTT_5, MQTT_MALFORMED },
};

static void
each_packet_gets_its_reason(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t *p;
		enum mqtt_reason got = decode(exact(table[i].hex, &p), table[i].v);

		if (got != table[i].reason)
			printf("\n    %s: 0x%02x instead of 0x%02x ", table[i].hex, (unsigned)got,
			    (unsigned)table[i].reason);
		CU_ASSERT_EQUAL(got, table[i].reason);
		free(p);
	}
}

/* Cut anywhere, with a header that says so: never accepted by reading on. */
static void
truncated_bodies_are_never_read_beyond(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t *p, *cut;
		struct span whole = exact(table[i].hex, &p);

		for (size_t n = 2; n < whole.len; n++) {
			cut = malloc(n);
			memcpy(cut, whole.p, n);
			cut[1] = (uint8_t)(n - 2);
			(void)decode(span_of(cut, n), table[i].v);
			free(cut);
		}
		free(p);
	}
}

static void
lengths_have_at_most_four_bytes_in_their_shortest_form(void)
{
	struct packet pk;

	CU_ASSERT_EQUAL(packet_peek(span_of("\x30\xff\xff\xff\xff", 5), MQTT_5, &pk), -1);
	CU_ASSERT_EQUAL(packet_peek(span_of("\x30\x80\x00", 3), MQTT_5, &pk), -1);
	CU_ASSERT_EQUAL(packet_peek(span_of("\x30\xff\xff\xff", 4), MQTT_5, &pk), 0);
	CU_ASSERT_EQUAL(packet_peek(span_of("\x30\xff\xff\xff\x7f", 5), MQTT_5, &pk), 1);
	CU_ASSERT_EQUAL(pk.body_len, MQTT_LEN_MAX);
	CU_ASSERT_EQUAL(pk.header_len, 5);
	CU_ASSERT_EQUAL(packet_peek(span_of("\x30", 1), MQTT_5, &pk), 0);
}

static void
published_again_it_is_the_same(void)
{
	static const uint32_t ids[] = { 1, 300 };
	struct publish_out o = {
		.topic = span_str("a/b"),
		.props = span_of("\x26\x00\x01k\x00\x01v", 7),
		.payload = span_str("payload"),
		.id = 77,
		.qos = 2,
		.retain = true,
		.has_expiry = true,
		.expiry = 3600,
		.subids = ids,
		.nsubids = 2,
	};
	uint8_t buf[128];
	struct packet pk;
	struct publish p;
	struct prop prop;
	size_t at = 0, seen = 0, n, id_at;

	n = publish_encode(&o, MQTT_5, buf, sizeof(buf));
	CU_ASSERT_EQUAL(n, publish_len(&o, MQTT_5));
	CU_ASSERT_EQUAL(publish_encode(&o, MQTT_5, buf, n - 1), 0);
	n = publish_encode(&o, MQTT_5, buf, sizeof(buf));
	CU_ASSERT_EQUAL_FATAL(packet_peek(span_of(buf, n), MQTT_5, &pk), 1);
	CU_ASSERT_EQUAL_FATAL(publish_decode(span_of(buf + pk.header_len, pk.body_len), pk.flags,
				  MQTT_5, IN_PUBLISH_S, &p, NULL),
	    MQTT_OK);
	CU_ASSERT_TRUE(span_eq(p.topic, o.topic) && span_eq(p.payload, o.payload) && p.id == 77 &&
	    p.qos == 2 && p.retain);
	CU_ASSERT_EQUAL(p.props.message_expiry, 3600);
	while (props_next(p.props.raw, &at, &prop))
		if (prop.id == PROP_SUBSCRIPTION_ID)
			CU_ASSERT_EQUAL(prop.num, ids[seen++]);
	CU_ASSERT_EQUAL(seen, 2);
	(void)publish_encode_head(&o, MQTT_5, buf, sizeof(buf), &id_at);
	CU_ASSERT_EQUAL(buf[id_at] << 8 | buf[id_at + 1], 77);
}

UNIT_MAIN("shared/mqtt/decode", TEST(each_packet_gets_its_reason),
    TEST(truncated_bodies_are_never_read_beyond),
    TEST(lengths_have_at_most_four_bytes_in_their_shortest_form),
    TEST(published_again_it_is_the_same))
