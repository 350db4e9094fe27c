#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *m[4];
	char id[16];

	broker_start();
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_connect(.id = id);
	}
	check(ctl("drain", "--rate", "1000", "--server-reference", "other:1883") == 0);
	for (int i = 0; i < 4; i++) {
		struct packet k = mq_need(m[i], 14);

		check(k.reason == 0x9c && k.body[2] == 0x1c);
		mq_need_close(m[i]);
		mq_close(m[i]);
	}
	wait_for(broker_pid_of("mqtt/0") == 0 && broker_pid_of("mqtt/1") == 0);
	check(ctl("reload") == 0); /* the way back */
	wait_for(broker_pid_of("mqtt/0") != 0 && broker_pid_of("mqtt/1") != 0);
	broker_wait_ready();
	for (int i = 0; i < 2; i++)
		mq_disconnect(mq_on_worker(i, (struct mq_opts){ .id = "m" }));
}
