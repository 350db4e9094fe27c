#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

/* What is in the files is in no log and no answer. */
SCENARIO(1)
{
	int port;

	broker_start();
	port = tls_listener("locked",
	    "certificate = \"$CA/locked.crt\"; certificate_key = \"$CA/locked.key\"; "
	    "key_password_file = \"$CA/locked.password\"; ");
	check(tls_sh(port, "mosquitto_pub $TLS -t t -m x") == 0);
	check(tls_sh(port, "echo wrong >$CA/locked.password; $CTL reload") != 0);
	check(tls_sh(port, "mosquitto_pub $TLS -t t -m x") == 0);
	check(broker_log_has("or the password is another"));
	check(!broker_log_has("wrong") && !broker_log_has("not a secret"));
	broker_stop();
}
