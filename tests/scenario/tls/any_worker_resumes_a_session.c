#include <signal.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "

/* Who comes again with what the server gave him, to whatever worker: how many of ten were resumed. */
static int
resumed(int port, const char *options)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "n=0; for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1) | openssl s_client -connect "
	    "localhost:$PORT -CAfile $CA/ca.crt %s "
	    "-sess_in $DIR/session >$DIR/out 2>&1; grep -q ^Reused $DIR/out && n=$((n+1)); done; "
	    "exit $n",
	    options);
	return tls_sh(port, command);
}

static void
begin(int port, const char *options)
{
	char command[600];

	/* TLS 1.3 gives tickets after the handshake: an answer of MQTT is behind them. */
	snprintf(command, sizeof(command),
	    "rm -f $DIR/session; until [ -s $DIR/session ]; do (printf "
	    "'\\020\\014\\000\\004MQTT\\004\\002\\000\\074\\000\\000'; sleep 0.2) | "
	    "openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt %s -sess_out "
	    "$DIR/session >$DIR/out 2>&1; done",
	    options);
	check(tls_sh(port, command) == 0);
}

SCENARIO(4)
{
	static const char *const version[] = { "-tls1_2", "-tls1_3" };
	int port, strict;

	broker_start();
	port = tls_listener("secure", LISTENER);
	strict = tls_listener("strict",
	    LISTENER "client_authorities = \"$CA/ca.crt\"; client_certificate = \"optional\"; ");
	for (int i = 0; i < 2; i++) {
		begin(port, version[i]);
		check(resumed(port, version[i]) == 10);
		/* It was not made for this one. */
		check(resumed(strict, version[i]) == 0);
		for (int w = 0; w < 4; w++) {
			char title[16];

			snprintf(title, sizeof(title), "mqtt/%d", w);
			broker_kill(title, SIGKILL);
		}
		broker_wait_ready();
		check(resumed(port, version[i]) == 10);
	}
	check(broker_counter("tls_handshakes__resumed") > 0);
	broker_stop();
}
