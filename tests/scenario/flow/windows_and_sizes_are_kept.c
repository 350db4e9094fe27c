#include "tests/lib/scenario.h"

static void
receive_max(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s", .receive_max = 3, .expiry = expiry),
		  *pub = mq_connect(.id = "p");
	uint16_t id[10];
	struct packet k;

	mq_subscribe(sub, "t", 1);
	for (int i = 0; i < 10; i++)
		mq_publish(pub, "t", "x", 1, false);
	for (int i = 0; i < 3; i++)
		id[i] = mq_need(sub, 3).id;
	mq_quiet(sub);
	mq_ack(sub, 4, 999, 0); /* unknown: opens nothing */
	mq_quiet(sub);
	for (int i = 0; i < 7; i++) {
		mq_ack(sub, 4, id[i], 0);
		id[i + 3] = mq_need(sub, 3).id;
		mq_quiet(sub);
	}
	mq_disconnect(sub);
	mq_disconnect(pub);
	(void)k;
}

static void
max_packet(void)
{
	struct mq *sub = mq_connect(.id = "s", .max_packet = 100), *pub = mq_connect(.id = "p");
	char big[200];

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	mq_subscribe(sub, "t", 1);
	mq_publish(pub, "t", big, 1, false);
	mq_publish(pub, "t", "small", 1, false);
	mq_need_publish(sub, "t", "small");
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	struct mq *m;

	broker_start(
	    "max_packet_size=2048", "receive_max=5", "topic_alias_max=2", "topic_alias_max_out=4");
	receive_max(0);
	receive_max(60);
	max_packet();
	m = mq_connect(.id = "big");
	mq_hex(m, "30 81 20"); /* 4,097 bytes announced */
	check(mq_need(m, 14).reason == 0x95);
	mq_need_close(m);
	mq_close(m);
	m = mq_connect(.id = "many"); /* six QoS 2 messages without PUBREL */
	for (int i = 1; i <= 6; i++) {
		char hex[64];

		snprintf(hex, sizeof(hex), "34 06 0001 74 %04x 00", i);
		mq_hex(m, hex);
	}
	for (int i = 0; i < 5; i++)
		mq_need(m, 5);
	check(mq_need(m, 14).reason == 0x93);
	mq_need_close(m);
	mq_close(m);
	m = mq_connect(.id = "alias", .alias_max = 10);
	mq_subscribe(m, "alias/topic", 0);
	mq_send_publish(m, "alias/topic", "1", 1, 0, false, "230001");
	mq_need_publish(m, "alias/topic", "1");
	mq_send_publish(m, "", "2", 1, 0, false, "230001");
	mq_need_publish(m, "", "2"); /* by the broker's alias now */
	mq_send_publish(m, "alias/topic", "3", 1, 0, false, "230003");
	check(mq_need(m, 14).reason == 0x94);
	mq_need_close(m);
	mq_close(m);
}
