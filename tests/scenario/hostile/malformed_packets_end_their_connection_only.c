#include "tests/lib/scenario.h"

/* So many at least: less would mean that they are no longer made. */
static void
runs(const char *options, unsigned least)
{
	char command[400];

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-conformance --malformed --port %d --patience %d %s >$DIR/table && "
	    "test $(tail -n 1 $DIR/table | cut -d ' ' -f 1) -ge %u || { head -n 60 $DIR/table; "
	    "exit 1; }",
	    broker.port, deadline_ms() / 6000, options, least);
	if (broker_sh(command) != 0)
		fail("tbmq-conformance --malformed %s", options);
}

SCENARIO(1, 4)
{
	broker_start();
	runs("", 30000);
	broker_stop();
	/* What goes beyond its limits can be shown of a broker that has some. */
	broker_start("max_qos=1", "retain_available=false", "wildcard_available=false",
	    "shared_available=false", "subscription_id_available=false", "topic_alias_max=0");
	runs("--only /limit-,/alias-", 80);
}
