#include "tests/lib/scenario.h"

/* 200 kills: of persist, a worker, the master, all at once. */
SCENARIO(2)
{
	char options[200];

	take_minutes(15 * scale());
	snprintf(options, sizeof(options), "--rounds %d --kill tbmq-persist,tbmq-mqtt,master,all",
	    many(200));
	check(torture("--set queue_max_messages=0 --set queue_max_bytes=0", options) == 0);
	/* What is there can be opened, and no process has complained. */
	broker_start();
	broker_stop();
}
