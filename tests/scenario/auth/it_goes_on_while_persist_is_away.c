/*
 * Nobody is let in without persist, but who is wrong need not wait for it, and a client that was right is connected when it comes back.
 */
#include <signal.h>

#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *right, *wrong;
	int reason;

	broker_start("authentication=basic");
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	kill(broker_pid_of("persist/0"), SIGSTOP);
	wrong = mq_try((struct mq_opts){ .id = "w", .user = "anna", .password = "Secret" });
	reason = wrong->reason;
	check(reason == 0x86);
	mq_close(wrong);
	right = mq_open(broker.port);
	right->version = 4;
	mq_hex(right,
	    "10 1d 00 04 4d 51 54 54 04 c2 00 3c 00 03 63 30 31 00 04 61 6e 6e 61 00 06 73 65 63 "
	    "72 "
	    "65 74");
	wait_for(broker_counter("logins__allowed") == 1);
	broker_kill("persist/0", SIGKILL);
	check(mq_need(right, 2).body[1] == 0);
	mq_disconnect(right);
	broker_stop();
}
