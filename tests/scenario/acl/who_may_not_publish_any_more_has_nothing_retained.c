/*
 * check_retain_source: what is retained is given to subscribers as long as who had published it might still do so.
 */
#include <stdlib.h>

#include "tests/lib/scenario.h"

#define LAX "allow all all #\nallow all all $SYS/#\n"
#define STRICT "deny user bob publish #\ndeny group out publish #\n" LAX
#define EVERYTHING "a/1 b/0 b/1 b/2 b/will old/x z/end "
#define WITHOUT_BOB "a/1 old/x z/end "

static void
retain(const char *user, const char *topic, int qos)
{
	struct mq *m = mq_connect(.user = user);

	if (qos > 0)
		check(mq_publish(m, topic, "x", qos, true) < 0x80);
	else
		mq_send_publish(m, topic, "x", 1, 0, true, NULL);
	mq_quiet(m);
	mq_disconnect(m);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Topics of what is retained, as one who comes new gets it: z/end is the last, but for QoS 0 to go before the rest. */
static const char *
given(bool durable)
{
	static char topics[400], name[20][16];
	struct mq *m = mq_connect(.id = "reader", .resume = durable, .expiry = durable ? 60 : 0);
	struct packet p;
	size_t n = 0, len = 0;

	check(mq_subscribe(m, "+/+", durable ? 2 : 0) < 0x80);
	do {
		p = mq_need(m, 3);
		check(p.retain && n < 20);
		snprintf(name[n++], sizeof(name[0]), "%.15s", p.topic);
	} while (strcmp(p.topic, "z/end") != 0);
	mq_close(m);
	mq_disconnect(mq_connect(.id = "reader"));
	qsort(name, n, sizeof(name[0]), by_name);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(topics + len, sizeof(topics) - len, "%s ", name[i]);
	return topics;
}

static bool
all_get(const char *topics)
{
	return strcmp(given(false), topics) == 0 && strcmp(given(true), topics) == 0;
}

static void
ours_is_given(void)
{
	struct mq *m = mq_connect();

	check(mq_subscribe(m, "$SYS/broker/version", 0) == 0);
	(void)mq_need(m, 3);
	mq_disconnect(m);
}

SCENARIO(1, 4)
{
	struct mq *m;

	broker_start("check_retain_source=false", "sys_interval=1");
	broker_rules(LAX);
	/* Nobody knows whose these are: that is a store of before, too. */
	retain("bob", "old/x", 1);
	broker_kill_all();
	broker_start("sys_interval=1");
	retain("bob", "b/0", 0);
	retain("bob", "b/1", 1);
	retain("bob", "b/2", 2);
	m = mq_connect(.user = "bob", .will_topic = "b/will", .will_payload = "x", .will_qos = 1,
	    .will_retain = true);
	mq_close(m);
	retain("anna", "a/1", 1);
	retain("anna", "z/end", 1);
	wait_for(all_get(EVERYTHING));

	broker_rules(STRICT);
	wait_for(all_get(WITHOUT_BOB));
	check(broker_counter("dropped__retain_source") >= 8);
	ours_is_given();
	broker_kill_all();
	broker_start("sys_interval=1");
	check(all_get(WITHOUT_BOB));
	broker_kill("persist/0", 9);
	broker_wait_ready();
	check(all_get(WITHOUT_BOB));

	/* It is still there, for whom it is no question, or who may again. */
	broker_reload("check_retain_source =", "check_retain_source = false;");
	wait_for(all_get(EVERYTHING));
	broker_reload("check_retain_source =", "check_retain_source = true;");
	wait_for(all_get(WITHOUT_BOB));
	retain("anna", "b/1", 1);
	wait_for(all_get("a/1 b/1 old/x z/end "));
	/* By what the rules themselves say of who is in a group. */
	broker_rules("group out user anna\n" STRICT);
	retain("carl", "z/end", 1);
	wait_for(all_get("old/x z/end "));
	broker_rules(LAX);
	wait_for(all_get(EVERYTHING));
	broker_stop();
}
