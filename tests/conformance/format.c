/* Chapters 1 and 2: strings, integers, headers, identifiers. */
#include "tests/conformance/check.h"

/* A text where a client has one: topic, filter, client id, will topic, user name. */
static void
offends_as_text(struct span text)
{
	struct span known = wire_bytes(version, "s", id("x"));

	offends(wire_make(version, PUBLISH << 4, "bp", text, NO_PROPS), MALFORMED);
	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2pb1", 1, NO_PROPS, text, 0), MALFORMED);
	offends(wire_make(version, UNSUBSCRIBE << 4 | 2, "2pb", 1, NO_PROPS, text), MALFORMED);
	refuses(make_connect(2, wire_bytes(version, "b", text)), MALFORMED, 0x85);
	refuses(make_connect(6, wire_bytes(version, "rpbs", known, NO_PROPS, text, "")), MALFORMED);
	refuses(make_connect(130, wire_bytes(version, "rb", known, text)), MALFORMED, 0x86);
}

CHECK("5:1.5.4-1 4:1.5.3-1", "tolerant")
{
	static const char *const bad[] = { "80", "61c3", "c080", "e08080", "e28228", "eda080",
		"edbfbf", "f4908080", "f888808080", "ff" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		offends_as_text(wire_bytes(version, "x", bad[i]));
}

CHECK("5:1.5.4-2 4:1.5.3-2", "tolerant")
{
	offends_as_text(wire_bytes(version, "x", "00"));
	offends_as_text(wire_bytes(version, "x", "610062"));
}

CHECK("5:1.5.4-3 4:1.5.3-3", "strip-bom")
{
	struct wire *sub = join(.id = id("sub")), *pub = join(.id = id("pub"));
	const char *first = T("\xef\xbb\xbf/x"), *inner = T("x\xef\xbb\xbfy");

	subscribe(sub, first, 0);
	subscribe(sub, inner, 0);
	subscribe(sub, T("/x"), 0);
	subscribe(sub, T("xy"), 0);
	publish(pub, .topic = first, .text = "\xef\xbb\xbf");
	gets(sub, first, "\xef\xbb\xbf");
	publish(pub, .topic = inner, .text = "1");
	gets(sub, inner, "1");
	gets_no_more(sub, pub, 0);
}

CHECK("5:1.5.5-1", "tolerant")
{
	const char *topic = T("a");

	offends(wire_bytes(5, "x", "c08000"), MALFORMED);
	offends(wire_bytes(5, "x", "c0808000"), MALFORMED);
	offends(wire_make(5, PUBLISH << 4, "sxr", topic, "8000", span_str("a")), MALFORMED);
	offends(wire_make(5, SUBSCRIBE << 4 | 2, "2xs1", 1, "82000b01", topic, 0), MALFORMED);
	offends(wire_bytes(5, "x", "30ffffffff01"), MALFORMED);
}

CHECK("5:1.5.7-1", "tolerant")
{
	struct span bad = wire_bytes(5, "x", "c0af"), null = wire_bytes(5, "x", "00"), props[4];

	props[0] = wire_props("1bs", USER_PROPERTY, bad, "v");
	props[1] = wire_props("1sb", USER_PROPERTY, "n", bad);
	props[2] = wire_props("1bs", USER_PROPERTY, null, "v");
	props[3] = wire_props("1sb", USER_PROPERTY, "n", null);
	for (size_t i = 0; i < 4; i++) {
		offends(wire_make(5, PUBLISH << 4, "sp", T("a"), props[i]), 0x81);
		offends(make_subscribe(1, props[i], T("a"), 0), 0x81);
		refuses(wire_make_connect(
			    5, &(struct wire_connect){ .id = id("x"), .props = props[i] }),
		    0x81);
	}
}

CHECK("5:2.1.3-1 4:2.2.2-1 4:2.2.2-2", "tolerant")
{
	refuses(wire_make(
		    version, CONNECT << 4 | 1, "s112ps", "MQTT", version, 2, 0, NO_PROPS, id("x")),
	    MALFORMED);
	offends(wire_make(version, PUBACK << 4 | 2, "2", 1), MALFORMED);
	offends(wire_make(version, PUBREC << 4 | 1, "2", 1), MALFORMED);
	offends(wire_make(version, PUBREL << 4, "2", 1), MALFORMED);
	offends(wire_make(version, PUBCOMP << 4 | 8, "2", 1), MALFORMED);
	offends(wire_make(version, SUBSCRIBE << 4, "2ps1", 1, NO_PROPS, T("a"), 0), MALFORMED);
	offends(wire_make(version, UNSUBSCRIBE << 4, "2ps", 1, NO_PROPS, T("a")), MALFORMED);
	offends(wire_make(version, PINGREQ << 4 | 1, ""), MALFORMED);
	offends(wire_make(version, DISCONNECT << 4 | 1, ""), MALFORMED);
}

CHECK("5:2.2.1-2 4:2.3.1-5", "qos0-id")
{
	struct wire *sub = join(.id = id("sub")), *pub = join(.id = id("pub"));
	const char *topic = T("a");

	subscribe(sub, topic, 0);
	publish(pub, .topic = topic, .text = "ab");
	gets(sub, topic, "ab");
	publish(pub, .topic = topic, .text = "cd", .qos = 1);
	gets(sub, topic, "cd");
}

CHECK("5:2.2.1-3 4:2.3.1-1", "tolerant")
{
	offends(make_subscribe(0, NO_PROPS, T("a"), 0), MALFORMED);
	offends(make_unsubscribe(0, T("a")), MALFORMED);
	offends(make_message(0, &(struct wire_message){ .topic = T("a"), .qos = 1 }), MALFORMED);
	offends(make_message(0, &(struct wire_message){ .topic = T("a"), .qos = 2 }), MALFORMED);
}

CHECK("5:2.2.1-4 4:2.3.1-4", "same-id")
{
	struct wire *sub = join(.id = id("sub")), *pub = join(.id = id("pub"));
	const char *topic = T("a");
	uint16_t seen[20];

	subscribe(sub, topic, 2);
	for (size_t i = 0; i < 20; i++) {
		publish(pub, .topic = topic, .text = "a", .qos = 1 + i % 2);
		seen[i] = arrives(sub, topic, "a").id; /* 0 would have been no packet */
		for (size_t k = 0; k < i; k++)
			demand(seen[k] != seen[i], "identifier %u is in use twice", seen[i]);
	}
}

CHECK("5:2.2.1-5 4:2.3.1-6", "ack-id")
{
	static const uint16_t ids[] = { 1, 255, 256, 65535 };
	struct wire *w = join(.id = id("w"));
	const char *topic = T("a");

	for (size_t i = 0; i < 4; i++)
		for (unsigned qos = 1; qos <= 2; qos++)
			publish(w, .topic = topic, .id = ids[i], .qos = qos);
	subscribe(w, topic, 2);
	publish(join(.id = id("pub")), .topic = topic, .text = "a", .qos = 2);
	gets(w, topic, "a"); /* with the PUBREL of its identifier */
}

CHECK("5:2.2.1-6 4:2.3.1-7", "suback-id")
{
	static const uint16_t ids[] = { 1, 255, 256, 65535 };
	struct wire *w = join(.id = id("w"));

	for (size_t i = 0; i < 4; i++) {
		uint16_t came;

		wire_send(w, make_subscribe(ids[i], NO_PROPS, T("a"), 0));
		came = need(w, SUBACK).id;
		demand(came == ids[i], "SUBACK has %u instead of %u", came, ids[i]);
		wire_send(w, make_unsubscribe(ids[i], T("a")));
		came = need(w, UNSUBACK).id;
		demand(came == ids[i], "UNSUBACK has %u instead of %u", came, ids[i]);
	}
}

CHECK("5:2.2.2-1", "tolerant no-props-length")
{
	struct wire *sub = join(.id = id("sub")), *pub = join(.id = id("pub"));
	struct wire_packet k;

	subscribe(sub, T("a"), 0);
	publish(pub, .topic = T("a"), .text = "\xff");
	k = gets(sub, T("a"), "\xff");
	demand(k.raw.len == 2 + 2 + k.topic.len + 1 + 1, "%s has more than it needs",
	    wire_describe(&k));
	/* Without it, what is behind is taken for properties, and can't be. */
	refuses(wire_make(5, CONNECT << 4, "s112s", "MQTT", 5, 2, 0, id("x")), MALFORMED);
	offends(wire_make(5, SUBSCRIBE << 4 | 2, "2s1", 1, T("a"), 0), MALFORMED);
	offends(wire_make(5, UNSUBSCRIBE << 4 | 2, "2s", 1, T("a")), MALFORMED);
	offends(wire_make(5, PUBLISH << 4, "s", T("a")), MALFORMED);
}

CHECK("5:4.2-1 4:7.1.1-1", "lossy")
{
	struct wire *w = dial(), *sub = join(.id = id("sub"));
	const char *topic = T("a");
	struct span all = wire_bytes(version, "");

	/* One byte after the other, then many packets at once. */
	wire_send_pieces(w, wire_make_connect(version, &(struct wire_connect){ .id = id("w") }), 1);
	demand(need(w, CONNACK).reason == 0, "refused");
	subscribe(sub, topic, 0);
	wire_send_pieces(
	    w, make_message(0, &(struct wire_message){ .topic = topic, .text = "0" }), 1);
	for (unsigned i = 1; i < 10; i++) {
		char digit[] = { (char)('0' + i), '\0' };

		all = wire_bytes(version, "rr", all,
		    make_message(0, &(struct wire_message){ .topic = topic, .text = digit }));
	}
	wire_send(w, all);
	for (unsigned i = 0; i < 10; i++)
		gets(sub, topic, (char[]){ (char)('0' + i), '\0' });
}
