#include <signal.h>

#include "tests/lib/scenario.h"

/* The file that the reload under way has read is not the last one. */
SCENARIO(1)
{
	int pid;

	clock_move(0);
	broker_start("hang_timeout=600");
	pid = broker_pid_of("mqtt/0");
	clock_move(-3600000); /* the vote lasts until we say so */
	check(kill(pid, SIGSTOP) == 0);
	broker_conf("inflight_max", "inflight_max = 7;");
	check(kill(broker.pid, SIGHUP) == 0);
	wait_for(broker_log_has("reload: inflight_max from=100 to=7"));
	broker_conf("inflight_max", "inflight_max = 8;");
	check(kill(broker.pid, SIGHUP) == 0);
	check(ctl("reload") == 1); /* whoever waits for an answer is told instead */
	check(kill(pid, SIGCONT) == 0);
	wait_for(strstr(ctl_text("config", "show"), "inflight_max = 8 ") != NULL);
}
