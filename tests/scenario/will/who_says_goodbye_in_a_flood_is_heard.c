#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/load.h"
#include "tests/lib/scenario.h"

#define VICTIMS 10
#define ROUNDS 10

/* Messages that it doesn't read any more are on their way when a client says goodbye: it resets its connection by that, and writing to it fails. */
SCENARIO(1, 2)
{
	static const uint8_t goodbye[] = { 0xe0, 0 };
	struct mq *heir, *pub, *m[VICTIMS];
	struct load flood = { 0 };

	broker_start("queue_qos0=false");
	heir = mq_connect(.id = "heir");
	check(mq_subscribe(heir, "will/#", 1) == 1);
	pub = mq_connect(.id = "pub");
	for (int i = 0; i < 50; i++)
		load_publish(&flood, "flood", 5, 0, 0, false, 1000);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < VICTIMS; i++) {
			char id[32], topic[40];

			snprintf(id, sizeof(id), "v%d", i);
			snprintf(topic, sizeof(topic), "will/%d/%d", round, i);
			m[i] = mq_connect(.id = id, .will_topic = topic, .will_payload = "x");
			check(mq_subscribe(m[i], "flood", 0) == 0);
		}
		mq_pour(pub, flood.p, flood.n, 100);
		for (int i = 0; i < VICTIMS; i++) {
			check(write(m[i]->fd, goodbye, 2) == 2);
			mq_close(m[i]);
		}
		wait_for(broker_counter("clients") == 2);
	}
	mq_quiet(heir);
	check(broker_counter("wills_published") == 0);
	load_free(&flood);
	mq_disconnect(heir);
	mq_disconnect(pub);
}
