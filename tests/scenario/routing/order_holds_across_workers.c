#include <stdlib.h>

#include "tests/lib/scenario.h"

#define N 3000

/* One publisher, subscribers on every worker, clean and persistent: each sees every message in order. */
SCENARIO(1, 2, 4)
{
	struct mq *sub[8], *pub;
	char id[16], text[16];
	struct packet k;
	int acked = 0;

	broker_start("queue_max_messages=0", "receive_max=65535");
	for (int i = 0; i < 2 * workers(); i++) {
		snprintf(id, sizeof(id), "s%d", i);
		sub[i] =
		    mq_on_worker(i / 2, (struct mq_opts){ .id = id, .expiry = i % 2 ? 100 : 0 });
		check(mq_subscribe(sub[i], "t/#", 1) == 1);
	}
	pub = mq_connect(.id = "p");
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_send_publish(pub, "t/x", text, strlen(text), 1, false, NULL);
		while (mq_read(pub, &k, 0))
			acked++;
	}
	for (; acked < N; acked++)
		mq_need(pub, 4);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		for (int s = 0; s < 2 * workers(); s++)
			mq_need_publish(sub[s], "t/x", text);
	}
	for (int s = 0; s < 2 * workers(); s++) {
		mq_quiet(sub[s]);
		mq_disconnect(sub[s]);
	}
	mq_disconnect(pub);
}
