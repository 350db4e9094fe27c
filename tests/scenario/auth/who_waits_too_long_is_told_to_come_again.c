#include <signal.h>

#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct mq *m;

	broker_start("authentication=basic", "auth_timeout=1");
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	kill(broker_pid_of("auth/0"), SIGSTOP);
	m = mq_try((struct mq_opts){ .id = "c", .user = "anna", .password = "secret" });
	check(m->reason == 0x89);
	mq_close(m);
	kill(broker_pid_of("auth/0"), SIGCONT);
	m = mq_connect(.id = "c", .user = "anna", .password = "secret");
	mq_disconnect(m);
	broker_stop();
}
