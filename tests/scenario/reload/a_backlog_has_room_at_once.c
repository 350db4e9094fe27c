#include <signal.h>

#include "tests/lib/scenario.h"

#define MANY 20

/* While the worker stands still, connections are made only as far as the backlog goes: mq_open() waits for that. */
SCENARIO(1)
{
	struct mq *m[MANY];
	int pid;

	broker_start(); /* makes the file */
	broker_stop();
	broker_conf("backlog =", "backlog = 1;");
	broker_start("hang_timeout=3600");
	broker_conf("backlog =", "backlog = 100;");
	check(strstr(ctl_text("reload"), "backlog: 1 -> 100 (applied now)") != NULL);
	pid = broker_pid_of("mqtt/0");
	check(kill(pid, SIGSTOP) == 0);
	for (int i = 0; i < MANY; i++)
		m[i] = mq_open(0);
	check(kill(pid, SIGCONT) == 0);
	for (int i = 0; i < MANY; i++)
		mq_close(m[i]);
}
