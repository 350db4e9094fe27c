#include "shared/mqtt/packet.h"

#include "tests/unit/unit.h"

#define NONE span_of(NULL, 0)

static const uint32_t ids[] = { 1, MQTT_SUBID_MAX };
static const struct publish_out full = {
	.topic = { (const uint8_t *)"a/b", 3 },
	.props = { (const uint8_t *)"\x26\x00\x01k\x00\x01v", 7 },
	.payload = { (const uint8_t *)"xyz", 3 },
	.id = 0x1234,
	.alias = 0x0102,
	.qos = 1,
	.dup = true,
	.retain = true,
	.has_expiry = true,
	.expiry = 0x01020304,
	.subids = ids,
	.nsubids = 2,
};

static size_t
publish_5(void *buf, size_t room)
{
	return publish_encode(&full, MQTT_5, buf, room);
}

static size_t
publish_4(void *buf, size_t room)
{
	return publish_encode(&full, MQTT_3_1_1, buf, room);
}

static size_t
publish_by_alias(void *buf, size_t room)
{
	struct publish_out o = { .alias = 7 };

	return publish_encode(&o, MQTT_5, buf, room);
}

static size_t
connack_5(void *buf, size_t room)
{
	return connack_encode(MQTT_5, true, 0, span_of("\x24\x01", 2), buf, room);
}

static size_t
connack_4(void *buf, size_t room)
{
	return connack_encode(MQTT_3_1_1, false, 5, span_of("\x24\x01", 2), buf, room);
}

static size_t
puback_5(void *buf, size_t room)
{
	return ack_encode(PKT_PUBACK, 0x1234, MQTT_5, 0, NONE, buf, room);
}

static size_t
pubrec_reason(void *buf, size_t room)
{
	return ack_encode(PKT_PUBREC, 0x1234, MQTT_5, 0x97, NONE, buf, room);
}

static size_t
pubrel_props(void *buf, size_t room)
{
	return ack_encode(PKT_PUBREL, 0x1234, MQTT_5, 0, span_of("\x1f\x00\x01y", 4), buf, room);
}

static size_t
pubcomp_4(void *buf, size_t room)
{
	return ack_encode(
	    PKT_PUBCOMP, 0x1234, MQTT_3_1_1, 0x92, span_of("\x1f\x00\x01y", 4), buf, room);
}

static size_t
suback_5(void *buf, size_t room)
{
	return suback_encode(PKT_SUBACK, 0x1234, MQTT_5, span_of("\x00\x01\x97", 3),
	    span_of("\x1f\x00\x01y", 4), buf, room);
}

static size_t
suback_4(void *buf, size_t room)
{
	return suback_encode(
	    PKT_SUBACK, 0x1234, MQTT_3_1_1, span_of("\x02\x80", 2), NONE, buf, room);
}

static size_t
unsuback_4(void *buf, size_t room)
{
	return suback_encode(PKT_UNSUBACK, 0x1234, MQTT_3_1_1, NONE, NONE, buf, room);
}

static size_t
pingresp(void *buf, size_t room)
{
	return pingresp_encode(buf, room);
}

static size_t
disconnect_normal(void *buf, size_t room)
{
	return disconnect_encode(0, NONE, buf, room);
}

static size_t
disconnect_reason(void *buf, size_t room)
{
	return disconnect_encode(0x8e, NONE, buf, room);
}

static size_t
disconnect_props(void *buf, size_t room)
{
	return disconnect_encode(0, span_of("\x1f\x00\x01y", 4), buf, room);
}

static const struct {
	size_t (*encode)(void *buf, size_t room);
	const char *bytes;
	size_t len;
} item[] = {
	{ publish_5,
	    "\x3b\x21\x00\x03"
	    "a/b\x12\x34\x16\x02\x01\x02\x03\x04\x23\x01\x02\x0b\x01\x0b\xff\xff\xff\x7f"
	    "\x26\x00\x01k\x00\x01vxyz",
	    35 },
	{ publish_4,
	    "\x3b\x0a\x00\x03"
	    "a/b\x12\x34xyz",
	    12 },
	{ publish_by_alias, "\x30\x06\x00\x00\x03\x23\x00\x07", 8 },
	{ connack_5, "\x20\x05\x01\x00\x02\x24\x01", 7 },
	{ connack_4, "\x20\x02\x00\x05", 4 },
	{ puback_5, "\x40\x02\x12\x34", 4 },
	{ pubrec_reason, "\x50\x03\x12\x34\x97", 5 },
	{ pubrel_props, "\x62\x08\x12\x34\x00\x04\x1f\x00\x01y", 10 },
	{ pubcomp_4, "\x70\x02\x12\x34", 4 },
	{ suback_5, "\x90\x0a\x12\x34\x04\x1f\x00\x01y\x00\x01\x97", 12 },
	{ suback_4, "\x90\x04\x12\x34\x02\x80", 6 },
	{ unsuback_4, "\xb0\x02\x12\x34", 4 },
	{ pingresp, "\xd0\x00", 2 },
	{ disconnect_normal, "\xe0\x00", 2 },
	{ disconnect_reason, "\xe0\x01\x8e", 3 },
	{ disconnect_props, "\xe0\x06\x00\x04\x1f\x00\x01y", 8 },
};
#define ITEMS (sizeof(item) / sizeof(item[0]))

/* Memory of just `room` bytes, so that the sanitizer sees a write beyond. */
static void
room_too_small_by_any_number_of_bytes_gives_0(void)
{
	for (size_t i = 0; i < ITEMS; i++)
		for (size_t room = 0; room < item[i].len; room++) {
			uint8_t *p = malloc(room > 0 ? room : 1);

			CU_ASSERT_EQUAL(item[i].encode(p, room), 0);
			free(p);
		}
}

/* What a record from another process may say. */
static void
subscription_identifier_above_the_maximum_can_not_be_sent(void)
{
	static const uint32_t above[] = { MQTT_SUBID_MAX + 1, UINT32_MAX };
	struct publish_out o = { .topic = span_str("t"), .nsubids = 1 };
	uint8_t buf[64];

	for (size_t i = 0; i < 2; i++) {
		o.subids = &above[i];
		CU_ASSERT_EQUAL(publish_len(&o, MQTT_5), SIZE_MAX);
		CU_ASSERT_EQUAL(publish_encode(&o, MQTT_5, buf, sizeof(buf)), 0);
	}
}

static void
topic_above_its_maximum_can_not_be_sent(void)
{
	static uint8_t text[UINT16_MAX + 1], buf[UINT16_MAX + 32];
	struct publish_out o = { .topic = span_of(text, sizeof(text)) };

	CU_ASSERT_EQUAL(publish_len(&o, MQTT_3_1_1), SIZE_MAX);
	CU_ASSERT_EQUAL(publish_encode(&o, MQTT_3_1_1, buf, sizeof(buf)), 0);
	o.topic.len--;
	CU_ASSERT_EQUAL(publish_len(&o, MQTT_3_1_1), UINT16_MAX + 2 + 4);
	CU_ASSERT_EQUAL(publish_encode(&o, MQTT_3_1_1, buf, sizeof(buf)), UINT16_MAX + 2 + 4);
}

/* The payload isn't read for its head: there need not be so much of it. */
static void
packet_above_the_maximum_can_not_be_sent_and_the_largest_can(void)
{
	struct publish_out o = { .topic = span_str("t"), .qos = 1, .id = 1 };
	uint8_t buf[64];
	struct packet pk;

	for (enum mqtt_version v = MQTT_3_1; v <= MQTT_5; v++) {
		size_t most = MQTT_LEN_MAX - 5 - (v == MQTT_5), head;

		o.payload = span_of(buf, most + 1);
		CU_ASSERT_EQUAL(publish_len(&o, v), SIZE_MAX);
		CU_ASSERT_EQUAL(publish_encode_head(&o, v, buf, sizeof(buf), NULL), 0);
		o.payload = span_of(buf, most);
		CU_ASSERT_EQUAL(publish_len(&o, v), MQTT_LEN_MAX + (size_t)MQTT_HEADER_MAX);
		head = publish_encode_head(&o, v, buf, sizeof(buf), NULL);
		CU_ASSERT_EQUAL(head + most, MQTT_LEN_MAX + (size_t)MQTT_HEADER_MAX);
		CU_ASSERT_EQUAL(packet_peek(span_of(buf, head), v, &pk), 1);
		CU_ASSERT_EQUAL(pk.body_len, MQTT_LEN_MAX);
	}
}

static void
properties_above_the_maximum_can_not_be_sent(void)
{
	static const uint8_t byte;
	struct span props = span_of(&byte, MQTT_LEN_MAX + (size_t)1);
	struct publish_out o = { .topic = span_str("t"), .props = props };
	uint8_t buf[64];

	CU_ASSERT_EQUAL(publish_len(&o, MQTT_5), SIZE_MAX);
	CU_ASSERT_EQUAL(publish_encode(&o, MQTT_5, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(publish_len(&o, MQTT_3_1_1), 5);
	CU_ASSERT_EQUAL(connack_encode(MQTT_5, false, 0, props, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(ack_encode(PKT_PUBACK, 1, MQTT_5, 0, props, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(
	    suback_encode(PKT_SUBACK, 1, MQTT_5, span_str("\x01"), props, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(disconnect_encode(0, props, buf, sizeof(buf)), 0);
}

static void
each_packet_has_its_shortest_form(void)
{
	for (size_t i = 0; i < ITEMS; i++) {
		uint8_t *p = malloc(item[i].len);

		CU_ASSERT_EQUAL(item[i].encode(p, item[i].len), item[i].len);
		CU_ASSERT_EQUAL(memcmp(p, item[i].bytes, item[i].len), 0);
		free(p);
	}
}

static void
length_is_told_before_and_where_the_identifier_stands(void)
{
	uint8_t buf[64];
	size_t at = 0;

	for (enum mqtt_version v = MQTT_3_1; v <= MQTT_5; v++) {
		CU_ASSERT_EQUAL(publish_len(&full, v), publish_encode(&full, v, buf, sizeof(buf)));
		CU_ASSERT_EQUAL(publish_encode_head(&full, v, buf, sizeof(buf), &at),
		    publish_len(&full, v) - full.payload.len);
		CU_ASSERT_EQUAL(buf[at] << 8 | buf[at + 1], full.id);
	}
}

UNIT_MAIN("shared/mqtt/encode", TEST(room_too_small_by_any_number_of_bytes_gives_0),
    TEST(subscription_identifier_above_the_maximum_can_not_be_sent),
    TEST(topic_above_its_maximum_can_not_be_sent),
    TEST(packet_above_the_maximum_can_not_be_sent_and_the_largest_can),
    TEST(properties_above_the_maximum_can_not_be_sent), TEST(each_packet_has_its_shortest_form),
    TEST(length_is_told_before_and_where_the_identifier_stands))
