#include "tests/lib/scenario.h"

SCENARIO(1, 2, 4)
{
	struct mq *sub, *pub;
	char text[16];
	int n = 40 * scale();

	broker_start();
	sub = mq_on_worker(0, (struct mq_opts){ .id = "s" });
	pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p" });
	mq_subscribe(sub, "t", 1);
	for (int i = 0; i < n; i++) {
		broker_conf("max_topic_levels",
		    i % 2 ? "max_topic_levels = 50;" : "max_topic_levels = 60;");
		check(ctl("reload") == 0);
		for (int k = 0; k < 20; k++) {
			snprintf(text, sizeof(text), "%d", i * 20 + k);
			check(mq_publish(pub, "t", text, 1, false) == 0);
			mq_need_publish(sub, "t", text);
		}
	}
	check(broker_counter("connections") == 2);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
