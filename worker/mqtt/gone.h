/*
 * gone.h - telling persist that a connection has ended, when nothing of it is under way any more
 *
 * A successor elsewhere, or the will, must not overtake what the client had published. So GONE waits until every
 * peer has consumed all that we had sent by the end of the turn in which the connection ended. Those of one turn share one mark.
 * The connection itself is kept until persist has read its GONE: if persist dies before, its successor is told who it was, and again that it
 * has gone, so that its will is published and its session goes on without it.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_GONE_H
#define MQTT_GONE_H

#include "worker/mqtt/conn.h"

/* c was OPEN. will: publish it if there is one. A DISCONNECT may have changed c->expiry. */
void gone_add(struct conn *c, enum mqtt_reason reason, bool will);
/* A session we were granted but have no use for. */
void gone_unwanted(uint32_t session, uint64_t epoch);
void gone_turn(void);         /* sends what may go, forgets what has arrived */
void gone_persist_down(void); /* what the dead one had read is done */
void gone_register(void);     /* all others to its successor */
bool gone_is_waiting(void);
void gone_fini(void);

#endif
