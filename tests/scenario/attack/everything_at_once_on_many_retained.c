#include <stdio.h>

#include "tests/lib/attack.h"

#define RETAINED 10000
#define READERS 20
#define FILTERS 150000 /* the same one again and again, in one SUBSCRIBE */
#define LIVE 300

static void
retain_all(struct mq *m, int n, size_t payload)
{
	struct load l = { 0 };

	for (int i = 0; i < n; i++) {
		char topic[64];

		load_publish(&l, topic,
		    (size_t)snprintf(topic, sizeof(topic), "many/retained/%d", i), 0, 0, true,
		    payload);
		if (l.n > 60000)
			mq_load(m, &l);
	}
	mq_load(m, &l);
	load_free(&l);
	wait_for(broker_counter("retained") == (payload > 0 ? n : 0));
}

static void
subscribe_again_and_again(struct mq *m)
{
	struct load l = { 0 };

	load_num(&l, 2, 1);
	load_varint(&l, 0);
	for (int i = 0; i < FILTERS; i++) {
		load_text(&l, "#", 1);
		load_num(&l, 1, 0);
	}
	load_packet(&l, 0, 0x82);
	mq_load(m, &l);
	for (unsigned id = 2; id < 2000; id++) {
		load_num(&l, 2, id);
		load_varint(&l, 0);
		load_text(&l, "many/#", 6);
		load_num(&l, 1, 0);
		load_packet(&l, 0, 0x82);
	}
	mq_load(m, &l);
	load_free(&l);
}

SCENARIO(1, 2)
{
	struct mq *m[READERS], *pub, *good;
	int n = RETAINED * scale();

	attack_start();
	pub = mq_connect(.id = "attack-pub");
	retain_all(pub, n, 100);
	for (int i = 0; i < READERS; i++) {
		m[i] = mq_connect(.keep_alive = 0);
		mq_hex(m[i], "8207 0001 00 0001 23 00");
	}
	subscribe_again_and_again(m[0]);
	/* Updates that go out live are remembered for each that is still to get retained ones. */
	for (int i = 0; i < LIVE; i++) {
		char topic[64];

		snprintf(topic, sizeof(topic), "many/retained/%d", i);
		check(mq_publish(pub, topic, "new", 1, true) == 0);
	}
	good = mq_connect(.id = "good");
	mq_hex(good, "820c 0001 00 0006 6d616e792f23 00");
	mq_need(good, 9);
	for (int i = 0; i < n; i++)
		check(mq_need(good, 3).retain);
	attack_look();
	mq_disconnect(good);
	mq_close_all(m, READERS);
	retain_all(pub, n, 0);
	mq_disconnect(pub);
	attack_end(80 * MIB, MIB * 16 * (unsigned)(workers() + 1));
}
