/*
 * connect.h - CONNECT, from the packet to CONNACK
 *
 * The worker checks the packet and the limits, then asks persist, which is the one order of events for a client id. Until the answer nothing more is
 * read. What a resumed session brings (its subscriptions) is in force before CONNACK leaves.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_CONNECT_H
#define MQTT_CONNECT_H

#include "worker/mqtt/conn.h"

struct connect_subs;

void connect_resume(const struct rec_resume *r, struct span filter);

/* auth's answer: what follows it. Borrowed. */
struct login_said {
	struct span groups, attributes, data, state, user_name;
};

void connect_logged_in(const struct rec_login_done *r, const struct login_said *said);
void connect_late(struct conn *c);        /* auth has not answered in time, or the client */
void connect_out_of_turn(struct conn *c); /* a packet that has to wait for CONNACK */
void connect_granted(const struct rec_grant *g);
void connect_will_ends(struct conn *c); /* access rules do not allow it any more */
void connect_let_go(const struct rec_let_go *r);
/* To a new persist: who is connected here, with what; who has left, if the dead one did not know; who waits for an answer. */
void connect_register_all(void);
bool connect_register(const struct conn *c, const struct connect_subs *subs); /* false: no memory */
/* What a durable session has subscribed to, for connect_register(); the caller's, to be freed. NULL: nothing. */
struct connect_subs *connect_subs_new(const struct conn *c);

#endif
