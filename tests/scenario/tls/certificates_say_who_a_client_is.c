#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER                                                                                   \
	"certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "                 \
	"client_authorities = \"$CA/ca.crt\"; client_revocations = \"$CA/crl.pem\"; "

static bool
gets_in(int port, const char *who)
{
	char command[300];

	snprintf(command, sizeof(command),
	    "timeout 60 mosquitto_pub $TLS -V mqttv5 -t t -m x -q 1 %s%s%s%s%s",
	    who[0] != '\0' ? "--cert $CA/" : "", who, who[0] != '\0' ? ".crt --key $CA/" : "", who,
	    who[0] != '\0' ? ".key" : "");
	return tls_sh(port, command) == 0;
}

/* As who alice is known with that certificate. */
static bool
is_user(const char *what, const char *name)
{
	char keys[600], command[700];
	int port;

	snprintf(keys, sizeof(keys),
	    LISTENER "client_certificate = \"required\"; certificate_user = \"%s\"; ", what);
	port = tls_listener(what, keys);
	snprintf(command, sizeof(command),
	    "timeout 60 mosquitto_sub $TLS -u mallory -i by-%s --cert $CA/alice.crt --key "
	    "$CA/alice.key -t t & it=$!\n"
	    "until $CTL --json client show by-%s 2>/dev/null | grep -q '\"certificate\":true'; do "
	    "sleep 0.05; kill -0 $it || exit 1; done\n"
	    "$CTL --json client show by-%s | grep '\"user_name\":\"%s\"'; got=$?; kill $it; exit "
	    "$got",
	    what, what, what, name);
	return tls_sh(port, command) == 0;
}

SCENARIO(2)
{
	static const char *const bad[] = { "expired", "revoked", "stranger", "self" };
	int must, may, named;

	broker_start();
	must = tls_listener(
	    "must", LISTENER "client_certificate = \"required\"; allow_anonymous = false; ");
	may = tls_listener("may", LISTENER "client_certificate = \"optional\"; ");
	named = tls_listener("named",
	    LISTENER "client_certificate = \"required\"; certificate_user = \"common_name\"; ");
	check(gets_in(must, "alice") && gets_in(may, "alice") && gets_in(named, "alice"));
	check(!gets_in(must, "") && gets_in(may, ""));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (gets_in(must, bad[i]) || gets_in(may, bad[i]))
			fail("%s gets in", bad[i]);
	/* Good, but nobody. */
	check(gets_in(must, "nameless") && !gets_in(named, "nameless"));
	check(is_user("common_name", "alice"));
	check(is_user("subject", "CN=alice,O=Tests"));
	check(is_user("dns", "alice.example"));
	check(is_user("email", "alice@example.org"));
	check(is_user("uri", "urn:dev:alice"));
	check(is_user("none", "mallory"));
	broker_stop();
}
