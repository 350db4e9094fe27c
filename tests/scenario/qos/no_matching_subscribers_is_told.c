#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *pub, *sub;

	broker_start();
	pub = mq_connect(.id = "p");
	check(mq_publish(pub, "nobody", "x", 1, false) == 0x10);
	check(mq_publish(pub, "nobody", "x", 2, false) == 0x10);
	sub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "s" });
	check(mq_subscribe(sub, "nobody", 0) == 0);
	check(mq_publish(pub, "nobody", "x", 1, false) == 0);
	check(mq_publish(pub, "$SYS/broker/version", "mine", 1, false) == 0x87);
	mq_disconnect(pub);
	mq_disconnect(sub);
}
