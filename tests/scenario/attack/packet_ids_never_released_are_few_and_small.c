#include <stdlib.h>

#include "tests/lib/attack.h"

#define RECEIVE_MAX 1000
#define CLIENTS 50
#define APART 512 /* identifiers of each */

static void
send_qos2(struct mq *m, uint16_t id)
{
	struct load l = { 0 };

	load_publish(&l, "t", 1, 2, id, false, 10);
	mq_load(m, &l);
	load_free(&l);
}

/* As many as CONNACK allowed, and one: MQTT 5 says so, MQTT 3 has no words for it. */
static void
one_too_many(int version)
{
	struct mq *m = mq_connect(.id = "many", .version = version);
	struct packet k;
	int answered = 0;

	for (int i = 1; i <= RECEIVE_MAX + 1; i++)
		mq_send_publish(m, "t", "x", 1, 2, false, NULL);
	while (mq_read(m, &k, deadline_ms()) && k.type == 5)
		answered++;
	check(answered == RECEIVE_MAX);
	if (version == 5)
		check(k.type == 14 && k.reason == 0x93);
	mq_need_close(m);
	mq_close(m);
}

/* Identifiers far apart: a table by their low bits would have to be of full size, and all of it touched. */
static void
far_apart(void)
{
	struct mq *m[CLIENTS];

	for (int i = 0; i < CLIENTS; i++) {
		m[i] = mq_connect(.version = 5);
		for (int k = 0; k < APART; k++)
			send_qos2(m[i], (uint16_t)(1 + k * (65536 / APART)));
	}
	for (int i = 0; i < CLIENTS; i++)
		for (int k = 0; k < APART; k++)
			mq_need(m[i], 5);
	attack_look();
	mq_close_all(m, CLIENTS);
}

/* A durable publisher's are kept over connections; new ones come with each. */
static void
over_connections(void)
{
	struct mq *m;
	uint16_t id = 0;

	for (int i = 0; i < 10 * scale(); i++) {
		m = mq_connect(.id = "durable", .resume = true, .expiry = 1000);
		for (int k = 0; k < RECEIVE_MAX; k++)
			send_qos2(m, ++id);
		for (int k = 0; k < RECEIVE_MAX; k++)
			mq_need(m, 5);
		mq_close(m);
	}
	mq_disconnect(mq_connect(.id = "durable"));
}

/* A subscriber that acknowledges nothing has its window and its queue. */
static void
nothing_acknowledged(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "mute", .receive_max = 65535, .expiry = expiry),
		  *pub = mq_connect(.id = "pub");

	mq_subscribe(sub, "t", 2);
	for (int i = 0; i < 3000; i++) {
		uint16_t id = mq_send_publish(pub, "t", "0123456789", 10, 1, false, NULL);

		check(mq_need(pub, 4).id == id);
	}
	check(broker_counter("dropped__queue_full") > 0);
	mq_close(sub);
	mq_disconnect(pub);
	mq_disconnect(mq_connect(.id = "mute"));
}

SCENARIO(1, 2)
{
	attack_start();
	one_too_many(4);
	one_too_many(5);
	far_apart();
	over_connections();
	nothing_acknowledged(0);
	nothing_acknowledged(1000);
	attack_end(24 * MIB, 8 * MIB);
}
