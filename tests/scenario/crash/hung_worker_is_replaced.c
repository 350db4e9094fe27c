#include <signal.h>

#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *m;
	int pid;

	broker_start("hang_timeout=3");
	m = mq_on_worker(0, (struct mq_opts){ .id = "m" });
	pid = broker_pid_of("mqtt/1");
	broker_expect_death();
	check(kill(pid, SIGSTOP) == 0);
	/* Asleep in its loop it counts as well: a bell makes it due. */
	for (int i = 0; i < 40; i++) {
		struct mq *probe = mq_open(0);

		mq_hex(probe, "10 0e 0004 4d515454 05 02 003c 00 0001 70");
		mq_close(probe);
	}
	wait_for(broker_pid_of("mqtt/1") != pid);
	broker_wait_ready();
	check(broker_sh("$CTL status | grep 'last end: its loop stands still: signal'") == 0);
	check(broker_log_has("died process=mqtt/1") && broker_log_has(": its loop stands still"));
	mq_quiet(m);
	mq_disconnect(m);
}
