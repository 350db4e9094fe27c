/*
 * accept.h - listening sockets of this worker: accept, pause, limits before CONNECT
 *
 * A unix socket is shared by all workers, one of which is woken for each who comes, in turns; limits are by user there, not by address.
 * When descriptors run out, or connect_rate is reached, accepting pauses and those who come wait in the backlog; nobody who is connected
 * notices. It goes on when a connection ends, or a moment later.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_ACCEPT_H
#define MQTT_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/conf/conf.h"
#include "shared/ipc/chan.h"

int
accept_listener(const struct msg_listener *l, int fd); /* takes fd; accepts after accept_start() */
void accept_listener_gone(uint32_t id);                /* first accepts what waits in its backlog */
/* After a reload: who waits at a socket must not come in under another listener's terms until the master has told its new place. */
void accept_conf(const struct conf *was, const struct conf *now);
void accept_start(void);
void accept_stop(void); /* for good: draining */
void accept_resume(void);
void
accept_half_open_del(const char *peer); /* a connection from there has sent CONNECT, or ended */
/* One of these is from elsewhere: a balancer has said so. False: it must not stay, which is counted. */
bool accept_half_open_moves(const char *from, const char *to);
void accept_fini(void);

#endif
