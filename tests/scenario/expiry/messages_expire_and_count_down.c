#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *sub, *pub;
	struct packet k;

	clock_move(0);
	broker_start();
	pub = mq_connect(.id = "p");
	sub = mq_connect(.id = "s", .resume = true, .expiry = 100000);
	mq_subscribe(sub, "t", 1);
	mq_disconnect(sub);
	mq_send_publish(pub, "t", "short", 5, 1, false, "020000000a"); /* 10 s */
	mq_need(pub, 4);
	mq_send_publish(pub, "t", "long", 4, 1, false, "02000003e8"); /* 1000 s */
	mq_need(pub, 4);
	mq_send_publish(pub, "r", "kept", 4, 1, true, "0200000064"); /* 100 s, retained */
	mq_need(pub, 4);
	clock_move(50000);
	sub = mq_connect(.id = "s", .resume = true, .expiry = 100000);
	check(sub->present == 1);
	k = mq_need(sub, 3);
	check(k.payload_len == 4 && memcmp(k.payload, "long", 4) == 0);
	check(k.props_len == 5 && k.props[0] == 2);
	check(k.props[3] << 8 | k.props[4]);
	check((k.props[3] << 8 | k.props[4]) <= 950 && (k.props[3] << 8 | k.props[4]) >= 940);
	mq_ack(sub, 4, k.id, 0);
	mq_quiet(sub);
	mq_subscribe(sub, "r", 0);
	k = mq_need(sub, 3);
	check(k.retain && k.props_len == 5 && k.props[4] <= 50 && k.props[4] >= 40);
	mq_disconnect(sub);
	clock_move(60000);
	sub = mq_connect(.id = "s2");
	mq_subscribe(sub, "r", 0);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
