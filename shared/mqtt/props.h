/*
 * props.h - properties of a packet, checked as they are read (2.2.2)
 *
 * For the decoders of packets; others use what packet.h declares.
 */
#ifndef MQTT_PROPS_H
#define MQTT_PROPS_H

#include "shared/mqtt/packet.h"
#include "shared/mqtt/rd.h"

/* Reads length and properties. out->has and out->raw are always set; MQTT_OK, or the reason with *why. */
enum mqtt_reason props_decode(struct rd *r, enum props_in in, struct props *out, const char **why);

#endif
