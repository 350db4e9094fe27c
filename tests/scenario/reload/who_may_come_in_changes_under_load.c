/*
 * Providers, credentials, authorities, certificates, keys of tokens and rules, all of which change while clients that they have let in are served.
 */
#include <stdlib.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define FLYING 16 /* messages under way during each change */

/* What each change does, and what is undone by the next. */
static const struct {
	const char *commands; /* before the line is replaced and read, if there is one */
	const char *from, *to;
} change[] = {
	{ "cp $CA/other.crt $CA/now.crt; cp $CA/other.key $CA/now.key",
	    "authentication =", "authentication = \"x509, basic, scram\";" },
	{ "cp $CA/stranger-ca.crt $CA/trusted.crt",
	    "authentication =", "authentication = \"basic\";" },
	{ "$CTL auth change alice --disable; $CTL auth remove by-certificate",
	    "authentication =", "authentication = \"jwt, basic, x509\";" },
	{ "$CTL acl add 'deny user mallory all #'; echo another secret, which is as long as one "
	  "has to be >$CA/secret",
	    "client_publish_rate =", "client_publish_rate = \"100000:1\";" },
	{ "echo secrets $CA >$CA/secret; $CTL acl remove 1", "auth_cache =", "auth_cache = 0;" },
	{ "$CTL auth change alice --enable; "
	  "$CTL auth add by-certificate --certificate common_name=alice",
	    "auth_threads =", "auth_threads = 1;" },
	{ "echo right | $CTL auth passwd alice --cost 10",
	    "client_publish_rate =", "client_publish_rate = \"none\";" },
	{ "cp $CA/ca.crt $CA/trusted.crt; cp $CA/server.crt $CA/now.crt; cp $CA/server.key "
	  "$CA/now.key",
	    "authentication =", "authentication = \"basic, x509\";" },
};

#define CHANGES (sizeof(change) / sizeof(change[0]))

static int port;

static bool
comes_in(const char *with)
{
	char command[300];

	snprintf(command, sizeof(command),
	    "timeout 60 mosquitto_pub $TLS --insecure -V mqttv5 -t n -m x -q 1 %s", with);
	return tls_sh(port, command) == 0;
}

/* Whom they let in before the first change, and after the last. */
static void
is_as_it_was(void)
{
	check(comes_in("-u alice -P right") && !comes_in("-u alice -P wrong"));
	check(comes_in("--cert $CA/alice.crt --key $CA/alice.key"));
	check(!comes_in("--cert $CA/pump.crt --key $CA/pump.key"));
	check(!comes_in("--cert $CA/stranger.crt --key $CA/stranger.key"));
}

static void
prepare(void)
{
	broker_start();
	check(tls_sh(0,
		  "echo secrets $CA >$CA/secret; cp $CA/ca.crt $CA/trusted.crt; "
		  "cp $CA/server.crt $CA/now.crt; cp $CA/server.key $CA/now.key") == 0);
	port = tls_listener("secure",
	    "certificate = \"$CA/now.crt\"; certificate_key = \"$CA/now.key\"; "
	    "client_authorities = \"$CA/trusted.crt\"; client_certificate = \"optional\"; ");
	check(tls_sh(port,
		  "$CTL auth add by-certificate --certificate common_name=alice && echo right | "
		  "$CTL auth add alice --cost 10") == 0);
	broker_reload("jwt_secret_file =", "jwt_secret_file = \"%s/secret\";", getenv("CA"));
	broker_reload("authentication =", "authentication = \"basic, x509\";");
	is_as_it_was();
}

SCENARIO(1, 2, 4)
{
	struct mq *pub, *sub;
	int n = many(24), sent = 0, got = 0;

	prepare();
	check(tls_sh(port,
		  "mosquitto_sub $TLS -V mqttv5 -i by-cert --cert $CA/alice.crt --key "
		  "$CA/alice.key -q 1 -t t >$DIR/by-cert 2>&1 & echo $! >$DIR/pids\n"
		  "mosquitto_sub $TLS -V mqttv5 -i by-word -u alice -P right -q 1 -t t "
		  ">$DIR/by-word 2>&1 & echo $! >>$DIR/pids\n"
		  "until [ $($CTL subscription list | grep -c 'by-[cw]') = 2 ]; do sleep 0.05; "
		  "done") == 0);
	pub = mq_connect(.id = "pub", .user = "alice", .password = "right");
	sub = mq_connect(.id = "sub", .user = "alice", .password = "right", .expiry = 1000);
	check(mq_subscribe(sub, "t", 1) == 1);
	for (int round = 0; round < n || round % (int)CHANGES != 0; round++) {
		size_t c = (size_t)round % CHANGES;
		char text[16];

		for (int i = 0; i < FLYING; i++, sent++)
			mq_send_publish(pub, "t", text,
			    (size_t)snprintf(text, sizeof(text), "%d", sent), 1, false, NULL);
		check(tls_sh(port, change[c].commands) == 0);
		broker_reload(change[c].from, "%s", change[c].to);
		for (int i = 0; i < FLYING; i++, got++) {
			snprintf(text, sizeof(text), "%d", got);
			check(mq_need(pub, 4).reason == 0);
			mq_need_publish(sub, "t", text);
		}
	}
	is_as_it_was();
	mq_quiet(pub);
	mq_quiet(sub);
	/* Those that OpenSSL serves have got all, too, on the connections that they began with. */
	for (int i = 0; i < 2; i++) {
		char command[200];

		snprintf(command, sizeof(command),
		    "[ \"$(seq 0 %d | md5sum)\" = \"$(md5sum <$DIR/by-%s)\" ]", sent - 1,
		    i == 0 ? "cert" : "word");
		wait_for(tls_sh(port, command) == 0);
	}
	check(broker_counter("connections") == 4);
	check(tls_sh(port, "kill $(cat $DIR/pids)") == 0);
	mq_disconnect(pub);
	mq_disconnect(sub);
}
