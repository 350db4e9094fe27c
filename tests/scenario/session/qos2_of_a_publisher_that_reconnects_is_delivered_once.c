#include "tests/lib/scenario.h"

#define PUB                                                                                        \
	(struct mq_opts)                                                                           \
	{                                                                                          \
		.id = "p", .resume = true, .expiry = 1000                                          \
	}

SCENARIO(1, 2)
{
	struct mq *sub, *pub;

	broker_start();
	sub = mq_connect(.id = "s");
	check(mq_subscribe(sub, "t", 2) == 2);
	pub = mq_on_worker(0, PUB);
	mq_hex(pub, "34 09 0001 74 0009 00 6f6e65");
	check(mq_need(pub, 5).id == 9);
	mq_close(pub); /* PUBREC, so to say, was lost */
	pub = mq_on_worker(workers() - 1, PUB);
	check(pub->present == 1);
	mq_hex(pub, "3c 09 0001 74 0009 00 6f6e65");
	check(mq_need(pub, 5).id == 9);
	mq_ack(pub, 6, 9, 0);
	check(mq_need(pub, 7).reason == 0);
	mq_need_publish(sub, "t", "one");
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
