#include "tests/lib/scenario.h"

enum { PUBLISH = 3, PUBACK = 4 };

/* Of a client that is there: one message is under way, and those behind it have to wait. */
static void
try(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s", .receive_max = 1, .expiry = expiry),
		  *pub = mq_connect(.id = "p");
	long expired = broker_counter("dropped__expired");
	struct packet k;

	check(mq_subscribe(sub, "t", 1) == 1);
	check(mq_publish(pub, "t", "first", 1, false) == 0);
	k = mq_need(sub, PUBLISH);
	mq_send_publish(pub, "t", "short", 5, 1, false, "020000000a"); /* 10 s */
	mq_need(pub, PUBACK);
	mq_send_publish(pub, "t", "long", 4, 1, false, "02000003e8"); /* 1000 s */
	mq_need(pub, PUBACK);
	clock_move(20000);
	mq_ack(sub, PUBACK, k.id, 0);
	k = mq_need_publish(sub, "t", "long");
	check(k.props_len == 5 && k.props[0] == 2);
	check((k.props[3] << 8 | k.props[4]) <= 980);
	mq_quiet(sub);
	wait_for(broker_counter("dropped__expired") == expired + 1);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	clock_move(0);
	broker_start();
	try(0);
	try(1000);
}
