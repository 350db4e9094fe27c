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
	/* MQTT 3.1 disregards will QoS and will retain without a will, and the reserved bit */
	{ "10 0f 0006 4d5149736470 03 1a 003c 0001 61", MQTT_3_1, MQTT_OK },
	{ "10 0f 0006 4d5149736470 03 22 003c 0001 61", MQTT_3_1, MQTT_OK },
	{ "10 0f 0006 4d5149736470 03 03 003c 0001 61", MQTT_3_1, MQTT_OK },
	{ "10 0d 0004 4d515454 04 1a 003c 0001 61", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 0d 0004 4d515454 04 0a 003c 0001 61", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 0d 0004 4d515454 04 22 003c 0001 61", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 0d 0004 4d515454 04 03 003c 0001 61", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 15 0006 4d5149736470 03 1e 003c 0001 61 0001 74 0001 78", MQTT_3_1, MQTT_MALFORMED },
	{ "10 13 0004 4d515454 04 1e 003c 0001 61 0001 74 0001 78", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 13 0004 4d515454 04 36 003c 0001 61 0001 74 0001 78", MQTT_3_1_1, MQTT_OK },
	{ "10 13 0004 4d515454 04 36 003c 0001 61 0001 2b 0001 78", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 12 0004 4d515454 04 36 003c 0001 61 0000 0001 78", MQTT_3_1_1, MQTT_MALFORMED },
	/* will properties are checked as such, its payload as it says */
	{ "10 1a 0004 4d515454 05 06 003c 00 0001 61 05 1800000001 0001 74 0001 78", MQTT_5,
	    MQTT_OK },
	{ "10 18 0004 4d515454 05 06 003c 00 0001 61 03 230001 0001 74 0001 78", MQTT_5,
	    MQTT_MALFORMED },
	{ "10 17 0004 4d515454 05 06 003c 00 0001 61 02 0101 0001 74 0001 78", MQTT_5, MQTT_OK },
	{ "10 17 0004 4d515454 05 06 003c 00 0001 61 02 0101 0001 74 0001 ff", MQTT_5,
	    MQTT_PAYLOAD_FORMAT_INVALID },
	{ "10 17 0004 4d515454 05 06 003c 00 0001 61 02 0100 0001 74 0001 ff", MQTT_5, MQTT_OK },
	/* user name and password: missing ones; MQTT 3.1 goes by the remaining length */
	{ "10 13 0004 4d515454 04 c2 003c 0001 61 0001 75 0001 70", MQTT_3_1_1, MQTT_OK },
	{ "10 10 0004 4d515454 04 c2 003c 0001 61 0001 75", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 10 0004 4d515454 04 82 003c 0001 61 0001 ff", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 13 0004 4d515454 04 c2 003c 0001 61 0001 75 0001 ff", MQTT_3_1_1, MQTT_OK },
	{ "10 15 0006 4d5149736470 03 c2 003c 0001 61 0001 75 0001 70", MQTT_3_1, MQTT_OK },
	{ "10 12 0006 4d5149736470 03 c2 003c 0001 61 0001 75", MQTT_3_1, MQTT_OK },
	{ "10 0f 0006 4d5149736470 03 c2 003c 0001 61", MQTT_3_1, MQTT_OK },
	{ "10 10 0006 4d5149736470 03 c2 003c 0001 61 00", MQTT_3_1, MQTT_MALFORMED },
	{ "10 0f 0006 4d5149736470 03 42 003c 0001 61", MQTT_3_1, MQTT_MALFORMED },
	/* names and levels that don't belong together */
	{ "10 0d 0004 4d515454 03 02 003c 0001 61", MQTT_3_1_1, MQTT_UNSUPPORTED_PROTOCOL_VERSION },
	{ "10 0d 0004 4d515454 84 02 003c 0001 61", MQTT_3_1_1, MQTT_UNSUPPORTED_PROTOCOL_VERSION },
	{ "10 0f 0006 4d5149736470 04 02 003c 0001 61", MQTT_3_1,
	    MQTT_UNSUPPORTED_PROTOCOL_VERSION },
	{ "10 0d 0004 6d717474 04 02 003c 0001 61", MQTT_3_1_1, MQTT_UNSUPPORTED_PROTOCOL_VERSION },
	{ "10 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 06 0004 4d515454", MQTT_3_1_1, MQTT_MALFORMED },
	{ "10 07 0004 4d515454 05", MQTT_5, MQTT_MALFORMED },
	{ "10 0a 0004 4d515454 05 02 003c", MQTT_5, MQTT_MALFORMED },
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
	{ "30 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "30 03 0001 23", MQTT_3_1_1, MQTT_MALFORMED },
	{ "32 04 0001 74 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "32 05 0001 74 0000", MQTT_3_1_1, MQTT_MALFORMED },
	{ "32 05 0001 74 0000", MQTT_3_1, MQTT_MALFORMED },
	{ "3d 05 0001 74 ffff", MQTT_3_1_1, MQTT_OK },
	{ "38 03 0001 74", MQTT_3_1_1, MQTT_MALFORMED },
	{ "36 05 0001 74 0001", MQTT_3_1, MQTT_MALFORMED },
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
	{ "40 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "40 01 00", MQTT_5, MQTT_MALFORMED },
	{ "40 02 0000", MQTT_3_1_1, MQTT_MALFORMED },
	{ "40 05 0001 00 00 00", MQTT_5, MQTT_MALFORMED },
	{ "40 08 0001 00 04 1f000179", MQTT_5, MQTT_OK },
	{ "40 03 0001 04", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "48 02 0001", MQTT_3_1, MQTT_OK },
	{ "48 02 0001", MQTT_3_1_1, MQTT_MALFORMED },
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
	/* No local on $share/g/t, also behind another filter; without a filter of its own it shares nothing. */
	{ "82 10 0001 00 000a 2473686172652f672f74 04", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 14 0001 00 0001 74 00 000a 2473686172652f672f74 05", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 10 0001 00 000a 2473686172652f672f74 01", MQTT_5, MQTT_OK },
	{ "82 0e 0001 00 0008 2473686172652f67 04", MQTT_5, MQTT_OK },
	{ "82 06 0001 0001 74 04", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 09 0001 02 0b00 0001 74 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "a2 06 0001 00 0001 74", MQTT_5, MQTT_OK },
	{ "a2 03 0001 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 01 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 02 0001", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 06 0000 0001 74 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 05 0001 0001 74", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 05 0001 0000 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 06 0001 00 0000 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "82 06 0001 0001 74 02", MQTT_3_1_1, MQTT_OK },
	{ "82 06 0001 0001 74 03", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 06 0001 0001 74 03", MQTT_3_1, MQTT_MALFORMED },
	{ "82 06 0001 0001 74 fd", MQTT_3_1, MQTT_OK },
	{ "8a 06 0001 0001 74 00", MQTT_3_1, MQTT_OK },
	{ "80 06 0001 0001 74 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 06 0001 0001 ff 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "82 09 0001 02 0101 0001 74 00", MQTT_5, MQTT_MALFORMED },
	{ "a2 02 0001", MQTT_3_1_1, MQTT_MALFORMED },
	{ "a2 04 0001 0000", MQTT_3_1_1, MQTT_MALFORMED },
	{ "a2 05 0001 00 0000", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "a2 04 0001 0001", MQTT_3_1_1, MQTT_MALFORMED },
	{ "a2 08 0001 02 0b01 0001 74", MQTT_5, MQTT_MALFORMED },
	{ "a2 00", MQTT_5, MQTT_MALFORMED },
	/* DISCONNECT, AUTH, header */
	{ "e0 00", MQTT_5, MQTT_OK },
	{ "e0 01 04", MQTT_5, MQTT_OK },
	{ "e0 01 8b", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "e0 07 00 05 1100000001", MQTT_5, MQTT_OK },
	{ "e0 01 00", MQTT_3_1_1, MQTT_MALFORMED },
	{ "e0 03 00 00 00", MQTT_5, MQTT_MALFORMED },
	{ "e0 02 00 01", MQTT_5, MQTT_MALFORMED },
	{ "e0 06 00 04 1c000161", MQTT_5, MQTT_MALFORMED },
	{ "e0 01 01", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "e0 00", MQTT_3_1_1, MQTT_OK },
	{ "f0 02 18 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "f0 00", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "f0 01 18", MQTT_5, MQTT_MALFORMED },
	{ "f0 06 01 04 15000161", MQTT_5, MQTT_PROTOCOL_ERROR },
	{ "f0 07 18 04 15000161 00", MQTT_5, MQTT_MALFORMED },
	{ "f0 06 18 04 21000161", MQTT_5, MQTT_MALFORMED },
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

/* Tables of 3.4 to 3.7, 3.14 and 3.15: what each side may say. */
static void
only_reasons_of_the_packet_pass(void)
{
	static const uint8_t puback[] = { 0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99 };
	static const uint8_t pubrel[] = { 0x00, 0x92 };
	static const uint8_t by_client[] = { 0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94,
		0x95, 0x96, 0x97, 0x98, 0x99, 0x9b };
	static const uint8_t by_server[] = { 0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d,
		0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
		0x9e, 0x9f, 0xa0, 0xa1, 0xa2 };
	static const uint8_t auth[] = { 0x00, 0x18, 0x19 };
	struct disconnect d;
	struct ack a;

	for (unsigned code = 0; code < 256; code++) {
		uint8_t ack[] = { 0, 1, (uint8_t)code };
		uint8_t with_method[] = { (uint8_t)code, 4, 0x15, 0, 1, 'm' };
		uint8_t bye = (uint8_t)code;

#define IN(list) (memchr(list, (int)code, sizeof(list)) != NULL ? MQTT_OK : MQTT_PROTOCOL_ERROR)
		for (unsigned type = PKT_PUBACK; type <= PKT_PUBCOMP; type++)
			CU_ASSERT_EQUAL(ack_decode(span_of(ack, 3), type, MQTT_5, &a, NULL),
			    type == PKT_PUBACK || type == PKT_PUBREC ? IN(puback) : IN(pubrel));
		CU_ASSERT_EQUAL(
		    disconnect_decode(span_of(&bye, 1), MQTT_5, IN_DISCONNECT_C, &d, NULL),
		    IN(by_client));
		CU_ASSERT_EQUAL(
		    disconnect_decode(span_of(&bye, 1), MQTT_5, IN_DISCONNECT_S, &d, NULL),
		    IN(by_server));
		CU_ASSERT_EQUAL(auth_decode(span_of(with_method, 6), &d, NULL), IN(auth));
#undef IN
	}
}

static void
version_of_a_refused_connect_tells_how_to_answer(void)
{
	static const struct {
		const char *hex;
		enum mqtt_version v;
	} refused[] = {
		{ "0004 4d515454 06 02 003c 0001 61", MQTT_5 },
		{ "0004 4d515454 03 02 003c 0001 61", MQTT_3_1_1 },
		{ "0004 6d717474 06 02 003c 0001 61", MQTT_3_1_1 },
		{ "0004 4d515454 05 03 003c 00 0001 61", MQTT_5 },
		{ "0004 4d515454 04 03 003c 0001 61", MQTT_3_1_1 },
		{ "0006 4d5149736470 03 06 003c 0001 61", MQTT_3_1 },
		{ "0004 4d51", 0 },
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		enum mqtt_version v = 77;
		const char *why = NULL;
		struct connect c;
		uint8_t *p;

		CU_ASSERT_NOT_EQUAL(
		    connect_decode(exact(refused[i].hex, &p), &c, &v, &why), MQTT_OK);
		CU_ASSERT_EQUAL(v, refused[i].v);
		CU_ASSERT_PTR_NOT_NULL(why);
		free(p);
	}
}

static void
will_flags_without_a_will_leave_none_behind(void)
{
	struct connect c;
	uint8_t *p;

	CU_ASSERT_EQUAL(
	    connect_decode(exact("0006 4d5149736470 03 3a 003c 0001 61", &p), &c, NULL, NULL),
	    MQTT_OK);
	CU_ASSERT_TRUE(!c.has_will && c.will.qos == 0 && !c.will.retain);
	free(p);
}

static void
header_flags_are_those_of_the_type_and_version(void)
{
	static const uint8_t fixed[] = { 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0 };

	for (unsigned first = 0; first < 256; first++) {
		uint8_t bytes[] = { (uint8_t)first, 0 }, flags = first & 15;
		unsigned type = first >> 4;
		bool exact_flags = type == PKT_PUBLISH || flags == fixed[type];
		struct packet pk;

		CU_ASSERT_EQUAL(
		    packet_peek(span_of(bytes, 2), MQTT_5, &pk), type != 0 && exact_flags ? 1 : -1);
		CU_ASSERT_EQUAL(packet_peek(span_of(bytes, 2), MQTT_3_1_1, &pk),
		    type != 0 && type != PKT_AUTH && exact_flags ? 1 : -1);
		CU_ASSERT_EQUAL(packet_peek(span_of(bytes, 2), MQTT_3_1, &pk),
		    type != 0 && type != PKT_AUTH &&
			    (exact_flags || fixed[type] == 0 || flags == (fixed[type] | 8))
			? 1
			: -1);
	}
}

static void
filters_are_walked_with_their_options(void)
{
	static const uint8_t body[] = { 0, 1, 0, 0, 1, 'a', 0x2d, 0, 2, 'b', '+', 0x01 };
	struct subscribe s;
	struct filter f;

	CU_ASSERT_EQUAL(subscribe_decode(span_of(body, sizeof(body)), MQTT_5, &s, NULL), MQTT_OK);
	CU_ASSERT_EQUAL(s.count, 2);
	CU_ASSERT_TRUE(subscribe_next(&s.rest, MQTT_5, &f));
	CU_ASSERT_TRUE(span_eq(f.filter, span_str("a")) && f.qos == 1 && f.no_local &&
	    f.retain_as_published && f.retain_handling == 2);
	CU_ASSERT_TRUE(subscribe_next(&s.rest, MQTT_5, &f));
	CU_ASSERT_TRUE(span_eq(f.filter, span_str("b+")) && f.qos == 1 && !f.no_local &&
	    !f.retain_as_published && f.retain_handling == 0);
	CU_ASSERT_FALSE(subscribe_next(&s.rest, MQTT_5, &f));

	/* 3.1 disregards the upper bits: no option of MQTT 5 comes of them. */
	CU_ASSERT_EQUAL(subscribe_decode(span_of("\0\1\0\1a\x2d", 6), MQTT_3_1, &s, NULL), MQTT_OK);
	CU_ASSERT_TRUE(subscribe_next(&s.rest, MQTT_3_1, &f));
	CU_ASSERT_TRUE(
	    f.qos == 1 && !f.no_local && !f.retain_as_published && f.retain_handling == 0);

	CU_ASSERT_EQUAL(
	    unsubscribe_decode(span_of("\0\1\0\1a\0\1b", 8), MQTT_3_1_1, &s, NULL), MQTT_OK);
	CU_ASSERT_EQUAL(s.count, 2);
	CU_ASSERT_TRUE(unsubscribe_next(&s.rest, &f.filter));
	CU_ASSERT_TRUE(unsubscribe_next(&s.rest, &f.filter));
	CU_ASSERT_TRUE(span_eq(f.filter, span_str("b")));
	CU_ASSERT_FALSE(unsubscribe_next(&s.rest, &f.filter));
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
	CU_ASSERT_EQUAL(packet_peek(span_of(NULL, 0), MQTT_5, &pk), 0);
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
    TEST(truncated_bodies_are_never_read_beyond), TEST(only_reasons_of_the_packet_pass),
    TEST(version_of_a_refused_connect_tells_how_to_answer),
    TEST(will_flags_without_a_will_leave_none_behind),
    TEST(header_flags_are_those_of_the_type_and_version),
    TEST(filters_are_walked_with_their_options),
    TEST(lengths_have_at_most_four_bytes_in_their_shortest_form),
    TEST(published_again_it_is_the_same))
