#include <stdlib.h>
#include <sys/socket.h>

#include "tests/lib/scenario.h"
#include "tests/lib/tls.h"
#include "tests/lib/tls_client.h"

enum { STORM = 400, ROUNDS_MIN = 10 };

/* What a client says first, which costs it nothing to say again and the server a signature each time. */
static struct bytes
hello(void)
{
	struct tls_client *t;
	struct bytes out = { 0 }, plain = { 0 };
	char path[200];

	snprintf(path, sizeof(path), "%s/ca.crt", getenv("CA"));
	tls_client_authority(path);
	t = tls_client_new("localhost");
	check(tls_client_take(t, (struct span){ 0 }, &plain, &out) && out.len > 0);
	tls_client_free(t);
	bytes_free(&plain);
	return out;
}

/* Of those who wait for the server's part of the handshake, how many have it? */
static int
answered(struct mq *const *storm)
{
	uint8_t byte;
	int n = 0;

	for (int i = 0; i < STORM; i++)
		n += recv(storm[i]->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	return n;
}

/*
 * All hellos come at once. Whoever is connected gets answers all the time until the last of them is through: if all were handled in one turn,
 * there would be hardly one.
 */
SCENARIO(1)
{
	struct mq *storm[STORM], *other;
	struct bytes first;
	int port, rounds = 0;

	broker_start();
	port = tls_listener(
	    "secure", "certificate = \"$CA/server.crt\"; certificate_key = \"$CA/server.key\"; ");
	first = hello();
	other = mq_connect(.id = "other");
	for (int i = 0; i < STORM; i++)
		storm[i] = mq_open(port);
	wait_for(broker_counter("connections") > STORM);
	for (int i = 0; i < STORM; i++)
		mq_bytes(storm[i], first.p, first.len);
	while (answered(storm) < STORM) {
		mq_quiet(other);
		rounds++;
	}
	check(rounds >= ROUNDS_MIN);
	check(broker_counter("tls_waited") > 0);
	for (int i = 0; i < STORM; i++)
		mq_close(storm[i]);
	bytes_free(&first);
	mq_close(other);
	broker_stop();
}
