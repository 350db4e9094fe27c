#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

/* So many at least: less would mean that they are no longer made. */
static void
runs(int port, const char *options, unsigned least)
{
	char command[400];

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-conformance --malformed --port %d --patience %d %s >$DIR/table && "
	    "test $(tail -n 1 $DIR/table | cut -d ' ' -f 1) -ge %u || { head -n 60 $DIR/table; "
	    "exit 1; }",
	    port, deadline_ms() / 6000, options, least);
	if (broker_sh(command) != 0)
		fail("tbmq-conformance --malformed %s", options);
}

/* With 2 workers over TLS, and over WebSocket: where the end of a client is something else that it says. */
SCENARIO(1, 2, 4)
{
	broker_start();
	if (workers() == 2) {
		runs(tls_listener_of("tls", "secure",
			 "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\";"),
		    "--transport tls --cafile $DIR/ca/ca.crt", 30000);
		runs(tls_listener_of("ws", "web", ""), "--transport ws", 30000);
		return;
	}
	runs(broker.port, "", 30000);
	broker_stop();
	/* What goes beyond its limits can be shown of a broker that has some. */
	broker_start("max_qos=1", "retain_available=false", "wildcard_available=false",
	    "shared_available=false", "subscription_id_available=false", "topic_alias_max=0");
	runs(broker.port, "--only /limit-,/alias-", 80);
}
