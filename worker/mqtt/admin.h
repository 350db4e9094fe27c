/*
 * admin.h - administrators' requests that a worker answers: its connections and their subscriptions
 *
 * Runs in: worker's loop. Takes fd.
 */
#ifndef MQTT_ADMIN_H
#define MQTT_ADMIN_H

#include <stddef.h>

void admin_request(const char *text, size_t len, int fd);

#endif
