/*
 * websocket.h - WebSocket as a client speaks it (RFC 6455), for tests
 *
 * A codec without a socket: what has come is handed in, what has to be sent is put behind `out`. Written for this end alone and strict: what no
 * server may send is no frame here but the reason in `bad`, and nothing is taken behind it.
 */
#ifndef LIB_WEBSOCKET_H
#define LIB_WEBSOCKET_H

#include "tests/lib/bytes.h"

/* The first byte of a frame. */
enum {
	WS_FIN = 0x80, /* the last of its message */
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

struct websocket {
	const char *protocol;
	char key[25], accept[29]; /* what was asked with, and what has to be answered */
	bool open;                /* the server has agreed */
	bool closing, closed;     /* a Close was sent, has come */
	bool in_message;          /* frames of it are to follow */
	struct bytes in;          /* that is no whole frame yet */
	char bad[96];             /* "": all is right */
};

/* protocol: the only one that is offered, borrowed for good; NULL: none. */
void websocket_ask(
    struct websocket *w, const char *host, int port, const char *protocol, struct bytes *out);
/* What messages hold is put behind `payload`; pings and Close are answered. False: bad. */
bool websocket_take(struct websocket *w, struct span in, struct bytes *payload, struct bytes *out);
/* A whole frame, masked, of whatever kind; nothing behind a Close. */
void websocket_put(struct websocket *w, unsigned first, struct span payload, struct bytes *out);
void websocket_close(struct websocket *w, struct bytes *out); /* once; code 1000 */
bool
websocket_may_end(struct websocket *w); /* the connection is lost: not within a message, or bad */
void websocket_fini(struct websocket *w);

#endif
