#include "tests/lib/scenario.h"

/* A message for several is encoded once; whom it is too large for goes without, the others don't. */
static void
publish_to_many(int qos)
{
	struct mq *sub[4], *pub = mq_connect(.id = "p");
	char large[100], id[16];

	memset(large, 'l', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "s%d", i);
		sub[i] = mq_connect(.id = id, .max_packet = i % 2 == 0 ? 50 : 0);
		check(mq_subscribe(sub[i], "t", qos) == qos);
	}
	check(mq_publish(pub, "t", large, qos, false) == 0);
	for (int i = 1; i < 4; i += 2)
		mq_need_publish(sub[i], "t", large);
	check(mq_publish(pub, "t", "small", qos, false) == 0);
	for (int i = 0; i < 4; i++) {
		mq_need_publish(sub[i], "t", "small");
		mq_quiet(sub[i]);
		mq_disconnect(sub[i]);
	}
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	broker_start();
	publish_to_many(0);
	publish_to_many(1);
	publish_to_many(2);
}
