/*
 * What a certificate says, or one that signed for it, decides who comes in and what is known of them; a session that is resumed is looked at likewise.
 */
#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER                                                                                   \
	"certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "                 \
	"client_authorities = \"$CA/ca.crt\"; client_certificate = \"optional\"; "

static int port;

static bool
comes_in(const char *who, const char *options)
{
	char command[400], certificate[100] = "";

	if (who[0] != '\0')
		snprintf(certificate, sizeof(certificate), "--cert $CA/%s.crt --key $CA/%s.key",
		    who, who);
	snprintf(command, sizeof(command),
	    "timeout 60 mosquitto_pub $TLS -V mqttv5 -t t -m x -q 1 %s %s", certificate, options);
	return tls_sh(port, command) == 0;
}

static void
knows(const char *name, const char *options)
{
	char command[400];

	snprintf(command, sizeof(command), "$CTL auth add %s %s", name, options);
	check(broker_sh(command) == 0);
}

static void
forgets(const char *name)
{
	check(ctl("auth", "remove", name) == 0);
}

static void
names_decide(void)
{
	static const char *const fit[] = { "'common_name=pump-7'", "'subject=CN=pump-7,O=Tests'",
		"'dns=seven.pumps.example'", "'dns=pump-7.example'", "'dns~[.]pumps[.]example$'",
		"'common_name@any=pump-7'", "'common_name@1=factory'", "'common_name@any=factory'",
		"'subject@1~^CN=factory,'", "'common_name@2~^ca of'", "'common_name@any~^ca of'" };
	static const char *const differ[] = { "'common_name=factory'", "'common_name=pump-8'",
		"'dns=pumps.example'", "'dns~^pumps'", "'email~.'", "'common_name@2=factory'",
		"'common_name@3~.'", "'uri@any~.'" };
	char options[200];

	check(!comes_in("pump", ""));
	for (size_t i = 0; i < sizeof(fit) / sizeof(fit[0]); i++) {
		snprintf(options, sizeof(options), "--certificate %s", fit[i]);
		knows("rule", options);
		if (!comes_in("pump", ""))
			fail("%s", fit[i]);
		forgets("rule");
	}
	for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
		snprintf(options, sizeof(options), "--certificate %s", differ[i]);
		knows("rule", options);
		if (comes_in("pump", ""))
			fail("%s", differ[i]);
		forgets("rule");
	}
	knows("alice", "--certificate email=alice@example.org --client-pattern '^a[0-9]$'");
	check(comes_in("alice", "-i a1") && !comes_in("alice", "-i b1") &&
	    !comes_in("pump", "-i a1"));
	check(!comes_in("stranger", "-i a1") && !comes_in("self", "-i a1"));
	forgets("alice");
}

/* 0x20 0x02 0x00 0x00, from a session that began when it was alice's: how many of two versions. */
static int
resumed_and_in(const char *who)
{
	char command[1200];

	snprintf(command, sizeof(command),
	    "n=0; for v in 1_2 1_3; do for s in new in; do\n"
	    "rm -f $DIR/next; [ $s = new ] && o= || o=\"-sess_in $DIR/session$v\"\n"
	    "[ $s = in ] || [ ! -s $DIR/session$v ] || continue\n"
	    "(printf '\\020\\015\\000\\004MQTT\\004\\002\\000\\000\\000\\001r'; timeout 60 sh -c "
	    "'until [ -s $DIR/next ] && grep -qaP \"(\\x20\\x02\\x00[\\x00\\x05]|closed)\" "
	    "$DIR/out; do "
	    "sleep 0.02; done') | openssl s_client -tls$v -connect localhost:$PORT -CAfile "
	    "$CA/ca.crt -cert $CA/%s.crt -key $CA/%s.key -cert_chain $CA/%s.crt $o -sess_out "
	    "$DIR/next "
	    ">$DIR/out 2>&1\n"
	    "[ $s = in ] || cp $DIR/next $DIR/session$v\n"
	    "done; grep -q ^Reused $DIR/out && grep -qaP '\\x20\\x02\\x00\\x00' $DIR/out && "
	    "n=$((n + 1)); done; exit $n",
	    who, who, who);
	return tls_sh(port, command);
}

SCENARIO(2)
{
	struct mq *m;

	broker_start();
	port = tls_listener("secure", LISTENER);
	m = mq_connect(.id = "m");
	/* A good one is enough where nobody looks at it. */
	check(comes_in("pump", "") && comes_in("", ""));
	broker_reload("authentication", "authentication = \"x509, basic\";");
	names_decide();
	/* Who is nobody by his certificate may be somebody by his user name; with neither he is a stranger. */
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	check(comes_in("pump", "-u anna -P secret") && !comes_in("pump", "-u anna -P other"));
	check(comes_in("", "") && comes_in("", "-u anna -P secret"));
	/* What its session began with is in its ticket. */
	knows("pumps", "--certificate common_name@1=factory --groups a,pumps");
	check(resumed_and_in("pump") == 2);
	check(broker_counter("tls_handshakes__resumed") >= 2);
	check(ctl("auth", "change", "pumps", "--disable") == 0);
	check(resumed_and_in("pump") == 0);
	check(ctl("auth", "change", "pumps", "--enable") == 0);
	/* They travel in files. */
	check(broker_sh("$CTL auth export >$DIR/all && $CTL auth remove pumps && "
			"$CTL auth import $DIR/all --replace") == 0);
	check(comes_in("pump", "") && !comes_in("alice", ""));
	check(
	    broker_sh("$CTL auth show pumps | grep -q 'certificate *common_name@1=factory'") == 0);
	check(broker_sh("$CTL auth add x --certificate 'dns~(' >/dev/null 2>&1") == 1);
	check(broker_sh("$CTL auth add x --certificate 'dns=a' --user u >/dev/null 2>&1") == 2);
	mq_quiet(m);
	mq_disconnect(m);
	broker_stop();
}
