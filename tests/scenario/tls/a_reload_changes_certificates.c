#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

static bool
shows(int port, const char *subject)
{
	char command[500];

	snprintf(command, sizeof(command),
	    "openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt </dev/null 2>/dev/null | "
	    "openssl x509 -noout -subject | grep -q 'CN = %s$'",
	    subject);
	return tls_sh(port, command) == 0;
}

/* Same names of files, others in them: new connections see them, the old go on; what can't be used changes nothing. */
SCENARIO(1, 4)
{
	int port;

	broker_start();
	check(tls_sh(0,
		  "mkdir $CA/now; cp $CA/server.crt $CA/now/it.crt; cp $CA/server.key "
		  "$CA/now/it.key") == 0);
	port = tls_listener(
	    "secure", "certificate = \"$CA/now/it.crt\"; certificate_key = \"$CA/now/it.key\"; ");
	check(shows(port, "localhost"));
	check(tls_sh(port,
		  "mosquitto_sub $TLS -i stays -q 1 -t t -C 2 >$DIR/got & echo $! >$DIR/stays\n"
		  "until $CTL subscription list | grep -q stays; do sleep 0.05; done\n"
		  "mosquitto_pub $TLS -q 1 -t t -m one") == 0);

	check(tls_sh(port, "cp $CA/other.crt $CA/now/it.crt; $CTL reload") !=
	    0); /* the key is another's */
	check(broker_log_has("has the key of another certificate"));
	check(shows(port, "localhost"));
	check(
	    tls_sh(port,
		"$CTL config check 2>$DIR/out && exit 1; grep 'the key of another' $DIR/out") == 0);
	check(tls_sh(port, "rm $CA/now/it.key; $CTL reload") != 0);
	check(tls_sh(port,
		  "$CTL config check 2>$DIR/out && exit 1; grep 'listeners.secure.certificate_key: "
		  "cannot read' $DIR/out") == 0);
	check(tls_sh(port, "echo nonsense >$CA/now/it.key; $CTL reload") != 0);
	check(tls_sh(port, "cp $CA/locked.key $CA/now/it.key; $CTL reload") != 0);
	check(shows(port, "localhost"));
	check(tls_sh(port, "cp $CA/other.key $CA/now/it.key; $CTL reload") == 0);
	check(shows(port, "other.example"));

	check(mq_publish(mq_connect(.id = "plain"), "t", "two", 1, false) == 0);
	wait_for(tls_sh(port, "[ \"$(cat $DIR/got)\" = \"$(printf 'one\\ntwo')\" ]") == 0);
	broker_stop();
}
