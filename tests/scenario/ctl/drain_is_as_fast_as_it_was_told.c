#include "tests/lib/scenario.h"

#define CLIENTS 12
#define RATE "8" /* of the whole broker */

SCENARIO(3)
{
	struct mq *m[CLIENTS];
	char id[16];
	uint64_t began;

	broker_start();
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_on_worker(i % 3, (struct mq_opts){ .id = id });
	}
	began = now_ms();
	check(ctl("drain", "--rate", RATE) == 0);
	for (int i = 0; i < CLIENTS; i++) {
		check(mq_need(m[i], 14).reason == 0x8b);
		mq_need_close(m[i]);
		mq_close(m[i]);
	}
	check(now_ms() - began >= 1200); /* 1500, less a clock tick of each and what is rounded */
	wait_for(broker_pid_of("mqtt/0") == 0 && broker_pid_of("mqtt/1") == 0 &&
	    broker_pid_of("mqtt/2") == 0);
}
