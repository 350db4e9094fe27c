#include "tests/lib/scenario.h"

/* On a broker that is otherwise idle: no later event makes a worker look whether it may tell. */
SCENARIO(1, 2)
{
	struct mq *sub, *m;
	char text[16];

	broker_start("hang_timeout=3600");
	sub = mq_on_worker(0, (struct mq_opts){ .id = "sub" });
	check(mq_subscribe(sub, "last", 0) == 0 && mq_subscribe(sub, "will", 1) == 1);
	for (int i = 0; i < 20; i++) {
		uint64_t began;

		m = mq_on_worker(workers() - 1,
		    (struct mq_opts){ .id = "m", .will_topic = "will", .will_payload = "gone" });
		snprintf(text, sizeof(text), "%d", i);
		mq_send_publish(m, "last", text, strlen(text), 0, false, NULL);
		began = now_ms();
		mq_close(m);
		mq_need_publish(sub, "last", text);
		mq_need_publish(sub, "will", "gone");
		check(now_ms() - began < (uint64_t)deadline_ms() / 10);
	}
	mq_quiet(sub);
	mq_disconnect(sub);
}
