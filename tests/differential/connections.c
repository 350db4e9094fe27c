/* How connections begin and end: CONNECT, DISCONNECT, keep alive, takeover, sessions. */
#include "tests/differential/script.h"

#define EXPIRY(seconds) wire_props("14", SESSION_EXPIRY, seconds)

SCRIPT("connect/plain", ALL)
{
	leave(join("a"));
}

SCRIPT("connect/no-identifier", ALL)
{
	join("a", .id = "");
}

SCRIPT("connect/no-identifier-but-a-session", ALL)
{
	join("a", .id = "", .resume = true);
}

SCRIPTS("connect/long-identifier", ALL, 3)
{
	static const char *const more[] = { "", "56789012345678901234567890",
		"a-name-with.many_more%characters+and/#that-topics-could-not-have" };

	leave(join("a", .id = text_of("%s%s", own("1234"), more[variant])));
}

SCRIPT("connect/user-and-password", ALL)
{
	join("a", .user = "u", .password = "p");
	join("b", .user = "u");
}

SCRIPT("connect/password-alone", ALL)
{
	join("a", .password = "p");
}

SCRIPT("connect/twice", ALL)
{
	struct peer *p = join("a");

	send_bytes(p, wire_make_connect(pair.version, &(struct wire_connect){ .id = own("a") }));
}

SCRIPTS("connect/level", ALL, 4)
{
	static const unsigned level[] = { 1, 2, 6, 100 };

	join("a", .level = level[variant]);
}

SCRIPTS("connect/name", ALL, 4)
{
	static const char *const name[] = { "", "mqtt", "MQTTX", "MQIsdp" };

	join("a", .name = name[variant]);
}

SCRIPTS("connect/flags", ALL, 4)
{
	static const unsigned flip[] = { 1, 8, 32, 24 };

	join("a", .flip = flip[variant]);
}

SCRIPT("connect/will-qos-3", ALL)
{
	join("a", .will_topic = "w", .will_payload = span_str("x"), .will_qos = 3);
}

SCRIPT("connect/will-with-wildcard", ALL)
{
	join("a", .will_topic = "w/+", .will_payload = span_str("x"));
}

SCRIPT("connect/will-with-empty-topic", ALL)
{
	send_bytes(dial("a"),
	    wire_make_connect(pair.version,
		&(struct wire_connect){
		    .id = own("a"), .will_topic = "", .will_payload = span_str("x") }));
}

SCRIPTS("connect/instead", ALL, 5)
{
	static const char *const first[] = { "c000", "e000", "300500016178", "82060001000161 00",
		"d000" };

	send_bytes(dial("a"), wire_bytes(pair.version, "x", first[variant]));
}

SCRIPT("connect/receive-maximum-0", V5)
{
	join("a", .props = wire_props("12", RECEIVE_MAX, 0));
}

SCRIPT("connect/maximum-packet-0", V5)
{
	join("a", .props = wire_props("14", MAX_PACKET, 0));
}

SCRIPTS("connect/problem-information", V5, 3)
{
	join("a", .props = wire_props("11", REQUEST_PROBLEM, variant));
}

SCRIPTS("connect/response-information", V5, 3)
{
	join("a", .props = wire_props("11", REQUEST_RESPONSE, variant));
}

SCRIPT("connect/user-properties", V5)
{
	join("a", .props = wire_props("1ss 1ss", USER_PROPERTY, "a", "1", USER_PROPERTY, "a", "2"));
}

SCRIPT("connect/unknown-authentication", V5)
{
	join("a", .props = wire_props("1s", AUTH_METHOD, "none-of-the-kind"));
}

SCRIPT("connect/authentication-data-without-method", V5)
{
	join("a", .props = wire_props("1s", AUTH_DATA, "x"));
}

SCRIPT("connect/property-twice", V5)
{
	join("a", .props = wire_props("14 14", SESSION_EXPIRY, 1, SESSION_EXPIRY, 2));
}

SCRIPT("connect/property-of-another-packet", V5)
{
	join("a", .props = wire_props("12", TOPIC_ALIAS, 1));
}

SCRIPTS("connect/keep-alive", ALL, 2)
{
	static const unsigned seconds[] = { 60, 65535 };

	join("a", .keep_alive = seconds[variant]);
}

SCRIPT("connect/behind-each-other", ALL)
{
	struct peer *p = dial("a");

	send_bytes(p,
	    wire_bytes(pair.version, "rr",
		wire_make_connect(pair.version, &(struct wire_connect){ .id = own("a") }),
		wire_make_subscribe(pair.version, 7, NO_PROPS, own("t"), 1)));
	publish(join("b"), .topic = "t", .text = "1", .qos = 1);
}

/* mosquitto looks for silent clients every five seconds or so. */
#define SILENT_MS 9000

SCRIPT("keep-alive/ends-silence", ALL)
{
	join("a", .keep_alive = 1);
	pass_time(SILENT_MS);
}

SCRIPT("keep-alive/ends-silence-with-a-will", ALL)
{
	struct peer *b = join("b");

	subscribe(b, "will", 1);
	join("a", .keep_alive = 1, .will_topic = "will", .will_payload = span_str("silent"),
	    .will_qos = 1);
	pass_time(SILENT_MS);
}

SCRIPT("keep-alive/any-packet-counts", ALL)
{
	struct peer *a = join("a", .keep_alive = 6);

	for (unsigned i = 0; i < 4; i++) {
		pass_time(3000);
		publish(a, .topic = "t", .text = "x");
	}
}

SCRIPT("disconnect/plain", ALL)
{
	struct peer *b = join("b");

	subscribe(b, "will", 1);
	leave(join("a", .will_topic = "will", .will_payload = span_str("no")));
}

SCRIPTS("disconnect/reason", V5, 5)
{
	static const unsigned reason[] = { 0x04, 0x80, 0x81, 0x93, 0x98 };
	struct peer *b = join("b");

	subscribe(b, "will", 1);
	leave_with(join("a", .will_topic = "will", .will_payload = span_str("yes")),
	    reason[variant], NO_PROPS);
}

SCRIPT("disconnect/reason-unknown", V5)
{
	leave_with(join("a"), 0x55, NO_PROPS);
}

SCRIPT("disconnect/with-reason-string", V5)
{
	leave_with(
	    join("a"), 0, wire_props("1s 1ss", REASON_STRING, "tired", USER_PROPERTY, "a", "b"));
}

SCRIPT("disconnect/flags", ALL)
{
	struct peer *b = join("b"), *a;

	subscribe(b, "will", 1);
	a = join("a", .will_topic = "will", .will_payload = span_str("yes"));
	send_bytes(a, wire_make(a != NULL ? pair.version : 0, DISCONNECT << 4 | 1, ""));
}

SCRIPT("disconnect/packets-behind-are-ignored", ALL)
{
	struct peer *b = join("b"), *a = join("a");

	subscribe(b, "t", 1);
	together();
	send_bytes(a,
	    wire_bytes(pair.version, "rr", wire_make(pair.version, DISCONNECT << 4, ""),
		wire_make_publish(
		    pair.version, 0, &(struct wire_message){ .topic = own("t"), .text = "late" })));
	leave(a);
	as_one();
}

SCRIPT("disconnect/expiry-set-where-it-was-0", V5)
{
	leave_with(join("a"), 0, EXPIRY(10));
}

SCRIPT("disconnect/expiry-shortened", V5)
{
	struct peer *a = session("a");

	subscribe(a, "t", 1);
	leave_with(a, 0, EXPIRY(0));
	session("a");
}

SCRIPT("disconnect/expiry-prolonged", V5)
{
	struct peer *a = session("a", .props = EXPIRY(1));

	subscribe(a, "t", 1);
	leave_with(a, 0, EXPIRY(60));
	pass_time(3500);
	session("a");
}

SCRIPT("session/resumed", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t/#", 2);
	leave(a);
	publish(b, .topic = "t/1", .text = "0", .qos = 0);
	publish(b, .topic = "t/1", .text = "1", .qos = 1);
	publish(b, .topic = "t/1", .text = "2", .qos = 2);
	session("a");
	publish(b, .topic = "t/1", .text = "3", .qos = 2);
}

SCRIPT("session/resumed-after-loss", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t/#", 1);
	lose(a);
	publish(b, .topic = "t/1", .text = "1", .qos = 2);
	publish(b, .topic = "t/2", .text = "2", .qos = 1);
	session("a");
}

SCRIPT("session/clean-start-ends-it", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	leave(join("a"));
	session("a");
	publish(b, .topic = "t", .text = "2", .qos = 1);
}

SCRIPT("session/clean-start-begins-a-new-one", V5)
{
	struct peer *a = session("a");

	subscribe(a, "t", 1);
	leave(a);
	a = join("a", .props = EXPIRY(60));
	subscribe(a, "u", 1);
	leave(a);
	session("a");
}

SCRIPT("session/resumed-by-a-client-without-expiry", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	a = join("a", .resume = true);
	leave(a);
	publish(b, .topic = "t", .text = "2", .qos = 1);
	join("a", .resume = true);
}

SCRIPT("session/none-in-memory-without-expiry", ALL)
{
	leave(join("a"));
	session("a");
}

SCRIPT("session/expires", V5)
{
	struct peer *a = session("a", .props = EXPIRY(1));

	subscribe(a, "t", 1);
	leave(a);
	pass_time(3500);
	session("a");
	publish(join("b"), .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("session/expiry-never", V5)
{
	struct peer *a = session("a", .props = EXPIRY(0xffffffff));

	subscribe(a, "t", 1);
	leave(a);
	session("a");
}

SCRIPT("session/subscriptions-are-kept", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "a/+", 0);
	subscribe(a, "b/#", 1);
	subscribe(a, "c", 2);
	unsubscribe(a, "b/#");
	leave(a);
	a = session("a");
	publish(b, .topic = "a/1", .text = "1", .qos = 2);
	publish(b, .topic = "b/1", .text = "2", .qos = 2);
	publish(b, .topic = "c", .text = "3", .qos = 2);
}

SCRIPT("session/unsubscribed-before-it-is-resumed", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	a = session("a");
	unsubscribe(a, "t");
	publish(b, .topic = "t", .text = "2", .qos = 1);
}

SCRIPTS("session/under-way-comes-again", ALL, 2)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = variant + 1);
	publish(b, .topic = "t", .text = "2", .qos = variant + 1);
	lose(a);
	publish(b, .topic = "t", .text = "3", .qos = variant + 1);
	session("a");
}

SCRIPT("session/received-is-released-again", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	answer(a, PUBREC, "1", 0, 0);
	lose(a);
	session("a");
}

SCRIPT("session/released-and-not-completed", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	publish(b, .topic = "t", .text = "2", .qos = 2);
	answer(a, PUBREC, "2", 0, 0);
	lose(a);
	a = session("a");
	publish(b, .topic = "t", .text = "3", .qos = 2);
}

SCRIPT("session/refused-delivery-is-done", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	publish(b, .topic = "t", .text = "2", .qos = 1);
	answer(a, PUBREC, "1", 0, 0x83);
	answer(a, PUBACK, "2", 0, 0x83);
	lose(a);
	session("a");
}

SCRIPTS("session/of-a-publisher-under-way", ALL, 2)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(b, "t", 2);
	hold_releases(a);
	publish(a, .topic = "t", .text = "1", .qos = 2, .id = 10);
	lose(a);
	a = session("a");
	hold_releases(a);
	publish(a, .topic = "t", .text = "1", .qos = 2, .id = 10, .dup = true);
	if (variant == 1)
		publish(a, .topic = "t", .text = "1", .qos = 2, .id = 10, .dup = true);
	answer(a, PUBREL, NULL, 10, 0);
	answer(a, PUBREL, NULL, 10, 0);
}

SCRIPT("session/goes-to-another-version", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1);
	lose(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	pair.version = pair.version == 5 ? 4 : 5;
	session("a");
	publish(b, .topic = "t", .text = "2", .qos = 1);
}

SCRIPT("session/many-wait", ALL)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t/+", 2);
	leave(a);
	for (unsigned i = 0; i < 60; i++)
		publish(
		    b, .topic = text_of("t/%u", i % 3), .text = text_of("%u", i), .qos = i % 2 + 1);
	session("a");
}

SCRIPT("takeover/clean", ALL)
{
	struct peer *b = join("b");

	subscribe(join("a"), "t", 1);
	join("a");
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("takeover/session", ALL)
{
	struct peer *b = join("b");

	subscribe(session("a"), "t", 1);
	session("a");
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("takeover/session-by-clean", ALL)
{
	struct peer *b = join("b");

	subscribe(session("a"), "t", 1);
	join("a");
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("takeover/clean-by-session", ALL)
{
	struct peer *b = join("b");

	subscribe(join("a"), "t", 1);
	session("a");
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPTS("takeover/messages-under-way", ALL, 2)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = variant + 1);
	session("a");
	publish(b, .topic = "t", .text = "2", .qos = variant + 1);
}

SCRIPT("takeover/will", ALL)
{
	struct peer *b = join("b");

	subscribe(b, "will", 1);
	join("a", .will_topic = "will", .will_payload = span_str("taken"), .will_qos = 1);
	join("a");
}

SCRIPTS("takeover/session-with-will", V5, 2)
{
	struct peer *b = join("b");

	subscribe(b, "will", 1);
	session("a", .will_topic = "will", .will_payload = span_str("taken"), .will_qos = 1,
	    .will_props = wire_props("14", WILL_DELAY, 100 * variant));
	session("a");
}

SCRIPT("takeover/again-and-again", ALL)
{
	struct peer *b = join("b"), *a = session("a");

	subscribe(a, "t", 2);
	for (unsigned i = 0; i < 5; i++) {
		a = session("a");
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = i % 3);
	}
}
