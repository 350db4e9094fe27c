/* Filters, options, retained messages on subscribe, groups. */
#include "tests/differential/script.h"

SCRIPTS("subscribe/granted", ALL, 3)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", variant);
	for (unsigned qos = 0; qos < 3; qos++)
		publish(b, .topic = "t", .text = text_of("%u", qos), .qos = qos);
}

static const char *const filters[] = { "+", "#", "a/+", "a/#", "+/b", "a/+/c", "+/+", "a//c", "a/",
	"/a", "+/+/c", "a/+/#", "$x", "A/b" };
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

SCRIPTS("subscribe/matches", ALL, FILTERS)
{
	static const char *const topics[] = { "a", "a/b", "a/b/c", "a//c", "a/", "/a", "a/b/c/d",
		"b", "b/b", "A/b", "/", "//" };
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, text_of("x/%s", filters[variant]), 1);
	together();
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		publish(b, .topic = text_of("x/%s", topics[i]), .text = topics[i]);
	as_one();
}

static const char *const bad_filters[] = { "a+", "+a/b", "a#", "#/a", "a/#/b", "a/b+/c", "a/##",
	"++" };
#define BAD_FILTERS (sizeof(bad_filters) / sizeof(bad_filters[0]))

SCRIPTS("subscribe/bad-filter", ALL, BAD_FILTERS)
{
	subscribe(join("a"), bad_filters[variant], 1);
}

SCRIPT("subscribe/empty-filter", ALL)
{
	send_bytes(join("a"), wire_make_subscribe(pair.version, 1, NO_PROPS, "", 0));
}

SCRIPT("subscribe/nothing", ALL)
{
	send_bytes(join("a"), wire_make(pair.version, SUBSCRIBE << 4 | 2, "2p", 1, NO_PROPS));
}

SCRIPTS("subscribe/bad-options", ALL, 4)
{
	static const unsigned options[] = { 3, 0x40, 0x80, 0x30 };

	send_bytes(
	    join("a"), wire_make_subscribe(pair.version, 1, NO_PROPS, own("t"), options[variant]));
}

SCRIPT("subscribe/identifier-0", ALL)
{
	send_bytes(join("a"), wire_make_subscribe(pair.version, 0, NO_PROPS, own("t"), 0));
}

SCRIPT("subscribe/flags", ALL)
{
	send_bytes(
	    join("a"), wire_make(pair.version, SUBSCRIBE << 4, "2ps1", 1, NO_PROPS, own("t"), 0));
}

SCRIPT("subscribe/several-at-once", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	send_bytes(a,
	    wire_make(pair.version, SUBSCRIBE << 4 | 2, "2ps1s1s1", 1, NO_PROPS, own("a"), 0,
		own("b/+"), 1, own("c/#"), 2));
	publish(b, .topic = "a", .text = "1", .qos = 2);
	publish(b, .topic = "b/1", .text = "2", .qos = 2);
	publish(b, .topic = "c/1/2", .text = "3", .qos = 2);
}

SCRIPT("subscribe/the-same-twice-in-one", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	send_bytes(a,
	    wire_make(
		pair.version, SUBSCRIBE << 4 | 2, "2ps1s1", 1, NO_PROPS, own("a"), 0, own("a"), 1));
	publish(b, .topic = "a", .text = "1", .qos = 2);
}

SCRIPT("subscribe/replaced", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	publish(b, .topic = "t", .text = "1", .qos = 2);
	subscribe(a, "t", 0);
	publish(b, .topic = "t", .text = "2", .qos = 2);
	subscribe(a, "t", 1);
	publish(b, .topic = "t", .text = "3", .qos = 2);
}

SCRIPT("subscribe/overlapping-with-one-qos", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t/+", 1);
	subscribe(a, "t/#", 1);
	subscribe(a, "t/1", 1);
	publish(b, .topic = "t/1", .text = "1", .qos = 2);
	unsubscribe(a, "t/+");
	publish(b, .topic = "t/1", .text = "2", .qos = 2);
	unsubscribe(a, "t/#");
	publish(b, .topic = "t/1", .text = "3", .qos = 2);
	unsubscribe(a, "t/1");
	publish(b, .topic = "t/1", .text = "4", .qos = 2);
}

SCRIPT("subscribe/overlapping-with-two-qos", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t/+", 0);
	subscribe(a, "t/1", 2);
	publish(b, .topic = "t/1", .text = "1", .qos = 2);
}

SCRIPT("subscribe/dollar", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "$none/of/these", 1);
	publish(join("b"), .topic = "t", .text = "1");
}

SCRIPT("subscribe/user-properties", V5)
{
	subscribe_with(join("a"), "t", 1,
	    wire_props("1ss 1ss", USER_PROPERTY, "a", "1", USER_PROPERTY, "a", "2"));
}

SCRIPT("subscribe/property-of-another-packet", V5)
{
	subscribe_with(join("a"), "t", 1, wire_props("14", MESSAGE_EXPIRY, 1));
}

SCRIPTS("subscription-id/value", V5, 5)
{
	static const uint32_t value[] = { 1, 127, 128, 16384, 268435455 };
	struct peer *a = join("a"), *b = join("b");

	subscribe_with(a, "t", 1, wire_props("1v", SUBSCRIPTION_ID, value[variant]));
	publish(b, .topic = "t", .text = "1", .qos = 1);
	publish(b, .topic = "t", .text = "2", .qos = 0);
}

SCRIPT("subscription-id/0", V5)
{
	subscribe_with(join("a"), "t", 1, wire_props("1v", SUBSCRIPTION_ID, 0));
}

SCRIPT("subscription-id/twice", V5)
{
	subscribe_with(
	    join("a"), "t", 1, wire_props("1v 1v", SUBSCRIPTION_ID, 1, SUBSCRIPTION_ID, 2));
}

SCRIPT("subscription-id/replaced", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe_with(a, "t", 1, wire_props("1v", SUBSCRIPTION_ID, 1));
	publish(b, .topic = "t", .text = "1", .qos = 1);
	subscribe_with(a, "t", 1, wire_props("1v", SUBSCRIPTION_ID, 2));
	publish(b, .topic = "t", .text = "2", .qos = 1);
	subscribe(a, "t", 1);
	publish(b, .topic = "t", .text = "3", .qos = 1);
}

SCRIPT("subscription-id/overlapping", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe_with(a, "t/+", 1, wire_props("1v", SUBSCRIPTION_ID, 1));
	subscribe_with(a, "t/#", 1, wire_props("1v", SUBSCRIPTION_ID, 2));
	publish(b, .topic = "t/1", .text = "1", .qos = 1);
}

SCRIPT("subscription-id/retained", V5)
{
	struct peer *a = join("a"), *b = join("b");

	publish(b, .topic = "t", .text = "1", .qos = 1, .retain = true);
	subscribe_with(a, "t", 1, wire_props("1v", SUBSCRIPTION_ID, 7));
}

SCRIPT("subscription-id/waits", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe_with(a, "t", 1, wire_props("1v", SUBSCRIPTION_ID, 7));
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	session("a");
}

SCRIPT("subscription-id/sent-by-a-client", V5)
{
	publish(
	    join("a"), .topic = "t", .text = "1", .props = wire_props("1v", SUBSCRIPTION_ID, 7));
}

SCRIPT("unsubscribe/plain", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1);
	unsubscribe(a, "t");
	publish(b, .topic = "t", .text = "1", .qos = 1);
	unsubscribe(a, "t");
}

SCRIPT("unsubscribe/several", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "a", 1);
	subscribe(a, "b", 1);
	send_bytes(a,
	    wire_make(pair.version, UNSUBSCRIBE << 4 | 2, "2psss", 9, NO_PROPS, own("a"),
		own("none"), own("b")));
	publish(b, .topic = "a", .text = "1", .qos = 1);
}

SCRIPT("unsubscribe/nothing", ALL)
{
	send_bytes(join("a"), wire_make(pair.version, UNSUBSCRIBE << 4 | 2, "2p", 1, NO_PROPS));
}

SCRIPT("unsubscribe/bad-filter", ALL)
{
	unsubscribe(join("a"), "a#");
}

SCRIPT("unsubscribe/flags", ALL)
{
	send_bytes(
	    join("a"), wire_make(pair.version, UNSUBSCRIBE << 4, "2ps", 1, NO_PROPS, own("t")));
}

SCRIPT("unsubscribe/exact-filter-only", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t/+", 1);
	unsubscribe(a, "t/#");
	unsubscribe(a, "t/1");
	publish(b, .topic = "t/1", .text = "1", .qos = 1);
}

SCRIPTS("unsubscribe/under-way", ALL, 2)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 2);
	hold(a);
	publish(b, .topic = "t", .text = "1", .qos = variant + 1);
	unsubscribe(a, "t");
	publish(b, .topic = "t", .text = "2", .qos = variant + 1);
	answer(a, variant == 0 ? PUBACK : PUBREC, "1", 0, 0);
	if (variant == 1)
		answer(a, PUBCOMP, "1", 0, 0);
}

SCRIPT("no-local/on", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1 | NO_LOCAL);
	publish(a, .topic = "t", .text = "own", .qos = 1);
	publish(b, .topic = "t", .text = "other", .qos = 1);
}

SCRIPT("no-local/off", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "t", 2);
	publish(a, .topic = "t", .text = "1", .qos = 0);
	publish(a, .topic = "t", .text = "2", .qos = 1);
	publish(a, .topic = "t", .text = "3", .qos = 2);
}

SCRIPT("no-local/in-a-session", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1 | NO_LOCAL);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	a = session("a");
	publish(a, .topic = "t", .text = "2", .qos = 1);
}

SCRIPT("no-local/retained-of-one's-own", V5)
{
	struct peer *a = join("a");

	publish(a, .topic = "t", .text = "1", .qos = 1, .retain = true);
	subscribe(a, "t", 1 | NO_LOCAL);
}

SCRIPT("no-local/shared", V5)
{
	subscribe(join("a"), "$share/g/t", 1 | NO_LOCAL);
}

SCRIPT("retained/kept", ALL)
{
	struct peer *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true);
	publish(b, .topic = "t", .text = "2", .retain = true, .qos = 1);
	publish(b, .topic = "t", .text = "3", .qos = 1);
	subscribe(join("a"), "t", 2);
}

SCRIPTS("retained/qos", ALL, 9)
{
	publish(join("b"), .topic = "t", .text = "1", .retain = true, .qos = variant / 3);
	subscribe(join("a"), "t", variant % 3);
}

SCRIPT("retained/deleted", ALL)
{
	struct peer *b = join("b"), *a = join("a");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1);
	subscribe(a, "t", 2);
	publish(b, .topic = "t", .text = "", .retain = true, .qos = 1);
	subscribe(join("late"), "t", 2);
}

SCRIPT("retained/empty-where-there-is-none", ALL)
{
	struct peer *a = join("a");

	subscribe(a, "t", 2);
	publish(join("b"), .topic = "t", .text = "", .retain = true, .qos = 1);
}

SCRIPT("retained/many-by-wildcard", ALL)
{
	struct peer *b = join("b");

	for (unsigned i = 0; i < 8; i++)
		publish(b, .topic = text_of("t/%u/%u", i / 4, i), .text = text_of("%u", i),
		    .retain = true, .qos = i % 3);
	subscribe(join("a"), "t/+/5", 2);
	subscribe(join("c"), "t/#", 1);
	subscribe(join("d"), "t/1/+", 0);
}

SCRIPTS("retained/handling", V5, 3)
{
	struct peer *a = session("a"), *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1);
	subscribe(a, "t", 1 | variant << 4);
	subscribe(a, "t", 1 | variant << 4);
	unsubscribe(a, "t");
	subscribe(a, "t", 1 | variant << 4);
	leave(a);
	a = session("a");
	subscribe(a, "t", 1 | variant << 4);
}

SCRIPT("retained/again-on-each-subscribe", ALL)
{
	struct peer *a = join("a"), *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1);
	subscribe(a, "t", 1);
	subscribe(a, "t", 2);
	subscribe(a, "t", 0);
}

SCRIPTS("retained/as-published", V5, 2)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "t", 1 | (variant == 1 ? AS_PUBLISHED : 0));
	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1);
	publish(b, .topic = "t", .text = "2", .qos = 1);
	publish(b, .topic = "t", .text = "", .retain = true, .qos = 1);
	publish(b, .topic = "t", .text = "3", .retain = true, .qos = 1);
	subscribe(a, "t", 1 | (variant == 1 ? AS_PUBLISHED : 0));
}

SCRIPT("retained/as-published-in-a-session", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "t", 1 | AS_PUBLISHED);
	leave(a);
	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1);
	publish(b, .topic = "t", .text = "2", .qos = 1);
	session("a");
}

SCRIPT("retained/properties", V5)
{
	struct peer *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1,
	    .props = wire_props("11 1s 1s 1s 1ss", PAYLOAD_FORMAT, 1, CONTENT_TYPE, "text",
		RESPONSE_TOPIC, "answer", CORRELATION_DATA, "c", USER_PROPERTY, "a", "1"));
	subscribe(join("a"), "t", 1);
	pair.version = 4;
	subscribe(join("old"), "t", 1);
}

SCRIPT("retained/expires", V5)
{
	struct peer *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 1));
	publish(b, .topic = "u", .text = "2", .retain = true, .qos = 1,
	    .props = wire_props("14", MESSAGE_EXPIRY, 104));
	pass_time(3500);
	subscribe(join("a"), "t", 1);
	subscribe(join("c"), "u", 1);
}

SCRIPTS("retained/published-behind-subscribe", V5, 3)
{
	struct peer *a = session("a"), *b = session("b");

	subscribe(a, "t", 1 | AS_PUBLISHED);
	publish(b, .topic = "t", .text = "1", .qos = variant, .retain = true);
}

SCRIPT("retained/of-a-client-that-left", ALL)
{
	struct peer *b = join("b");

	publish(b, .topic = "t", .text = "1", .retain = true, .qos = 2);
	leave(b);
	subscribe(join("a"), "t", 2);
}

SCRIPT("retained/overlapping-subscriptions", ALL)
{
	struct peer *a = join("a");

	publish(join("b"), .topic = "t/1", .text = "1", .retain = true, .qos = 1);
	subscribe(a, "t/+", 1);
	subscribe(a, "t/#", 1);
}

SCRIPT("retained/under-way-in-a-session", ALL)
{
	struct peer *a = session("a");

	publish(join("b"), .topic = "t", .text = "1", .retain = true, .qos = 1);
	hold(a);
	subscribe(a, "t", 1);
	lose(a);
	session("a");
}

SCRIPT("shared/one-member", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "$share/g/t/+", 1);
	for (unsigned i = 0; i < 3; i++)
		publish(b, .topic = "t/1", .text = text_of("%u", i), .qos = i);
	unsubscribe(a, "$share/g/t/+");
	publish(b, .topic = "t/1", .text = "3", .qos = 1);
}

SCRIPTS("shared/members", V5, 3)
{
	struct peer *b = join("b");

	for (unsigned i = 0; i < 3; i++) {
		struct peer *m = join(text_of("m%u", i));

		any_of(m, "group");
		subscribe(m, "$share/g/t", 2);
	}
	for (unsigned i = 0; i < 9; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = variant);
}

SCRIPT("shared/two-groups-and-one-alone", V5)
{
	struct peer *b = join("b"), *c = join("c");

	for (unsigned i = 0; i < 4; i++) {
		struct peer *m = join(text_of("m%u", i));
		const char *group = text_of("g%u", i / 2);

		any_of(m, group);
		subscribe(m, text_of("$share/%s/t", group), 1);
	}
	subscribe(c, "t", 1);
	for (unsigned i = 0; i < 6; i++)
		publish(b, .topic = "t", .text = text_of("%u", i), .qos = 1);
}

SCRIPT("shared/beside-a-subscription-of-the-same-client", V5)
{
	struct peer *a = join("a"), *b = join("b");

	any_of(a, "both");
	subscribe(a, "$share/g/t", 1);
	subscribe(a, "t", 1);
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("shared/no-retained", V5)
{
	publish(join("b"), .topic = "t", .text = "1", .retain = true, .qos = 1);
	subscribe(join("a"), "$share/g/t", 1);
}

SCRIPT("shared/member-leaves", V5)
{
	struct peer *a = join("a"), *c = join("c"), *b = join("b");

	subscribe(a, "$share/g/t", 1);
	leave(a);
	subscribe(c, "$share/g/t", 1);
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

SCRIPT("shared/qos-of-the-member", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe(a, "$share/g/t", 0);
	publish(b, .topic = "t", .text = "1", .qos = 2);
}

SCRIPT("shared/session-that-waits", V5)
{
	struct peer *a = session("a"), *b = join("b");

	subscribe(a, "$share/g/t", 1);
	leave(a);
	publish(b, .topic = "t", .text = "1", .qos = 1);
	session("a");
	publish(b, .topic = "t", .text = "2", .qos = 1);
}

SCRIPT("shared/subscription-id", V5)
{
	struct peer *a = join("a"), *b = join("b");

	subscribe_with(a, "$share/g/t", 1, wire_props("1v", SUBSCRIPTION_ID, 9));
	publish(b, .topic = "t", .text = "1", .qos = 1);
}

static const char *const bad_shares[] = { "$share/g", "$share/", "$share//t", "$share/g/",
	"$share/+/t", "$share/g#/t" };
#define BAD_SHARES (sizeof(bad_shares) / sizeof(bad_shares[0]))

SCRIPTS("shared/bad-filter", V5, BAD_SHARES)
{
	send_bytes(join("a"), wire_make_subscribe(5, 1, NO_PROPS, bad_shares[variant], 0));
}
