#include <signal.h>
#include <stdlib.h>

#include "tests/lib/scenario.h"

enum { FLIGHT = 400, ACKS = 150 };

/* Publishes on "q/QOS" without waiting; answers how many were acknowledged when all processes were killed. */
static int
publish_until_killed(struct mq *pub, int qos, int first)
{
	int acked = 0;
	struct packet p;
	char text[16];

	for (int i = 0; i < FLIGHT; i++) {
		snprintf(text, sizeof(text), "%d", first + i);
		mq_send_publish(
		    pub, qos == 1 ? "q/1" : "q/2", text, strlen(text), qos, false, NULL);
	}
	while (acked < ACKS) {
		check(mq_read(pub, &p, deadline_ms()));
		check(p.type == (qos == 1 ? 4 : 5) && p.reason < 0x80);
		acked++;
	}
	broker_kill_all();
	/* What was on its way still counts. */
	while (mq_read(pub, &p, deadline_ms()))
		acked += p.type == (qos == 1 ? 4 : 5) && p.reason < 0x80;
	mq_close(pub);
	return acked;
}

/* From `first` on in order, each once, at least those acknowledged; answers the next number. */
static int
need_all(struct mq *sub, int qos, int first, int acked)
{
	int next = first;
	struct packet p;

	while (next < first + acked || broker_counter("queued") > 0) {
		if (!mq_read(sub, &p, next < first + acked ? deadline_ms() : 10)) {
			check(sub->fd >= 0);
			continue;
		}
		if (p.type == 6)
			mq_ack(sub, 7, p.id, 0);
		if (p.type != 3)
			continue;
		check(p.qos == qos);
		if (atoi((const char *)p.payload) != next)
			fail("message %.*s came instead of %d, acknowledged %d", (int)p.payload_len,
			    (const char *)p.payload, next, first + acked);
		next++;
		mq_ack(sub, qos == 1 ? 4 : 5, p.id, 0);
	}
	check(next >= first + acked);
	return next;
}

SCENARIO(1, 2)
{
	int from[3] = { 0, 0, 0 };

	broker_start();
	for (int round = 0; round < 2 * scale(); round++)
		for (int qos = 1; qos <= 2; qos++) {
			struct mq *sub, *pub;
			int acked;

			sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
			check(mq_subscribe(sub, "q/#", 2) == 2);
			mq_disconnect(sub);
			pub = mq_connect(.id = "pub", .expiry = qos == 2 ? 3600 : 0);
			acked = publish_until_killed(pub, qos, from[qos]);
			broker_start();
			sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
			check(sub->present == 1);
			from[qos] = need_all(sub, qos, from[qos], acked);
			mq_disconnect(sub);
		}
}
