/* What a server announces that it can't do, or does in its own way: only a server that is set up so can show it. */
#include "tests/conformance/check.h"

#include "tests/lib/tool.h"

/* What CONNACK says, or the value that holds without it. */
static unsigned
announced(enum wire_prop_id what, unsigned otherwise)
{
	const struct wire_prop *p;

	leave(join(.id = id("asks")));
	p = wire_find(&connack, what);
	return p != NULL ? p->number : otherwise;
}

CHECK("5:3.2.2-9", "drop-PUBACK")
{
	unsigned max = announced(MAX_QOS, 2);
	struct wire *w = join(.id = id("w"));

	demand(max <= 2 && (max < 2 || wire_find(&connack, MAX_QOS) == NULL), "Maximum QoS is %u",
	    max);
	for (unsigned qos = 0; qos <= max; qos++) /* what it does not lack works */
		publish(w, .topic = T("a"), .qos = qos);
	quiet(w);
}

CHECK("5:3.2.2-10", "sub-refused")
{
	struct wire *w = join(.id = id("w"));

	for (unsigned qos = 0; qos <= 2; qos++) {
		int code = ask(w, T("a"), qos, NO_PROPS);

		demand(code <= 2, "QoS %u was answered with %02x", qos, (unsigned)code);
	}
}

CHECK("5:3.2.2-11", "tolerant")
{
	unsigned max = announced(MAX_QOS, 2);

	if (max == 2)
		not_applicable("the server has all QoS");
	offends(make_message(1, &(struct wire_message){ .topic = T("a"), .qos = max + 1 }), 0x9b);
}

CHECK("5:3.2.2-12", "tolerant")
{
	unsigned max = announced(MAX_QOS, 2);

	if (max == 2)
		not_applicable("the server has all QoS");
	refuses(wire_make_connect(5,
		    &(struct wire_connect){
			.id = id("x"), .will_topic = T("will"), .will_qos = max + 1 }),
	    0x9b);
}

CHECK("5:3.2.2-13", "tolerant")
{
	if (announced(RETAIN_AVAILABLE, 1) == 1)
		not_applicable("the server retains messages");
	refuses(wire_make_connect(5,
		    &(struct wire_connect){
			.id = id("x"), .will_topic = T("will"), .will_retain = true }),
	    0x9a);
}

CHECK("5:3.2.2-14", "tolerant")
{
	if (announced(RETAIN_AVAILABLE, 1) == 1)
		not_applicable("the server retains messages");
	offends(
	    make_message(0, &(struct wire_message){ .topic = T("a"), .text = "a", .retain = true }),
	    0x9a);
}

CHECK("5:3.2.2-15", "tolerant")
{
	unsigned max = announced(MAX_PACKET, 0);
	struct span packet, payload;
	struct wire *w;

	if (max == 0 || max > 1u << 26)
		not_applicable("the server takes packets of any size, or of %u bytes", max);
	w = join(.id = id("w"));
	payload = span_of(grab(max, 1), max);
	packet = make_message(0, &(struct wire_message){ .topic = T("a"), .payload = payload });
	wire_send(w, packet); /* it may close before it has all */
	must_end(w, 0x95);
}

CHECK("5:3.2.2-18", "tolerant")
{
	if (announced(ALIAS_MAX, 0) != 0)
		not_applicable("the server takes topic aliases");
	offends(make_message(0,
		    &(struct wire_message){
			.topic = T("a"), .props = wire_props("12", TOPIC_ALIAS, 1) }),
	    0x94, MALFORMED);
}

CHECK("5:3.1.2-21 5:3.2.2-21", "tolerant")
{
	struct wire *w = join(.id = id("w"), .keep_alive = 1000);
	const struct wire_prop *p = wire_find(&connack, SERVER_KEEP_ALIVE);
	int64_t since = wire_now_ms();

	patience_ms += 6000; /* for the server's own to pass */
	if (p == NULL)
		not_applicable("the server takes the client's keep alive");
	if (p->number == 0 || p->number > 4)
		not_applicable("%u s are too long to wait", p->number);
	must_end(w, 0x8d);
	demand(wire_now_ms() - since > p->number * 1000, "closed after %d ms",
	    (int)(wire_now_ms() - since));
	w = join(.id = id("w")); /* one without a keep alive too */
	must_end(w, 0x8d);
}

CHECK("4:3.8.3-2", "tolerant")
{
	struct wire *w = join(.id = id("w"));
	int code = ask(w, T("+"), 0, NO_PROPS);

	if (code == 0) {
		publish(w, .topic = T("a"), .text = "a");
		gets(w, T("a"), "a"); /* granted means that it works */
		not_applicable("the server has wildcard subscriptions");
	}
	demand(code == 0x80, "code %02x", (unsigned)code);
	subscribe(w, T("a"), 0);
}
