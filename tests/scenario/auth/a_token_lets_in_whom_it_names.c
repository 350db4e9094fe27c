/*
 * Signed by whoever has a key that is known, in its time, and for who shows it: all of that, or the client stays out.
 */
#include "tests/lib/scenario.h"

static char path[4][160];

/* A publisher of mosquitto's that shows a token; what it was told: 0, 4 (bad user name or password), … */
static int
comes_in(const char *alg, const char *key, const char *claims)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "mosquitto_pub -p $BROKER_PORT -i c -u anna -t t -m x -P \"$(tests/lib/token.sh %s "
	    "$DIR/%s '%s')\"",
	    alg, key, claims);
	return broker_sh(command);
}

#define GOOD "\"sub\":\"anna\",\"iss\":\"us\",\"aud\":[\"others\",\"mqtt\"],\"exp\":+600"

SCENARIO(1, 4)
{
	check(
	    broker_sh("cd $DIR && for k in rsa other-rsa; do openssl genrsa -out $k 2048; done; "
		      "for k in ec "
		      "other-ec; do openssl ecparam -name prime256v1 -genkey -noout -out $k; done; "
		      "openssl genpkey -algorithm ed25519 -out ed; for k in rsa ec ed; do openssl "
		      "pkey -in $k -pubout; done >public; printf 'a secret of more than 32 bytes, "
		      "I hope' >secret; printf 'another of more than 32 bytes, I hope' "
		      ">other-secret; openssl pkey -in rsa -pubout -out rsa-public") == 0);
	snprintf(path[0], sizeof(path[0]), "jwt_public_key=%s/public", broker.dir);
	snprintf(path[1], sizeof(path[1]), "jwt_secret_file=%s/secret", broker.dir);
	broker_start(path[0], path[1], "jwt_issuer=us", "jwt_audience=mqtt", "jwt_verify=sub=%u",
	    "jwt_leeway=0", "authentication=jwt, basic");
	check(comes_in("HS256", "secret", "{" GOOD "}") == 0);
	check(comes_in("RS256", "rsa", "{" GOOD "}") == 0);
	check(comes_in("ES256", "ec", "{" GOOD "}") == 0);
	check(comes_in("EdDSA", "ed", "{" GOOD "}") == 0);
	check(broker_counter("jwt__accepted") == 4);
	/* Another's, or nobody's. */
	check(comes_in("HS256", "other-secret", "{" GOOD "}") == 4);
	check(comes_in("RS256", "other-rsa", "{" GOOD "}") == 4);
	check(comes_in("ES256", "other-ec", "{" GOOD "}") == 4);
	check(comes_in("none", "-", "{" GOOD "}") == 4);
	/* The public key as secret. */
	check(comes_in("HS256", "rsa-public", "{" GOOD "}") == 4);
	check(broker_counter("jwt__signature") == 5);
	/* Not now, not for us, not of ours, not its own, or not so much as said. */
	check(comes_in("ES256", "ec", "{" GOOD ",\"nbf\":+60}") == 4);
	check(comes_in("ES256", "ec",
		  "{\"sub\":\"anna\",\"iss\":\"us\",\"aud\":\"mqtt\",\"exp\":-1}") == 4);
	check(comes_in("ES256", "ec",
		  "{\"sub\":\"anna\",\"iss\":\"us\",\"aud\":\"mqtt\",\"exp\":\"never\"}") == 4);
	check(comes_in("ES256", "ec", "{\"sub\":\"anna\",\"iss\":\"us\",\"aud\":\"http\"}") == 4);
	check(comes_in("ES256", "ec", "{\"sub\":\"anna\",\"iss\":\"me\",\"aud\":\"mqtt\"}") == 4);
	check(comes_in("ES256", "ec", "{\"sub\":\"bob\",\"iss\":\"us\",\"aud\":\"mqtt\"}") == 4);
	check(comes_in("ES256", "ec", "{\"iss\":\"us\",\"aud\":\"mqtt\"}") == 4);
	check(comes_in("ES256", "ec", "{}") == 4);
	check(comes_in("ES256", "ec", "{" GOOD ",\"groups\":[\"a,b\"]}") == 4);
	check(broker_counter("jwt__claims") == 9);
	/* What is no token is the next provider's. */
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u anna -P secret -t t -m x") == 0);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u anna -P a.b.c -t t -m x") == 4);
	broker_stop();
}
