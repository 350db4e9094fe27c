/* 4.1, 4.4 to 4.6: sessions, what is sent again, and in which order. */
#include "tests/conformance/check.h"

#include <stdio.h>

static const char *
numbered(unsigned i)
{
	return text_of("%u", i);
}

CHECK("5:4.1.0-1 4:4.1.0-1 4:4.1.0-2", "drop-PUBLISH")
{
	/* The shortest session: it lasts as long as its connection. */
	struct wire *w = join(.id = id("w")), *pub = join(.id = id("pub"));
	struct wire_packet k;

	subscribe(w, T("a"), 2);
	put_out(w, .topic = T("b"), .qos = 2, .id = 5);
	need(w, PUBREC);
	pass_time(2000);
	publish(pub, .topic = T("a"), .text = "a", .qos = 2);
	k = arrives(w, T("a"), "a");
	answer(w, PUBREL, 5, 0);
	demand(need(w, PUBCOMP).reason == 0, "the identifier of a QoS 2 message is forgotten");
	answer(w, PUBREC, k.id, 0);
	need(w, PUBREL);
	answer(w, PUBCOMP, k.id, 0);
	/* And in a session that stays, all of that stays. */
	leave(w);
	w = session(id("stays"));
	subscribe(w, T("c"), 1);
	put_out(w, .topic = T("b"), .qos = 2, .id = 5);
	need(w, PUBREC);
	wire_reset(w);
	publish(pub, .topic = T("c"), .text = "c", .qos = 1);
	w = session(id("stays"));
	demand(connack.ack_flags == 1, "the session is gone");
	gets(w, T("c"), "c");
	answer(w, PUBREL, 5, 0);
	demand(need(w, PUBCOMP).reason == 0, "the identifier of a QoS 2 message is forgotten");
}

CHECK("5:4.1.0-2", "long-session")
{
	const char *who = id("who");
	struct wire *w = join(.id = who, .props = wire_props("14", SESSION_EXPIRY, 1));

	leave(w);
	pass_time(3000);
	session(who);
	demand(connack.ack_flags == 0, "the session is there 3 s after it was left for 1 s");
	leave(join(.id = who)); /* expires with its connection */
	session(who);
	demand(connack.ack_flags == 0, "a session is there that was to end with its connection");
}

CHECK("5:4.4.0-1 4:4.4.0-1", "auto-ack repeat-PUBLISH")
{
	struct wire *w = session(id("w")), *pub = join(.id = id("pub"));
	uint16_t ids[3];

	subscribe(w, T("a"), 2);
	for (unsigned i = 0; i < 3; i++) { /* unacknowledged: QoS 1, QoS 2, a PUBREL */
		publish(pub, .topic = T("a"), .text = numbered(i), .qos = i == 0 ? 1 : 2);
		ids[i] = arrives(w, T("a"), numbered(i)).id;
	}
	answer(w, PUBREC, ids[2], 0);
	need(w, PUBREL);
	pass_time(2500);
	quiet(w); /* nothing is sent again while the connection lasts */
	wire_reset(w);
	w = session(id("w"));
	for (unsigned i = 0, came = 0; i < 3; i++) {
		struct wire_packet k;

		demand(wire_read(w, patience_ms, &k) == WIRE_PACKET && k.bad == NULL,
		    "only %u of 3 were sent again", i);
		demand(k.type == PUBLISH || (k.type == PUBREL && k.id == ids[2]), "%s came",
		    wire_describe(&k));
		if (k.type == PUBLISH) {
			demand(came < 2 && k.id == ids[came] && k.dup,
			    "%s came with identifier %u before", wire_describe(&k), ids[came % 2]);
			came++;
		}
	}
	quiet(w);
}

CHECK("5:4.4.0-2", "lost-acks")
{
	struct wire *w = session(id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 2);
	for (unsigned qos = 1; qos <= 2; qos++) {
		publish(pub, .topic = T("a"), .text = "a", .qos = qos);
		answer(w, qos == 1 ? PUBACK : PUBREC, arrives(w, T("a"), "a").id, 0x80);
	}
	quiet(w);
	leave(w);
	w = session(id("w"));
	quiet(w);
	gets_no_more(w, pub, 1);
	gets_no_more(w, pub, 2);
}

CHECK("5:4.5.0-1 4:4.5.0-1", "drop-PUBLISH")
{
	static const char *const filter[] = { "a/b", "a/+", "a/#", "+/b", "#" };
	struct wire *w[5], *pub = join(.id = id("pub")), *away = session(id("away"));

	subscribe(away, T("a/b"), 2);
	leave(away);
	for (size_t i = 0; i < 5; i++) {
		w[i] = join(.id = id(filter[i][0] == '#' ? "x" : numbered((unsigned)i)));
		subscribe(w[i], T(filter[i]), 2);
	}
	for (unsigned qos = 0; qos <= 2; qos++) {
		publish(pub, .topic = T("a/b"), .text = numbered(qos), .qos = qos);
		for (size_t i = 0; i < 5; i++)
			gets(w[i], T("a/b"), numbered(qos));
	}
	away = session(id("away"));
	gets(away, T("a/b"), "1");
	gets(away, T("a/b"), "2");
}

#define BATCH 10

/* Messages of one publisher, topic and QoS, a batch sent at once, and answered as the QoS wants. */
static void
publish_batch(struct wire *pub, unsigned first, unsigned qos)
{
	static const enum wire_type type[] = { 0, PUBACK, PUBREC };
	struct span all = NO_PROPS;

	for (unsigned i = first; i < first + BATCH; i++)
		all = wire_bytes(version, "rr", all,
		    make_message((uint16_t)(100 + i),
			&(struct wire_message){
			    .topic = T("a"), .text = numbered(i), .qos = qos }));
	wire_send(pub, all);
	for (unsigned i = 0; qos > 0 && i < BATCH; i++)
		need(pub, type[qos]);
	for (unsigned i = first; qos == 2 && i < first + BATCH; i++)
		answer(pub, PUBREL, (uint16_t)(100 + i), 0);
	for (unsigned i = 0; qos == 2 && i < BATCH; i++)
		need(pub, PUBCOMP);
}

static void
come_in_order(unsigned qos, bool stays)
{
	struct wire *w = stays ? session(id("w")) : join(.id = id("w")),
		    *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 2);
	for (unsigned i = 0; i < 3 * BATCH; i++) {
		struct wire_packet k;

		if (i % BATCH == 0)
			publish_batch(pub, i, qos);
		do { /* a PUBREL may come between messages */
			demand(wire_read(w, patience_ms, &k) == WIRE_PACKET && k.bad == NULL,
			    "only %u messages came", i);
			if (k.type == PUBREL)
				answer(w, PUBCOMP, k.id, 0);
		} while (k.type == PUBREL);
		demand(k.type == PUBLISH && span_eq(k.payload, span_str(numbered(i))),
		    "%s came as number %u", wire_describe(&k), i);
		if (qos > 0)
			answer(w, qos == 1 ? PUBACK : PUBREC, k.id, 0);
	}
	wire_close(pub);
	wire_close(w);
}

CHECK("5:4.6.0-5 5:4.6.0-6 4:4.6.0-5 4:4.6.0-6", "reorder")
{
	for (unsigned qos = 0; qos <= 2; qos++)
		for (unsigned stays = 0; stays <= 1; stays++)
			come_in_order(qos, stays);
}

CHECK("4:4.6.0-1", "reorder")
{
	struct wire *w = session(id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 1);
	for (unsigned i = 0; i < 6; i++)
		publish(pub, .topic = T("a"), .text = numbered(i), .qos = 1);
	for (unsigned i = 0; i < 6; i++)
		arrives(w, T("a"), numbered(i));
	for (unsigned round = 0; round < 2; round++) {
		wire_reset(w);
		w = session(id("w"));
		for (unsigned i = 0; i < 6; i++)
			arrives(w, T("a"), numbered(i));
	}
}
