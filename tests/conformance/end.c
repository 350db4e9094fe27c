/* 3.12 to 3.15, 4.12 and 4.13: PINGREQ, DISCONNECT, AUTH, errors. */
#include "tests/conformance/check.h"

CHECK("5:3.12.4-1 4:3.12.4-1 3:MQIsdp-6", "drop-PINGRESP")
{
	struct wire *w = join(.id = id("w"));

	for (unsigned i = 0; i < 3; i++)
		quiet(w);
	wire_send(w, wire_bytes(version, "x", "c000c000c000"));
	for (unsigned i = 0; i < 3; i++)
		need(w, PINGRESP);
}

CHECK("5:3.14.0-1", "early-DISCONNECT")
{
	struct span first[4];

	first[0] = wire_bytes(5, "x", "c000");
	first[1] = wire_make_connect(5, &(struct wire_connect){ .id = id("x"), .flip = 1 });
	first[2] = wire_make_connect(5, &(struct wire_connect){ .id = id("x"), .level = 9 });
	first[3] = wire_make_connect(5,
	    &(struct wire_connect){
		.id = id("x"), .props = wire_props("1s", AUTH_METHOD, "unknown") });
	for (size_t i = 0; i < 4; i++) {
		struct wire *w = dial();
		struct wire_end e;

		wire_send(w, first[i]);
		e = wire_read_end(w, patience_ms);
		demand(e.closed, "the connection stays open");
		demand(e.last != DISCONNECT, "DISCONNECT came before CONNACK");
	}
}

/* The will says whether a DISCONNECT was one. */
CHECK("5:3.14.1-1 4:3.14.1-1", "tolerant")
{
	struct wire *sub = join(.id = id("sub"));

	subscribe(sub, T("will"), 0);
	for (unsigned flags = 1; flags < 16; flags *= 2) {
		struct wire *w =
		    join(.id = id("w"), .will_topic = T("will"), .will_payload = span_str("w"));

		wire_send(w, wire_make(version, DISCONNECT << 4 | flags, ""));
		must_end(w, MALFORMED);
		gets(sub, T("will"), "w");
	}
}

static bool
is_listed(int reason)
{
	static const uint8_t listed[] = { 0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d,
		0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
		0x9e, 0x9f, 0xa0, 0xa1, 0xa2 };

	return memchr(listed, reason, sizeof(listed)) != NULL;
}

/* Three ways to make a server send DISCONNECT, if it ever does; false: it just closed. */
static bool
provoke(unsigned way, struct wire_packet *k)
{
	struct wire *w = join(.id = id("w"));
	bool came;

	if (way == 0)
		wire_send(w, wire_make(5, SUBSCRIBE << 4 | 2, "2p", 1, NO_PROPS));
	else if (way == 1)
		wire_send(w, make_message(0, &(struct wire_message){ .topic = "" }));
	else
		join(.id = id("w"));
	came = wire_read(w, patience_ms, k) == WIRE_PACKET;
	demand(!came || k->type == DISCONNECT, "%s came", wire_describe(k));
	if (came)
		demand(wire_read_end(w, patience_ms).closed, "the connection stays open");
	return came;
}

CHECK("5:3.14.2-1", "tolerant odd-code-DISCONNECT")
{
	struct wire *sub = join(.id = id("sub")), *w;
	struct wire_packet k;

	for (unsigned way = 0; way < 3; way++)
		demand(!provoke(way, &k) || is_listed(k.reason), "%s came", wire_describe(&k));
	offends(wire_make(5, DISCONNECT << 4, "1", 0x01), MALFORMED);
	offends(wire_make(5, DISCONNECT << 4, "1", 0x8e), MALFORMED);
	/* 0x04 is for clients: with the will. */
	subscribe(sub, T("will"), 0);
	w = join(.id = id("w"), .will_topic = T("will"), .will_payload = span_str("w"));
	wire_send(w, wire_make(5, DISCONNECT << 4, "1", 0x04));
	must_end(w, 0);
	gets(sub, T("will"), "w");
}

CHECK("5:3.14.2-2", "disconnect-expiry")
{
	struct wire_packet k;
	bool came = false;

	for (unsigned way = 0; way < 3; way++)
		if (provoke(way, &k)) {
			demand(k.bad == NULL, "%s came", wire_describe(&k));
			came = true;
		}
	if (!came)
		not_applicable("the server sends no DISCONNECT");
}

CHECK("5:3.14.4-1 4:3.14.4-2", "no-goodbye")
{
	struct wire *sub = join(.id = id("sub")), *w = join(.id = id("w"));

	subscribe(sub, T("a"), 0);
	wire_send(w,
	    wire_bytes(version, "rr", wire_make(version, DISCONNECT << 4, ""),
		make_message(0, &(struct wire_message){ .topic = T("a"), .text = "a" })));
	wire_shutdown(w);
	demand(wire_read_end(w, patience_ms).last == 0, "something came behind DISCONNECT");
	gets_no_more(sub, join(.id = id("pub")), 0);
}

CHECK("5:3.14.4-2 4:3.14.4-1", "open")
{
	struct wire *w = join(.id = id("w"));

	wire_send(w, wire_make(version, DISCONNECT << 4, ""));
	demand(wire_read_end(w, patience_ms).closed, "the connection stays open behind DISCONNECT");
	if (version >= 5)
		for (unsigned way = 0; way < 3; way++) {
			struct wire_packet k;

			provoke(way, &k);
		}
}

/* --- AUTH -------------------------------------------------------------------------------- */

CHECK("5:3.15.1-1", "tolerant")
{
	for (unsigned flags = 1; flags < 16; flags++)
		offends(
		    wire_make(5, AUTH << 4 | flags, "1p", 0x18, wire_props("1s", AUTH_METHOD, "m")),
		    MALFORMED);
}

CHECK("5:3.15.2-1", "tolerant")
{
	offends(wire_make(5, AUTH << 4, "1p", 0x01, wire_props("1s", AUTH_METHOD, "m")), MALFORMED);
	offends(wire_make(5, AUTH << 4, "1p", 0x87, wire_props("1s", AUTH_METHOD, "m")), MALFORMED);
}

CHECK("5:4.12.0-7", "tolerant")
{
	offends(wire_make(5, AUTH << 4, "1p", 0x18, wire_props("1s", AUTH_METHOD, "m")), 0x82);
	offends(wire_make(5, AUTH << 4, ""), MALFORMED);
}

CHECK("5:4.12.1-1", "tolerant")
{
	offends(wire_make(5, AUTH << 4, "1p", 0x19, wire_props("1s", AUTH_METHOD, "m")), 0x82);
}

/* --- errors ------------------------------------------------------------------------------ */

CHECK("5:4.13.1-1 4:4.8.0-1", "tolerant")
{
	static const char *const bad[] = { "0000", "20020000", "9003000100", "d000", "3003000a61",
		"820100", "a20100", "400101", "c00100", "30ffffffff7f" };
	struct wire *bystander = join(.id = id("bystander"));

	for (size_t i = 0; i < 10; i++)
		offends(wire_bytes(version, "x", bad[i]), MALFORMED);
	quiet(bystander);
}

CHECK("5:4.13.2-1", "open")
{
	struct wire *w = dial();
	struct wire_packet k;

	for (unsigned way = 0; way < 3; way++)
		provoke(way, &k);
	wire_send(w,
	    wire_make_connect(5,
		&(struct wire_connect){
		    .id = id("x"), .props = wire_props("1s", AUTH_METHOD, "unknown") }));
	demand(wire_read_end(w, patience_ms).closed, "the connection stays open");
}
