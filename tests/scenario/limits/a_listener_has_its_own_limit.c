#include "tests/lib/scenario.h"

static int
refused(void)
{
	return (int)broker_counter("refused__max_connections");
}

/* Counted over all workers; who is over the limit is closed at once, and a place that becomes free can be had. */
SCENARIO(1, 4)
{
	struct mq *m[5], *late;
	char id[16];

	broker_start();
	broker_reload("name = \"default\"", "name = \"default\"; max_connections = 5;");
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		m[i] = mq_connect(.id = id);
	}
	late = mq_try((struct mq_opts){ .id = "late" });
	check(late->reason == -1);
	check(refused() == 1);
	mq_close(late);
	mq_disconnect(m[0]);
	wait_for(broker_counter("connections") == 4);
	m[0] = mq_connect(.id = "c0");

	/* The others stay when the limit comes down, and count. */
	broker_reload("name = \"default\"", "name = \"default\"; max_connections = 2;");
	for (int i = 1; i < 4; i++)
		mq_disconnect(m[i]);
	wait_for(broker_counter("connections") == 2);
	late = mq_try((struct mq_opts){ .id = "late" });
	check(late->reason == -1);
	check(refused() == 2);
	mq_close(late);
	mq_disconnect(m[0]);
	mq_disconnect(m[4]);
}
