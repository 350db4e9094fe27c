#include "tests/lib/scenario.h"

enum { PUBLISH = 3, PUBREC = 5, PUBREL = 6, PUBCOMP = 7 };

/* A client that takes its PUBREC for lost has to be able to go on. */
static void
try(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s", .expiry = expiry), *pub = mq_connect(.id = "p");
	struct packet k;

	check(mq_subscribe(sub, "t", 2) == 2);
	check(mq_publish(pub, "t", "1", 2, false) == 0);
	k = mq_need(sub, PUBLISH);
	for (int i = 0; i < 3; i++) {
		struct packet rel;

		mq_ack(sub, PUBREC, k.id, 0);
		rel = mq_need(sub, PUBREL);
		check(rel.id == k.id && rel.reason == 0);
	}
	mq_ack(sub, PUBCOMP, k.id, 0);
	mq_ack(sub, PUBREC, k.id, 0);
	check(mq_need(sub, PUBREL).reason == 0x92); /* it is over */
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

SCENARIO(1)
{
	broker_start();
	try(0);
	try(100);
}
