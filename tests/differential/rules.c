/* Access rules, those of rules.acl: who may publish, and who gets what. */
#include "tests/differential/script.h"

/* Words for what is refused are each broker's own. */
#define NO_REASON .props = wire_props("11", REQUEST_PROBLEM, 0)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const topics[] = { "news", "news/x", "news/secret", "in", "ann", "ann/x/y",
	"ann/secret", "ann/secret/x", "with blank/a b", "bob", "bob/x", "both", "both/x", "any/x/b",
	"any/a/b", "any/a/c", "any/b", "dev/ann/up", "dev/bob/up", "dev/bob", "dev/bob/no",
	"dev/ann/no/x", "dev//up", "dev/%u/up", "pub/ann-x", "pub/bob-x", "pub/-x", "all",
	"other" };

static const char *const filters[] = { "#", "news/#", "news/secret", "ann/+/#", "+/+", "bob",
	"any/+/+", "dev/#", "dev/+/no", "$share/g/news/#", "other" };

static const char *const users[] = { NULL, "ann", "bob", "eve" };

SCRIPTS("rules/who-publishes", ALL, 4)
{
	struct peer *all = join("all", .user = "admin", .password = "");
	struct peer *p = join("p", .user = users[variant], NO_REASON);

	subscribe(all, "#", 2);
	for (size_t i = 0; i < COUNT(topics); i++)
		for (unsigned qos = 0; qos <= 2; qos++)
			publish(p, .topic = topics[i], .text = topics[i], .qos = qos);
}

SCRIPTS("rules/who-gets-it", ALL, 4)
{
	struct peer *from = join("from", .user = "admin");

	for (size_t f = 0; f < COUNT(filters); f++) {
		struct peer *p = join("p", .user = users[variant]);

		subscribe(p, filters[f], 2);
		for (size_t i = 0; i < COUNT(topics); i++)
			publish(
			    from, .topic = topics[i], .text = topics[i], .qos = (unsigned)i % 3);
		leave(p);
	}
}

SCRIPTS("rules/who-gets-what-is-retained", ALL, 4)
{
	struct peer *from = join("from", .user = "admin");
	struct peer *p = join("p", .user = users[variant]);

	for (size_t i = 0; i < COUNT(topics); i++)
		publish(from, .topic = topics[i], .text = topics[i], .qos = 1, .retain = true);
	subscribe(p, "#", 1);
	for (size_t i = 0; i < COUNT(topics); i++) /* what is left must not be found by others */
		publish(from, .topic = topics[i], .text = "", .qos = 1, .retain = true);
}

SCRIPTS("rules/what-waits", ALL, 4)
{
	struct peer *from = join("from", .user = "admin");
	struct peer *p = session("p", .user = users[variant]);

	subscribe(p, "#", 1);
	lose(p);
	for (size_t i = 0; i < COUNT(topics); i++)
		publish(from, .topic = topics[i], .text = topics[i], .qos = 1);
	session("p", .user = users[variant]);
}

/* A name that is a wildcard gets at nothing by it. */
SCRIPTS("rules/dangerous-names", ALL, 3)
{
	static const char *const name[] = { "+", "#", "a+b" };
	struct peer *all = join("all", .user = "admin");
	struct peer *p = join("p", .user = name[variant], NO_REASON);

	subscribe(all, "#", 1);
	subscribe(p, "#", 1);
	for (size_t i = 0; i < COUNT(topics); i++)
		publish(all, .topic = topics[i], .text = topics[i], .qos = 1);
	publish(p, .topic = "dev/bob/up", .text = "x", .qos = 1);
	publish(p, .topic = "dev/x/y", .text = "x", .qos = 1);
	publish(p, .topic = "all", .text = "x", .qos = 1);
}

SCRIPTS("rules/wills", ALL, 2)
{
	struct peer *all = join("all", .user = "admin");

	subscribe(all, "#", 1);
	lose(join("p", .user = "bob", .will_topic = "bob", .will_payload = span_str("gone"),
	    .will_qos = variant));
}
