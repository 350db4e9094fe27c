#include "tests/lib/scenario.h"

#define ROUNDS 40

/* What it is: whether it came live or as retained, it must not come again. */
static void
need_once(struct mq *sub, const char *topic)
{
	mq_need_publish(sub, topic, "x");
	mq_subscribe(sub, "mark", 0); /* a page of its own, behind that of the topic */
	mq_need_publish(sub, "mark", "m");
	mq_quiet(sub);
	mq_unsubscribe(sub, "mark");
}

/* Subscriptions are acknowledged before what is retained comes, and who hears of it publishes: live to all, kept meanwhile. */
SCENARIO(1, 2, 4)
{
	struct mq *sub, *pub, *dying;
	char topic[32];

	broker_start();
	sub = mq_on_worker(0, (struct mq_opts){ .id = "s" });
	pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p", .expiry = 100 });
	check(mq_publish(pub, "mark", "m", 1, true) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		int qos = i % 4;

		snprintf(topic, sizeof(topic), "t/%d", i);
		if (qos == 3) {
			dying = mq_connect(.id = "d", .will_topic = topic, .will_payload = "x",
			    .will_qos = 1, .will_retain = true);
			check(mq_subscribe(sub, topic, 2) == 2);
			mq_close(dying);
		} else {
			check(mq_subscribe(sub, topic, 2) == 2);
			mq_publish(pub, topic, "x", qos, true);
		}
		need_once(sub, topic);
	}
	mq_disconnect(pub);
	mq_disconnect(sub);
}
