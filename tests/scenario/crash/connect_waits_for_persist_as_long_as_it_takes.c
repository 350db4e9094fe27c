#include <signal.h>

#include "tests/lib/scenario.h"

/* connect_timeout is for who sends no CONNECT, not for who has and waits for us. */
SCENARIO(1)
{
	struct mq *waits, *silent;
	int persist;

	broker_start("connect_timeout=1", "hang_timeout=120");
	persist = broker_pid_of("persist/0");
	check(kill(persist, SIGSTOP) == 0);
	waits = mq_open(0);
	mq_hex(waits, "10 11 0004 4d515454 05 00 003c 00 0004 73616d65");
	wait_for(broker_counter("packets_received") == 1);
	silent = mq_open(0);
	mq_need_close(silent); /* so it is longer than that for the other */
	mq_close(silent);
	check(kill(persist, SIGCONT) == 0);
	check(mq_need(waits, 2).reason == 0);
	mq_disconnect(waits);
}
