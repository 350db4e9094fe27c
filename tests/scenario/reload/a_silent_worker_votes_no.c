#include <signal.h>

#include "tests/lib/scenario.h"

/* It stands still for longer than the vote lasts: nothing changes anywhere, and a later reload goes through. */
SCENARIO(2)
{
	struct mq *m;
	int pid;

	broker_start("hang_timeout=600");
	m = mq_on_worker(0, (struct mq_opts){ .id = "m" });
	pid = broker_pid_of("mqtt/1");
	broker_conf("max_topic_levels", "max_topic_levels = 1;");
	check(kill(pid, SIGSTOP) == 0);
	check(broker_sh("$CTL reload 2>&1 | grep -q 'mqtt/1 did not answer'") == 0);
	check(broker_log_has("reload: refused"));
	check(mq_subscribe(m, "a/b", 0) == 0);
	check(strstr(ctl_text("config", "show"), "max_topic_levels = 128\n") != NULL);
	check(kill(pid, SIGCONT) == 0);
	check(ctl("reload") == 0);
	mq_disconnect(m);
	for (int w = 0; w < 2; w++) {
		m = mq_on_worker(w, (struct mq_opts){ .id = "m" });
		check(mq_subscribe(m, "a/b", 0) >= 0x80);
		mq_disconnect(m);
	}
	check(broker_pid_of("mqtt/1") == pid);
}
