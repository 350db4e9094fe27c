/*
 * peer.h - records from other workers and from persist
 *
 * Runs in: worker's loop. Trusts: no record: what can't be is -EPROTO, and the mesh drops the link.
 */
#ifndef MQTT_PEER_H
#define MQTT_PEER_H

#include "shared/base/span.h"

int peer_record(void *arg, unsigned from, unsigned type, struct span body);
void peer_up(void *arg, unsigned slot);
void peer_down(void *arg, unsigned slot);
void peer_room(void *arg, unsigned slot);

#endif
