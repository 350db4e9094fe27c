/*
 * deliver.h - messages to clients of this worker
 *
 * A message that can go out at once is encoded straight into the connection's output, or once for all receivers that get the same bytes, and
 * never becomes a struct msg. One that has to wait for the client's window does, shared by all who wait for it.
 * QoS 1 and 2 for durable sessions comes from persist (deliver_stored), with packet identifiers; the rest from routing.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_DELIVER_H
#define MQTT_DELIVER_H

#include "worker/mqtt/route.h"

struct delivered {
	unsigned clients; /* that got it, or for whom it waits */
	unsigned full;    /* whose queue had no room */
};

/* To the plain subscriptions of a route. from: the publisher, for no local; NULL if it isn't here. */
void deliver_plain(
    const struct route *r, const struct msg_view *v, const struct conn *from, struct delivered *d);
/* To one member of a group here; false: none can take it. */
bool deliver_member(
    struct subnode *n, const struct msg_view *v, const struct conn *from, struct delivered *d);
/* A retained message for one subscription. */
void deliver_retained(struct conn *c, const struct sub *s, const struct msg_view *v);
/* From persist; false: the client can't have it (too large, expired). */
bool deliver_stored(
    struct conn *c, const struct rec_deliver *rec, struct span subids, const struct msg_view *v);
void deliver_pubrel(struct conn *c, uint16_t id);

void deliver_acked(struct conn *c); /* the window may have room: goes on with what waits */
void deliver_pump(struct conn *c);
void deliver_drop(
    struct conn *c); /* the connection ends: what waited for a group's member goes to another */

void deliver_fini(void);

void alias_free(struct conn_alias **a);

#endif
