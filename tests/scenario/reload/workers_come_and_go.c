#include "tests/lib/scenario.h"

/* More workers serve at once; fewer let their clients stay until they leave. */
SCENARIO(2)
{
	struct mq *m, *other;

	broker_start_with(0, NULL);
	broker_reload("workers =", "workers = 3;");
	wait_for(broker_pid_of("mqtt/2") != 0);
	broker_wait_ready();
	m = mq_on_worker(2, (struct mq_opts){ .id = "m" });
	other = mq_on_worker(0, (struct mq_opts){ .id = "other" });
	check(mq_subscribe(m, "t", 1) == 1);
	broker_reload("workers =", "workers = 1;");
	wait_for(broker_pid_of("mqtt/1") == 0); /* it had nobody */
	check(mq_publish(other, "t", "still here", 1, false) == 0);
	mq_need_publish(m, "t", "still here");
	mq_quiet(m);
	mq_disconnect(m);
	wait_for(broker_pid_of("mqtt/2") == 0);
	mq_quiet(other);
	for (int i = 0; i < 20; i++) { /* nobody waits in a backlog that no worker looks at */
		m = mq_connect(.id = "late");
		mq_disconnect(m);
	}
	mq_disconnect(other);
}
