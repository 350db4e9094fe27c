#include <signal.h>

#include "tests/lib/scenario.h"

enum { BANNED = 0x8a };

static void
end_a_worker(const char *topic)
{
	struct mq *m = mq_connect(.id = "m");

	broker_expect_death();
	mq_send_publish(m, topic, "x", 1, 0, false, NULL);
	mq_need_close(m);
	mq_close(m);
	broker_wait_ready();
}

/* Its last packet was handled long ago. */
static void
end_a_worker_that_waits(void)
{
	struct mq *m = mq_connect(.id = "m");

	mq_quiet(m);
	broker_kill("mqtt/0", SIGABRT);
	mq_need_close(m);
	mq_close(m);
	broker_wait_ready();
}

SCENARIO(1)
{
	broker_preload("mqtt", "deadly");
	check(broker_sh("echo 'quarantine_deaths = 1; hang_timeout = 2;' >$DIR/tbmq.conf") == 0);
	broker_start();
	/* Nobody kills itself so: it was an operator, or the machine had no memory left. */
	end_a_worker("deadly/kill");
	end_a_worker("deadly/kill");
	end_a_worker_that_waits();
	check(ctl_text("quarantine", "list")[0] == '\0');

	end_a_worker("deadly/hang");
	check(mq_try((struct mq_opts){ .id = "m" })->reason == BANNED);
	check(strstr(ctl_text("status"), "its loop stands still") != NULL);

	/* Switched off it ends at once, and nothing counts any more. */
	broker_conf("quarantine_deaths", "quarantine_deaths = 0; hang_timeout = 2;");
	check(ctl("reload") == 0);
	wait_for(ctl_text("quarantine", "list")[0] == '\0');
	end_a_worker("deadly/abort");
	end_a_worker("deadly/abort");
	mq_disconnect(mq_connect(.id = "m"));
}
