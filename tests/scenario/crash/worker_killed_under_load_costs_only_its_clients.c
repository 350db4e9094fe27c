#include <signal.h>
#include <stdlib.h>

#include "tests/lib/scenario.h"

#define ROUNDS 50
#define EACH 400 /* messages a round */

static struct mq *sub[4];
static unsigned long want[4];

/* In order, each once; those sent by now need not have come yet. */
static void
take(int i)
{
	struct packet k;

	while (mq_read(sub[i], &k, 0)) {
		check(k.type == 3 && (unsigned long)atol((const char *)k.payload) == want[i]);
		mq_ack(sub[i], 4, k.id, 0);
		want[i]++;
	}
	check(sub[i]->fd >= 0);
}

/*
 * A publisher on worker 0, subscribers on all workers but 1, which has a subscriber and a publisher too and is killed again and again. Nobody else
 * is disconnected, misses a QoS 1 message or sees one out of order.
 */
SCENARIO(2, 4)
{
	struct mq *pub, *victim[2];
	struct packet k;
	unsigned long next = 0, acked = 0;
	char text[24];
	int pid;

	clock_move(0);
	broker_start("receive_max=65535", "queue_max_messages=0", "hang_timeout=3600");
	for (int i = 0; i < workers(); i++) {
		if (i == 1)
			continue;
		snprintf(text, sizeof(text), "sub%d", i);
		sub[i] = mq_on_worker(i, (struct mq_opts){ .id = text });
		check(mq_subscribe(sub[i], "load/#", 1) == 1);
	}
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	for (int round = 0; round < ROUNDS * scale(); round++) {
		victim[0] = mq_on_worker(1, (struct mq_opts){ .id = "victim" });
		victim[1] = mq_on_worker(1, (struct mq_opts){ .id = "noise" });
		check(mq_subscribe(victim[0], "load/#", 0) == 0);
		check(mq_subscribe(victim[0], "noise", 1) == 1);
		pid = broker_pid_of("mqtt/1");
		broker_expect_death();
		for (int i = 0; i < EACH; i++) {
			snprintf(text, sizeof(text), "%lu", next++);
			mq_send_publish(pub, "load/x", text, strlen(text), 1, false, NULL);
			mq_send_publish(victim[1], "noise", text, strlen(text), 1, false, NULL);
			if (i == EACH / 2)
				check(kill(pid, SIGKILL) == 0);
			while (mq_read(pub, &k, 0)) {
				check(k.type == 4 && k.reason == 0);
				acked++;
			}
			for (int w = 0; w < workers(); w++)
				if (w != 1)
					take(w);
		}
		for (int i = 0; i < 2; i++) {
			mq_need_close(victim[i]);
			mq_close(victim[i]);
		}
		wait_for(broker_pid_of("mqtt/1") != pid);
		clock_move(11000); /* past the pause before one that dies often is started */
		wait_for(broker_pid_of("mqtt/1") != 0);
		broker_wait_ready();
	}
	for (; acked < next; acked++)
		check(mq_need(pub, 4).reason == 0);
	for (int w = 0; w < workers(); w++) {
		if (w == 1)
			continue;
		wait_for((take(w), want[w] == next));
		mq_quiet(sub[w]);
		mq_disconnect(sub[w]);
	}
	mq_quiet(pub);
	mq_disconnect(pub);
}
