#include <sys/resource.h>

#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct mq *early, *m[60];
	struct rlimit lim = { 40, 40 };

	broker_start();
	early = mq_connect(.id = "early");
	check(prlimit(broker_pid_of("mqtt/0"), RLIMIT_NOFILE, &lim, NULL) == 0);
	for (int i = 0; i < 60; i++)
		m[i] = mq_open(0);
	wait_for(broker_counter("accept_paused") > 0);
	mq_quiet(early);
	for (int i = 0; i < 60; i++)
		mq_close(m[i]);
	m[0] = mq_connect(.id = "after");
	mq_quiet(m[0]);
	mq_disconnect(m[0]);
	mq_disconnect(early);
}
