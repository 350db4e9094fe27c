#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

static bool
gets_in(int port, const char *who)
{
	char command[200];

	snprintf(command, sizeof(command),
	    "timeout 60 mosquitto_pub $TLS -V mqttv5 -t t -m x -q 1 --cert $CA/%s.crt --key "
	    "$CA/%s.key",
	    who, who);
	return tls_sh(port, command) == 0;
}

#define LISTENER                                                                                   \
	"certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "                 \
	"client_certificate = \"required\"; "

SCENARIO(1)
{
	int port, strict;

	broker_start();
	check(tls_sh(0,
		  "mkdir $CA/trusted $CA/lists && cp $CA/ca.crt $CA/trusted/one.pem && "
		  "cp $CA/crl.pem $CA/lists") == 0);
	port = tls_listener("many", LISTENER "client_authorities = \"$CA/trusted\"; ");
	strict = tls_listener("strict",
	    LISTENER "client_authorities = \"$CA/ca.crt\"; client_revocations = \"$CA/lists\"; ");
	check(gets_in(port, "alice") && gets_in(port, "revoked") && !gets_in(port, "stranger"));
	check(gets_in(strict, "alice") && !gets_in(strict, "revoked"));

	/* What is put there counts from the next reload on. */
	check(tls_sh(port, "cp $CA/stranger-ca.crt $CA/trusted && $CTL reload") == 0);
	check(gets_in(port, "alice") && gets_in(port, "stranger"));
	check(!gets_in(strict, "stranger"));
	broker_stop();
}
