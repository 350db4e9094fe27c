#include <signal.h>

#include "tests/lib/scenario.h"

/* A worker that dies again and again is started after longer and longer pauses; meanwhile another accepts for it. */
SCENARIO(2)
{
	struct mq *m[20];
	char id[16];
	int pid = 0;

	broker_start();
	for (int i = 0; i < 8; i++) {
		wait_for((pid = broker_pid_of("mqtt/1")) != 0);
		broker_wait_ready();
		broker_kill("mqtt/1", SIGKILL);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_connect(.id = id);
	}
	check(broker_pid_of("mqtt/1") == 0); /* nobody had to wait for it */
	broker_wait_ready();
	for (int i = 0; i < 20; i++) {
		mq_quiet(m[i]);
		mq_disconnect(m[i]);
	}
	m[0] = mq_on_worker(1, (struct mq_opts){ .id = "after" }); /* it has its own again */
	mq_disconnect(m[0]);
}
