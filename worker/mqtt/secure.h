/*
 * secure.h - TLS of this worker's listeners and connections
 *
 * The master hands us the files of a configuration before the configuration itself. What listeners need is built while we vote on it, so a
 * bad certificate is a reason to say no; connections that are there keep what they began with.
 *
 * Runs in: worker's loop. Handshakes are spread over turns, so that a storm of them leaves time for who is connected.
 */
#ifndef MQTT_SECURE_H
#define MQTT_SECURE_H

#include "shared/net/tls.h"

void secure_files(int fd); /* of the configuration that comes next; fd is taken */
int secure_start(void);    /* for self.conf; -errno: said in the log */
int secure_check(const struct conf *next, char why[256]);
void secure_commit(void);
void secure_withdraw(void);
void secure_turn(void); /* another one begins */
void secure_fini(void);

struct ssl_st *secure_accept(unsigned listener, int fd); /* NULL: no memory */
/* tls_read(); -EAGAIN also when it is for a later turn: the loop will say again that the socket is ready. */
ssize_t secure_read(struct ssl_st *tls, void *p, size_t len, bool *more_out);

#endif
