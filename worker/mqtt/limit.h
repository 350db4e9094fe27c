/*
 * limit.h - rates of clients, users and the whole broker
 *
 * A connection to which any of them applies has a struct limits; the others have nothing, and cost nothing. Of a client's own rates it holds the
 * buckets, those of its user are shared by all connections with that name here, and with other workers by share.h.
 * Towards the broker: what is too fast is left in the socket (back-pressure), refused, dropped, or ends the connection, as the action of the rate
 * says that it is beyond. Towards the client: QoS 0 is dropped; QoS 1 and 2 of a clean session waits in its queue (deliver.h), and what persist
 * has sent for a durable one waits here, which is no more than the client's window.
 * A rate that a reload changes begins with full buckets; one that stays goes on.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_LIMIT_H
#define MQTT_LIMIT_H

#include "shared/ipc/segment.h"
#include "worker/mqtt/conn.h"

/* Of a durable session: encoded when it may go. */
struct held {
	struct held *next;
	struct msg *msg;
	uint64_t seq;
	uint16_t id, nids;
	uint8_t qos;
	bool retain, dup;
	uint32_t ids[];
};

/* Its session is granted. False: it can't stay; its user has too many connections. */
bool limit_open(struct conn *c, const char **why);
void limit_close(struct conn *c); /* it ends: its place is free */
void limit_free(struct conn *c);

/* c->limits is there. False: the packet waits, or the connection has ended. */
bool limit_in(struct conn *c, const struct packet *pk, size_t bytes);
bool limit_is_refusing(const struct conn *c);
void limit_subscribed(struct conn *c); /* a filter of it */
bool limit_out(struct conn *c);
void limit_sent(struct conn *c, size_t bytes);
void limit_pump_later(struct conn *c); /* deliver_pump() when there is room again */
void limit_hold(struct conn *c, struct held *h);
struct held *limit_held(const struct conn *c); /* the first, or NULL */
void limit_held_take(struct conn *c);          /* it, off the list; the caller's */

/* Is the packet that limit_in() has let in to be refused? */
static inline bool
limit_refuses(const struct conn *c)
{
	return c->limits != NULL && limit_is_refusing(c);
}

/* May one more message go? */
static inline bool
limit_lets_out(struct conn *c)
{
	return c->limits == NULL || limit_out(c);
}

void limit_conf(const struct conf *was); /* self.conf is the new one */
void limit_fini(void);

#endif
