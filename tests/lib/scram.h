/*
 * scram.h - a client of MQTT 5 that authenticates itself by SCRAM, for tests: from the RFC, with no code of the broker
 *
 * Step by step, so that each can be wrong. What is made stays until wire_forget().
 */
#ifndef LIB_SCRAM_H
#define LIB_SCRAM_H

#include "tests/lib/wire.h"

struct scram {
	const char *method; /* "SCRAM-SHA-256", "SCRAM-SHA-512" */
	const char *user, *password;
	const char *header;                                  /* NULL: "n,," */
	const char *nonce;                                   /* NULL: a random one */
	char bare[3000], server_first[3000], signature[100]; /* as it goes on */
};

struct span scram_first(struct scram *s); /* what the client says first */
/* What it says to that; empty: it can't be. */
struct span scram_final(struct scram *s, struct span server_first);
bool
scram_is_server(const struct scram *s, struct span server_final); /* it knows the password's keys */

/* AUTH with this reason; an empty span: without data. */
struct span scram_auth(const struct scram *s, unsigned reason, struct span data);
/*
 * Opens a connection and comes in: CONNECT is o with method and data. NULL: refused, *reason_out says how; -1: closed without a word, -2: the
 * server has not shown that it knows the keys.
 */
struct wire *scram_connect(int port, struct scram *s, struct wire_connect o, int *reason_out);
/* Opens a connection and sends CONNECT; what comes to that. */
struct wire *scram_begin(int port, struct scram *s, struct wire_connect o, struct wire_packet *out);
/* Authenticates itself anew: the reason of the last packet, which is AUTH for 0; -1 as above. What comes meanwhile has to be nothing else. */
int scram_again(struct wire *w, struct scram *s);

#endif
