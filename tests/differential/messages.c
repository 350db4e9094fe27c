/* What becomes of a message, and of the packets that carry and acknowledge it. */
#include "tests/differential/script.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

SCRIPTS("publish/nobody", ALL, 3)
{
	publish(join("a"), .topic = "t", .text = "1", .qos = variant);
}

SCRIPTS("publish/empty", ALL, 3)
{
	struct peer *a = join("a");

	subscribe(a, "t", 2);
	publish(a, .topic = "t", .text = "", .qos = variant);
}

SCRIPT("publish/large", ALL)
{
	static char large[100001];
	struct peer *a = join("a");

	memset(large, 'x', sizeof(large) - 1);
	subscribe(a, "t", 1);
	publish(a, .topic = "t", .text = large, .qos = 1);
}

SCRIPT("publish/binary", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "t", 1);
	publish(a, .topic = "t", .payload = wire_bytes(5, "x", "00ff0a80c0"), .qos = 1);
}

SCRIPTS("publish/bad-topic", ALL, 4)
{
	static const char *const topic[] = { "a/+", "a/#", "#", "a+b" };

	publish(join("a"), .topic = topic[variant], .text = "1", .qos = 1);
}

SCRIPT("publish/empty-topic", ALL)
{
	publish(join("a"), .topic = "", .text = "1");
}

SCRIPTS("publish/topic-not-utf-8", ALL, 4)
{
	static const char *const topic[] = { "610062", "61eda080", "61c0af", "61ff" };

	send_bytes(join("a"),
	    wire_make(pair.version, PUBLISH << 4, "bpr", wire_bytes(5, "x", topic[variant]),
		NO_PROPS, span_str("1")));
}

SCRIPT("publish/topic-utf-8", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "t/+", 1);
	publish(a, .topic = "t/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", .text = "1", .qos = 1);
}

SCRIPT("publish/dollar", ALL)
{
	publish(join("a"), .topic = "$none/of/these", .text = "1", .qos = 1);
}

SCRIPT("publish/qos-3", ALL)
{
	send_bytes(
	    join("a"), wire_make(pair.version, PUBLISH << 4 | 6, "s2p", own("t"), 1, NO_PROPS));
}

SCRIPT("publish/qos-0-with-dup", ALL)
{
	publish(join("a"), .topic = "t", .text = "1", .dup = true);
}

SCRIPTS("publish/identifier-0", ALL, 2)
{
	send_bytes(join("a"),
	    wire_make(
		pair.version, PUBLISH << 4 | (variant + 1) << 1, "s2p", own("t"), 0, NO_PROPS));
}

SCRIPT("publish/identifiers-of-any-value", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "t", 1);
	publish(a, .topic = "t", .text = "1", .qos = 1, .id = 65535);
	publish(a, .topic = "t", .text = "2", .qos = 2, .id = 65535);
	publish(a, .topic = "t", .text = "3", .qos = 1, .id = 1);
	publish(a, .topic = "t", .text = "4", .qos = 2, .id = 256);
}

SCRIPT("publish/many-at-once", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t/+", 2);
	together();
	for (unsigned i = 0; i < 60; i++)
		publish(
		    b, .topic = text_of("t/%u", i % 4), .text = text_of("%u", i), .qos = i % 4 % 3);
	as_one();
}

SCRIPT("publish/to-many", ALL)
{
	struct peer *b = join("b");

	for (unsigned i = 0; i < 10; i++)
		subscribe(join(text_of("s%u", i)), "t", i % 3);
	for (unsigned qos = 0; qos < 3; qos++)
		publish(b, .topic = "t", .text = text_of("%u", qos), .qos = qos);
}

SCRIPT("publish/across-versions", ALL)
{
	int version = pair.version;
	struct peer *b = join("b");

	for (pair.version = 3; pair.version <= 5; pair.version++)
		subscribe(join(text_of("s%d", pair.version)), "t", 2);
	pair.version = version;
	publish(b, .topic = "t", .text = "1", .qos = 0);
	publish(b, .topic = "t", .text = "2", .qos = 2);
	publish(b, .topic = "t", .text = "3", .qos = 1, .retain = true);
}

SCRIPT("qos-1/dup-of-a-publisher-is-not-passed-on", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1);
	publish(b, .topic = "t", .text = "1", .qos = 1, .id = 5);
	publish(b, .topic = "t", .text = "1", .qos = 1, .id = 5, .dup = true);
}

SCRIPT("qos-1/acknowledged-late", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1);
	hold(a);
	for (unsigned i = 0; i < 3; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = 1);
	answer(a, PUBACK, "1", 0, 0);
	answer(a, PUBACK, "0", 0, 0);
	answer(a, PUBACK, "2", 0, 0);
	release(a);
	publish(b, .topic = "t", .text = "3", .qos = 1);
}

SCRIPTS("ack/unknown-identifier", ALL, 4)
{
	static const enum wire_type type[] = { PUBACK, PUBREC, PUBREL, PUBCOMP };

	answer(join("a"), type[variant], NULL, 777, 0);
}

SCRIPTS("ack/wrong-kind", ALL, 4)
{
	static const enum wire_type type[] = { PUBREC, PUBCOMP, PUBACK, PUBCOMP };
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 1 + variant / 2);
	answer(a, type[variant], "1", 0, 0);
}

SCRIPTS("ack/identifier-0", ALL, 4)
{
	static const enum wire_type type[] = { PUBACK, PUBREC, PUBREL, PUBCOMP };

	answer(join("a"), type[variant], NULL, 0, 0);
}

SCRIPTS("ack/flags", ALL, 4)
{
	static const unsigned first[] = { 0x41, 0x52, 0x60, 0x71 };

	send_bytes(join("a"), wire_make(pair.version, first[variant], "2", 1));
}

SCRIPTS("ack/bad-reason", V5, 4)
{
	static const enum wire_type type[] = { PUBACK, PUBREC, PUBREL, PUBCOMP };

	answer(join("a"), type[variant], NULL, 1, 0x55);
}

SCRIPT("ack/properties", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	send_bytes(a,
	    wire_make(5, PUBACK << 4, "21p", 1, 0,
		wire_props("1s 1ss", REASON_STRING, "fine", USER_PROPERTY, "a", "b")));
	publish(b, .topic = "t", .text = "2", .qos = 1);
}

SCRIPT("qos-2/steps", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	hold_releases(b);
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	answer(b, PUBREL, NULL, 9, 0);
	answer(a, PUBREC, "1", 0, 0);
	answer(a, PUBCOMP, "1", 0, 0);
}

SCRIPT("qos-2/repeated-before-release", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	together();
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9, .dup = true);
	answer(b, PUBREL, NULL, 9, 0);
	as_one();
}

SCRIPT("qos-2/repeated-after-release", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	together();
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	answer(b, PUBREL, NULL, 9, 0);
	publish(b, .topic = "t", .text = "2", .qos = 2, .id = 9);
	answer(b, PUBREL, NULL, 9, 0);
	as_one();
}

SCRIPT("qos-2/released-twice", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	together();
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	answer(b, PUBREL, NULL, 9, 0);
	answer(b, PUBREL, NULL, 9, 0);
	as_one();
}

SCRIPT("qos-2/received-twice", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	answer(a, PUBREC, "1", 0, 0);
	answer(a, PUBREC, "1", 0, 0);
	answer(a, PUBCOMP, "1", 0, 0);
}

SCRIPT("qos-2/completed-before-received", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	answer(a, PUBCOMP, "1", 0, 0);
}

SCRIPT("qos-2/released-in-another-order", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 1);
	publish(b, .topic = "t", .text = "2", .qos = 2, .id = 2);
	answer(b, PUBREL, NULL, 2, 0);
	answer(b, PUBREL, NULL, 1, 0);
}

SCRIPT("qos-2/lost-before-release", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	lose(b);
	b = join("b");
	hold_releases(b);
	answer(b, PUBREL, NULL, 9, 0);
}

SCRIPT("qos-2/same-identifier-with-qos-1", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold_releases(b);
	together();
	publish(b, .topic = "t", .text = "1", .qos = 2, .id = 9);
	publish(b, .topic = "t", .text = "2", .qos = 1, .id = 9);
	answer(b, PUBREL, NULL, 9, 0);
	as_one();
}

SCRIPTS("properties/forwarded", V5, 6)
{
	struct span props[] = {
		wire_props("11", PAYLOAD_FORMAT, 1),
		wire_props("1s", CONTENT_TYPE, "text/plain"),
		wire_props("1s", RESPONSE_TOPIC, "answer"),
		wire_props("1b", CORRELATION_DATA, wire_bytes(5, "x", "00ff80")),
		wire_props("14", MESSAGE_EXPIRY, 1000),
		wire_props("1ss 1ss 1ss", USER_PROPERTY, "b", "1", USER_PROPERTY, "a", "",
		    USER_PROPERTY, "b", "1"),
	};
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1);
	publish(b, .topic = "t", .text = "1", .qos = 1, .props = props[variant]);
	pair.version = 4;
	subscribe(join("old"), "t", 1);
	publish(b, .topic = "t", .text = "2", .qos = 0, .props = props[variant]);
}

SCRIPT("properties/all-in-a-queue", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1,
	    .props = wire_props("11 1s 1s 1s 1ss 1ss", PAYLOAD_FORMAT, 1, CONTENT_TYPE, "text",
		RESPONSE_TOPIC, "answer", CORRELATION_DATA, "c", USER_PROPERTY, "a", "1",
		USER_PROPERTY, "a", "2"));
	session("a");
}

SCRIPTS("properties/bad", V5, 8)
{
	struct span props[] = {
		wire_props("11", PAYLOAD_FORMAT, 2),
		wire_props("11 11", PAYLOAD_FORMAT, 1, PAYLOAD_FORMAT, 1),
		wire_props("1s", RESPONSE_TOPIC, "a/#"),
		wire_props("14", SESSION_EXPIRY, 1),
		wire_props("12", TOPIC_ALIAS, 0),
		wire_props("1", 0x7f),
		wire_props("1s 1s", CONTENT_TYPE, "a", CONTENT_TYPE, "b"),
		wire_props("14 14", MESSAGE_EXPIRY, 1, MESSAGE_EXPIRY, 1),
	};

	publish(join("a"), .topic = "t", .text = "1", .qos = 1, .props = props[variant]);
}

SCRIPT("properties/payload-is-not-utf-8", V5)
{
	struct peer *a = join("a");

	subscribe(a, "t", 1);
	publish(a, .topic = "t", .payload = wire_bytes(5, "x", "ff00"), .qos = 1,
	    .props = wire_props("11", PAYLOAD_FORMAT, 1));
}

SCRIPT("expiry/in-a-queue", V5)
{
	struct peer *a = session("a", .will_topic = "gone", .will_payload = span_str("x")),
		    *b = join("b");

	subscribe(a, "t/#", 1);
	subscribe(b, "gone", 0);
	/* When its will has come nothing can be sent to it any more, and what has not been sent can expire. */
	leave_with(a, 4, NO_PROPS);
	publish(b, .topic = "t/2", .text = "2", .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 104));
	publish(b, .topic = "t/3", .text = "3", .qos = 1);
	pass_time(3500);
	session("a");
}

SCRIPT("expiry/0", V5)
{
	struct peer *a = join("a");

	subscribe(a, "t", 1);
	publish(
	    a, .topic = "t", .text = "1", .qos = 1, .props = wire_props("14", MESSAGE_EXPIRY, 0));
}

SCRIPT("expiry/of-a-message-under-way", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	hold(a);
	publish(
	    b, .topic = "t", .text = "1", .qos = 1, .props = wire_props("14", MESSAGE_EXPIRY, 1));
	pass_time(3500);
	lose(a);
	session("a");
}

SCRIPT("alias/used", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t/#", 2);
	for (unsigned qos = 0; qos < 3; qos++) {
		publish(b, .topic = "t/1", .text = text_of("a%u", qos), .qos = qos,
		    .props = wire_props("12", TOPIC_ALIAS, 1 + qos));
		publish(b, .topic = "", .text = text_of("b%u", qos), .qos = qos,
		    .props = wire_props("12", TOPIC_ALIAS, 1 + qos));
	}
}

SCRIPT("alias/given-another-topic", V5)
{
	struct peer *a = join("a"), *b = join("b");
	struct span alias = wire_props("12", TOPIC_ALIAS, 3);

	subscribe(a, "t/#", 1);
	publish(b, .topic = "t/1", .text = "1", .qos = 1, .props = alias);
	publish(b, .topic = "t/2", .text = "2", .qos = 1, .props = alias);
	publish(b, .topic = "", .text = "3", .qos = 1, .props = alias);
}

SCRIPT("alias/unknown", V5)
{
	publish(join("a"), .topic = "", .text = "1", .props = wire_props("12", TOPIC_ALIAS, 2));
}

SCRIPT("alias/too-large", V5)
{
	publish(
	    join("a"), .topic = "t", .text = "1", .props = wire_props("12", TOPIC_ALIAS, 60000));
}

SCRIPT("alias/ends-with-the-connection", V5)
{
	struct peer *a = session("a");

	publish(a, .topic = "t", .text = "1", .props = wire_props("12", TOPIC_ALIAS, 1));
	leave(a);
	publish(session("a"), .topic = "", .text = "2", .props = wire_props("12", TOPIC_ALIAS, 1));
}

SCRIPT("alias/towards-a-client", V5)
{
	struct peer *a = join("a", .props = wire_props("12", ALIAS_MAX, 10)), *b = join("b");

	subscribe(a, "t", 1);
	for (unsigned i = 0; i < 3; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = 1);
}

SCRIPTS("receive-maximum/window", V5, 4)
{
	unsigned qos = 1 + variant % 2;
	struct peer *a = join("a", .props = wire_props("12", RECEIVE_MAX, 1 + variant)),
		    *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	for (unsigned i = 0; i < 6; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = qos);
	publish(b, .topic = "t", .text = "without", .qos = 0);
	release(a);
	answer(a, qos == 1 ? PUBACK : PUBREC, "0", 0, 0);
}

SCRIPT("receive-maximum/in-a-session", V5)
{
	struct span two = wire_props("12 14", RECEIVE_MAX, 2, SESSION_EXPIRY, 600);
	struct peer *a = session("a", .props = two), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	for (unsigned i = 0; i < 5; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = 1);
	a = dial("a");
	hold(a);
	send_bytes(a,
	    wire_make_connect(
		5, &(struct wire_connect){ .id = own("a"), .resume = true, .props = two }));
	answer(a, PUBACK, "0", 0, 0);
	answer(a, PUBACK, "1", 0, 0);
}

SCRIPTS("maximum-packet/too-large-is-left-out", V5, 3)
{
	struct peer *a = join("a", .props = wire_props("14", MAX_PACKET, 100)), *b = join("b");

	subscribe(a, "t", 2);
	publish(b, .topic = "t", .text = "1", .qos = variant);
	publish(b, .topic = "t", .text = HUNDRED, .qos = variant);
	publish(b, .topic = "t", .text = "2", .qos = variant);
}

SCRIPT("maximum-packet/too-large-in-a-session", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	publish(b, .topic = "t", .text = HUNDRED, .qos = 1);
	publish(b, .topic = "t", .text = "2", .qos = 1);
	session("a", .props = wire_props("14 14", MAX_PACKET, 100, SESSION_EXPIRY, 600));
}

SCRIPT("maximum-packet/retained-too-large", V5)
{
	struct peer *b = join("b");

	publish(b, .topic = "t/1", .text = HUNDRED, .qos = 1, .retain = true);
	publish(b, .topic = "t/2", .text = "1", .qos = 1, .retain = true);
	subscribe(join("a", .props = wire_props("14", MAX_PACKET, 100)), "t/+", 1);
}

SCRIPT("request/response", V5)
{
	struct peer *asks = join("asks"), *knows = join("knows");

	subscribe(asks, "answer/asks", 1);
	subscribe(knows, "question", 1);
	publish(asks, .topic = "question", .text = "what?", .qos = 1,
	    .props =
		wire_props("1s 1s", RESPONSE_TOPIC, own("answer/asks"), CORRELATION_DATA, "7"));
	publish(knows, .topic = "answer/asks", .text = "that", .qos = 1,
	    .props = wire_props("1s", CORRELATION_DATA, "7"));
}

/* Behind something valid, so that it is at an open connection that has seen service. */
static const char *const malformed[] = {
	"00 00",               /* type 0 */
	"20 02 00 00",         /* CONNACK */
	"90 03 00 01 00",      /* SUBACK */
	"b0 02 00 01",         /* UNSUBACK */
	"d0 00",               /* PINGRESP */
	"c1 00",               /* PINGREQ with a flag */
	"c0 01 00",            /* PINGREQ with a body */
	"30 00",               /* PUBLISH of nothing */
	"30 02 00 05",         /* a topic that is too short */
	"32 03 00 01 61",      /* no identifier */
	"40 00",               /* PUBACK of nothing */
	"40 01 00",            /* half an identifier */
	"62 00",               /* PUBREL of nothing */
	"82 00",               /* SUBSCRIBE of nothing */
	"82 02 00 01",         /* no filter */
	"a2 02 00 01",         /* no filter */
	"30 ff ff ff ff 7f",   /* a length of five bytes */
	"f0 00",               /* AUTH */
	"e0 05 00 00 00 00 00" /* DISCONNECT with too much */
};
#define MALFORMED (sizeof(malformed) / sizeof(malformed[0]))

SCRIPTS("malformed/after-valid", ALL, MALFORMED)
{
	struct peer *a = join("a", .will_topic = "will", .will_payload = span_str("gone")),
		    *b = join("b");

	subscribe(b, "will", 1);
	subscribe(a, "t", 1);
	publish(a, .topic = "t", .text = "1", .qos = 1);
	send_bytes(a, wire_bytes(pair.version, "x", malformed[variant]));
}

SCRIPT("malformed/behind-a-message", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(b, "t", 1);
	send_bytes(a,
	    wire_bytes(pair.version, "rx",
		wire_make_publish(pair.version, 1,
		    &(struct wire_message){ .topic = own("t"), .text = "1", .qos = 1 }),
		"f0ffffffff"));
}

SCRIPT("ping/answered", ALL)
{
	struct peer *a = join("a");

	send_bytes(a, wire_bytes(pair.version, "x", "c000c000"));
}

SCRIPT("auth/unasked", V5)
{
	send_bytes(join("a"),
	    wire_make(5, AUTH << 4, "1p", 0x18, wire_props("1s", AUTH_METHOD, "none-of-the-kind")));
}
