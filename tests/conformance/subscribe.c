/* 3.8 to 3.11: subscriptions. */
#include "tests/conformance/check.h"

static struct wire *sub, *pub;

static void
two(void)
{
	sub = join(.id = id("sub"));
	pub = join(.id = id("pub"));
}

/* Several filters, each with its number as QoS; the packet identifier is 9. */
static struct span
subscribe_three(void)
{
	return wire_make(version, SUBSCRIBE << 4 | 2, "2p s1 s1 s1", 9, NO_PROPS, T("a"), 0, T("b"),
	    1, T("c"), 2);
}

CHECK("5:3.8.1-1 4:3.8.1-1", "tolerant")
{
	for (unsigned flags = 0; flags < 16; flags++)
		if (flags != 2)
			offends(wire_make(version, SUBSCRIBE << 4 | flags, "2ps1", 1, NO_PROPS,
				    T("a"), 0),
			    MALFORMED);
}

CHECK("5:3.8.3-1 4:3.8.3-1", "tolerant")
{
	struct span bad = wire_bytes(version, "x", "61eda0");

	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2pb1", 1, NO_PROPS, bad, 0), MALFORMED);
	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2ps1b1", 1, NO_PROPS, T("a"), 0, bad, 0),
	    MALFORMED);
}

CHECK("5:3.8.3-2 4:3.8.3-3", "tolerant")
{
	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2p", 1, NO_PROPS), MALFORMED);
	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2ps", 1, NO_PROPS, T("a")), MALFORMED);
}

CHECK("5:3.8.3-3", "no-local")
{
	two();
	subscribe(sub, T("a"), NO_LOCAL);
	publish(sub, .topic = T("a"), .text = "own");
	publish(pub, .topic = T("a"), .text = "of another");
	gets(sub, T("a"), "of another");
	gets_no_more(sub, pub, 0);
	subscribe(pub, T("b"), 0);
	publish(pub, .topic = T("b"), .text = "own"); /* without it, it comes */
	gets(pub, T("b"), "own");
}

CHECK("5:3.8.3-4", "tolerant")
{
	offends(make_subscribe(1, NO_PROPS, text_of("$share/g/%s", T("a")), NO_LOCAL), 0x82);
}

CHECK("5:3.8.3-5 4:3.8.3-4", "tolerant")
{
	static const unsigned options[] = { 0x03, 0x40, 0x80, 0xc0, 0x30, 0x04, 0x08, 0x10, 0x20 };

	for (size_t i = 0; i < (version >= 5 ? 5 : 9); i++)
		offends(make_subscribe(1, NO_PROPS, T("a"), options[i]), MALFORMED);
}

CHECK("5:3.8.4-1 4:3.8.4-1", "drop-SUBACK")
{
	two();
	subscribe(sub, T("a"), 0);
	subscribe(sub, T("a"), 1);
	subscribe(sub, T("b/#"), 2);
}

CHECK("5:3.8.4-2 4:3.8.4-2", "suback-id")
{
	two();
	for (unsigned i = 1; i < 65536; i = i * 3 + 1) {
		wire_send(sub, make_subscribe((uint16_t)i, NO_PROPS, T("a"), 0));
		demand(need(sub, SUBACK).id == i, "SUBACK has another identifier than %u", i);
	}
}

CHECK("5:3.8.4-3", "twice-PUBLISH")
{
	struct wire_packet k;

	two();
	subscribe(sub, T("a"), 2);
	subscribe(sub, T("a"), 1);
	publish(pub, .topic = T("a"), .text = "1", .qos = 2);
	k = gets(sub, T("a"), "1");
	demand(k.qos == 1, "%s came for the old subscription", wire_describe(&k));
	gets_no_more(sub, pub, 1);
	unsubscribe(sub, T("a"));
	publish(pub, .topic = T("a"), .text = "2", .qos = 1);
	gets_no_more(sub, pub, 1); /* there was no second one left */
}

CHECK("5:3.8.4-4 4:3.8.4-3", "retained-once twice-PUBLISH")
{
	two();
	publish(pub, .topic = T("a"), .text = "r", .qos = 1, .retain = true);
	subscribe(sub, T("a"), 1);
	gets(sub, T("a"), "r");
	/* Replaced while messages flow: each comes once, and the retained one again. */
	for (unsigned i = 0; i < 10; i++)
		put_out(pub, .topic = T("a"), .text = (char[]){ (char)('0' + i), '\0' }, .qos = 1);
	wire_send(sub, make_subscribe(1000, NO_PROPS, T("a"), 1));
	for (unsigned i = 10; i < 20; i++)
		put_out(pub, .topic = T("a"), .text = (char[]){ (char)('0' + i), '\0' }, .qos = 1);
	{
		unsigned next = 0, retained = 0, acks = 0;

		while (next < 20 || retained == 0 || acks == 0) {
			struct wire_packet k;

			demand(wire_read(sub, patience_ms, &k) == WIRE_PACKET && k.bad == NULL,
			    "%u of 20 came, %u retained", next, retained);
			if (k.type == SUBACK) {
				acks++;
				continue;
			}
			demand(
			    k.type == PUBLISH && k.payload.len == 1, "%s came", wire_describe(&k));
			answer(sub, PUBACK, k.id, 0);
			if (k.payload.p[0] == 'r')
				retained++;
			else
				demand(k.payload.p[0] == '0' + next++, "%s came for %u",
				    wire_describe(&k), next - 1);
		}
		demand(retained == 1, "the retained message came %u times", retained);
	}
}

CHECK("5:3.8.4-5 5:3.8.4-6 4:3.8.4-4", "first-filter")
{
	struct wire_packet k;

	two();
	wire_send(sub, subscribe_three());
	k = need(sub, SUBACK);
	demand(k.id == 9 && k.codes.len == 3, "%s came for three filters", wire_describe(&k));
	publish(pub, .topic = T("a"), .text = "a");
	gets(sub, T("a"), "a");
	publish(pub, .topic = T("b"), .text = "b");
	gets(sub, T("b"), "b");
	publish(pub, .topic = T("c"), .text = "c");
	gets(sub, T("c"), "c");
}

static void
each_code_is(const struct wire_packet *k, const char *codes, size_t n)
{
	for (size_t i = 0; i < k->codes.len; i++)
		demand(memchr(codes, k->codes.p[i], n) != NULL, "%s came", wire_describe(k));
}

CHECK("5:3.8.4-7 5:3.9.3-2 4:3.8.4-5 4:3.9.3-2", "odd-code-SUBACK")
{
	static const char five[] = "\x00\x01\x02\x80\x83\x87\x8f\x91\x97\x9e\xa1\xa2",
			  three[] = "\x00\x01\x02\x80";
	struct wire_packet k;

	two();
	wire_send(sub, subscribe_three());
	k = need(sub, SUBACK);
	each_code_is(&k, version >= 5 ? five : three, version >= 5 ? 12 : 4);
	/* No more than was asked for. */
	for (size_t i = 0; i < k.codes.len; i++)
		demand(k.codes.p[i] >= 0x80 || k.codes.p[i] <= i, "%s came for QoS %zu",
		    wire_describe(&k), i);
	demand(k.codes.len == 3, "%s came for three filters", wire_describe(&k));
}

CHECK("5:3.8.4-8 4:3.8.4-6", "qos-out")
{
	two();
	for (unsigned granted = 0; granted <= 2; granted++) {
		subscribe(sub, T("a"), granted);
		for (unsigned qos = 0; qos <= 2; qos++) {
			struct wire_packet k;

			publish(pub, .topic = T("a"), .text = "a", .qos = qos);
			k = gets(sub, T("a"), "a");
			demand(k.qos == (qos < granted ? qos : granted), "%s came of QoS %u for %u",
			    wire_describe(&k), qos, granted);
		}
	}
}

CHECK("5:3.9.3-1 4:3.9.3-1", "codes-order")
{
	struct wire_packet k;

	two();
	wire_send(sub, subscribe_three());
	k = need(sub, SUBACK);
	for (size_t i = 0; i < 3 && i < k.codes.len; i++)
		demand(k.codes.p[i] == i, "%s came for 0 1 2", wire_describe(&k));
}

/* --- UNSUBSCRIBE ------------------------------------------------------------------------- */

CHECK("5:3.10.1-1 4:3.10.1-1", "tolerant")
{
	for (unsigned flags = 0; flags < 16; flags++)
		if (flags != 2)
			offends(wire_make(
				    version, UNSUBSCRIBE << 4 | flags, "2ps", 1, NO_PROPS, T("a")),
			    MALFORMED);
}

CHECK("5:3.10.3-1 4:3.10.3-1", "tolerant")
{
	struct span bad = wire_bytes(version, "x", "61eda0");

	offends(wire_make(version, UNSUBSCRIBE << 4 | 2, "2pb", 1, NO_PROPS, bad), MALFORMED);
	offends(
	    wire_make(version, UNSUBSCRIBE << 4 | 2, "2psb", 1, NO_PROPS, T("a"), bad), MALFORMED);
}

CHECK("5:3.10.3-2 4:3.10.3-2", "tolerant")
{
	offends(wire_make(version, UNSUBSCRIBE << 4 | 2, "2p", 1, NO_PROPS), MALFORMED);
}

CHECK("5:3.10.4-1 4:3.10.4-1", "drop-unsubscribe")
{
	two();
	subscribe(sub, T("a/+"), 0);
	subscribe(sub, T("a/b"), 0);
	/* What only matches, or differs in a character, is another one. */
	unsubscribe(sub, T("a/#"));
	unsubscribe(sub, T("A/b"));
	unsubscribe(sub, T("a/b/"));
	unsubscribe(sub, T("a/+"));
	publish(pub, .topic = T("a/c"), .text = "c");
	publish(pub, .topic = T("a/b"), .text = "b");
	gets(sub, T("a/b"), "b");
	unsubscribe(sub, T("a/b"));
	publish(pub, .topic = T("a/b"), .text = "b");
	gets_no_more(sub, pub, 0);
}

CHECK("5:3.10.4-2 4:3.10.4-2", "drop-unsubscribe")
{
	two();
	subscribe(sub, T("a"), 2);
	publish(pub, .topic = T("a"), .text = "a", .qos = 1);
	gets(sub, T("a"), "a");
	unsubscribe(sub, T("a"));
	for (unsigned qos = 0; qos <= 2; qos++)
		publish(pub, .topic = T("a"), .text = "b", .qos = qos);
	for (unsigned qos = 0; qos <= 2; qos++)
		gets_no_more(sub, pub, qos);
}

CHECK("5:3.10.4-3 4:3.10.4-3", "drop-PUBREL")
{
	struct wire_packet k;

	sub = session(id("sub"));
	pub = join(.id = id("pub"));
	subscribe(sub, T("a"), 2);
	publish(pub, .topic = T("a"), .text = "1", .qos = 1);
	publish(pub, .topic = T("a"), .text = "2", .qos = 2);
	k = arrives(sub, T("a"), "1");
	arrives(sub, T("a"), "2");
	unsubscribe(sub, T("a"));
	wire_reset(sub);
	sub = session(id("sub"));
	demand(gets(sub, T("a"), "1").id == k.id, "it came with another identifier");
	gets(sub, T("a"), "2");
}

CHECK("5:3.10.4-4 4:3.10.4-4", "drop-UNSUBACK")
{
	two();
	subscribe(sub, T("a"), 0);
	unsubscribe(sub, T("a")); /* looks at the identifier too */
}

CHECK("5:3.10.4-5 4:3.10.4-5", "suback-id")
{
	int code;

	two();
	code = unsubscribe(sub, T("none"));
	demand(version < 5 || code == 0x11, "code %02x for a filter that was not there",
	    (unsigned)code);
	subscribe(sub, T("a"), 0);
	code = unsubscribe(sub, T("a"));
	demand(code == 0, "code %02x for a filter that was there", (unsigned)code);
}

/* T("a") is there, T("none") is not, T("b") is. */
static struct wire_packet
unsubscribe_three(void)
{
	two();
	subscribe(sub, T("a"), 0);
	subscribe(sub, T("b"), 0);
	wire_send(sub,
	    wire_make(
		version, UNSUBSCRIBE << 4 | 2, "2psss", 9, NO_PROPS, T("a"), T("none"), T("b")));
	return need(sub, UNSUBACK);
}

CHECK("5:3.10.4-6 4:3.10.4-6", "first-filter")
{
	struct wire_packet k = unsubscribe_three();

	demand(k.id == 9, "%s came", wire_describe(&k));
	demand(version < 5 || k.codes.len == 3, "%s came for three filters", wire_describe(&k));
	quiet(sub);
	publish(pub, .topic = T("a"), .text = "a");
	publish(pub, .topic = T("b"), .text = "b");
	gets_no_more(sub, pub, 0);
}

CHECK("5:3.11.3-1", "codes-order")
{
	struct wire_packet k;

	two();
	subscribe(sub, T("a"), 0);
	wire_send(sub,
	    wire_make(version, UNSUBSCRIBE << 4 | 2, "2psss", 9, NO_PROPS, T("a"), T("none"),
		T("none either")));
	k = need(sub, UNSUBACK);
	demand(
	    k.codes.len == 3 && k.codes.p[0] == 0 && k.codes.p[1] == 0x11 && k.codes.p[2] == 0x11,
	    "%s came for 00 11 11", wire_describe(&k));
}

CHECK("5:3.11.3-2", "odd-code-UNSUBACK")
{
	static const char listed[] = "\x00\x11\x80\x83\x87\x8f\x91";
	struct wire_packet k = unsubscribe_three();

	each_code_is(&k, listed, sizeof(listed) - 1);
	demand(k.codes.len == 3, "%s came for three filters", wire_describe(&k));
}

/* --- filters ----------------------------------------------------------------------------- */

/* Refused by a code, or by the end of the connection. */
static void
is_refused(const char *filter)
{
	struct wire *w = join(.id = id("w"));
	struct wire_packet k;

	wire_send(w, make_subscribe(1, NO_PROPS, filter, 0));
	if (wire_read(w, patience_ms, &k) == WIRE_PACKET && k.type == SUBACK)
		demand(k.codes.len == 1 && k.codes.p[0] >= 0x80, "\"%s\" was granted", filter);
	else
		must_end(w, MALFORMED, 0x8f);
	wire_close(w);
}

CHECK("5:4.7.1-1 4:4.7.1-2", "tolerant")
{
	static const char *const bad[] = { "a#", "a/#/b", "#/a", "a/b#", "##", "a/#b" };

	for (size_t i = 0; i < 6; i++)
		is_refused(bad[i]);
	two();
	subscribe(sub, T("a/#"), 0);
	publish(pub, .topic = T("a"), .text = "0");
	gets(sub, T("a"), "0");
	publish(pub, .topic = T("a/b/c"), .text = "2");
	gets(sub, T("a/b/c"), "2");
	publish(pub, .topic = T("ab"), .text = "other");
	gets_no_more(sub, pub, 0);
}

CHECK("5:4.7.1-2 4:4.7.1-3", "tolerant")
{
	static const char *const bad[] = { "a+", "+a", "a/b+/c", "++", "a/+b" };

	for (size_t i = 0; i < 5; i++)
		is_refused(bad[i]);
	two();
	subscribe(sub, T("+/b/+"), 0);
	publish(pub, .topic = T("a/b/c"), .text = "1");
	gets(sub, T("a/b/c"), "1");
	publish(pub, .topic = T("/b/"), .text = "2");
	gets(sub, T("/b/"), "2");
	publish(pub, .topic = T("a/b"), .text = "other");
	publish(pub, .topic = T("a/b/c/d"), .text = "other");
	gets_no_more(sub, pub, 0);
}

CHECK("5:4.7.2-1 4:4.7.2-1", "dollar")
{
	const char *topic = text_of("$x/%s", T("a"));

	two();
	subscribe(pub, topic, 0);
	publish(pub, .topic = topic, .text = "a");
	gets(pub, topic, "a");
	subscribe(sub, text_of("+/%s", T("a")), 0);
	subscribe(sub, text_of("+/%s", T("#")), 0);
	put_out(sub, .topic = topic, .text = "b");
	gets(pub, topic, "b");
	gets_no_more(sub, pub, 0);
	/* What has it too, matches. */
	subscribe(sub, text_of("$x/%s", T("+")), 0);
	publish(pub, .topic = topic, .text = "c");
	gets(sub, topic, "c");
}

CHECK("5:4.7.3-1 4:4.7.3-1", "tolerant")
{
	offends(make_message(0, &(struct wire_message){ .topic = "" }), MALFORMED, 0x90);
	is_refused("");
	offends(make_unsubscribe(1, ""), MALFORMED, 0x8f);
}

CHECK("5:4.7.3-2 4:4.7.3-2", "tolerant")
{
	struct span bad = wire_bytes(version, "x", "612f0062");

	offends(wire_make(version, PUBLISH << 4, "bp", bad, NO_PROPS), MALFORMED);
	offends(wire_make(version, SUBSCRIBE << 4 | 2, "2pb1", 1, NO_PROPS, bad, 0), MALFORMED);
}

CHECK("5:4.7.3-4 4:4.7.3-4", "fold-case")
{
	/* One character and two that look the same, case, an empty level more. */
	static const char *const name[] = { "\xc3\xa4", "a\xcc\x88", "A", "a", "a/", "/a" };

	two();
	for (size_t i = 0; i < 6; i++)
		subscribe(sub, T(name[i]), 0);
	for (size_t i = 0; i < 6; i++) {
		publish(pub, .topic = T(name[i]), .text = "x");
		gets(sub, T(name[i]), "x");
	}
	gets_no_more(sub, pub, 0);
	unsubscribe(sub, T("A"));
	publish(pub, .topic = T("A"), .text = "x");
	gets_no_more(sub, pub, 0);
}

/* --- shared ------------------------------------------------------------------------------ */

/* A member of a group for T("a"), in a session that stays if it is asked to. */
static struct wire *
member(const char *who, unsigned qos, bool stays)
{
	struct wire *w = stays ? session(id(who)) : join(.id = id(who));
	int code = ask(w, text_of("$share/g/%s", T("a")), qos, NO_PROPS);

	if (code == 0x9e)
		not_applicable("the server has no shared subscriptions");
	demand(code == (int)qos, "code %02x", (unsigned)code);
	return w;
}

CHECK("5:4.8.2-1", "tolerant")
{
	is_refused("$share//a");
	is_refused("$share/");
	is_refused("$share/g");
}

CHECK("5:4.8.2-2", "tolerant")
{
	is_refused("$share/g+/a");
	is_refused("$share/#/a");
	is_refused("$share/+/a");
	is_refused("$share/g/");
}

CHECK("5:4.8.2-3", "qos-out")
{
	for (unsigned granted = 0; granted <= 2; granted++) {
		struct wire *w = member("w", granted, false);

		pub = join(.id = id("pub"));
		for (unsigned qos = 0; qos <= 2; qos++) {
			publish(pub, .topic = T("a"), .text = "a", .qos = qos);
			demand(gets(w, T("a"), "a").qos == (qos < granted ? qos : granted),
			    "QoS %u came with another to a member with %u", qos, granted);
		}
		leave(w);
	}
}

/* Of two members the one that gets a message first; the other is in *other. */
static struct wire *
first_of_two(bool stays, struct wire_packet *k, struct wire **other)
{
	struct wire *a = member("ma", 2, stays), *b;
	const char *text = "a";

	pub = join(.id = id("pub"));
	publish(pub, .topic = T("a"), .text = text, .qos = 2);
	*k = arrives(a, T("a"), text);
	b = member("mb", 2, stays);
	*other = b;
	return a;
}

CHECK("5:4.8.2-4", "handover")
{
	struct wire_packet k;
	struct wire *other, *w = first_of_two(true, &k, &other);
	uint16_t packet_id = k.id;

	wire_reset(w);
	pass_time(500); /* would be the time for the other to get it */
	gets_no_more(other, pub, 2);
	w = session(id("ma"));
	demand(gets(w, T("a"), "a").id == packet_id, "it came with another identifier");
	gets_no_more(other, pub, 2);
}

CHECK("5:4.8.2-5", "handover")
{
	struct wire_packet k;
	struct wire *other, *w = first_of_two(false, &k, &other);

	wire_reset(w);
	pass_time(500);
	gets_no_more(other, pub, 2);
}

CHECK("5:4.8.2-6", "handover")
{
	struct wire_packet k;
	struct wire *other, *w = first_of_two(false, &k, &other);

	answer(w, PUBREC, k.id, 0x80);
	quiet(w);
	pass_time(500);
	gets_no_more(other, pub, 2);
	leave(other);
	publish(pub, .topic = T("a"), .text = "b", .qos = 1);
	k = arrives(w, T("a"), "b");
	other = member("mb", 1, false);
	answer(w, PUBACK, k.id, 0x80);
	quiet(w);
	pass_time(500);
	gets_no_more(other, pub, 1);
	gets_no_more(w, pub, 1);
}
