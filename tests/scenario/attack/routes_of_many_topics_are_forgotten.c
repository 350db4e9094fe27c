#include <stdio.h>

#include "tests/lib/attack.h"

#define FILTERS 1000 /* max_subscriptions */
#define TOPICS 9000  /* more than there are places for routes */

/* Each of the first nine levels itself or a +, any tenth or all below: all match the topics. */
static void
subscribe_all(struct mq *m)
{
	struct load l = { 0 };

	load_num(&l, 2, 1);
	load_varint(&l, 0);
	for (int i = 0; i < FILTERS; i++) {
		char filter[40] = "";

		for (int bit = 0; bit < 9; bit++)
			strcat(filter, i >> bit & 1 ? "+/" : "l/");
		strcat(filter, i >> 9 & 1 ? "#" : "+");
		load_text(&l, filter, strlen(filter));
		load_num(&l, 1, 0);
	}
	load_packet(&l, 0, 0x82);
	mq_load(m, &l);
	mq_need(m, 9);
	load_free(&l);
}

/* A route is the list of all filters that match: each of these topics makes one of a thousand. */
SCENARIO(1, 2)
{
	struct mq *sub, *pub;
	struct load l = { 0 };

	attack_start();
	sub = mq_connect(.id = "attack-sub");
	pub = mq_on_worker(0, (struct mq_opts){ .id = "attack-pub" });
	subscribe_all(sub);
	for (int i = 0; i < TOPICS * scale(); i++) {
		char topic[64];
		int n = snprintf(topic, sizeof(topic), "l/l/l/l/l/l/l/l/l/%d", i);

		load_publish(&l, topic, (size_t)n, 0, 0, false, 0);
		mq_load(pub, &l);
		if (strcmp(mq_need(sub, 3).topic, topic) != 0)
			fail("%s did not come", topic);
	}
	mq_quiet(pub);
	attack_look();
	load_free(&l);
	mq_close(sub);
	mq_close(pub);
	attack_end(24 * MIB, 24 * MIB);
}
