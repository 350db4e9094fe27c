#include "tests/lib/scenario.h"
#include "tests/scenario/conformance/lacking.h"

static void
runs(const char *options)
{
	char command[600];

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-conformance --port %d %s >$DIR/table || { grep ' fail ' $DIR/table; exit 1; "
	    "}",
	    broker.port, options);
	if (broker_sh(command) != 0)
		fail("tbmq-conformance %s", options);
}

SCENARIO(2)
{
	char options[300];

	broker_start();
	/* The proxy alone makes no difference, and each rule that it breaks makes the checks fail that name it. */
	snprintf(options, sizeof(options), "--patience %d --break nothing", deadline_ms() / 6000);
	runs(options);
	runs("--patience 3 --break own");
	broker_stop();
	broker_start(LACKING);
	runs("--patience 3 --break own " ONLY_LACKING);
}
