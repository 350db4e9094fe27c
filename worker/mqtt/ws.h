/*
 * ws.h - WebSocket (RFC 6455) around a connection's bytes
 *
 * A client begins with a request of HTTP, of whatever path, which is answered here, too; then its MQTT comes in binary frames, cut anywhere
 * (MQTT 6.0). Each packet that we send has a frame of its own. Framing of what comes is wslay's; none of that is kept while no frame is under way.
 *
 * Runs in: worker's loop. No I/O of its own: bytes are handed in and taken out.
 * Trusts:  not the client. Errors: -EPROTO: ws_why() says what, and the answer that says so to the client waits to be sent; -ENOMEM.
 */
#ifndef MQTT_WS_H
#define MQTT_WS_H

#include <sys/types.h>

#include "worker/mqtt/out.h"

struct ws;

struct ws *ws_new(bool wants_forwarded); /* NULL: no memory */
void ws_free(struct ws *ws);             /* may be NULL */

/* What has come becomes MQTT, in place: its bytes. -EAGAIN: none yet; 0: the client has closed; -EPROTO, -ENOMEM. */
ssize_t ws_input(struct ws *ws, uint8_t *p, size_t len);
/* What is to be sent next: answers of its own, and o in frames. Borrowed, or in buf, which has room for more than a frame's head; empty: nothing. */
struct span ws_output(struct ws *ws, const struct out *o, uint8_t *buf, size_t size);
void ws_sent(struct ws *ws, struct out *o, size_t n); /* so much of that */
/* What its request had in X-Forwarded-For, all of them in order; once, the caller's; NULL: nothing, or it wasn't wanted. */
char *ws_take_forwarded(struct ws *ws);
bool ws_has_own(const struct ws *ws); /* an answer of its own waits */
bool
ws_has_ended(const struct ws *ws); /* what came last was the last: ws_input() of nothing says why */
void ws_bye(struct ws *ws);        /* nothing comes after what is in o */
const char *ws_why(void);          /* of the last -EPROTO; static */

#endif
