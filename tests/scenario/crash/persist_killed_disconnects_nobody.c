#include <signal.h>

#include "tests/lib/scenario.h"

#define ROUNDS 20

/* Clean sessions go on; what waits for persist waits; a durable session that is connected stays usable. */
SCENARIO(1, 2)
{
	struct mq *pub, *sub, *durable, *late;
	char text[24];
	struct packet k;
	unsigned acked = 0, got = 0, sent = 0;
	int first;

	clock_move(0);
	broker_start("receive_max=65535", "queue_max_messages=0", "hang_timeout=3600");
	first = broker_generation("persist/0");
	sub = mq_on_worker(0, (struct mq_opts){ .id = "sub" });
	check(mq_subscribe(sub, "t/#", 1) == 1);
	pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "pub" });
	durable = mq_connect(.id = "durable", .expiry = 1000);
	check(mq_subscribe(durable, "d/#", 1) == 1);
	for (int round = 0; round < ROUNDS * scale(); round++) {
		broker_expect_death();
		for (int i = 0; i < 1000; i++, sent++) {
			snprintf(text, sizeof(text), "%u", sent);
			mq_send_publish(pub, "t/x", text, strlen(text), 1, false, NULL);
			if (i == 500)
				check(kill(broker_pid_of("persist/0"), SIGKILL) == 0);
			while (mq_read(pub, &k, 0))
				acked++;
		}
		clock_move(11000); /* past the pause before one that dies often is started */
		late = mq_connect(.id = "late"); /* waits for the successor */
		mq_disconnect(late);
		broker_wait_ready();
	}
	for (; acked < sent; acked++)
		check(mq_need(pub, 4).reason == 0);
	for (; got < sent; got++) {
		snprintf(text, sizeof(text), "%u", got);
		mq_need_publish(sub, "t/x", text);
	}
	check(mq_publish(pub, "d/x", "after", 1, false) == 0);
	mq_need_publish(durable, "d/x", "after");
	mq_quiet(durable);
	mq_quiet(sub);
	mq_quiet(pub);
	check(broker_generation("persist/0") >= first + ROUNDS * scale());
	mq_disconnect(durable);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
