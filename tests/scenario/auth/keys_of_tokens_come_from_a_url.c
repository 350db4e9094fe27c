/*
 * They are read again when a token names a new one, but not as often as tokens like; the last ones stay while the server is away, and go with their URL.
 */
#include "tests/lib/http.h"

#define UNKNOWN 40
#define PAUSE 11000 /* after which a token may ask again */

static char token[4][1024];

static void
make(int i, const char *alg, const char *key, const char *kid)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof(command), "tests/lib/token.sh %s %s/%s '{}' %s", alg, broker.dir,
	    key, kid);
	f = popen(command, "r");
	check(f != NULL && fgets(token[i], sizeof(token[i]), f) != NULL && pclose(f) == 0);
}

static int
told(int i)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "c", .user = "x", .password = token[i] });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1, 4)
{
	struct mq *stays;
	int port, asked;

	clock_move(0);
	check(broker_sh(
		  "openssl genrsa -out $DIR/rsa 2048 && openssl ecparam -name prime256v1 -genkey "
		  "-noout -out $DIR/ec && openssl genpkey -algorithm ed25519 -out $DIR/ed") == 0);
	make(0, "RS256", "rsa", "one");
	make(1, "ES256", "ec", "two");
	make(2, "EdDSA", "ed", "three");
	make(3, "EdDSA", "ed", "one");
	broker_start();
	port = http_start(NULL, NULL);
	broker_conf("jwt_jwks_url =", "jwt_jwks_url = \"http://127.0.0.1:1/\";");
	broker_reload("authentication =", "authentication = \"jwt\";");
	/* Nobody can say. */
	check(told(0) == 0x89);
	/* What can't be a set is none. */
	check(broker_sh("echo '{\"keys\":[]}' >$DIR/jwks") == 0);
	broker_reload(
	    "jwt_jwks_url =", "jwt_jwks_url = \"http://127.0.0.1:%d/file?name=jwks\";", port);
	check(told(0) == 0x89);
	check(broker_sh("tests/lib/jwks.sh $DIR/rsa=one >$DIR/jwks") == 0);
	clock_move(PAUSE);
	stays = mq_connect(.id = "stays", .user = "x", .password = token[0]);
	check(told(3) == 0x86); /* the name of one, the signature of another */
	/* A new key is looked for at once, if that is not too often. */
	check(broker_sh("tests/lib/jwks.sh $DIR/rsa=one $DIR/ec=two >$DIR/jwks") == 0);
	clock_move(PAUSE);
	check(told(1) == 0);
	asked = http_asked("jwks");
	clock_move(PAUSE);
	for (int i = 0; i < UNKNOWN; i++)
		check(told(2) == 0x86);
	check(http_asked("jwks") <= asked + 2);
	/* And from time to time. */
	check(broker_sh("tests/lib/jwks.sh $DIR/ed=three $DIR/rsa=one >$DIR/jwks") == 0);
	asked = (int)broker_counter("jwks__taken");
	clock_move(3601 * 1000);
	wait_for(broker_counter("jwks__taken") > asked);
	check(told(2) == 0 && told(1) == 0x86);
	/* Without the server the last ones are good. */
	http_end();
	asked = (int)broker_counter("jwks__failed");
	clock_move(3601 * 1000);
	wait_for(broker_counter("jwks__failed") > asked);
	check(told(0) == 0 && told(2) == 0);
	broker_reload("jwt_leeway =", "jwt_leeway = 1;");
	check(told(0) == 0 && told(2) == 0);
	/* Those of another URL are not. */
	broker_reload("jwt_jwks_url =", "jwt_jwks_url = \"http://127.0.0.1:1/\";");
	check(told(0) == 0x89);
	mq_quiet(stays);
	mq_disconnect(stays);
	broker_stop();
}
