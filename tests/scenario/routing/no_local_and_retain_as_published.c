#include "tests/lib/scenario.h"

static void
try(uint32_t expiry)
{
	struct mq *m = mq_on_worker(0, (struct mq_opts){ .id = "m", .expiry = expiry });
	struct mq *other = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "other" });

	check(mq_subscribe(m, "t", 1 | 4) == 1);
	mq_publish(m, "t", "own", 1, false);
	mq_publish(other, "t", "other", 1, false);
	mq_need_publish(m, "t", "other");
	mq_quiet(m);
	check(mq_subscribe(m, "r", 1 | 8 | 0x20) == 1);
	mq_publish(other, "r", "kept", 1, true);
	check(mq_need_publish(m, "r", "kept").retain);
	check(mq_subscribe(m, "r", 1 | 0x20) == 1);
	mq_publish(other, "r", "kept", 1, true);
	check(!mq_need_publish(m, "r", "kept").retain);
	mq_publish(other, "r", "", 1, true);
	mq_disconnect(m);
	mq_disconnect(other);
}

SCENARIO(1, 2)
{
	broker_start();
	try(0);
	try(60);
}
