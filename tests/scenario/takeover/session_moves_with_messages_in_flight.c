#include <stdlib.h>

#include "tests/lib/scenario.h"

/* While messages flow, the session is taken over from worker to worker: every message arrives, repeated ones are marked. */
SCENARIO(1, 2)
{
	struct mq *sub, *pub;
	struct packet k;
	int next = 0, want = 0, acked = 0;
	char text[16];

	broker_start("queue_max_messages=0", "receive_max=65535");
	pub = mq_connect(.id = "p");
	sub = mq_connect(.id = "s", .resume = true, .expiry = 1000);
	check(mq_subscribe(sub, "t", 1) == 1);
	for (int round = 0; round < 20; round++) {
		struct mq *old = sub;

		for (int i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "%d", next++);
			mq_send_publish(pub, "t", text, strlen(text), 1, false, NULL);
		}
		for (int i = 0; i < 50 && mq_read(sub, &k, 50); i++) {
			int n = atoi((const char *)k.payload);

			check(k.type == 3 && (n == want || (k.dup && n < want)));
			if (n == want)
				want++;
			mq_ack(sub, 4, k.id, 0);
		}
		sub = mq_connect(.id = "s", .resume = true, .expiry = 1000);
		check(sub->present == 1);
		mq_need_close(old);
		mq_close(old);
	}
	while (want < next) {
		k = mq_need(sub, 3);
		check(atoi((const char *)k.payload) == want ||
		    (k.dup && atoi((const char *)k.payload) < want));
		if (atoi((const char *)k.payload) == want)
			want++;
		mq_ack(sub, 4, k.id, 0);
	}
	for (; acked < next; acked++)
		mq_need(pub, 4);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
