#include "tests/lib/scenario.h"

static bool
shows(const char *line)
{
	return strstr(ctl_text("config", "show"), line) != NULL;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	check(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

SCENARIO(1)
{
	char path[200];
	struct mq *m;

	clock_move(0);
	broker_start();
	m = mq_connect(.id = "m");
	snprintf(path, sizeof(path), "%s/next.conf", broker.dir);
	write_file(path,
	    "log_target = \"file\"; inflight_max = 7; listeners = ( { name = \"default\"; port = "
	    "0; } );");
	check(ctl("config", "apply", path, "--confirm", "60") == 0);
	check(shows("inflight_max = 7 "));
	clock_move(61000);
	wait_for(shows("inflight_max = 100"));
	check(ctl("config", "confirm") == 1);
	check(ctl("config", "apply", path, "--confirm", "60") == 0);
	check(ctl("config", "confirm") == 0);
	clock_move(61000);
	mq_quiet(m);
	check(shows("inflight_max = 7 "));
	check(ctl("config", "rollback") == 0);
	check(shows("inflight_max = 100"));

	/* Nor does it outlive the broker, however that ends; what was confirmed does. */
	check(ctl("config", "apply", path, "--confirm", "60") == 0);
	mq_disconnect(m);
	broker_stop();
	broker_start();
	check(shows("inflight_max = 100"));
	check(broker_log_has("was not confirmed before the broker ended"));
	check(ctl("config", "confirm") == 1);
	check(ctl("config", "apply", "--confirm", "60", path) == 0);
	broker_kill_all();
	broker_start();
	check(shows("inflight_max = 100"));
	check(ctl("config", "apply", "--confirm", "60", path) == 0);
	check(ctl("config", "confirm") == 0);
	broker_stop();
	broker_start();
	check(shows("inflight_max = 7 "));
	check(ctl("config", "rollback") == 0);
	broker_stop();
	broker_start();
	m = mq_connect(.id = "m");
	check(shows("inflight_max = 100"));
	write_file(path, "inflight_max = \"seven\";");
	check(ctl("config", "apply", path) == 1);
	check(shows("inflight_max = 100"));
	mq_quiet(m);
	mq_disconnect(m);
}
