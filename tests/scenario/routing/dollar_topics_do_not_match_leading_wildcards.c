#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *sub, *pub;

	broker_start("sys_interval=0");
	sub = mq_connect(.id = "s");
	pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p" });
	mq_subscribe(sub, "#", 0);
	mq_subscribe(sub, "+/x", 0);
	mq_publish(pub, "$own/x", "no", 1, false);
	mq_publish(pub, "own/x", "yes", 1, false);
	mq_need_publish(sub, "own/x", "yes");
	mq_quiet(sub);
	mq_subscribe(sub, "$own/#", 0);
	mq_publish(pub, "$own/x", "now", 1, false);
	mq_need_publish(sub, "$own/x", "now");
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
