#include <signal.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "

#define S_CLIENT                                                                                   \
	"(timeout 60 sh -c \"until [ -s $DIR/next ]; do sleep 0.02; done\") | "                    \
	"openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt -sess_out $DIR/next "

/* A session, for which the client stays until it has it: TLS 1.3 gives it after the handshake. */
static void
begin(int port, const char *version)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "rm -f $DIR/next; " S_CLIENT "%s >$DIR/out 2>&1; mv $DIR/next $DIR/session", version);
	check(tls_sh(port, command) == 0);
}

/*
 * Who comes again with what the server gave him the last time, to whatever worker: how many times he was resumed. In TLS 1.3 that is
 * good for once.
 */
static int
resumed(int port, const char *version, int times)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "n=0; cp $DIR/session $DIR/now; for i in $(seq %d); do %s\n" S_CLIENT
	    "%s -sess_in $DIR/now >$DIR/out 2>&1\n"
	    "grep -q ^Reused $DIR/out && n=$((n+1)); %s; done; exit $n",
	    times, strcmp(version, "-tls1_3") == 0 ? "rm -f $DIR/next" : "echo >$DIR/next", version,
	    strcmp(version, "-tls1_3") == 0 ? "mv $DIR/next $DIR/now || break" : ":");
	return tls_sh(port, command);
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
		check(resumed(port, version[i], 10) == 10);
		/* It was not made for this one. */
		check(resumed(strict, version[i], 1) == 0);
		for (int w = 0; w < 4; w++) {
			char title[32];

			snprintf(title, sizeof(title), "mqtt/%d", w);
			broker_kill(title, SIGKILL);
		}
		broker_wait_ready();
		check(resumed(port, version[i], 10) == 10);
	}
	check(broker_counter("tls_handshakes__resumed") > 0);
	broker_stop();
}
