/*
 * block.h - whom an administrator has blocked
 *
 * The master sends all there are when we are born, and each change: who is connected and blocked by one that is new leaves at once. An address
 * is looked at as soon as it is known, before TLS; identifier and user name at CONNECT.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_BLOCK_H
#define MQTT_BLOCK_H

#include "worker/mqtt/conn.h"

void block_all(int fd); /* these, and no others; fd is taken */
void block_change(const char *line, size_t len);
bool block_has(const struct conn *c);
bool block_has_address(const char *peer); /* text with port */
void block_fini(void);

#endif
