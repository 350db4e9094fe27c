#include "tests/lib/scenario.h"

/* 15 cuts, 150 with SCALE=10. The small journal makes that the trees are written all the time. */
SCENARIO(2)
{
	char options[200];

	snprintf(
	    options, sizeof(options), "--rounds %d --kill power --store $DIR/data", 15 * scale());
	check(torture("--set queue_max_messages=0 --set queue_max_bytes=0 "
		      "--set store_journal=4194304",
		  options) == 0);
	/* What is there can be opened, and no process has complained. */
	broker_start();
	broker_stop();
}
