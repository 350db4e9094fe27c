#include "tests/lib/scenario.h"

#define N 20

SCENARIO(1, 2)
{
	struct mq *pub, *durable;
	char text[16];

	broker_start("upgrade_outgoing_qos=true");
	pub = mq_on_worker(
	    0, (struct mq_opts){ .id = "pub", .will_topic = "t", .will_payload = "bye" });
	durable = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "durable", .expiry = 100 });
	check(mq_subscribe(durable, "$share/g/t", 1) == 1);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_publish(pub, "t", text, 0, false);
		check(mq_need_publish(durable, "t", text).qos == 1);
	}
	mq_close(pub);
	check(mq_need_publish(durable, "t", "bye").qos == 1);
	mq_quiet(durable);
	mq_disconnect(durable);
}
