#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; "
#define S_CLIENT "openssl s_client -connect localhost:$PORT -CAfile $CA/ca.crt "

/* s_client says how it went; a shell function tells whether a session was made. */
static bool
goes(int port, const char *options)
{
	char command[900];

	snprintf(command, sizeof(command),
	    S_CLIENT "-verify_return_error -brief %s </dev/null >$DIR/out 2>&1; status=$?\n"
		     "cat $DIR/out; [ $status = 0 ] && grep -q 'CONNECTION ESTABLISHED' $DIR/out",
	    options);
	return tls_sh(port, command) == 0;
}

/* Versions, protocols by ALPN, ciphers, renegotiation; and garbage, which costs nobody else anything. */
SCENARIO(1)
{
	int any, new, few, bare;
	struct mq *m, *other;

	broker_start();
	any = tls_listener("any", LISTENER);
	new = tls_listener("new", LISTENER "tls_version = \"1.3\"; ");
	few = tls_listener("few",
	    LISTENER
	    "tls_ciphers = \"ECDHE-ECDSA-CHACHA20-POLY1305\"; "
	    "tls_ciphersuites = \"TLS_CHACHA20_POLY1305_SHA256\"; tls_groups = \"P-384\"; ");
	bare = tls_listener("bare", LISTENER);
	check(goes(any, "-tls1_3") && goes(any, "-tls1_2"));
	/* OpenSSL itself speaks it, if it is asked to. */
	check(!goes(any, "-tls1_1 -cipher DEFAULT@SECLEVEL=0"));
	check(goes(new, "-tls1_3") && !goes(new, "-tls1_2"));
	check(goes(any, "-alpn mqtt") && goes(any, "-alpn h2,mqtt") && !goes(any, "-alpn h2"));
	check(goes(few, "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"));
	check(!goes(few, "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"));
	check(!goes(few, "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256"));
	check(goes(few, "-groups P-384") && !goes(few, "-groups X25519"));
	/* "R" asks for a new handshake within the old one. */
	check(tls_sh(any,
		  "(sleep 0.3; echo R; sleep 0.3) | " S_CLIENT
		  "-tls1_2 >$DIR/out 2>&1; grep -q 'no renegotiation' $DIR/out") == 0);

	other = mq_connect(.id = "other");
	m = mq_open(bare);
	mq_hex(m, "100c00044d5154540502003c0000"); /* CONNECT, as to a listener in the clear */
	mq_need_close(m);
	m = mq_open(bare);
	mq_hex(m, "16030100050100000100"); /* a ClientHello of which there is no more */
	mq_quiet(other);
	mq_close(m);
	wait_for(broker_counter("ends__tls") > 0);
	broker_stop();
}
