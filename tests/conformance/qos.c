/* 4.3: what the sender and the receiver of each QoS have to do. */
#include "tests/conformance/check.h"

static struct wire *sub, *pub;

/* The subscriber has a session that it can come back to. */
static void
two(void)
{
	sub = session(id("sub"));
	pub = join(.id = id("pub"));
	subscribe(sub, T("a"), 2);
}

static void
comes_back(void)
{
	wire_reset(sub);
	sub = session(id("sub"));
}

CHECK("5:4.3.1-1 4:4.3.1-1 3:MQIsdp-7", "dup")
{
	struct wire_packet k;

	two();
	publish(pub, .topic = T("a"), .text = "a");
	k = need(sub, PUBLISH);
	demand(k.qos == 0 && !k.dup, "%s came of QoS 0", wire_describe(&k));
	gets_no_more(sub, pub, 0);
	quiet(pub);
}

/* --- the server as sender ---------------------------------------------------------------- */

/* Identifiers of what is under way are all different, while some are answered. */
static void
identifiers_are_unused(unsigned qos)
{
	uint16_t held[8];

	two();
	for (unsigned round = 0; round < 8; round++) {
		struct wire_packet k;

		for (unsigned i = 0; i < 3; i++) {
			publish(pub, .topic = T("a"), .text = "x", .qos = qos);
			k = i == 0 ? arrives(sub, T("a"), "x") : gets(sub, T("a"), "x");
			for (unsigned h = 0; h < round + (i > 0); h++)
				demand(held[h] != k.id, "identifier %u is in use", k.id);
			if (i == 0)
				held[round] = k.id;
		}
	}
}

CHECK("5:4.3.2-1", "same-id")
{
	identifiers_are_unused(1);
}

CHECK("5:4.3.3-1", "same-id")
{
	identifiers_are_unused(2);
}

static void
first_is_new(unsigned qos)
{
	struct wire_packet k;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = qos);
	k = gets(sub, T("a"), "a");
	demand(k.qos == qos && !k.dup, "%s came first", wire_describe(&k));
}

CHECK("5:4.3.2-2", "dup qos-out")
{
	first_is_new(1);
}

CHECK("5:4.3.3-2", "dup qos-out")
{
	first_is_new(2);
}

/* Until it is answered, it comes again in each connection with its identifier. */
static void
is_unacknowledged(unsigned qos)
{
	uint16_t packet_id;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = qos);
	packet_id = arrives(sub, T("a"), "a").id;
	for (unsigned i = 0; i < 2; i++) {
		comes_back();
		demand(
		    arrives(sub, T("a"), "a").id == packet_id, "it came with another identifier");
	}
	answer(sub, qos == 1 ? PUBACK : PUBREC, packet_id, 0);
	if (qos == 2) {
		need(sub, PUBREL);
		answer(sub, PUBCOMP, packet_id, 0);
	}
	quiet(sub);
	comes_back();
	gets_no_more(sub, pub, qos);
}

CHECK("5:4.3.2-3 4:4.3.2-1", "auto-ack")
{
	is_unacknowledged(1);
}

CHECK("5:4.3.3-3", "auto-ack")
{
	is_unacknowledged(2);
}

CHECK("5:4.3.3-4", "drop-PUBREL ack-id")
{
	uint16_t packet_id;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = 2);
	packet_id = arrives(sub, T("a"), "a").id;
	answer(sub, PUBREC, packet_id, 0);
	demand(need(sub, PUBREL).id == packet_id, "PUBREL has another identifier");
	answer(sub, PUBCOMP, packet_id, 0);
	if (version >= 5) { /* success of another kind */
		publish(pub, .topic = T("a"), .text = "b", .qos = 2);
		packet_id = arrives(sub, T("a"), "b").id;
		answer(sub, PUBREC, packet_id, 0x10);
		demand(need(sub, PUBREL).id == packet_id, "PUBREL has another identifier");
	}
}

/* Behind PUBREC: PUBREL comes in each connection until PUBCOMP, and no PUBLISH. */
static void
is_released(void)
{
	uint16_t packet_id;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = 2);
	packet_id = arrives(sub, T("a"), "a").id;
	answer(sub, PUBREC, packet_id, 0);
	need(sub, PUBREL);
	for (unsigned i = 0; i < 2; i++) {
		comes_back();
		demand(need(sub, PUBREL).id == packet_id, "PUBREL has another identifier");
		quiet(sub);
	}
	answer(sub, PUBCOMP, packet_id, 0);
	quiet(sub);
	comes_back();
	quiet(sub);
	gets_no_more(sub, pub, 2);
}

CHECK("5:4.3.3-5 4:4.3.3-1", "auto-ack")
{
	is_released();
}

CHECK("5:4.3.3-6", "again")
{
	is_released();
}

CHECK("5:4.3.3-7", "auto-ack")
{
	uint16_t packet_id;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = 2,
	    .props = wire_props("14", MESSAGE_EXPIRY, 3));
	packet_id = arrives(sub, T("a"), "a").id;
	pass_time(4500);
	comes_back();
	demand(gets(sub, T("a"), "a").id == packet_id, "it came with another identifier");
}

/* --- the server as receiver -------------------------------------------------------------- */

static void
is_answered(uint16_t packet_id, unsigned qos)
{
	static const enum wire_type type[] = { 0, PUBACK, PUBREC };
	struct wire_packet k = need(pub, type[qos]);

	demand(k.id == packet_id && k.reason == 0, "%s came for %u", wire_describe(&k), packet_id);
}

static void
is_complete(uint16_t packet_id)
{
	struct wire_packet k;

	answer(pub, PUBREL, packet_id, 0);
	k = need(pub, PUBCOMP);
	demand(k.id == packet_id && k.reason == 0, "%s came for %u", wire_describe(&k), packet_id);
}

CHECK("5:4.3.2-4", "drop-PUBACK ack-id")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 1, .id = 4711);
	is_answered(4711, 1);
	gets(sub, T("a"), "a");
}

CHECK("5:4.3.2-5 4:4.3.2-2", "dedupe")
{
	two();
	for (unsigned i = 0; i < 3; i++) {
		put_out(pub, .topic = T("a"), .text = "a", .qos = 1, .id = 7, .dup = i > 0);
		is_answered(7, 1);
		gets(sub, T("a"), "a");
	}
	gets_no_more(sub, pub, 1);
}

CHECK("5:4.3.3-8", "drop-PUBREC ack-id")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 4711);
	is_answered(4711, 2);
	is_complete(4711);
	gets(sub, T("a"), "a");
}

CHECK("5:4.3.3-9", "dedupe")
{
	struct wire_packet k;

	two();
	put_out(pub, .topic = "$SYS/broker/version", .text = "a", .qos = 2, .id = 7);
	k = need(pub, PUBREC);
	if (k.reason < 0x80)
		not_applicable("the server refuses no message that this suite knows");
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7);
	is_answered(7, 2);
	is_complete(7);
	gets(sub, T("a"), "a");
}

CHECK("5:4.3.3-10 4:4.3.3-2", "fresh-id")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7);
	is_answered(7, 2);
	for (unsigned i = 0; i < 3; i++) {
		put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7, .dup = true);
		is_answered(7, 2);
	}
	is_complete(7);
	gets(sub, T("a"), "a");
	gets_no_more(sub, pub, 2);
}

CHECK("5:4.3.3-11", "drop-PUBCOMP ack-id")
{
	struct wire_packet k;

	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7);
	is_answered(7, 2);
	is_complete(7);
	answer(pub, PUBREL, 7, 0); /* a second one: the identifier is not known any more */
	k = need(pub, PUBCOMP);
	demand(k.id == 7 && (k.reason == 0x92 || k.reason == 0), "%s came", wire_describe(&k));
}

CHECK("5:4.3.3-12", "dedupe")
{
	two();
	for (unsigned i = 0; i < 3; i++) {
		put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7, .dup = i > 0);
		is_answered(7, 2);
		is_complete(7);
		gets(sub, T("a"), "a");
	}
	gets_no_more(sub, pub, 2);
}

CHECK("5:4.3.3-13", "drop-PUBCOMP")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7,
	    .props = wire_props("14", MESSAGE_EXPIRY, 1));
	is_answered(7, 2);
	pass_time(2500);
	is_complete(7);
}

/* --- both ways at once, for 3.1 ---------------------------------------------------------- */

CHECK("3:MQIsdp-8", "drop-PUBACK qos-out")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 1, .id = 7);
	is_answered(7, 1);
	demand(gets(sub, T("a"), "a").qos == 1, "it came with another QoS");
}

CHECK("3:MQIsdp-9", "fresh-id drop-PUBREC")
{
	two();
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7);
	is_answered(7, 2);
	put_out(pub, .topic = T("a"), .text = "a", .qos = 2, .id = 7, .dup = true);
	is_answered(7, 2);
	is_complete(7);
	demand(gets(sub, T("a"), "a").qos == 2, "it came with another QoS");
	gets_no_more(sub, pub, 2);
}
