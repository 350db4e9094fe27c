#include "tests/lib/scenario.h"

static void
ids_of(const struct packet *k, int *sum)
{
	*sum = 0;
	for (size_t i = 0; i + 1 < k->props_len; i += 2) {
		check(k->props[i] == 0x0b);
		*sum += k->props[i + 1];
	}
}

static void
try(uint32_t expiry)
{
	struct mq *sub = mq_on_worker(0, (struct mq_opts){ .id = "s", .expiry = expiry });
	struct mq *pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p" });
	struct packet k;
	int sum;

	mq_subscribe_id(sub, "a/#", 0, 1);
	mq_subscribe_id(sub, "a/+", 1, 2);
	mq_subscribe_id(sub, "a/b", 0, 4);
	mq_publish(pub, "a/b", "x", 2, false);
	k = mq_need_publish(sub, "a/b", "x");
	check(k.qos == 1);
	ids_of(&k, &sum);
	check(sum == 7);
	mq_publish(pub, "a", "y", 1, false);
	k = mq_need_publish(sub, "a", "y");
	check(k.qos == 0);
	ids_of(&k, &sum);
	check(sum == 1);
	mq_quiet(sub);
	check(mq_unsubscribe(sub, "a/#") == 0);
	check(mq_unsubscribe(sub, "a/#") == 0x11);
	mq_disconnect(pub);
	mq_disconnect(sub);
}

SCENARIO(1, 2)
{
	broker_start();
	try(0);
	try(50);
}
