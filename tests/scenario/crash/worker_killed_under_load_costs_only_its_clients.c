#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/lib/scenario.h"

#define ROUNDS 8

/*
 * Publisher and subscriber on worker 0, a publisher-subscriber pair of victims on worker 1, which is killed again and again. Nobody of worker 0 is disconnected,
 * misses a QoS 1 message or sees one out of order.
 */
SCENARIO(2, 4)
{
	struct mq *pub, *sub, *victim;
	struct packet k;
	unsigned long next = 0, want = 0, acked = 0;
	char text[24];
	int pid;

	broker_start("receive_max=65535", "queue_max_messages=0");
	sub = mq_on_worker(0, (struct mq_opts){ .id = "sub" });
	check(mq_subscribe(sub, "load/#", 1) == 1);
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	for (int round = 0; round < ROUNDS * scale(); round++) {
		victim = mq_on_worker(1, (struct mq_opts){ .id = "victim" });
		check(mq_subscribe(victim, "load/#", 0) == 0);
		pid = broker_pid_of("mqtt/1");
		broker_expect_death();
		for (int i = 0; i < 2000; i++) {
			snprintf(text, sizeof(text), "%lu", next++);
			mq_send_publish(pub, "load/x", text, strlen(text), 1, false, NULL);
			if (i == 1000)
				check(kill(pid, SIGKILL) == 0);
			while (mq_read(pub, &k, 0)) {
				check(k.type == 4 && k.reason == 0);
				acked++;
			}
			while (mq_read(sub, &k, 0)) {
				check(k.type == 3 &&
				    (unsigned long)atol((const char *)k.payload) == want);
				mq_ack(sub, 4, k.id, 0);
				want++;
			}
		}
		mq_need_close(victim);
		mq_close(victim);
		wait_for(broker_pid_of("mqtt/1") != pid && broker_pid_of("mqtt/1") != 0);
		broker_wait_ready();
	}
	for (; acked < next; acked++)
		check(mq_need(pub, 4).reason == 0);
	for (; want < next; want++) {
		k = mq_need(sub, 3);
		check((unsigned long)atol((const char *)k.payload) == want);
		mq_ack(sub, 4, k.id, 0);
	}
	mq_quiet(sub);
	mq_quiet(pub);
	mq_disconnect(pub);
	mq_disconnect(sub);
}
