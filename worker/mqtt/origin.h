/*
 * origin.h - how often connections may come from one address, or prefix of addresses
 *
 * By unix sockets it is a user of this machine. Where they come from has a place in a table of fixed size, with a bucket, which others share by share.h: connections of one address are spread
 * over all workers. With more addresses than places, the one of its neighbours that was seen last longest ago loses its own: who has many addresses
 * can be forgotten, but each of them is held to the rate while it comes fast.
 *
 * Runs in: worker's loop.
 */
#ifndef MQTT_ORIGIN_H
#define MQTT_ORIGIN_H

#include "shared/conf/conf.h"

bool origin_lets_in(const char *peer); /* text with port; it has come now */
void origin_conf(const struct conf *was, const struct conf *now);
void origin_fini(void);

#endif
