#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"
#include "tests/scenario/conformance/lacking.h"

static void
runs(int port, const char *options)
{
	char command[600];

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-conformance --port %d %s >$DIR/table || { grep ' fail ' $DIR/table; exit 1; "
	    "}",
	    port, options);
	if (broker_sh(command) != 0)
		fail("tbmq-conformance %s", options);
}

SCENARIO(2)
{
	char options[300];

	broker_start();
	/* The proxy alone makes no difference, and each rule that it breaks makes the checks fail that name it. */
	snprintf(options, sizeof(options), "--patience %d --break nothing", deadline_ms() / 6000);
	runs(broker.port, options);
	runs(broker.port, "--patience 3 --break own");
	/* What is about WebSocket is broken there, and nothing is passed over. */
	runs(tls_listener_of("ws", "ws", ""),
	    "--transport ws --patience 3 --break own --only 6.0.0-1,6.0.0-2,6.0.0-3,6.0.0-4");
	check(broker_sh("! grep 'not applicable' $DIR/table") == 0);
	broker_stop();
	broker_start(LACKING);
	runs(broker.port, "--patience 3 --break own " ONLY_LACKING);
}
