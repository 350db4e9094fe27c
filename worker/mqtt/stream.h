/*
 * stream.h - between a connection and its socket: nothing, TLS, WebSocket, or one over the other, as its
 * listener says; and in front of it all who the client is, if a load balancer has to say so (proxy.h)
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_STREAM_H
#define MQTT_STREAM_H

#include "worker/mqtt/conn.h"

int stream_open(struct conn *c, int fd, unsigned listener); /* 0, -ENOMEM */
/*
 * Bytes of MQTT; 0: the client has closed it; -EAGAIN, -errno; -EPROTO: stream_why(). c->unread: it may have more, of which the
 * socket knows nothing.
 */
ssize_t stream_read(struct conn *c, void *p, size_t len);
/* Writes what the socket takes. 0: all written; 1: some is left; -errno. *sent_out: bytes. */
int stream_write(struct conn *c, size_t *sent_out);
bool stream_wants_out(const struct conn *c); /* to go on with reading */
bool
stream_has_ended(const struct conn *c); /* by the client's word, so that it can still be answered */
void stream_bye(struct conn *c);        /* nothing more comes: as far as it can be said at once */
void stream_close(struct conn *c);      /* the socket stays the caller's */
enum counter stream_fault(void);        /* whose the last -EPROTO was */
const char *stream_why(void);

#endif
