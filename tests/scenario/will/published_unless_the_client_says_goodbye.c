#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *sub, *m;

	broker_start();
	sub = mq_on_worker(0, (struct mq_opts){ .id = "s" });
	check(mq_subscribe(sub, "will/#", 2) == 2);
	m = mq_on_worker(workers() - 1,
	    (struct mq_opts){ .id = "m",
		.will_topic = "will/m",
		.will_payload = "gone",
		.will_qos = 1,
		.will_retain = true });
	mq_close(m);
	check(mq_need_publish(sub, "will/m", "gone").qos == 1);
	m = mq_connect(.id = "m", .will_topic = "will/m", .will_payload = "never");
	mq_disconnect(m);
	m = mq_connect(.id = "m", .will_topic = "will/m", .will_payload = "wanted");
	mq_hex(m, "e00104"); /* disconnect with will */
	mq_need_close(m);
	mq_need_publish(sub, "will/m", "wanted");
	mq_close(m);
	m = mq_connect(.id = "m", .will_topic = "will/m", .will_payload = "error");
	mq_hex(m, "10 00"); /* a second CONNECT */
	check(mq_need(m, 14).reason == 0x82);
	mq_need_close(m);
	mq_close(m);
	mq_need_publish(sub, "will/m", "error");
	mq_quiet(sub);
	mq_disconnect(sub);
	sub = mq_connect(.id = "late");
	mq_subscribe(sub, "will/m", 0);
	check(mq_need_publish(sub, "will/m", "gone").retain);
	mq_disconnect(sub);
}
