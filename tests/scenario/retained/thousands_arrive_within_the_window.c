#include "tests/lib/scenario.h"

#define N 1500

static void
try(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s", .receive_max = 10, .expiry = expiry);
	int got = 0;

	check(mq_subscribe(sub, "many/+", 1) == 1);
	while (got < N) {
		struct packet k = mq_need(sub, 3);

		check(k.retain && k.qos == 1);
		mq_ack(sub, 4, k.id, 0);
		got++;
	}
	mq_quiet(sub);
	mq_disconnect(sub);
}

SCENARIO(1, 2)
{
	struct mq *pub;
	char topic[32];

	broker_start("queue_max_messages=100");
	pub = mq_connect(.id = "p");
	for (int i = 0; i < N; i++) {
		snprintf(topic, sizeof(topic), "many/%d", i);
		check(mq_publish(pub, topic, "x", 1, true) == 0);
	}
	try(0);
	mq_disconnect(pub);
}
