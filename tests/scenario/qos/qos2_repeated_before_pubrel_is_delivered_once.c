#include "tests/lib/scenario.h"

static void
try(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s"), *pub = mq_connect(.id = "p", .expiry = expiry);

	check(mq_subscribe(sub, "t", 2) == 2);
	mq_hex(pub, "34 09 0001 74 0007 00 6f6e65");
	check(mq_need(pub, 5).id == 7);
	mq_hex(pub, "3c 09 0001 74 0007 00 6f6e65"); /* the same with DUP */
	check(mq_need(pub, 5).id == 7);
	mq_ack(pub, 6, 7, 0);
	check(mq_need(pub, 7).reason == 0);
	mq_ack(pub, 6, 7, 0); /* not known any more */
	check(mq_need(pub, 7).reason == 0x92);
	mq_need_publish(sub, "t", "one");
	mq_quiet(sub);
	mq_disconnect(pub);
	mq_disconnect(sub);
}

SCENARIO(1, 2)
{
	broker_start();
	try(0);
	try(100);
}
