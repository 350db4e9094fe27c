#include <signal.h>

#include "tests/lib/scenario.h"

/* Workers die while another has not voted yet: their successors are not asked, and in the end all have what was voted for. */
SCENARIO(4)
{
	struct mq *m;
	int pid;

	clock_move(0);
	broker_start("hang_timeout=600");
	m = mq_on_worker(2, (struct mq_opts){ .id = "m" });
	pid = broker_pid_of("mqtt/1");
	broker_conf("max_topic_levels", "max_topic_levels = 1;");
	clock_move(-3600000); /* the vote lasts until we say so */
	check(kill(pid, SIGSTOP) == 0);
	check(broker_sh("{ $CTL reload; echo $? >$DIR/code; } &") == 0);
	wait_for(broker_log_has("reload: max_topic_levels"));
	broker_kill("mqtt/0", SIGKILL);
	wait_for(broker_is("mqtt/0", "linking"));
	broker_kill("mqtt/3", SIGKILL);
	wait_for(broker_is("mqtt/3", "linking"));
	check(kill(pid, SIGCONT) == 0);
	wait_for(broker_sh("grep -q . $DIR/code") == 0);
	check(broker_sh("grep -qx 0 $DIR/code") == 0);
	clock_move(3600000);
	broker_wait_ready();
	check(broker_pid_of("mqtt/1") == pid);
	mq_quiet(m);
	mq_disconnect(m);
	for (int w = 0; w < workers(); w++) {
		m = mq_on_worker(w, (struct mq_opts){ .id = "m" });
		check(mq_subscribe(m, "a/b", 0) >= 0x80);
		mq_disconnect(m);
	}
}
