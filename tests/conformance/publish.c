/* 3.3 PUBLISH: the header, properties, who gets what. Flow control is in flow.c. */
#include "tests/conformance/check.h"

#include <stdio.h>

/* For all of a server to know that a client is gone: else a delivery could still begin. */
#define SEEN_MS 500

static struct wire *sub, *pub;

static void
two(void)
{
	sub = join(.id = id("sub"));
	pub = join(.id = id("pub"));
}

/* --- the fixed header -------------------------------------------------------------------- */

CHECK("5:3.3.1-1 4:3.3.1-1 3:MQIsdp-15", "dup")
{
	struct wire *w = session(id("w")), *from = join(.id = id("from"));
	uint16_t ids[2];
	struct wire_packet k;

	subscribe(w, T("a"), 2);
	for (unsigned qos = 1; qos <= 2; qos++) {
		publish(from, .topic = T("a"), .text = "a", .qos = qos);
		ids[qos - 1] = arrives(w, T("a"), "a").id;
	}
	wire_reset(w);
	w = session(id("w"));
	for (unsigned i = 0; i < 2; i++) {
		k = gets(w, T("a"), "a");
		demand(k.dup, "%s was sent again without DUP", wire_describe(&k));
		demand(k.id == ids[i], "%s had identifier %u before", wire_describe(&k), ids[i]);
	}
}

CHECK("5:3.3.1-2 4:3.3.1-2", "tolerant")
{
	offends(make_message(0, &(struct wire_message){ .topic = T("a"), .dup = true }), MALFORMED);
}

CHECK("5:3.3.1-3 4:3.3.1-3", "dup")
{
	struct wire_packet k;

	two();
	subscribe(sub, T("a"), 2);
	for (unsigned qos = 1; qos <= 2; qos++) {
		publish(pub, .topic = T("a"), .text = "a", .qos = qos, .dup = true);
		k = gets(sub, T("a"), "a");
		demand(!k.dup, "%s has the DUP of the packet that came in", wire_describe(&k));
	}
}

CHECK("5:3.3.1-4 4:3.3.1-4", "tolerant")
{
	offends(wire_make(version, PUBLISH << 4 | 6, "s2p", T("a"), 1, NO_PROPS), MALFORMED);
	offends(wire_make(version, PUBLISH << 4 | 14, "s2p", T("a"), 1, NO_PROPS), MALFORMED);
}

CHECK("5:3.3.1-5 4:3.3.1-5 4:3.3.1-8 3:MQIsdp-10", "retain-in")
{
	struct wire_packet k;

	two();
	for (unsigned qos = 0; qos <= 2; qos++) {
		char text[] = { (char)('0' + qos), '\0' };

		publish(pub, .topic = T("a"), .text = text, .qos = qos, .retain = true);
		publish(pub, .topic = T("b"), .text = text, .qos = 1);
		subscribe(sub, T("a"), 2);
		k = gets(sub, T("a"), text);
		demand(k.retain && k.qos == qos, "%s came for QoS %u", wire_describe(&k), qos);
		unsubscribe(sub, T("a"));
	}
}

CHECK("4:3.3.1-7", "retain-first")
{
	struct wire_packet k;

	two();
	publish(pub, .topic = T("a"), .text = "old", .qos = 1, .retain = true);
	publish(pub, .topic = T("a"), .text = "new", .retain = true);
	publish(pub, .topic = T("b"), .qos = 1); /* what came before it is handled */
	publish(sub, .topic = T("mark"), .text = "mark", .qos = 1, .retain = true);
	subscribe(sub, T("a"), 0);
	wire_send(sub, make_subscribe(1, NO_PROPS, T("mark"), 0));
	do { /* the new one may be dropped at any time, the old one has to be */
		demand(wire_read(sub, patience_ms, &k) == WIRE_PACKET && k.bad == NULL,
		    "nothing came");
		demand(k.type != PUBLISH || !span_eq(k.payload, span_str("old")), "%s came",
		    wire_describe(&k));
	} while (k.type != PUBLISH || !span_eq(k.topic, span_str(T("mark"))));
}

CHECK("5:3.3.1-6 4:3.3.1-10", "retain-empty")
{
	struct wire_packet k;

	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = 1, .retain = true);
	is_retained(T("a"), "a");
	subscribe(sub, T("a"), 1);
	gets(sub, T("a"), "a");
	publish(pub, .topic = T("a"), .qos = 1, .retain = true);
	k = gets(sub, T("a"), "");
	demand(!k.retain, "%s came to an established subscription", wire_describe(&k));
	is_retained(T("a"), NULL);
}

CHECK("5:3.3.1-7 4:3.3.1-11", "retain-empty")
{
	two();
	for (unsigned qos = 0; qos <= 2; qos++)
		publish(pub, .topic = T("a"), .qos = qos, .retain = true);
	is_retained(T("a"), NULL);
}

CHECK("5:3.3.1-8 4:3.3.1-12", "retain-in")
{
	two();
	publish(pub, .topic = T("a"), .text = "a", .qos = 1);
	is_retained(T("a"), NULL);
	publish(pub, .topic = T("b"), .text = "b", .qos = 1, .retain = true);
	publish(pub, .topic = T("b"), .text = "c", .qos = 1);
	publish(pub, .topic = T("b"), .qos = 1);
	is_retained(T("b"), "b");
}

/* --- retained messages and subscriptions ------------------------------------------------- */

static void
with_retained(void)
{
	two();
	publish(pub, .topic = T("r/a"), .text = "a", .qos = 1, .retain = true);
	publish(pub, .topic = T("r/mark"), .text = "mark", .qos = 1, .retain = true);
}

/* All retained ones for a subscription to T("r/a") have come when that to T("r/mark") is answered too. */
static void
retained_ends(void)
{
	subscribe(sub, T("r/mark"), 1);
	gets(sub, T("r/mark"), "mark");
	quiet(sub);
}

CHECK("5:3.3.1-9", "retain-handling")
{
	with_retained();
	subscribe(sub, T("r/a"), 1);
	gets(sub, T("r/a"), "a");
	subscribe(sub, T("r/a"), 1);
	gets(sub, T("r/a"), "a");
	ask(sub, text_of("$share/g/%s", T("r/a")), 1, NO_PROPS);
	retained_ends(); /* shared subscriptions get none */
}

CHECK("5:3.3.1-10", "retain-handling")
{
	with_retained();
	subscribe(sub, T("r/a"), 1 | RETAIN_IF_NEW);
	gets(sub, T("r/a"), "a");
	subscribe(sub, T("r/a"), 1 | RETAIN_IF_NEW);
	retained_ends();
	unsubscribe(sub, T("r/a"));
	subscribe(sub, T("r/a"), 1 | RETAIN_IF_NEW);
	gets(sub, T("r/a"), "a");
}

CHECK("5:3.3.1-11", "retain-handling")
{
	with_retained();
	subscribe(sub, T("r/a"), 1 | RETAIN_NEVER);
	subscribe(sub, T("r/a"), 1 | RETAIN_NEVER);
	retained_ends();
}

CHECK("4:3.3.1-6", "retain-in")
{
	bool seen[3] = { false };

	with_retained();
	publish(pub, .topic = T("r/b"), .text = "b", .qos = 1, .retain = true);
	subscribe(sub, T("r/+"), 1);
	for (unsigned i = 0; i < 3; i++) {
		struct wire_packet k = need(sub, PUBLISH);
		char first = (char)(k.payload.len > 0 ? k.payload.p[0] : 0);

		demand(k.retain, "%s came without RETAIN", wire_describe(&k));
		answer(sub, PUBACK, k.id, 0);
		seen[first == 'a' ? 0 : first == 'b' ? 1 : 2] = true;
	}
	demand(seen[0] && seen[1] && seen[2], "one came twice");
	quiet(sub);
}

CHECK("5:3.3.1-12 4:3.3.1-9", "retain-out")
{
	with_retained();
	subscribe(sub, T("a"), 2);
	for (unsigned qos = 0; qos <= 2; qos++) {
		publish(pub, .topic = T("a"), .text = "a", .qos = qos, .retain = true);
		demand(
		    !gets(sub, T("a"), "a").retain, "RETAIN came to an established subscription");
	}
}

CHECK("5:3.3.1-13", "retain-out")
{
	two();
	subscribe(sub, T("a"), 2 | AS_PUBLISHED);
	for (unsigned qos = 0; qos <= 2; qos++)
		for (unsigned retain = 0; retain <= 1; retain++) {
			publish(pub, .topic = T("a"), .text = "a", .qos = qos, .retain = retain);
			demand(gets(sub, T("a"), "a").retain == retain,
			    "RETAIN is not the publisher's");
		}
}

/* --- topic and properties ---------------------------------------------------------------- */

CHECK("5:3.3.2-1 4:3.3.2-1", "tolerant")
{
	offends(
	    wire_make(version, PUBLISH << 4, "bp", wire_bytes(version, "x", "61eda0"), NO_PROPS),
	    MALFORMED);
	offends(wire_make(version, PUBLISH << 4, "x", "000a 6162"), MALFORMED);
	offends(wire_make(version, PUBLISH << 4, "x", "00"), MALFORMED);
}

CHECK("5:3.3.2-2 5:4.7.0-1 4:3.3.2-2 4:4.7.1-1", "tolerant")
{
	static const char *const bad[] = { "#", "+", "a/#", "a/+/b", "a+", "a#b" };

	for (size_t i = 0; i < 6; i++)
		offends(
		    make_message(0, &(struct wire_message){ .topic = bad[i] }), MALFORMED, 0x90);
}

CHECK("5:3.3.2-3 4:3.3.2-3", "topic-out")
{
	two();
	subscribe(sub, T("a/+"), 0);
	subscribe(sub, T("b/#"), 0);
	subscribe(sub, T("c"), 0);
	publish(pub, .topic = T("a/b"), .text = "1");
	gets(sub, T("a/b"), "1");
	publish(pub, .topic = T("b"), .text = "2");
	gets(sub, T("b"), "2");
	publish(pub, .topic = T("c"), .text = "3");
	gets(sub, T("c"), "3");
}

/* What comes out when this is published with one property. */
static struct wire_packet
through(struct span props)
{
	if (sub == NULL) {
		two();
		subscribe(sub, T("a"), 1);
	}
	publish(pub, .topic = T("a"), .text = "a", .qos = 1, .props = props);
	return gets(sub, T("a"), "a");
}

static void
is_unchanged(struct span props)
{
	struct wire_packet k = through(props);

	demand(span_eq(k.props, props), "properties of %zu bytes came as %zu, or others", props.len,
	    k.props.len);
}

CHECK("5:3.3.2-4", "props-out")
{
	is_unchanged(wire_props("11", PAYLOAD_FORMAT, 1));
	is_unchanged(wire_props("11", PAYLOAD_FORMAT, 0));
}

CHECK("5:3.3.2-15", "props-out")
{
	is_unchanged(wire_props("1s", RESPONSE_TOPIC, "answers/here"));
}

CHECK("5:3.3.2-16", "props-out")
{
	is_unchanged(wire_props("1b", CORRELATION_DATA, wire_bytes(5, "x", "00ff80c080")));
	is_unchanged(wire_props("1s", CORRELATION_DATA, ""));
}

CHECK("5:3.3.2-17", "props-out")
{
	is_unchanged(wire_props("1ss", USER_PROPERTY, "name", "value"));
	is_unchanged(wire_props("1ss1ss", USER_PROPERTY, "", "", USER_PROPERTY, "a", ""));
}

CHECK("5:3.3.2-18", "props-order")
{
	is_unchanged(wire_props("1ss1ss1ss", USER_PROPERTY, "b", "1", USER_PROPERTY, "a", "2",
	    USER_PROPERTY, "b", "0"));
}

CHECK("5:3.3.2-20", "props-out")
{
	is_unchanged(wire_props("1s", CONTENT_TYPE, "text/plain"));
}

CHECK("5:3.3.2-5", "no-message-expiry")
{
	const char *who = id("who");
	struct wire *w = session(who);

	pub = join(.id = id("pub"));
	subscribe(w, T("a"), 1);
	leave(w);
	pass_time(SEEN_MS);
	publish(pub, .topic = T("a"), .text = "expires", .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 1));
	publish(pub, .topic = T("a"), .text = "stays", .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 100));
	pass_time(2500);
	w = session(who);
	gets(w, T("a"), "stays");
	quiet(w);
}

CHECK("5:3.3.2-6", "expiry-kept")
{
	const char *who = id("who");
	struct wire *w = session(who);
	const struct wire_prop *p;
	struct wire_packet k;

	pub = join(.id = id("pub"));
	subscribe(w, T("a"), 1);
	leave(w);
	pass_time(SEEN_MS);
	publish(pub, .topic = T("a"), .text = "a", .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 100));
	pass_time(2500);
	w = session(who);
	k = gets(w, T("a"), "a");
	p = wire_find(&k, MESSAGE_EXPIRY);
	demand(p != NULL, "it came without Message Expiry Interval");
	demand(p->number >= 90 && p->number <= 98, "%u s are left of 100 after 2.5 s", p->number);
}

static struct span
alias(uint16_t n)
{
	return wire_props("12", TOPIC_ALIAS, n);
}

static unsigned
alias_max(void)
{
	const struct wire_prop *p = wire_find(&connack, ALIAS_MAX);

	return p != NULL ? p->number : 0;
}

CHECK("5:3.3.2-7", "tolerant")
{
	two();
	if (alias_max() == 0)
		not_applicable("the server takes no topic aliases");
	subscribe(sub, T("a"), 0);
	publish(pub, .topic = T("a"), .text = "1", .props = alias(1));
	publish(pub, .topic = "", .text = "2", .props = alias(1));
	gets(sub, T("a"), "1");
	gets(sub, T("a"), "2");
	leave(pub);
	pub = join(.id = id("pub"));
	put_out(pub, .topic = "", .text = "3", .props = alias(1));
	must_end(pub, 0x82, 0x94);
	quiet(sub);
}

CHECK("5:3.3.2-8", "tolerant")
{
	offends(make_message(0, &(struct wire_message){ .topic = T("a"), .props = alias(0) }), 0x94,
	    MALFORMED);
}

CHECK("5:3.3.2-9 5:3.2.2-17", "tolerant")
{
	leave(join(.id = id("w")));
	if (alias_max() == 0 || alias_max() == 65535)
		not_applicable("there is no alias beyond the maximum of %u", alias_max());
	offends(make_message(0,
		    &(struct wire_message){
			.topic = T("a"), .props = alias((uint16_t)(alias_max() + 1)) }),
	    0x94);
}

CHECK("5:3.3.2-12", "refuse-alias")
{
	unsigned max;

	two();
	max = alias_max();
	if (max == 0)
		not_applicable("the server takes no topic aliases");
	max = max < 200 ? max : 200;
	subscribe(sub, T("+"), 0);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 1; i <= max; i++) {
			char topic[16];

			snprintf(topic, sizeof(topic), "%u", i);
			publish(pub, .topic = round == 0 ? T(topic) : "", .text = topic,
			    .props = alias((uint16_t)i));
			gets(sub, T(topic), topic);
		}
}

/* A subscriber that takes so many aliases. */
static void
aliases_stay_within(unsigned max)
{
	struct wire_connect o = { .id = id("aliased") };
	struct wire *w;
	struct wire_packet k;

	if (max > 0)
		o.props = wire_props("12", ALIAS_MAX, max);
	w = join_with(&o);
	pub = join(.id = id("pub"));
	subscribe(w, T("+"), 0);
	for (unsigned i = 0; i < 12; i++) {
		const struct wire_prop *p;

		publish(pub, .topic = T((char[]){ (char)('a' + i % 6), '\0' }), .text = "a");
		k = need(w, PUBLISH);
		p = wire_find(&k, TOPIC_ALIAS);
		demand(p == NULL || (p->number > 0 && p->number <= max),
		    "alias %u came, %u are allowed", p->number, max);
	}
}

CHECK("5:3.1.2-26 5:3.3.2-11", "alias-out")
{
	aliases_stay_within(2);
}

CHECK("5:3.1.2-27", "alias-out")
{
	aliases_stay_within(0);
}

CHECK("5:3.3.2-13", "tolerant")
{
	struct span bad = wire_props("1b", RESPONSE_TOPIC, wire_bytes(5, "x", "61eda080"));

	offends(
	    make_message(0, &(struct wire_message){ .topic = T("a"), .props = bad }), MALFORMED);
}

CHECK("5:3.3.2-14", "tolerant")
{
	static const char *const bad[] = { "#", "a/+", "a+/b" };

	for (size_t i = 0; i < 3; i++)
		offends(make_message(0,
			    &(struct wire_message){ .topic = T("a"),
				.props = wire_props("1s", RESPONSE_TOPIC, bad[i]) }),
		    MALFORMED, 0x90);
}

CHECK("5:3.3.2-19", "tolerant")
{
	struct span bad = wire_props("1b", CONTENT_TYPE, wire_bytes(5, "x", "c0af"));

	offends(
	    make_message(0, &(struct wire_message){ .topic = T("a"), .props = bad }), MALFORMED);
}

/* --- actions ----------------------------------------------------------------------------- */

CHECK("5:3.3.4-1 4:3.3.4-1", "drop-PUBACK")
{
	uint16_t packet_id;

	two();
	put_out(pub, .topic = T("a"));
	quiet(pub);
	packet_id = put_out(pub, .topic = T("a"), .qos = 1);
	demand(need(pub, PUBACK).id == packet_id, "PUBACK has another identifier");
	packet_id = put_out(pub, .topic = T("a"), .qos = 2);
	demand(need(pub, PUBREC).id == packet_id, "PUBREC has another identifier");
	quiet(pub);
}

CHECK("5:3.3.4-2 4:3.3.5-1", "qos-out")
{
	struct wire_packet k;
	unsigned most = 0;

	two();
	subscribe(sub, T("#"), 0);
	subscribe(sub, T("a"), 2);
	subscribe(sub, T("+"), 1);
	publish(pub, .topic = T("a"), .text = "a", .qos = 2);
	publish(pub, .topic = T("b"), .text = "b", .qos = 2);
	/* One copy or several, one of which has the highest QoS. */
	while (wire_read(sub, patience_ms, &k) == WIRE_PACKET) {
		demand(k.bad == NULL, "%s came", wire_describe(&k));
		if (k.type == PUBLISH && span_eq(k.payload, span_str("b")))
			break;
		if (k.type == PUBLISH && k.qos > most)
			most = k.qos;
		if (k.qos == 1)
			answer(sub, PUBACK, k.id, 0);
		if (k.qos == 2)
			answer(sub, PUBREC, k.id, 0);
		if (k.type == PUBREL)
			answer(sub, PUBCOMP, k.id, 0);
	}
	demand(most == 2, "the highest QoS that came is %u", most);
}

CHECK("4:3.3.5-2", "drop-PUBACK")
{
	struct wire_packet k;

	two();
	put_out(pub, .topic = "$SYS/broker/version", .text = "a", .qos = 1);
	if (wire_read(pub, patience_ms, &k) == WIRE_PACKET)
		demand(k.type == PUBACK && k.bad == NULL, "%s came", wire_describe(&k));
	else
		demand(pub->fd < 0, "neither PUBACK nor the end came");
}

static void
need_id(const struct wire_packet *k, uint32_t number)
{
	for (size_t i = 0; i < k->nprops; i++)
		if (k->prop[i].id == SUBSCRIPTION_ID && k->prop[i].number == number)
			return;
	wrong("%s has no subscription identifier %u", wire_describe(k), number);
}

static void
subscribe_as(uint32_t number, const char *filter)
{
	int code = ask(sub, filter, 0, wire_props("1v", SUBSCRIPTION_ID, number));

	if (code == 0xa1)
		not_applicable("the server has no subscription identifiers");
	demand(code == 0, "code %02x", (unsigned)code);
}

CHECK("5:3.3.4-3", "no-subscription-id")
{
	static const uint32_t number[] = { 1, 127, 128, 268435455 };
	struct wire_packet k;

	two();
	for (size_t i = 0; i < 4; i++) {
		char topic[] = { (char)('a' + i), '\0' };

		subscribe_as(number[i], T(topic));
		publish(pub, .topic = T(topic), .text = "a");
		k = gets(sub, T(topic), "a");
		need_id(&k, number[i]);
	}
}

/* All copies of one message for two subscriptions with identifiers 3 and 4. */
static size_t
copies(struct wire_packet *k, size_t room)
{
	size_t n = 0;

	two();
	subscribe_as(3, T("a/#"));
	subscribe_as(4, T("a/+"));
	publish(pub, .topic = T("a/b"), .text = "a");
	publish(pub, .topic = T("a/c"), .text = "end");
	while (n < room) {
		k[n] = need(sub, PUBLISH);
		if (span_eq(k[n].payload, span_str("end")))
			break;
		n++;
	}
	return n;
}

CHECK("5:3.3.4-4", "no-subscription-id")
{
	struct wire_packet k[4];

	if (copies(k, 4) != 1)
		not_applicable("the server sends a copy for each subscription");
	need_id(&k[0], 3);
	need_id(&k[0], 4);
}

CHECK("5:3.3.4-5", "twice-PUBLISH")
{
	struct wire_packet k[4];
	size_t n = copies(k, 4);

	if (n == 1)
		not_applicable("the server sends one copy for all subscriptions");
	demand(n == 2, "%zu copies came", n);
	demand(wire_find(&k[0], SUBSCRIPTION_ID) != NULL &&
		wire_find(&k[1], SUBSCRIPTION_ID) != NULL &&
		wire_find(&k[0], SUBSCRIPTION_ID)->number !=
		    wire_find(&k[1], SUBSCRIPTION_ID)->number,
	    "two copies don't have an identifier each");
}

CHECK("5:3.3.4-6", "tolerant")
{
	offends(make_message(0,
		    &(struct wire_message){
			.topic = T("a"), .props = wire_props("1v", SUBSCRIPTION_ID, 1) }),
	    0x82);
}
