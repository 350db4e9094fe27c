/* Wills: when they come, how, and what keeps them from coming. */
#include "tests/differential/script.h"

#define WILL .will_topic = "will", .will_payload = span_str("gone")

static struct peer *
witness(unsigned options)
{
	struct peer *b = join("witness");

	subscribe(b, "will", options);
	return b;
}

SCRIPTS("will/comes-with-its-qos", ALL, 3)
{
	witness(2);
	lose(join("a", WILL, .will_qos = variant));
}

SCRIPT("will/qos-of-the-subscriber", ALL)
{
	witness(0);
	lose(join("a", WILL, .will_qos = 2));
}

SCRIPT("will/empty", ALL)
{
	witness(1);
	lose(join("a", .will_topic = "will", .will_qos = 1));
}

SCRIPT("will/retained", ALL)
{
	witness(1);
	lose(join("a", WILL, .will_qos = 1, .will_retain = true));
	subscribe(join("late"), "will", 1);
}

SCRIPT("will/retained-and-empty", ALL)
{
	publish(join("b"), .topic = "will", .text = "kept", .retain = true, .qos = 1);
	witness(0); /* who is late comes behind the will */
	lose(join("a", .will_topic = "will", .will_retain = true));
	subscribe(join("late"), "will", 1);
}

SCRIPT("will/properties", V5)
{
	witness(1);
	lose(join("a", WILL, .will_qos = 1,
	    .will_props = wire_props("11 1s 1s 1s 1ss 1ss 14", PAYLOAD_FORMAT, 1, CONTENT_TYPE,
		"text", RESPONSE_TOPIC, "answer", CORRELATION_DATA, "c", USER_PROPERTY, "a", "1",
		USER_PROPERTY, "a", "2", MESSAGE_EXPIRY, 1000)));
}

SCRIPT("will/for-a-session-that-waits", ALL)
{
	struct peer *b = session("b");

	subscribe(b, "will", 2);
	leave(b);
	lose(join("a", WILL, .will_qos = 2));
	session("b");
}

SCRIPT("will/on-malformed", ALL)
{
	witness(1);
	send_bytes(join("a", WILL), wire_bytes(pair.version, "x", "f0ffffffff"));
}

SCRIPT("will/on-protocol-error", ALL)
{
	struct peer *a;

	witness(1);
	a = join("a", WILL);
	send_bytes(a, wire_make(pair.version, SUBACK << 4, "21", 1, 0));
}

SCRIPT("will/delayed", V5)
{
	witness(1);
	lose(session("a", WILL, .will_props = wire_props("14", WILL_DELAY, 2)));
	pass_time(4500);
}

SCRIPT("will/delayed-and-back-in-time", V5)
{
	witness(1);
	lose(session("a", WILL, .will_props = wire_props("14", WILL_DELAY, 6)));
	session("a");
	pass_time(9000);
}

SCRIPT("will/delayed-and-back-clean", V5)
{
	witness(1);
	lose(session("a", WILL, .will_props = wire_props("14", WILL_DELAY, 100)));
	join("a");
	pass_time(1500);
}

SCRIPT("will/delayed-beyond-the-session", V5)
{
	witness(1);
	lose(session("a", WILL, .props = wire_props("14", SESSION_EXPIRY, 1),
	    .will_props = wire_props("14", WILL_DELAY, 100)));
	pass_time(4000);
}

SCRIPT("will/delayed-without-session", V5)
{
	witness(1);
	lose(join("a", WILL, .will_props = wire_props("14", WILL_DELAY, 100)));
	pass_time(2000);
}

SCRIPT("will/delayed-and-disconnected-with-will", V5)
{
	witness(1);
	leave_with(session("a", WILL, .will_props = wire_props("14", WILL_DELAY, 1)), 4, NO_PROPS);
	pass_time(3500);
}

SCRIPT("will/delayed-retained", V5)
{
	witness(1 | AS_PUBLISHED);
	lose(
	    session("a", WILL, .will_retain = true, .will_props = wire_props("14", WILL_DELAY, 1)));
	pass_time(3500);
	subscribe(join("late"), "will", 1);
}

SCRIPT("will/replaced-by-the-next-connection", ALL)
{
	struct peer *a;

	witness(1);
	a = session("a", WILL);
	leave(a);
	a = session("a", .will_topic = "will", .will_payload = span_str("second"));
	lose(a);
}

SCRIPT("will/gone-in-the-next-connection", ALL)
{
	witness(1);
	leave(session("a", WILL));
	lose(session("a"));
}

SCRIPT("will/to-its-own-session", ALL)
{
	struct peer *a = session("a", WILL, .will_qos = 1);

	subscribe(a, "will", 1);
	lose(a);
	session("a");
}

SCRIPT("will/of-several", ALL)
{
	struct peer *a, *b;

	witness(1);
	a = join("a", .will_topic = "will", .will_payload = span_str("a"));
	b = join("b", .will_topic = "will", .will_payload = span_str("b"));
	lose(b);
	lose(a);
}
