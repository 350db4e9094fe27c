#include <stdlib.h>

#include "tests/lib/scenario.h"

#define ROUNDS 60
#define EACH 100

static unsigned char seen[ROUNDS * EACH * 10];

static int
take(struct mq *m, int ms)
{
	struct packet k;
	int got = 0;

	while (mq_read(m, &k, ms)) {
		if (k.type != 3)
			continue;
		seen[atoi((const char *)k.payload)] = 1;
		got++;
		mq_ack(m, 4, k.id, 0);
	}
	return got;
}

/* QoS 1 to a group of a durable member that stays and clean ones that leave with a goodbye, or just leave, in the middle of it. */
SCENARIO(1, 2, 4)
{
	int n = 0, rounds = ROUNDS * (scale() < 10 ? scale() : 10), acked = 0, missing;
	struct mq *pub, *durable, *clean;
	char text[16];
	struct packet k;

	broker_start("receive_max=65535", "queue_max_messages=0");
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	durable = mq_on_worker(0, (struct mq_opts){ .id = "durable", .expiry = 100 });
	check(mq_subscribe(durable, "$share/g/t", 1) == 1);
	for (int round = 0; round < rounds; round++) {
		clean = mq_connect(.id = "clean");
		check(mq_subscribe(clean, "$share/g/t", 1) == 1);
		for (int i = 0; i < EACH; i++) {
			snprintf(text, sizeof(text), "%d", n++);
			mq_send_publish(pub, "t", text, strlen(text), 1, false, NULL);
			if (i == EACH / 2 && round % 2)
				mq_hex(clean, "e000");
		}
		if (round % 2)
			take(clean, deadline_ms());
		mq_close(clean);
		take(durable, 0);
		while (mq_read(pub, &k, 0))
			acked++;
	}
	for (; acked < n; acked++)
		check(mq_need(pub, 4).reason == 0);
	do {
		take(durable, 0);
		missing = 0;
		for (int i = 0; i < n; i++)
			missing += !seen[i];
		if (missing > 0 && take(durable, deadline_ms() / 10) == 0)
			fail("%d of %d messages are missing", missing, n);
	} while (missing > 0);
	check(broker_counter("dropped__no_member") == 0);
	mq_hex(durable, "c000");
	do { /* what a member had got and not acknowledged comes again */
		check(mq_read(durable, &k, deadline_ms()));
	} while (k.type == 3);
	check(k.type == 13);
	mq_disconnect(durable);
	mq_disconnect(pub);
}
