#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

/* CONNECT without a user name, then DISCONNECT, and what is answered in hexadecimal. */
#define ASK                                                                                        \
	"printf '\\020\\016\\000\\004MQTT\\005\\002\\000\\000\\000\\000\\001c\\340\\000' | "       \
	"timeout 60 openssl s_client -quiet -connect localhost:$PORT "
#define ANSWER " 2>/dev/null | od -An -tx1 | tr -d ' \\n' | "

static const char *const versions[] = { "-tls1_2", "-tls1_3" };

static bool
gets_in(int port, const char *version, const char *identity, const char *key)
{
	char command[400];

	snprintf(command, sizeof(command),
	    ASK "%s -psk_identity %s -psk %s" ANSWER "grep '^20..0000'", version, identity, key);
	return tls_sh(port, command) == 0;
}

static void
is_known_by_its_identity(int port)
{
	check(tls_sh(port,
		  "timeout 60 mosquitto_sub -h localhost -p $PORT -u mallory -i who "
		  "--psk-identity urn:dev:bob --psk 0b0b -t t & it=$!\n"
		  "until $CTL --json client show who 2>/dev/null | grep -q '\"user_name\"'; do "
		  "sleep 0.05; kill -0 $it || exit 1; done\n"
		  "$CTL --json client show who | grep '\"user_name\":\"urn:dev:bob\"'; got=$?; "
		  "kill $it; "
		  "wait $it; exit $got") == 0);
}

/* A session that is resumed knows whose it was, until the key is gone. */
static void
tickets_keep_the_identity(int port, const char *flag)
{
	char command[600];

	snprintf(command, sizeof(command),
	    ASK "%s -psk_identity alice -psk a11ce0 -sess_out $DIR/ticket" ANSWER
		"grep '^20..0000' && " ASK
		"%s -psk_identity nobody -psk 00 -sess_in $DIR/ticket" ANSWER "grep '^20..0000'",
	    flag, flag);
	check(tls_sh(port, command) == 0);
	check(tls_sh(0, "sed -i 's/^alice:.*/alice:ffff/' $DIR/keys && $CTL reload") == 0);
	snprintf(command, sizeof(command),
	    ASK "%s -psk_identity nobody -psk 00 -sess_in $DIR/ticket" ANSWER "grep '^20..0000'",
	    flag);
	check(tls_sh(port, command) != 0);
	check(tls_sh(0, "sed -i 's/^alice:.*/alice:a11ce0/' $DIR/keys && $CTL reload") == 0);
}

SCENARIO(2)
{
	int port, both, open;

	broker_start("authentication=basic");
	check(tls_sh(0,
		  "printf '# keys\\nalice:a11ce0\\nurn:dev:bob:0B0B\\n' >$DIR/keys && "
		  "ln -s $DIR/keys $CA/live") == 0);
	port = tls_listener("keys",
	    "psk_file = \"$CA/live\"; psk_hint = \"ours\"; psk_identity_as_username = true; "
	    "allow_anonymous = false; ");
	both = tls_listener("both",
	    "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "
	    "psk_file = \"$CA/live\"; psk_identity_as_username = true; allow_anonymous = false; ");
	open = tls_listener("only", "psk_file = \"$CA/live\"; allow_anonymous = false; ");
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		check(!gets_in(port, versions[i], "alice", "a11ce1"));
		check(!gets_in(port, versions[i], "mallory", "a11ce0"));
		check(!gets_in(port, versions[i], "alic", "a11ce0"));
		check(!gets_in(both, versions[i], "alice", "a11ce1"));
		/* Without a name of its own it needs credentials as anybody. */
		check(!gets_in(open, versions[i], "alice", "a11ce0"));
		check(gets_in(port, versions[i], "alice", "a11ce0"));
		check(gets_in(both, versions[i], "alice", "a11ce0"));
	}
	is_known_by_its_identity(port);
	is_known_by_its_identity(both);
	/* Who only claims to have a key, which a certificate makes up for, is not known by it. */
	check(tls_sh(both,
		  ASK "-tls1_3 -psk_identity alice -psk 00 -ciphersuites "
		      "TLS_AES_256_GCM_SHA384" ANSWER "grep '^20..0087'") == 0);
	check(tls_sh(both, ASK ANSWER "grep '^20..0087'") == 0);
	tickets_keep_the_identity(port, "-tls1_2");
	tickets_keep_the_identity(port, "-tls1_3");

	/* A line that is none changes nothing, and is not shown. */
	check(tls_sh(0, "echo secretive:nonsense >>$DIR/keys; ! $CTL reload") == 0);
	check(broker_log_has("live line 4: the key is not in hexadecimal"));
	check(!broker_log_has("secretive") && !broker_log_has("nonsense"));
	check(tls_sh(0, "! $CTL config check") == 0);
	check(gets_in(port, "-tls1_3", "alice", "a11ce0"));
	broker_stop();
}
