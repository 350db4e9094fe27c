#include <errno.h>
#include <signal.h>

#include "tests/lib/scenario.h"

static bool
is_gone(int pid)
{
	return kill(pid, 0) != 0 && errno == ESRCH;
}

SCENARIO(2)
{
	int worker, persist, old;
	struct mq *m;

	broker_start();
	m = mq_connect(.id = "m");
	worker = broker_pid_of("mqtt/0");
	persist = broker_pid_of("persist/0");
	old = broker.pid;
	check(kill(broker.pid, SIGKILL) == 0);
	wait_for(is_gone(worker) && is_gone(persist));
	mq_need_close(m);
	mq_close(m);
	check(ctl("status") == 3);
	broker_start();
	check(broker.pid != old);
	m = mq_connect(.id = "m");
	mq_quiet(m);
	mq_disconnect(m);
}
