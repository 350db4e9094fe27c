#include <stdlib.h>

#include "tests/lib/attack.h"

#define LEVELS 32000
#define FILTERS 10 /* of so many levels, a client */
#define CLIENTS 4

static char topic[2 * LEVELS], filter[2 * LEVELS];

/* The default: nobody may. */
static void
refused(void)
{
	struct mq *m;
	struct load l = { 0 };

	m = mq_connect(.id = "deep");
	load_publish(&l, topic, 2 * 129 - 1, 1, 1, true, 1);
	mq_load(m, &l);
	check(mq_need(m, 14).reason == 0x90);
	mq_need_close(m);
	mq_close(m);
	m = mq_connect(.id = "deep");
	topic[2 * 129 - 1] = '\0';
	check(mq_subscribe(m, topic, 0) == 0x8f);
	topic[2 * 129 - 1] = '/';
	load_publish(&l, topic, 2 * 128 - 1, 1, 1, false, 1);
	mq_load(m, &l);
	check(mq_need(m, 4).reason < 0x80);
	mq_disconnect(m);
	load_free(&l);
}

/* Where the limits are open: + at any level, retained, and nothing but levels. */
static void
allowed(uint32_t expiry)
{
	struct mq *m[CLIENTS], *pub = mq_connect(.id = "attack-pub"), *all;
	struct load l = { 0 };

	for (int i = 0; i < CLIENTS; i++) {
		char id[] = { 'D', (char)('0' + i), '\0' };

		m[i] = mq_connect(.id = id, .expiry = expiry);
		for (int f = 0; f < FILTERS; f++) {
			memcpy(filter, topic, 2 * LEVELS - 1);
			for (int at = 0; at < LEVELS; at++)
				if ((at * 7 + i * FILTERS + f) % 13 < 9)
					filter[2 * at] = '+';
			check(mq_subscribe(m[i], filter, 0) == 0);
		}
	}
	all = mq_connect(.id = "all");
	mq_subscribe(all, "#", 0);
	for (int n = 0; n < 10 * scale(); n++) {
		load_publish(&l, topic, 2 * LEVELS - 1, 1, 1, true, 1);
		mq_load(pub, &l);
		mq_need(pub, 4);
		for (int i = 0; i < CLIENTS; i++)
			mq_need(m[i], 3);
	}
	attack_look();
	load_publish(&l, topic, 2 * LEVELS - 1, 1, 1, true, 0);
	mq_load(pub, &l);
	mq_need(pub, 4);
	load_free(&l);
	mq_close_all(m, CLIENTS);
	for (int i = 0; i < CLIENTS && expiry > 0; i++) {
		char id[] = { 'D', (char)('0' + i), '\0' };

		mq_disconnect(mq_connect(.id = id));
	}
	mq_close(all);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	for (int i = 0; i < LEVELS; i++) {
		topic[2 * i] = 'l';
		topic[2 * i + 1] = '/';
	}
	attack_start();
	refused();
	attack_end(16 * MIB, 4 * MIB);
	broker_stop();
	topic[2 * LEVELS - 1] = '\0';
	attack_start("max_topic_length=65535", "max_topic_levels=65535");
	allowed(0);
	allowed(1000);
	attack_end(40 * MIB, 16 * MIB);
}
