#include "tests/lib/scenario.h"

static void
try(uint32_t expiry)
{
	struct mq *pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p" });
	struct mq *sub = mq_on_worker(0, (struct mq_opts){ .id = "s", .expiry = expiry });
	struct packet k;

	mq_publish(pub, "r/a", "1", 1, true);
	mq_publish(pub, "r/a", "2", 0, true);
	mq_publish(pub, "r/b", "3", 2, true);
	mq_publish(pub, "r/b", "unretained", 1, false);
	check(mq_subscribe(sub, "r/a", 1) == 1);
	k = mq_need_publish(sub, "r/a", "2");
	check(k.retain && k.qos == 0);
	check(mq_subscribe(sub, "r/+", 1) == 1);
	for (int i = 0; i < 2; i++) {
		k = mq_need(sub, 3);
		check(k.retain);
		if (k.qos > 0)
			mq_ack(sub, 4, k.id, 0);
	}
	mq_quiet(sub);
	check(mq_subscribe(sub, "r/+", 1 | 0x10) == 1); /* only if new: it isn't */
	mq_quiet(sub);
	check(mq_subscribe(sub, "r/b", 1 | 0x20) == 1); /* never */
	mq_quiet(sub);
	check(mq_subscribe(sub, "r/+/#", 1 | 0x10) == 1); /* new */
	for (int i = 0; i < 2; i++) {
		k = mq_need(sub, 3);
		check(k.retain);
		if (k.qos > 0)
			mq_ack(sub, 4, k.id, 0);
	}
	mq_unsubscribe(sub, "r/+/#");
	mq_unsubscribe(sub, "r/+");
	mq_unsubscribe(sub, "r/a");
	mq_unsubscribe(sub, "r/b");
	mq_publish(pub, "r/a", "", 1, true);
	mq_publish(pub, "r/b", "", 1, true);
	check(mq_subscribe(sub, "r/#", 0) == 0);
	mq_quiet(sub);
	check(mq_subscribe(sub, "$share/g/r/#", 0) == 0); /* shared: never */
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	broker_start();
	try(0);
	try(60);
}
