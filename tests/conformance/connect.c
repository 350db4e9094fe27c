/* 3.1 CONNECT and 3.2 CONNACK; what has to do with wills is in will.c, with limits in limits.c. */
#include "tests/conformance/check.h"

#include <stdio.h>

CHECK("5:3.1.0-1 4:3.1.0-1", "tolerant")
{
	static const char *const first[] = { "c000", "30050001610061", "e000", "82060001000161 00",
		"40020001", "20020000" };

	for (size_t i = 0; i < 6; i++) {
		struct wire *w = dial();
		struct wire_end e;

		wire_send(w, wire_bytes(version, "x", first[i]));
		e = wire_read_end(w, patience_ms);
		demand(e.closed, "the connection stays open");
		demand(e.last == 0, "%s came for something that is no CONNECT",
		    wire_type_name[e.last]);
	}
}

CHECK("5:3.1.0-2 4:3.1.0-2", "tolerant")
{
	offends(wire_make_connect(version, &(struct wire_connect){ .id = id("offender") }), 0x82);
}

CHECK("5:3.1.2-1 4:3.1.2-1", "tolerant")
{
	static const char *const name[] = { "MQTX", "mqtt", "MQT", "MQTTX", "" };

	for (size_t i = 0; i < 5; i++)
		refuses(wire_make_connect(
			    version, &(struct wire_connect){ .name = name[i], .id = id("x") }),
		    MALFORMED, 0x84, 0x01);
}

CHECK("5:3.1.2-2", "tolerant")
{
	static const unsigned level[] = { 1, 2, 6, 0x7f, 0xff };

	for (size_t i = 0; i < 5; i++)
		refuses(wire_make_connect(
			    5, &(struct wire_connect){ .level = level[i], .id = id("x") }),
		    0x84, 0x01);
}

CHECK("4:3.1.2-2", "tolerant")
{
	/* Levels above 5 are MQTT 5's to refuse, with a code of its own. */
	static const unsigned level[] = { 1, 2, 3 };

	for (size_t i = 0; i < 3; i++) {
		struct wire *w = dial();
		struct wire_packet k;

		wire_send(w,
		    wire_make_connect(
			4, &(struct wire_connect){ .level = level[i], .id = id("x") }));
		k = need(w, CONNACK);
		demand(k.reason == 1, "%s came for level %u", wire_describe(&k), level[i]);
		must_end(w, 0);
	}
}

CHECK("5:3.1.2-3 4:3.1.2-3", "tolerant")
{
	refuses(wire_make_connect(version, &(struct wire_connect){ .id = id("x"), .flip = 1 }),
	    MALFORMED);
}

static bool
is_present(void)
{
	return connack.ack_flags & 1;
}

/* A session with a subscription, that was left. */
static void
make_session(const char *who, const char *topic)
{
	struct wire *w = session(who);

	subscribe(w, topic, 1);
	leave(w);
}

CHECK("5:3.1.2-4 5:3.1.4-4 4:3.1.2-6 4:3.1.4-3", "resume-always")
{
	const char *who = id("who"), *topic = T("a");
	struct wire *w, *pub = join(.id = id("pub"));

	make_session(who, topic);
	w = join(.id = who);
	demand(!is_present(), "a clean start has found a session");
	publish(pub, .topic = topic, .text = "a", .qos = 1);
	gets_no_more(w, pub, 1);
	leave(w);
	w = session(who);
	demand(!is_present(), "what began clean outlived its connection");
}

CHECK("5:3.1.2-5 5:3.1.2-23 4:3.1.2-4", "clean-always")
{
	const char *who = id("who"), *topic = T("a");
	struct wire *w, *pub = join(.id = id("pub"));

	make_session(who, topic);
	publish(pub, .topic = topic, .text = "a", .qos = 1);
	w = session(who);
	demand(is_present(), "the session is gone");
	gets(w, topic, "a");
	publish(pub, .topic = topic, .text = "b", .qos = 1);
	gets(w, topic, "b");
}

CHECK("5:3.1.2-6", "clean-always")
{
	const char *who = id("who");
	struct wire *w = session(who);

	demand(!is_present(), "a session is there that nobody has made");
	leave(w);
	session(who);
	demand(is_present(), "the session was not made");
}

CHECK("4:3.1.2-5", "clean-always")
{
	const char *who = id("who"), *topic = T("a");
	struct wire *w = session(who), *pub = join(.id = id("pub"));

	subscribe(w, topic, 2);
	for (unsigned qos = 1; qos <= 2; qos++) {
		leave(w);
		publish(pub, .topic = topic, .text = "a", .qos = qos);
		w = session(who);
		demand(gets(w, topic, "a").qos == qos, "QoS %u came with another QoS", qos);
	}
}

CHECK("4:3.1.2-7", "retain-in")
{
	const char *who = id("who"), *topic = T("a");
	struct wire *w = join(.id = who);

	publish(w, .topic = topic, .text = "a", .qos = 1, .retain = true);
	leave(w);
	leave(join(.id = who));
	is_retained(topic, "a");
}

/* --- fields of the payload --------------------------------------------------------------- */

CHECK("5:3.1.2-16 4:3.1.2-18", "tolerant")
{
	refuses(make_connect(2, wire_bytes(version, "ss", id("x"), "user")), MALFORMED);
}

CHECK("5:3.1.2-17 4:3.1.2-19", "tolerant")
{
	refuses(make_connect(130, wire_bytes(version, "s", id("x"))), MALFORMED, 0x86);
	refuses(
	    make_connect(130, wire_bytes(version, "sx", id("x"), "0005 6162")), MALFORMED, 0x86);
}

CHECK("5:3.1.2-18 4:3.1.2-20", "tolerant")
{
	refuses(
	    make_connect(130, wire_bytes(version, "sss", id("x"), "user", "password")), MALFORMED);
}

CHECK("5:3.1.2-19 4:3.1.2-21", "tolerant")
{
	refuses(make_connect(194, wire_bytes(version, "ss", id("x"), "user")), MALFORMED, 0x86);
	refuses(make_connect(194, wire_bytes(version, "ssx", id("x"), "user", "0005 6162")),
	    MALFORMED, 0x86);
}

CHECK("4:3.1.2-22", "tolerant")
{
	refuses(make_connect(66, wire_bytes(4, "ss", id("x"), "password")), MALFORMED);
}

CHECK("5:3.1.3-1 4:3.1.3-1", "tolerant")
{
	/* The will before the client id: what is read for the will then can't be. */
	refuses(make_connect(6,
		    version >= 5 ? wire_bytes(5, "pss s", NO_PROPS, T("a"), "will", id("x"))
				 : wire_bytes(version, "s s2", T("a"), id("x"), 7)),
	    MALFORMED, 0x85);
}

CHECK("5:3.1.3-3 4:3.1.3-3", "tolerant")
{
	refuses(make_connect(2, NO_PROPS), MALFORMED, 0x85);
	refuses(make_connect(2, wire_bytes(version, "x", "000a 6161")), MALFORMED, 0x85);
}

CHECK("5:3.1.3-4 4:3.1.3-4", "tolerant")
{
	refuses(make_connect(2, wire_bytes(version, "x", "0003 61edb0")), MALFORMED, 0x85);
	refuses(make_connect(2, wire_bytes(version, "x", "0003 61ff61")), MALFORMED, 0x85);
}

CHECK("5:3.1.3-12 4:3.1.3-11", "tolerant")
{
	struct span bad = wire_bytes(version, "x", "61edb080");

	refuses(make_connect(130, wire_bytes(version, "sb", id("x"), bad)), MALFORMED, 0x86);
}

/* --- client ids -------------------------------------------------------------------------- */

CHECK("5:3.1.3-2 4:3.1.3-2", "clean-always")
{
	const char *who = id("who");

	make_session(who, T("a"));
	leave(session(id("other")));
	demand(!is_present(), "another client id has found the session");
	session(who);
	demand(is_present(), "the client id has not found its session");
}

CHECK("5:3.1.3-5 4:3.1.3-5", "refuse")
{
	static const char *const chars =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[24];

	for (int i = 0; i < 62; i += 13) {
		/* The version is in front, lest runs meet. */
		snprintf(text, sizeof(text), "%d%.22s", version, chars + (i < 40 ? i : 40));
		leave(join(.id = text));
	}
	leave(join(.id = version == 5 ? "5" : "4"));
}

CHECK("5:3.1.3-6 5:3.1.3-7 5:3.2.2-16", "assigned")
{
	struct wire_connect o = { .props = wire_props("14", SESSION_EXPIRY, 600) };
	const struct wire_prop *p[2];
	struct wire_packet first;
	struct wire *w[2];
	char text[200];

	w[0] = join_with(&o);
	first = connack;
	w[1] = join_with(&o);
	p[0] = wire_find(&first, ASSIGNED_ID);
	p[1] = wire_find(&connack, ASSIGNED_ID);
	demand(p[0] != NULL && p[1] != NULL, "CONNACK has no Assigned Client Identifier");
	demand(p[0]->text.len > 0 && !span_eq(p[0]->text, p[1]->text), "it is not unique");
	quiet(w[0]);
	leave(w[0]);
	snprintf(text, sizeof(text), "%.*s", (int)p[0]->text.len, (const char *)p[0]->text.p);
	session(text);
	demand(is_present(), "its session is not found by that id");
	demand(wire_find(&connack, ASSIGNED_ID) == NULL,
	    "an id was assigned to a client that has one");
}

CHECK("4:3.1.3-6", "refuse")
{
	struct wire *a = join(.id = NULL), *b = join(.id = NULL);

	demand(!is_present(), "a session is there");
	subscribe(a, T("a"), 0);
	publish(b, .topic = T("a"), .text = "x");
	gets(a, T("a"), "x");
	quiet(b);
}

CHECK("4:3.1.3-7 4:3.1.3-8", "tolerant")
{
	struct wire *w = dial();

	wire_send(w, wire_make_connect(4, &(struct wire_connect){ .resume = true }));
	demand(need(w, CONNACK).reason == 2, "the code is not 2");
	must_end(w, 0);
}

CHECK("5:3.1.3-8 4:3.1.3-9", "tolerant")
{
	static char longest[65536];
	struct wire *w = dial();
	struct wire_packet k;

	memset(longest, 'x', sizeof(longest) - 1);
	wire_send(w, wire_make_connect(version, &(struct wire_connect){ .id = longest }));
	if (wire_read(w, patience_ms, &k) == WIRE_PACKET) {
		demand(k.type == CONNACK && k.bad == NULL, "%s came", wire_describe(&k));
		if (k.reason == 0)
			not_applicable("client ids of any length are accepted");
		demand(k.reason == (version >= 5 ? 0x85 : 2), "%s came", wire_describe(&k));
	}
	must_end(w, 0x85);
}

/* --- what the server does ---------------------------------------------------------------- */

CHECK("5:3.1.4-1 4:3.1.4-1 4:3.2.2-6", "tolerant")
{
	struct span right = wire_make_connect(version, &(struct wire_connect){ .id = id("x") });
	struct span broken[6];

	broken[0] =
	    wire_make(version, CONNECT << 4, "rx", span_of(right.p + 2, right.len - 2), "00");
	broken[1] = wire_make(version, CONNECT << 4, "r", span_of(right.p + 2, right.len - 3));
	broken[2] = wire_make(version, CONNECT << 4, "r", span_of(right.p + 2, 9));
	broken[3] =
	    make_connect(2 | 4 | 24, wire_bytes(version, "spss", id("x"), NO_PROPS, "t", "w"));
	broken[4] = wire_make(version, CONNECT << 4, "");
	broken[5] = make_connect(3, wire_bytes(version, "s", id("x")));
	for (size_t i = 0; i < 6; i++) {
		struct wire *w = dial();
		struct wire_end e;

		wire_send(w, broken[i]);
		e = wire_read_end(w, patience_ms);
		demand(e.closed, "the connection stays open");
		demand(e.last == 0 || (version >= 5 && e.last == CONNACK && e.reason >= 0x80),
		    "%s with code %02x came", wire_type_name[e.last], (unsigned)e.reason);
	}
}

/* A CONNECT that a server can't but refuse. */
static struct span
unknown_method(struct span props)
{
	return wire_make_connect(5,
	    &(struct wire_connect){ .id = id("x"),
		.props = wire_props("1sr", AUTH_METHOD, "no method of anybody", props) });
}

CHECK("5:3.1.2-30 5:3.1.4-2 5:4.12.0-1", "tolerant")
{
	struct wire *sub = join(.id = id("sub")), *w = dial();
	const char *topic = T("a");

	subscribe(sub, topic, 0);
	wire_send(w, unknown_method(NO_PROPS));
	put_out(w, .topic = topic, .text = "a");
	must_end(w, 0x8c, 0x87, 0x82);
	gets_no_more(sub, join(.id = id("pub")), 0);
}

CHECK("5:3.1.4-3 4:3.1.4-2", "tolerant")
{
	const char *who = id("who");
	struct wire *old = join(.id = who), *new = join(.id = who);

	must_end(old, 0x8e);
	quiet(new);
}

CHECK("5:3.1.4-5 4:3.1.4-4", "drop-CONNACK")
{
	join(.id = id("w"));
	join(.id = id("x"), .keep_alive = 60, .user = version >= 5 ? NULL : "user");
}

CHECK("5:3.1.4-6 4:3.1.4-5", "second-chance")
{
	struct wire *sub = join(.id = id("sub")), *w = dial();
	const char *topic = T("a");
	struct wire_connect o = { .id = id("x"), .flip = 1 };
	struct span all = wire_make_connect(version, &o);

	subscribe(sub, topic, 0);
	o.flip = 0;
	all = wire_bytes(version, "rrr", all, wire_make_connect(version, &o),
	    make_message(0, &(struct wire_message){ .topic = topic, .text = "a" }));
	wire_send(w, all);
	must_end(w, MALFORMED);
	gets_no_more(sub, join(.id = id("pub")), 0);
}

CHECK("5:3.2.0-1 4:3.2.0-1", "early-packet")
{
	const char *who = id("who"), *topic = T("a");

	make_session(who, topic);
	publish(join(.id = id("pub")), .topic = topic, .text = "a", .qos = 1);
	gets(session(who), topic, "a"); /* session() takes nothing but CONNACK */
}

CHECK("5:3.2.0-2", "twice-CONNACK")
{
	struct wire *w = join(.id = id("w"));

	quiet(w);
	subscribe(w, T("a"), 0);
	quiet(w);
}

CHECK("5:3.2.2-1", "ack-flags")
{
	struct wire *w = session(id("w"));

	demand(connack.ack_flags == 0, "the flags are %02x", connack.ack_flags);
	leave(w);
	session(id("w"));
	demand(connack.ack_flags == 1, "the flags are %02x", connack.ack_flags);
}

CHECK("5:3.2.2-2 4:3.2.2-1", "present")
{
	make_session(id("w"), T("a"));
	join(.id = id("w"));
	demand(!is_present(), "Session Present after a clean start");
}

CHECK("5:3.2.2-3 4:3.2.2-2 4:3.2.2-3", "present clean-always")
{
	leave(session(id("w")));
	demand(!is_present(), "Session Present, but there was none");
	leave(session(id("w")));
	demand(is_present(), "no Session Present, but there was one");
}

/* CONNECTs that are refused with a code, if at all. */
static struct span
refused(unsigned which)
{
	if (version < 5)
		return wire_make_connect(4, &(struct wire_connect){ .id = id("w"), .level = 9 });
	if (which == 0)
		return unknown_method(NO_PROPS);
	return wire_make_connect(
	    5, &(struct wire_connect){ .id = id("w"), .flip = which == 1 ? 1 : 32 });
}

CHECK("5:3.2.2-6 4:3.2.2-4", "present")
{
	bool came = false;

	leave(session(id("w")));
	for (unsigned i = 0; i < 3; i++) {
		struct wire *w = dial();
		struct wire_packet k;

		wire_send(w, refused(i));
		if (wire_read(w, patience_ms, &k) == WIRE_PACKET) {
			demand(k.type == CONNACK && k.ack_flags == 0, "%s came", wire_describe(&k));
			came = true;
		}
	}
	if (!came)
		not_applicable("all that is refused is closed without CONNACK");
}

CHECK("5:3.2.2-7 4:3.2.2-5", "open")
{
	bool came = false;

	for (unsigned i = 0; i < 3; i++) {
		struct wire *w = dial();
		struct wire_end e;

		wire_send(w, refused(i));
		e = wire_read_end(w, patience_ms);
		demand(e.closed, "the connection stays open");
		came |= e.last == CONNACK;
	}
	if (!came)
		not_applicable("all that is refused is closed without CONNACK");
}

CHECK("5:3.2.2-8", "odd-code-CONNACK")
{
	static const uint8_t listed[] = { 0x00, 0x01, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
		0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
		0x9f };

	join(.id = id("w"));
	for (unsigned i = 0; i < 3; i++) {
		struct wire *w = dial();
		struct wire_packet k;

		wire_send(w, refused(i));
		demand(wire_read(w, patience_ms, &k) != WIRE_PACKET ||
			memchr(listed, k.reason, sizeof(listed)) != NULL,
		    "%s came", wire_describe(&k));
	}
}

/* Whatever is sent to this client has at most so many bytes: a long reason or property has no room. */
static void
small_connack(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct span limit = wire_props("14", MAX_PACKET, 32);
		struct wire *w = dial();
		struct wire_packet k;

		wire_send(w,
		    i == 0 ? unknown_method(limit)
			   : wire_make_connect(
				 5, &(struct wire_connect){ .id = id("small"), .props = limit }));
		demand(wire_read(w, patience_ms, &k) != WIRE_PACKET || k.raw.len <= 32,
		    "%s has %zu bytes", wire_describe(&k), k.raw.len);
	}
}

CHECK("5:3.2.2-19", "long-reason-CONNACK")
{
	small_connack();
}

CHECK("5:3.2.2-20", "long-property-CONNACK")
{
	small_connack();
}

CHECK("5:3.1.2-28", "response-information")
{
	join(.id = id("a"));
	demand(wire_find(&connack, RESPONSE_INFORMATION) == NULL,
	    "it came without having been asked for");
	join(.id = id("b"), .props = wire_props("11", REQUEST_RESPONSE, 0));
	demand(
	    wire_find(&connack, RESPONSE_INFORMATION) == NULL, "it came though it was not wanted");
}

CHECK("5:4.12.0-6", "auth-method")
{
	quiet(join(.id = id("w")));
	demand(wire_find(&connack, AUTH_METHOD) == NULL, "CONNACK names an Authentication Method");
}

/* --- keep alive -------------------------------------------------------------------------- */

CHECK("5:3.1.2-22 5:3.2.2-22 4:3.1.2-24 3:MQIsdp-17", "tolerant drop-PUBLISH")
{
	const char *topic = T("will");
	struct wire *sub = join(.id = id("sub")), *w;
	int64_t since;

	patience_ms += 3000; /* for the server's own to pass */
	subscribe(sub, topic, 0);
	w = join(.id = id("w"), .keep_alive = 2, .will_topic = topic,
	    .will_payload = span_str("w"));
	if (wire_find(&connack, SERVER_KEEP_ALIVE) != NULL)
		not_applicable("the server has a keep alive of its own");
	for (unsigned i = 0; i < 3; i++) { /* longer than it may be silent */
		pass_time(1400);
		quiet(w);
	}
	since = wire_now_ms();
	must_end(w, 0x8d);
	demand(wire_now_ms() - since > 2000, "closed after %d ms", (int)(wire_now_ms() - since));
	demand(wire_now_ms() - since < patience_ms, "closed after %d ms",
	    (int)(wire_now_ms() - since));
	gets(sub, topic, "w");
}
