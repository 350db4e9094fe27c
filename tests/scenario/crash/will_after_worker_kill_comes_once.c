#include <signal.h>

#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *sub, *m[10];
	char id[16];

	broker_start();
	sub = mq_on_worker(0, (struct mq_opts){ .id = "sub" });
	check(mq_subscribe(sub, "will", 1) == 1);
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_on_worker(1,
		    (struct mq_opts){
			.id = id, .will_topic = "will", .will_payload = "gone", .will_qos = 1 });
	}
	broker_kill("mqtt/1", SIGKILL);
	for (int i = 0; i < 10; i++) {
		mq_need_publish(sub, "will", "gone");
		mq_need_close(m[i]);
		mq_close(m[i]);
	}
	broker_wait_ready();
	check(broker_counter("wills_published") == 10);
	mq_quiet(sub);
	mq_disconnect(sub);
}
