#include "tests/lib/scenario.h"

#define ALL "allow all all #\n"
#define LESS                                                                                       \
	"allow user admin all #\n"                                                                 \
	"deny all all gone/#\n"                                                                    \
	"deny all receive part/secret\n"                                                           \
	"allow all subscribe part/#\n"                                                             \
	"allow all subscribe stays\n"

static struct mq *admin;

static void
say(const char *topic, const char *text)
{
	check(mq_publish(admin, topic, text, 1, false) < 0x80);
}

static void
subscribe_all(struct mq *m)
{
	check(mq_subscribe(m, "gone/#", 1) == 1 && mq_subscribe(m, "part/#", 1) == 1);
	check(mq_subscribe(m, "stays", 1) == 1 && mq_subscribe(m, "$share/g/gone/x", 1) == 1);
}

static void
only_what_is_left(struct mq *m)
{
	mq_need_publish(m, "part/a", "2");
	mq_need_publish(m, "stays", "4");
	mq_quiet(m);
}

static int
subscriptions_of(const char *id)
{
	char *text = ctl_text("--json", "subscription", "list", "--client", id);
	int n = 0;

	for (; (text = strstr(text, "\"filter\"")) != NULL; text++)
		n++;
	return n;
}

SCENARIO(1, 2, 4)
{
	struct mq *clean, *durable, *away, *full, *pub;

	broker_start();
	broker_rules(ALL);
	admin = mq_connect(.id = "admin", .user = "admin");
	pub = mq_connect(.id = "pub", .version = 4);
	clean = mq_connect(.id = "clean");
	durable = mq_connect(.id = "durable", .expiry = 1000);
	away = mq_connect(.id = "away", .expiry = 1000);
	full = mq_connect(.id = "full", .receive_max = 1);
	subscribe_all(clean);
	subscribe_all(durable);
	subscribe_all(away);
	mq_disconnect(away);
	/* One message under way, and two behind it: one of them may not come any more. */
	check(mq_subscribe(full, "part/#", 1) == 1);
	say("part/first", "a");
	say("part/secret", "b");
	say("part/last", "c");
	mq_need_publish(clean, "part/first", "a");
	mq_need_publish(clean, "part/secret", "b");
	mq_need_publish(clean, "part/last", "c");
	mq_need_publish(durable, "part/first", "a");
	mq_need_publish(durable, "part/secret", "b");
	mq_need_publish(durable, "part/last", "c");

	broker_rules(LESS);
	/* Who asks for something is answered by the new rules at once. */
	check(mq_subscribe(durable, "gone/y", 1) == 0x87);
	check(mq_publish(clean, "gone/y", "x", 1, false) == 0x87);
	wait_for(broker_counter("subscriptions_ended") == 4);
	wait_for(subscriptions_of("clean") == 2 && subscriptions_of("durable") == 2);
	say("gone/x", "1");
	say("part/a", "2");
	say("part/secret", "3");
	say("stays", "4");
	only_what_is_left(clean);
	only_what_is_left(durable);
	mq_need_publish(full, "part/first", "a");
	mq_need_publish(full, "part/last", "c");
	mq_need_publish(full, "part/a", "2");
	mq_quiet(full);

	/* A session that comes back has what it may have, of its subscriptions and its queue. */
	away = mq_connect(.id = "away", .expiry = 1000, .resume = true);
	check(away->present == 1);
	mq_need_publish(away, "part/first", "a");
	mq_need_publish(away, "part/last", "c");
	only_what_is_left(away);
	check(broker_counter("subscriptions_ended") == 6);
	mq_disconnect(durable);
	broker_rules("allow user admin all #\n");
	durable = mq_connect(.id = "durable", .expiry = 1000, .resume = true);
	check(durable->present == 1);
	say("part/a", "5");
	mq_quiet(durable);
	mq_quiet(away);
	wait_for(subscriptions_of("durable") == 0);

	/* Without rules all is allowed, but what has ended has ended. */
	broker_reload("acl_file =", "acl_file = \"\";");
	check(mq_publish(pub, "stays", "6", 1, false) == 0);
	mq_quiet(durable);
	check(mq_subscribe(durable, "stays", 1) == 1);
	check(mq_publish(pub, "stays", "7", 1, false) == 0);
	mq_need_publish(durable, "stays", "7");
	mq_disconnect(clean);
	mq_disconnect(durable);
	mq_disconnect(away);
	mq_disconnect(full);
	mq_disconnect(pub);
	mq_disconnect(admin);
}
