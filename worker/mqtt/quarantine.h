/*
 * quarantine.h - clients that workers have died of again and again are refused for a while
 *
 * The master counts deaths and tells every worker whom to refuse: a client by its identifier and address, which hears so in CONNACK, or
 * an address, whose connections are closed as soon as they are accepted. Who is connected stays.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_QUARANTINE_H
#define MQTT_QUARANTINE_H

#include <stdbool.h>

#include "shared/ipc/chan.h"

void quarantine_set(const struct msg_quarantine *q); /* these, and no others */
/* peer: text with port. client empty: is the address refused, whoever it is? */
bool quarantine_has(struct span client, const char *peer);

#endif
