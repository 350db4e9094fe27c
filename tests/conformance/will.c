/* 3.1.2.5 to 3.1.2.7 and 3.1.3.2 to 3.1.3.4: wills. */
#include "tests/conformance/check.h"

/* Long enough for a will that must not come to be seen. */
#define WILL_MS 500

/* A client with a will on T("will"), and one that waits for it. */
static struct wire *sub, *dying;

static void
begin(struct wire_connect o)
{
	sub = join(.id = id("sub"));
	subscribe(sub, T("will"), 2 | AS_PUBLISHED);
	o.id = id("dying");
	o.will_topic = T("will");
	o.will_payload = span_str("w");
	dying = join_with(&o);
}
#define with_will(...) begin((struct wire_connect){ __VA_ARGS__ })

static void
no_will_comes(void)
{
	struct wire *pub = join(.id = id("pub"));

	pass_time(WILL_MS);
	gets_no_more(sub, pub, 1);
}

CHECK("5:3.1.2-7 4:3.1.2-8", "goodbye")
{
	for (unsigned qos = 0; qos <= 2; qos++) {
		with_will(.will_qos = qos);
		wire_reset(dying);
		demand(gets(sub, T("will"), "w").qos == qos, "the will has another QoS");
		wire_close(sub);
	}
}

CHECK("5:3.1.2-8", "goodbye")
{
	int64_t since;

	/* With the end of the connection, and after a delay if the session goes on. */
	with_will(.keep_alive = 0);
	wire_close(dying);
	gets(sub, T("will"), "w");
	with_will(.props = wire_props("14", SESSION_EXPIRY, 60),
	    .will_props = wire_props("14", WILL_DELAY, 2));
	since = wire_now_ms();
	wire_close(dying);
	gets(sub, T("will"), "w");
	demand(wire_now_ms() - since > 1500, "the delay was not kept");
	/* The session's end is the will's time. */
	with_will(.props = wire_props("14", SESSION_EXPIRY, 1),
	    .will_props = wire_props("14", WILL_DELAY, 100000));
	wire_close(dying);
	gets(sub, T("will"), "w");
}

CHECK("5:3.1.2-9 4:3.1.2-9", "tolerant")
{
	refuses(make_connect(6, wire_bytes(version, "s", id("x"))), MALFORMED);
	refuses(
	    make_connect(6, wire_bytes(version, "sps", id("x"), NO_PROPS, T("will"))), MALFORMED);
	refuses(
	    make_connect(6, wire_bytes(version, "spsx", id("x"), NO_PROPS, T("will"), "0005 61")),
	    MALFORMED);
}

CHECK("5:3.1.2-10 5:3.14.4-3 4:3.1.2-10 4:3.14.4-3 3:MQIsdp-12", "no-goodbye")
{
	with_will(.will_qos = 1);
	leave(dying);
	no_will_comes();
}

CHECK("4:3.1.2-12", "invent-will")
{
	struct wire *w;

	sub = join(.id = id("sub"));
	subscribe(sub, T("will"), 0);
	w = join(.id = id("dying"));
	publish(w, .topic = T("will"), .text = "no will");
	gets(sub, T("will"), "no will");
	wire_reset(w);
	no_will_comes();
}

CHECK("4:3.1.2-11", "tolerant")
{
	/* What has no flag is left over. */
	refuses(make_connect(2, wire_bytes(4, "sss", id("x"), T("will"), "w")), MALFORMED);
	refuses(make_connect(2 | 8 | 32, wire_bytes(4, "s", id("x"))), MALFORMED);
}

CHECK("5:3.1.2-11 4:3.1.2-13", "tolerant")
{
	refuses(make_connect(2 | 8, wire_bytes(version, "s", id("x"))), MALFORMED);
	refuses(make_connect(2 | 16, wire_bytes(version, "s", id("x"))), MALFORMED);
}

CHECK("5:3.1.2-12 4:3.1.2-14", "tolerant")
{
	refuses(make_connect(
		    2 | 4 | 24, wire_bytes(version, "spss", id("x"), NO_PROPS, T("will"), "w")),
	    MALFORMED);
}

CHECK("5:3.1.2-13 4:3.1.2-15", "tolerant")
{
	refuses(make_connect(2 | 32, wire_bytes(version, "s", id("x"))), MALFORMED);
}

CHECK("5:3.1.2-14 4:3.1.2-16", "will-retain")
{
	with_will(.will_qos = 1);
	wire_reset(dying);
	demand(!gets(sub, T("will"), "w").retain, "the will came with RETAIN");
	is_retained(T("will"), NULL);
}

CHECK("5:3.1.2-15 4:3.1.2-17", "will-retain")
{
	with_will(.will_qos = 1, .will_retain = true);
	wire_reset(dying);
	demand(gets(sub, T("will"), "w").retain == (version >= 5),
	    "the will came with another RETAIN");
	is_retained(T("will"), "w");
}

CHECK("5:3.1.3-9", "clean-always")
{
	struct wire *back;

	with_will(.props = wire_props("14", SESSION_EXPIRY, 60),
	    .will_props = wire_props("14", WILL_DELAY, 3));
	wire_close(dying);
	back = session(id("dying"));
	pass_time(3500);
	no_will_comes();
	quiet(back);
}

CHECK("5:3.1.3-10", "props-order")
{
	struct wire_packet k;
	size_t n = 0;

	with_will(.will_props = wire_props("1ss1ss1ss", USER_PROPERTY, "b", "0", USER_PROPERTY, "a",
		      "1", USER_PROPERTY, "b", "2"));
	wire_reset(dying);
	k = gets(sub, T("will"), "w");
	for (size_t i = 0; i < k.nprops; i++)
		if (k.prop[i].id == USER_PROPERTY) {
			demand(k.prop[i].value.len == 1 && k.prop[i].value.p[0] == '0' + n,
			    "user property %zu is another one", n);
			n++;
		}
	demand(n == 3, "%zu user properties came", n);
}

CHECK("5:3.1.3-11 4:3.1.3-10", "tolerant")
{
	struct span bad = wire_bytes(version, "x", "61eda080");

	refuses(
	    make_connect(6, wire_bytes(version, "spbs", id("x"), NO_PROPS, bad, "w")), MALFORMED);
}
