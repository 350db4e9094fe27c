/* MQTT 3.1, of which there are no numbered statements. What 3.1.1 has too is checked beside it. */
#include "tests/conformance/check.h"

CHECK("3:MQIsdp-1", "drop-CONNACK")
{
	quiet(join(.id = id("w")));
	quiet(join(.id = id("x"), .keep_alive = 60, .user = "user"));
}

CHECK("3:MQIsdp-2", "tolerant")
{
	refuses(wire_make_connect(3, &(struct wire_connect){ .id = id("x"), .level = 9 }), 0x84);
}

CHECK("3:MQIsdp-3", "tolerant")
{
	refuses(wire_make_connect(3, &(struct wire_connect){ .id = NULL }), 0x85);
}

CHECK("3:MQIsdp-4", "suback-id drop-SUBACK")
{
	struct wire *w = join(.id = id("w"));

	for (unsigned qos = 0; qos <= 2; qos++)
		subscribe(w, T("a"), qos);
}

CHECK("3:MQIsdp-5", "drop-unsubscribe drop-UNSUBACK")
{
	struct wire *w = join(.id = id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 1);
	publish(pub, .topic = T("a"), .text = "a", .qos = 1);
	gets(w, T("a"), "a");
	unsubscribe(w, T("a"));
	publish(pub, .topic = T("a"), .text = "b", .qos = 1);
	gets_no_more(w, pub, 1);
}

CHECK("3:MQIsdp-11", "goodbye")
{
	struct wire *sub = join(.id = id("sub")), *w;

	subscribe(sub, T("will"), 1);
	w = join(.id = id("w"), .will_topic = T("will"), .will_payload = span_str("w"),
	    .will_qos = 1);
	wire_reset(w);
	gets(sub, T("will"), "w");
}

CHECK("3:MQIsdp-13", "clean-always")
{
	struct wire *w = session(id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 2);
	leave(w);
	for (unsigned qos = 1; qos <= 2; qos++)
		publish(pub, .topic = T("a"), .text = "a", .qos = qos);
	w = session(id("w"));
	gets(w, T("a"), "a");
	gets(w, T("a"), "a");
}

CHECK("3:MQIsdp-14", "resume-always")
{
	struct wire *w = session(id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a"), 2);
	leave(w);
	w = join(.id = id("w"));
	publish(pub, .topic = T("a"), .text = "a", .qos = 1);
	gets_no_more(w, pub, 1);
}

CHECK("3:MQIsdp-16", "tolerant")
{
	struct wire *old = join(.id = id("w")), *new = join(.id = id("w"));

	must_end(old, 0);
	quiet(new);
}

CHECK("3:MQIsdp-18", "drop-PUBLISH")
{
	struct wire *w = join(.id = id("w")), *pub = join(.id = id("pub"));

	subscribe(w, T("a/+/c"), 0);
	subscribe(w, T("b/#"), 0);
	publish(pub, .topic = T("a/x/c"), .text = "1");
	gets(w, T("a/x/c"), "1");
	publish(pub, .topic = T("b"), .text = "2");
	gets(w, T("b"), "2");
	publish(pub, .topic = T("b/c/d"), .text = "3");
	gets(w, T("b/c/d"), "3");
	publish(pub, .topic = T("a/c"), .text = "other");
	publish(pub, .topic = T("a/x/c/d"), .text = "other");
	gets_no_more(w, pub, 0);
}
