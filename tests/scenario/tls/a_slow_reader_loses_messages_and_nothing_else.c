#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define MESSAGE 20000

/*
 * A subscriber stands still while much is published, then goes on: what was begun is finished, in records that are cut where the socket
 * was full, and what it gets is whole messages.
 */
static void
stands_still(int port, const char *version)
{
	static char payload[MESSAGE + 1];
	char command[700];
	struct mq *m = mq_connect(.id = "publisher");
	long dropped = broker_counter("dropped__output_full");

	/* CONNECT of "slow" and SUBSCRIBE of t, MQTT 3.1.1. */
	snprintf(command, sizeof(command),
	    "rm -f $DIR/got; mkfifo $DIR/say; openssl s_client -connect localhost:$PORT -CAfile "
	    "$CA/ca.crt %s -quiet "
	    "<$DIR/say >$DIR/got 2>$DIR/quiet & echo $! >$DIR/slow\n"
	    "exec 9>$DIR/say; printf "
	    "'\\020\\020\\000\\004MQTT\\004\\002\\000\\000\\000\\004slow\\202\\006\\000\\001\\000\\"
	    "001t\\000' >&9\n"
	    "(exec sleep 300 >&9) & echo $! >$DIR/holds\n"
	    "until $CTL subscription list | grep -q slow; do sleep 0.05; done; kill -STOP $(cat "
	    "$DIR/slow)",
	    version);
	check(tls_sh(port, command) == 0);
	for (int i = 0; i < MESSAGE; i++)
		payload[i] = (char)('a' + i % 26);
	for (int i = 0; i < 100000 && broker_counter("dropped__output_full") < dropped + 100;
	     i += 10)
		for (int k = 0; k < 10; k++)
			mq_publish(m, "t", payload, 0, false);
	check(broker_counter("dropped__output_full") >= dropped + 100);
	mq_quiet(m);
	check(tls_sh(port, "kill -CONT $(cat $DIR/slow)") == 0);
	do {
		mq_publish(m, "t", "the last", 0, false);
		nap();
	} while (tls_sh(port, "tail -c 8 $DIR/got | grep -q 'the last'") != 0);
	/* CONNACK and SUBACK, then nothing but messages, whole ones. */
	check(tls_sh(port,
		  "kill $(cat $DIR/slow) $(cat $DIR/holds); rm $DIR/say\n"
		  "python3 - $DIR/got <<'END'\n"
		  "import sys\n"
		  "d = open(sys.argv[1], 'rb').read()[9:]\n"
		  "want = bytes(97 + i % 26 for i in range(20000)); n = 0\n"
		  "while d:\n"
		  "    at = 2 + (d[1] > 127) + (d[1] > 127 and d[2] > 127); size = 0\n"
		  "    for i in range(1, at): size |= (d[i] & 127) << 7 * (i - 1)\n"
		  "    assert d[0] == 0x30 and len(d) >= at + size and d[at + 3:at + size] in "
		  "(want, b'the last')\n"
		  "    d = d[at + size:]; n += 1\n"
		  "assert n > 20, n\n"
		  "END") == 0);
	mq_disconnect(m);
}

SCENARIO(2)
{
	int port;

	broker_start("output_max_bytes=1048576");
	port = tls_listener(
	    "secure", "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; ");
	stands_still(port, "-tls1_2");
	stands_still(port, "-tls1_3");
	broker_stop();
}
