#include <signal.h>

#include "tests/lib/scenario.h"

/* With 25,000 bytes in flight the third of 10,000 is the last before an acknowledgement. */
static char large[10001];

static void
to_a_client(uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "sub", .expiry = expiry), *pub = mq_connect(.id = "pub");
	uint16_t id[10];

	check(mq_subscribe(sub, "t", 2) == 2);
	for (int i = 0; i < 6; i++)
		check(mq_publish(pub, "t", large, 1 + i % 2, false) == 0);
	for (int i = 0; i < 3; i++)
		id[i] = mq_need(sub, 3).id;
	mq_quiet(sub);
	mq_ack(sub, 5, id[1], 0); /* PUBREC of the QoS 2 message opens nothing yet */
	check(mq_need(sub, 6).id == id[1]);
	mq_quiet(sub);
	mq_ack(sub, 7, id[1], 0);
	id[3] = mq_need(sub, 3).id;
	mq_quiet(sub);
	mq_ack(sub, 4, id[0], 0);
	id[4] = mq_need(sub, 3).id;
	mq_quiet(sub);
	mq_publish(pub, "t", "QoS 0 has no part in it", 0, false);
	check(mq_need(sub, 3).qos == 0);
	mq_ack(sub, 4, id[2], 0);
	check(mq_need(sub, 3).qos == 2);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

/* While nothing is stored, no more is read than may wait for the store. */
static void
from_a_client(void)
{
	struct mq *pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" }),
		  *other = mq_on_worker(0, (struct mq_opts){ .id = "other" });
	long before = broker_counter("publish_received");
	pid_t persist = broker_pid_of("persist/0");

	check(kill(persist, SIGSTOP) == 0);
	for (int i = 0; i < 6; i++)
		mq_send_publish(pub, "kept", large, sizeof(large) - 1, 1, true, NULL);
	wait_for(broker_counter("publish_received") >= before + 3);
	for (int i = 0; i < 10; i++)
		mq_quiet(other);
	check(broker_counter("publish_received") == before + 3);
	check(kill(persist, SIGCONT) == 0);
	for (int i = 0; i < 6; i++)
		check(mq_need(pub, 4).reason == 0);
	check(broker_counter("publish_received") == before + 6);
	mq_disconnect(pub);
	mq_disconnect(other);
}

SCENARIO(1, 2)
{
	memset(large, 'x', sizeof(large) - 1);
	broker_start("inflight_max_bytes=25000", "hang_timeout=3600");
	to_a_client(0);
	to_a_client(1000);
	from_a_client();
}
