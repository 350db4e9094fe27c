#include "tests/lib/scenario.h"

/* A worker that is no longer wanted lets its clients stay, unless it is told otherwise: it alone, or all workers. */
SCENARIO(4)
{
	struct mq *m[4];
	char id[16];

	broker_start_with(0, NULL);
	broker_reload("workers =", "workers = 4;");
	wait_for(broker_pid_of("mqtt/3") != 0);
	broker_wait_ready();
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_on_worker(i, (struct mq_opts){ .id = id });
	}
	broker_reload("workers =", "workers = 1;");
	wait_for(broker_is("mqtt/3", "draining"));
	check(ctl("worker", "restart", "3") == 0);
	check(mq_need(m[3], 14).reason == 0x8b);
	wait_for(broker_pid_of("mqtt/3") == 0);
	for (int i = 0; i < 3; i++)
		mq_quiet(m[i]);
	check(ctl("drain", "--rate", "0") == 0);
	for (int i = 0; i < 3; i++)
		check(mq_need(m[i], 14).reason == 0x8b);
	for (int i = 0; i < 4; i++) {
		mq_need_close(m[i]);
		mq_close(m[i]);
	}
	wait_for(broker_pid_of("mqtt/0") == 0 && broker_pid_of("mqtt/1") == 0 &&
	    broker_pid_of("mqtt/2") == 0);
	check(ctl("reload") == 0);
	wait_for(broker_is("mqtt/0", "ready"));
	check(broker_pid_of("mqtt/1") == 0);
}
