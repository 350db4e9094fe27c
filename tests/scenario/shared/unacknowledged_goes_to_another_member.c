#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *a, *b, *pub;
	struct packet k;

	broker_start();
	pub = mq_connect(.id = "p");
	a = mq_on_worker(0, (struct mq_opts){ .id = "a" });
	check(mq_subscribe(a, "$share/g/t", 1) == 1);
	mq_publish(pub, "t", "first", 1, false);
	k = mq_need(a, 3); /* and never acknowledges */
	check(memcmp(k.payload, "first", 5) == 0);
	b = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "b" });
	check(mq_subscribe(b, "$share/g/t", 1) == 1);
	mq_close(a);
	mq_need_publish(b, "t", "first");
	mq_quiet(b);
	mq_disconnect(b);
	mq_disconnect(pub);
}
