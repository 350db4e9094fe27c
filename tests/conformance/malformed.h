/*
 * malformed.h - packets that no server may put up with: a table of them, and what has to come of each
 *
 * An offence is sent at a moment of a connection's life. The server has to close that connection, say why as far as its version has words for it,
 * publish the client's will, and do nothing else: a witness beside it sees that nothing is delivered or retained, and that it is still served.
 */
#ifndef CONFORMANCE_MALFORMED_H
#define CONFORMANCE_MALFORMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/span.h"

enum moment {
	FIRST,     /* nothing was sent before */
	AT_ONCE,   /* right behind CONNECT, not waiting for CONNACK */
	OPEN,      /* connected */
	SENDING,   /* a PUBLISH of QoS 2 with identifier 1 waits for its PUBREL */
	RECEIVING, /* one of the server's waits for its PUBREC */
	KEPT,      /* in a session that goes on when the connection ends */
	GONE,      /* right behind DISCONNECT */
	MOMENTS
};

extern const char *const moment_name[MOMENTS];

/* Stands in the bytes for a text as long, which differs from case to case: topics and client identifiers begin with it. */
#define PLACE "m@@@@@/@@@@@"
/* What an offence may subscribe to. No witness sees it. */
#define FILTER "n/" PLACE

#define CODES_MAX 4

struct offence {
	char name[64]; /* 5/open/PUBLISH/qos-3 */
	int version;
	enum moment moment;
	struct span bytes;
	bool in_part; /* filters before the wrong one may have been subscribed to [MQTT-3.8.4-5] */
	bool cut;     /* nothing will follow: the client's side is closed behind them */
	bool connect; /* it is a CONNECT: CONNACK may tell the reason */
	bool burst; /* it is the last of many packets, the others being right: they are answered */
	/*
	 * Reasons that may be told. MQTT 5: in a DISCONNECT, which has to come (4.13: should), or in a CONNACK, which
	 * may. MQTT 3: in a CONNACK.
	 */
	uint8_t code[CODES_MAX];
	size_t ncodes;
	bool
	    may_answer; /* or it is acknowledged with codes that refuse, and the connection stays */
	bool may_pass;  /* or the server takes it for right: the standard leaves it open */
};

/* What the server allows, from its CONNACK. */
struct allowance {
	unsigned max_qos, alias_max, receive_max;
	uint32_t max_packet;
	bool retain, wildcard, shared, subscription_id;
};

/* All of them, in order. They stay. */
struct offence *offences_make(const struct allowance *may, size_t *n_out);

struct malformed {
	const char *host, *only; /* only: those whose names contain one of these words; NULL: all */
	int port, version;       /* 0: all */
	unsigned jobs;
	int patience_ms;
	bool list, json;
};

int malformed(const struct malformed *o); /* exit code; prints what failed, and how many passed */

#endif
