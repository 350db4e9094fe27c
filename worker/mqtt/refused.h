/*
 * refused.h - who was refused last, and why
 *
 * The last attempt of each client, or of each address without one, that was not let in or might not do what it asked for: by credentials, access
 * rules, blocks, the quarantine. It is for people to look at, so it is kept here, in memory, and goes with the worker; tbmqctl puts together
 * what workers tell. There are at most refused_max, of bounded size, the oldest goes first. A password is never part of it.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_REFUSED_H
#define MQTT_REFUSED_H

#include <jansson.h>

#include "worker/mqtt/conn.h"

/* Is it for want of a right? What else is refused, for size or for memory, is no such attempt. */
bool refused_is_one(enum mqtt_reason reason);
void refused_note(const struct conn *c, enum mqtt_reason reason, const char *why);
/* Before there is a connection. listener: its name */
void refused_note_address(
    const char *peer, const char *listener, enum mqtt_reason reason, const char *why);

/* Answers of requests. client NULL: all, a page at a time. */
json_t *refused_page(const char *client, const char *after, unsigned limit);
json_t *refused_clear(void);
void refused_conf(void);
void refused_fini(void);

#endif
