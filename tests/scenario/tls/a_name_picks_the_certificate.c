#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

/* What the server shows to who asks for a name, and whether that is good for it. */
static bool
shows(int port, const char *asked, const char *options, const char *subject, const char *key)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt %s%s %s "
	    "-verify_return_error "
	    "</dev/null >$DIR/out 2>&1 && openssl x509 -in $DIR/out -noout -subject -text "
	    ">$DIR/shown &&\n"
	    "grep -q 'subject=CN = %s$' $DIR/shown && grep -q 'Public Key Algorithm: %s' "
	    "$DIR/shown",
	    asked[0] == '\0' ? "-noservername" : "-servername ", asked, options, subject, key);
	return tls_sh(port, command) == 0;
}

#define EC "id-ecPublicKey"
#define RSA "rsaEncryption"

/* A directory of certificates: by name, by what keys the client can do with, the first for strangers. */
SCENARIO(1)
{
	int port;

	broker_start();
	port = tls_listener("names", "certificate = \"$CA/sni\"; ");
	check(shows(port, "localhost", "", "localhost", EC));
	check(shows(port, "other.example", "", "other.example", EC));
	check(shows(port, "other.example", "-sigalgs RSA-PSS+SHA256", "other.example", RSA));
	check(shows(port, "OTHER.example", "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
	    "other.example", RSA));
	check(shows(port, "elsewhere.example", "", "localhost", EC));
	check(shows(port, "", "", "localhost", EC));
	broker_stop();
}
