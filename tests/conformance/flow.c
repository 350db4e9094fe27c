/* Receive Maximum, Maximum Packet Size, and what acknowledgements (3.4 to 3.7) may say. */
#include "tests/conformance/check.h"

static struct wire *sub, *pub;

static void
two(struct span props)
{
	sub = join(.id = id("sub"), .props = props);
	pub = join(.id = id("pub"));
}

/* --- windows ----------------------------------------------------------------------------- */

/* A subscriber that takes two at once, and has them. */
static uint16_t
fill_window(unsigned qos)
{
	uint16_t first;

	two(wire_props("12", RECEIVE_MAX, 2));
	subscribe(sub, T("a"), 2);
	for (unsigned i = 0; i < 4; i++)
		publish(
		    pub, .topic = T("a"), .text = (char[]){ (char)('0' + i), '\0' }, .qos = qos);
	first = arrives(sub, T("a"), "0").id;
	arrives(sub, T("a"), "1");
	return first;
}

CHECK("5:3.3.4-9 5:4.9.0-1 5:4.9.0-2", "no-window")
{
	uint16_t first = fill_window(1);

	quiet(sub);
	answer(sub, PUBACK, first, 0);
	arrives(sub, T("a"), "2");
	quiet(sub);
	wire_close(sub);
	first = fill_window(2);
	quiet(sub);
	answer(sub, PUBREC, first, 0);
	need(sub, PUBREL);
	quiet(sub); /* the quota comes back with PUBCOMP, not before */
	answer(sub, PUBCOMP, first, 0);
	arrives(sub, T("a"), "2");
}

CHECK("5:3.3.4-10 5:4.9.0-3", "window-blocks")
{
	uint16_t first = fill_window(2);

	quiet(sub);
	subscribe(sub, T("b"), 0);
	publish(pub, .topic = T("b"), .text = "qos 0");
	gets(sub, T("b"), "qos 0");
	publish(sub, .topic = T("c"), .qos = 2);
	unsubscribe(sub, T("b"));
	answer(sub, PUBREC, first, 0);
	demand(need(sub, PUBREL).id == first, "PUBREL has another identifier");
}

CHECK("5:3.3.4-7", "tolerant")
{
	const struct wire_prop *p;
	unsigned max;

	sub = join(.id = id("w"));
	p = wire_find(&connack, RECEIVE_MAX);
	max = p != NULL ? p->number : 65535;
	if (max == 65535)
		not_applicable("there are no more identifiers than Receive Maximum");
	for (unsigned i = 1; i <= max + 1; i++)
		put_out(sub, .topic = T("a"), .qos = 2, .id = (uint16_t)i);
	must_end(sub, 0x93);
}

/* --- packet sizes ------------------------------------------------------------------------ */

CHECK("5:3.1.2-24", "no-size-limit")
{
	static char large[200];

	memset(large, 'x', sizeof(large) - 1);
	two(wire_props("14", MAX_PACKET, 128));
	subscribe(sub, T("a"), 2);
	for (unsigned qos = 0; qos <= 2; qos++)
		publish(pub, .topic = T("a"), .text = large, .qos = qos);
	for (unsigned qos = 0; qos <= 2; qos++)
		gets_no_more(sub, pub, qos);
}

CHECK("5:3.1.2-25", "no-size-limit")
{
	static char large[200];
	struct wire *other;

	memset(large, 'x', sizeof(large) - 1);
	two(wire_props("1412", MAX_PACKET, 128, RECEIVE_MAX, 1));
	other = join(.id = id("other"));
	subscribe(sub, T("a"), 2);
	subscribe(other, T("a"), 2);
	for (unsigned qos = 1; qos <= 2; qos++) {
		/* Who takes them gets them; to the other they count as delivered and use no quota. */
		publish(pub, .topic = T("a"), .text = large, .qos = qos);
		gets(other, T("a"), large);
		publish(pub, .topic = T("a"), .text = "small", .qos = qos);
		gets(other, T("a"), "small");
		gets(sub, T("a"), "small");
	}
}

#define SMALL 32 /* enough for what has to be said, too little for a reason beside it */

/*
 * A client that takes only small packets, and to which all kinds of them are sent: reasons and properties
 * that don't fit have to be left out.
 */
static void
all_is_small(void)
{
	struct wire *small = join(.id = id("small"), .props = wire_props("14", MAX_PACKET, SMALL));
	struct wire_packet k;
	uint16_t packet_id;

	pub = join(.id = id("pub"));
	subscribe(small, T("a"), 2);
	publish(pub, .topic = T("a"), .text = "a", .qos = 2);
	k = need(small, PUBLISH);
	answer(small, PUBREC, k.id, 0);
	demand(need(small, PUBREL).raw.len <= SMALL, "PUBREL is too large");
	answer(small, PUBCOMP, k.id, 0);
	answer(small, PUBREC, 4711, 0); /* of an identifier that is not known */
	demand(need(small, PUBREL).raw.len <= SMALL, "PUBREL is too large");
	for (unsigned i = 0; i < 2; i++) {
		const char *topic = i == 0 ? T("nobody") : "$SYS/nobody";

		packet_id = put_out(small, .topic = topic, .qos = 1);
		k = need(small, PUBACK);
		demand(
		    k.raw.len <= SMALL && k.id == packet_id, "%s is too large", wire_describe(&k));
		packet_id = put_out(small, .topic = topic, .qos = 2);
		k = need(small, PUBREC);
		demand(
		    k.raw.len <= SMALL && k.id == packet_id, "%s is too large", wire_describe(&k));
		answer(small, PUBREL, packet_id, 0);
		demand(need(small, PUBCOMP).raw.len <= SMALL, "PUBCOMP is too large");
	}
	answer(small, PUBREL, 4711, 0); /* likewise */
	demand(need(small, PUBCOMP).raw.len <= SMALL, "PUBCOMP is too large");
	for (unsigned i = 0; i < 2; i++) {
		wire_send(small, make_subscribe(1, NO_PROPS, i == 0 ? T("b") : T("c"), 0));
		demand(need(small, SUBACK).raw.len <= SMALL, "SUBACK is too large");
		wire_send(small, make_unsubscribe(1, i == 0 ? T("b") : T("none")));
		demand(need(small, UNSUBACK).raw.len <= SMALL, "UNSUBACK is too large");
	}
	wire_send(small, wire_make_connect(5, &(struct wire_connect){ .id = id("small") }));
	if (wire_read(small, patience_ms, &k) == WIRE_PACKET)
		demand(k.type == DISCONNECT && k.raw.len <= SMALL, "DISCONNECT is too large");
}

CHECK("5:3.4.2-2", "long-reason-PUBACK")
{
	all_is_small();
}

CHECK("5:3.4.2-3", "long-property-PUBACK")
{
	all_is_small();
}

CHECK("5:3.5.2-2", "long-reason-PUBREC")
{
	all_is_small();
}

CHECK("5:3.5.2-3", "long-property-PUBREC")
{
	all_is_small();
}

CHECK("5:3.6.2-2", "long-reason-PUBREL")
{
	all_is_small();
}

CHECK("5:3.6.2-3", "long-property-PUBREL")
{
	all_is_small();
}

CHECK("5:3.7.2-2", "long-reason-PUBCOMP")
{
	all_is_small();
}

CHECK("5:3.7.2-3", "long-property-PUBCOMP")
{
	all_is_small();
}

CHECK("5:3.9.2-1", "long-reason-SUBACK")
{
	all_is_small();
}

CHECK("5:3.9.2-2", "long-property-SUBACK")
{
	all_is_small();
}

CHECK("5:3.11.2-1", "long-reason-UNSUBACK")
{
	all_is_small();
}

CHECK("5:3.11.2-2", "long-property-UNSUBACK")
{
	all_is_small();
}

CHECK("5:3.14.2-3", "long-reason-DISCONNECT")
{
	all_is_small();
}

CHECK("5:3.14.2-4", "long-property-DISCONNECT")
{
	all_is_small();
}

CHECK("5:3.1.2-29", "long-reason-PUBACK long-property-SUBACK long-reason-UNSUBACK")
{
	struct wire *w = join(.id = id("w"), .props = wire_props("11", REQUEST_PROBLEM, 0));
	struct wire_packet k[6];

	put_out(w, .topic = T("nobody"), .qos = 1);
	k[0] = need(w, PUBACK);
	put_out(w, .topic = "$SYS/nobody", .qos = 1);
	k[1] = need(w, PUBACK);
	put_out(w, .topic = T("nobody"), .qos = 2, .id = 50);
	k[2] = need(w, PUBREC);
	wire_send(w, make_subscribe(51, NO_PROPS, T("a"), 0));
	k[3] = need(w, SUBACK);
	wire_send(w, make_unsubscribe(52, T("none")));
	k[4] = need(w, UNSUBACK);
	answer(w, PUBREL, 4711, 0);
	k[5] = need(w, PUBCOMP);
	for (size_t i = 0; i < 6; i++)
		demand(k[i].nprops == 0, "%s has a reason or a property", wire_describe(&k[i]));
}

/* --- reason codes ------------------------------------------------------------------------ */

static bool
is_one_of(int code, const char *codes, size_t n)
{
	return memchr(codes, code, n) != NULL;
}
#define must_be_one_of(k, codes)                                                                   \
	demand(is_one_of((k).reason, codes, sizeof(codes) - 1), "%s came", wire_describe(&(k)))
#define PUBLISH_CODES "\x00\x10\x80\x83\x87\x90\x91\x97\x99"
#define RELEASE_CODES "\x00\x92"

static void
publish_codes(unsigned qos)
{
	pub = join(.id = id("pub"));
	for (unsigned i = 0; i < 2; i++) {
		struct wire_packet k;

		put_out(pub, .topic = i == 0 ? T("nobody") : "$SYS/nobody", .qos = qos);
		k = need(pub, qos == 1 ? PUBACK : PUBREC);
		must_be_one_of(k, PUBLISH_CODES);
	}
}

/* An unacknowledged message at the client. */
static uint16_t
under_way(unsigned qos)
{
	two(NO_PROPS);
	subscribe(sub, T("a"), qos);
	publish(pub, .topic = T("a"), .text = "a", .qos = qos);
	return arrives(sub, T("a"), "a").id;
}

CHECK("5:3.4.2-1", "tolerant odd-code-PUBACK")
{
	uint16_t packet_id;

	publish_codes(1);
	packet_id = under_way(1);
	answer(sub, PUBACK, packet_id, 0x05);
	must_end(sub, MALFORMED);
}

CHECK("5:3.5.2-1", "tolerant odd-code-PUBREC")
{
	uint16_t packet_id;

	publish_codes(2);
	packet_id = under_way(2);
	answer(sub, PUBREC, packet_id, 0x92);
	must_end(sub, MALFORMED);
}

CHECK("5:3.6.2-1", "tolerant odd-code-PUBREL")
{
	uint16_t packet_id = under_way(2);
	struct wire_packet k;

	answer(sub, PUBREC, packet_id, 0);
	k = need(sub, PUBREL);
	must_be_one_of(k, RELEASE_CODES);
	answer(sub, PUBREC, 4711, 0);
	k = need(sub, PUBREL);
	must_be_one_of(k, RELEASE_CODES);
	pub = join(.id = id("other"));
	put_out(pub, .topic = T("a"), .qos = 2, .id = 1);
	need(pub, PUBREC);
	answer(pub, PUBREL, 1, 0x80);
	must_end(pub, MALFORMED);
}

CHECK("5:3.7.2-1", "tolerant odd-code-PUBCOMP")
{
	uint16_t packet_id;
	struct wire_packet k;

	pub = join(.id = id("w"));
	packet_id = put_out(pub, .topic = T("a"), .qos = 2);
	need(pub, PUBREC);
	answer(pub, PUBREL, packet_id, 0);
	k = need(pub, PUBCOMP);
	must_be_one_of(k, RELEASE_CODES);
	answer(pub, PUBREL, 4711, 0);
	k = need(pub, PUBCOMP);
	must_be_one_of(k, RELEASE_CODES);
	packet_id = under_way(2);
	answer(sub, PUBREC, packet_id, 0);
	need(sub, PUBREL);
	answer(sub, PUBCOMP, packet_id, 0x80);
	must_end(sub, MALFORMED);
}

CHECK("5:3.6.1-1 4:3.6.1-1", "tolerant flags-PUBREL")
{
	uint16_t packet_id = under_way(2);

	answer(sub, PUBREC, packet_id, 0);
	need(sub, PUBREL); /* other flags are no packet of a server */
	for (unsigned flags = 0; flags < 16; flags++)
		if (flags != 2)
			offends(wire_make(version, PUBREL << 4 | flags, "2", 1), MALFORMED);
}
