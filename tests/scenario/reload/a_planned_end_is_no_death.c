#include "tests/lib/scenario.h"

#define ROUNDS 10

SCENARIO(1)
{
	struct mq *m;

	broker_start_with(0, NULL);
	broker_reload("workers =", "workers = 5;");
	broker_wait_ready();
	for (int i = 0; i < ROUNDS; i++) {
		broker_reload("workers =", "workers = 5;");
		wait_for(broker_is("mqtt/4", "ready"));
		m = mq_on_worker(4, (struct mq_opts){ .id = "m" });
		broker_reload("workers =", "workers = 1;");
		mq_disconnect(m);
		for (int w = 1; w < 5; w++) {
			char title[24];

			snprintf(title, sizeof(title), "mqtt/%d", w);
			wait_for(broker_pid_of(title) == 0);
		}
	}
	check(!broker_log_has("slots: died"));
}
