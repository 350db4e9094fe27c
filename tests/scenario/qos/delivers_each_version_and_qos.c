#include "tests/lib/scenario.h"

/* Every publisher's version to every subscriber's, at each QoS, from worker to worker. */
SCENARIO(1, 2, 4)
{
	static const int version[] = { 3, 4, 5 };
	char topic[64];

	broker_start();
	for (int s = 0; s < 3; s++)
		for (int p = 0; p < 3; p++)
			for (int qos = 0; qos < 3; qos++) {
				struct mq *sub = mq_on_worker(0,
				    (struct mq_opts){ .version = version[s], .id = "subscriber" });
				struct mq *pub = mq_on_worker(workers() - 1,
				    (struct mq_opts){ .version = version[p], .id = "publisher" });
				struct packet k;

				snprintf(topic, sizeof(topic), "a/%d/%d", version[p], qos);
				check(mq_subscribe(sub, "a/+/#", 2) == 2);
				check(mq_publish(pub, topic, "payload", qos, false) == 0);
				k = mq_need_publish(sub, topic, "payload");
				check(k.qos == qos && !k.dup && !k.retain);
				mq_quiet(sub);
				mq_disconnect(sub);
				mq_disconnect(pub);
			}
}
