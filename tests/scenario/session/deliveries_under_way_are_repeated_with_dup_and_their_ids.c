#include "tests/lib/scenario.h"

#define SUB                                                                                        \
	(struct mq_opts)                                                                           \
	{                                                                                          \
		.id = "s", .resume = true, .expiry = 1000                                          \
	}

SCENARIO(1, 2)
{
	struct mq *sub, *pub;
	struct packet k;
	uint16_t one, two, three;

	broker_start();
	sub = mq_on_worker(0, SUB);
	pub = mq_connect(.id = "p");
	check(mq_subscribe(sub, "t", 2) == 2);
	mq_publish(pub, "t", "one", 1, false);
	mq_publish(pub, "t", "two", 2, false);
	mq_publish(pub, "t", "three", 2, false);
	one = mq_need(sub, 3).id;
	two = mq_need(sub, 3).id;
	three = mq_need(sub, 3).id;
	mq_ack(sub, 5, three, 0);
	check(mq_need(sub, 6).id == three);
	mq_close(sub); /* one: no PUBACK; two: no PUBREC; three: no PUBCOMP */

	sub = mq_on_worker(workers() - 1, SUB);
	check(sub->present == 1);
	k = mq_need(sub, 3);
	check(k.id == one && k.dup && k.qos == 1 && memcmp(k.payload, "one", 3) == 0);
	k = mq_need(sub, 3);
	check(k.id == two && k.dup && k.qos == 2 && memcmp(k.payload, "two", 3) == 0);
	check(mq_need(sub, 6).id == three);
	mq_ack(sub, 4, one, 0);
	mq_ack(sub, 5, two, 0);
	check(mq_need(sub, 6).id == two);
	mq_ack(sub, 7, two, 0);
	mq_ack(sub, 7, three, 0);
	mq_quiet(sub);
	mq_close(sub);
	sub = mq_on_worker(0, SUB);
	check(sub->present == 1);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
