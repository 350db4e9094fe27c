/*
 * publish.h - messages from clients and from other processes: where they go, and when they are acknowledged
 *
 * A publish goes once to every process that wants it: subscribers here, other workers, persist (durable sessions, retained store, QoS 2
 * of durable publishers), and for each matching group one process. Its acknowledgement waits for persist's answer if persist got it, and
 * for room if a ring was full; else it leaves with this turn, after the rings' heads.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_PUBLISH_H
#define MQTT_PUBLISH_H

#include "worker/mqtt/deliver.h"

void publish_from_peer(const struct rec_msg *m, const struct msg_view *v, struct span groups);
/* Deliveries of durable sessions, from persist. */
void publish_deliver(const struct rec_deliver *r, struct span subids, const struct msg_view *v);
void publish_deliver_pubrel(const struct rec_deliver *r);
/* One of them that the client can't have: as if it had been acknowledged. */
void publish_unsent(struct conn *c, uint64_t seq, uint16_t id);
void publish_stored(const struct rec_stored *r);
void publish_released(const struct rec_stored *r);
/* A message that a member of a group could not finish: to another member, at the end of this turn. Takes a reference of its own. */
void publish_again(struct msg *m, uint64_t group);
/* A ring that it fills is full, the store's or another: it is not read until there is room, behind those who have waited longer. */
enum publish_room { PUBLISH_STORE, PUBLISH_OTHERS };
void publish_hold(struct conn *c, enum publish_room room);
bool publish_turn(void);
bool
publish_can_go_on(void); /* since the rings were flushed there is room for somebody who is held */
void publish_room(unsigned
	slot); /* the ring to it has room again, or it is gone: acknowledge what waited for it */
void publish_fini(void);

#endif
