#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define DAY (INT64_C(24) * 3600 * 1000)

/* What a client that asks is told, by TLS 1.2 as by 1.3. */
static bool
is_given(int port, const char *name)
{
	char command[400];
	bool given[2];

	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
		    "openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt -servername %s "
		    "-status %s </dev/null 2>/dev/null >$DIR/got; "
		    "grep -q 'OCSP Response Status: successful' $DIR/got && "
		    "grep -q 'Cert Status: good' $DIR/got",
		    name, i == 0 ? "-tls1_2" : "-tls1_3");
		given[i] = tls_sh(port, command) == 0;
	}
	check(given[0] == given[1]);
	check(tls_sh(port, "grep -q 'Verify return code: 0' $DIR/got") == 0);
	return given[1];
}

static bool
warns(const char *why)
{
	return tls_sh(0, "$CTL config check 2>&1 | grep warning") == 0 && broker_log_has(why);
}

SCENARIO(2)
{
	int port, sni;

	clock_move(0);
	broker_start();
	check(broker_sh("$CTL config check 2>&1 | grep warning") != 0);
	port = tls_listener(
	    "one", "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; ");
	sni = tls_listener("many", "certificate = \"$CA/sni\"; ");
	check(!is_given(port, "localhost") && !is_given(sni, "localhost"));
	check(tls_sh(0, "$CTL config check 2>&1 | grep warning") != 0);

	/* What is not about it, and what is no response at all, is left out. */
	check(tls_sh(0, "cp $CA/ca.crt $CA/server.ocsp && $CTL reload") == 0);
	check(!is_given(port, "localhost") && warns("server.ocsp is no OCSP response in DER"));
	check(tls_sh(0, "cp $CA/ocsp/other $CA/server.ocsp && $CTL reload") == 0);
	check(!is_given(port, "localhost") && warns("is about another certificate"));
	check(tls_sh(0,
		  "cp $CA/ocsp/revoked $CA/revoked.ocsp && "
		  "sed -i 's/server\\.\\(crt\\|key\\)/revoked.\\1/g' $DIR/tbmq.conf && "
		  "$CTL reload") == 0);
	check(warns("says that the certificate is revoked"));
	check(tls_sh(0,
		  "sed -i 's/revoked\\.\\(crt\\|key\\)/server.\\1/g' $DIR/tbmq.conf && "
		  "cp $CA/ocsp/server $CA/server.ocsp && $CTL reload") == 0);
	check(is_given(port, "localhost"));
	check(tls_sh(0, "$CTL config check 2>&1 | grep warning") != 0);

	/* Each certificate of several has its own. */
	check(tls_sh(0, "cp $CA/ocsp/other $CA/sni/2-other.ocsp && $CTL reload") == 0);
	check(is_given(sni, "other.example") && !is_given(sni, "localhost"));
	check(tls_sh(0, "cp $CA/ocsp/server $CA/sni/1-server.ocsp && $CTL reload") == 0);
	check(is_given(sni, "other.example") && is_given(sni, "localhost"));

	/* Its time passes, and nobody reloads. */
	clock_move(11 * DAY);
	wait_for(!is_given(port, "localhost"));
	check(ctl("reload") == 0 && warns("is outdated"));
	broker_stop();
}
