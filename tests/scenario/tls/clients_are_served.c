#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"

#define LISTENER "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\";"

/* Other people's clients, each QoS, both versions, and payloads of many records; one in the clear hears them. */
SCENARIO(1, 2)
{
	struct mq *plain;
	int port;

	broker_start();
	port = tls_listener("secure", LISTENER);
	plain = mq_connect(.id = "plain", .version = 5);
	check(mq_subscribe(plain, "a/#", 2) == 2);
	for (int qos = 0; qos <= 2; qos++) {
		char command[200];

		snprintf(command, sizeof(command),
		    "mosquitto_pub $TLS -V mqttv%s -q %d -t a/%d -m hello", qos == 1 ? "5" : "311",
		    qos, qos);
		check(tls_sh(port, command) == 0);
		snprintf(command, sizeof(command), "a/%d", qos);
		mq_need_publish(plain, command, "hello");
	}
	/* Whoever looks at the name sees whether we are who was meant. */
	check(tls_sh(port,
		  "openssl s_client -connect 127.0.0.1:$PORT -CAfile $CA/ca.crt "
		  "-verify_return_error -verify_hostname localhost </dev/null") == 0);
	check(tls_sh(port,
		  "openssl s_client -connect 127.0.0.1:$PORT -CAfile $CA/ca.crt "
		  "-verify_return_error -verify_hostname other.example </dev/null") != 0);
	check(tls_sh(port,
		  "openssl s_client -connect 127.0.0.1:$PORT -CAfile $CA/stranger-ca.crt "
		  "-verify_return_error </dev/null") != 0);
	check(tls_sh(port,
		  "head -c 900000 /dev/urandom >$DIR/large\n"
		  "mosquitto_sub $TLS -i taker -q 1 -t large -C 1 -N >$DIR/got & taker=$!\n"
		  "until $CTL client show taker 2>&1 | grep -q 'tls=TLSv1.3'; do sleep 0.05; done\n"
		  "mosquitto_pub $TLS -q 1 -t large -f $DIR/large && wait $taker && cmp $DIR/large "
		  "$DIR/got") == 0);
	check(broker_counter("tls_handshakes__full") >= 5);
	mq_quiet(plain);
	broker_stop();
}
