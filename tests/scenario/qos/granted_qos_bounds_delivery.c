#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *sub, *pub;

	broker_start();
	pub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "p" });
	for (int granted = 0; granted < 3; granted++) {
		sub = mq_connect(.id = "s");
		check(mq_subscribe(sub, "t", granted) == granted);
		for (int qos = 0; qos < 3; qos++) {
			mq_publish(pub, "t", "x", qos, false);
			check(
			    mq_need_publish(sub, "t", "x").qos == (qos < granted ? qos : granted));
		}
		mq_disconnect(sub);
	}
	mq_disconnect(pub);
}
