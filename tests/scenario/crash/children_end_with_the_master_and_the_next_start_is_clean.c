#include <signal.h>

#include "tests/lib/scenario.h"

/* Also one that process 1 has not collected yet. */
static bool
is_gone(int pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f != NULL && fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'Z';
	if (f != NULL)
		fclose(f);
	return state == 'Z' || state == 'X';
}

SCENARIO(2)
{
	int worker, persist, old;
	uint64_t killed_ms;
	struct mq *m;

	broker_start();
	m = mq_connect(.id = "m");
	worker = broker_pid_of("mqtt/0");
	persist = broker_pid_of("persist/0");
	old = broker.pid;
	killed_ms = now_ms();
	check(kill(broker.pid, SIGKILL) == 0);
	wait_for(is_gone(worker) && is_gone(persist));
	check(now_ms() < killed_ms + 1000 * (uint64_t)deadline_ms() / 30000);
	mq_need_close(m);
	mq_close(m);
	check(ctl("status") == 3);
	check(broker_sh("test -S $DIR/run/control.sock") == 0); /* nobody listens there any more */
	/* One that does not end at once: whoever holds the lock counts as a child. */
	check(broker_sh("flock $DIR/run/lock sh -c '\n"
			"touch $DIR/held; while ! test -e $DIR/let_go; do sleep 0.05; done' &\n"
			"while ! test -e $DIR/held; do sleep 0.05; done\n"
			"{ while ! grep -q 'waiting for the processes of an earlier' $DIR/err\n"
			"do sleep 0.05; done; touch $DIR/let_go; } &") == 0);
	broker_start();
	check(broker_sh("test -e $DIR/let_go") == 0);
	check(broker.pid != old);
	m = mq_connect(.id = "m");
	mq_quiet(m);
	mq_disconnect(m);
}
