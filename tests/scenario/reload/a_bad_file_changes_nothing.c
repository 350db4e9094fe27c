#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *m;
	char *text;

	broker_start();
	m = mq_connect(.id = "m");
	broker_conf("inflight_max", "inflght_max = 10;");
	check(ctl("reload") == 1);
	check(ctl("config", "check") == 1);
	broker_conf("inflght_max", "inflight_max = 70000;");
	check(ctl("reload") == 1);
	broker_conf("inflight_max", "inflight_max = 7;");
	text = ctl_text("config", "diff");
	check(strstr(text, "inflight_max: 100 -> 7 (for new connections)") != NULL);
	check(ctl("reload") == 0);
	text = ctl_text("config", "show");
	check(strstr(text, "inflight_max = 7 ") != NULL);
	mq_quiet(m);
	mq_disconnect(m);
}
