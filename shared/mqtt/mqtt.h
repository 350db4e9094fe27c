/*
 * mqtt.h - the words of MQTT: versions, packet types, reason codes
 *
 * Everything in shared/mqtt is pure: no I/O, no log, no clock, no allocation unless said so.
 * Specification: MQTT 5.0, 3.1.1 and 3.1; section numbers are those of 5.0 where nothing else is said.
 */
#ifndef MQTT_MQTT_H
#define MQTT_MQTT_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/span.h"

enum mqtt_version { MQTT_3_1 = 3, MQTT_3_1_1 = 4, MQTT_5 = 5 };

enum mqtt_packet {
#define P(name, type, flags, who) PKT_##name = (type),
#include "shared/mqtt/packets.def"
#undef P
	PKT_TYPES = 16
};

enum mqtt_reason {
#define R(name, code, text) MQTT_##name = (code),
#include "shared/mqtt/reasons.def"
#undef R
};

#define MQTT_OK MQTT_SUCCESS
#define MQTT_MALFORMED MQTT_MALFORMED_PACKET

#define MQTT_LEN_MAX 268435455u /* remaining length, 2.1.4 */
#define MQTT_HEADER_MAX 5       /* bytes of a fixed header */
#define MQTT_SUBID_MAX 268435455u
#define MQTT_EXPIRY_NEVER UINT32_MAX /* session expiry interval, 3.1.2.11.2 */

const char *mqtt_packet_name(unsigned type);         /* "PUBLISH"; "reserved" for 0 and above 15 */
const char *mqtt_reason_text(enum mqtt_reason code); /* never NULL */
uint8_t
mqtt_connack_v3(enum mqtt_reason code); /* nearest 3.1.1 return code; 0xff: close without CONNACK */

bool utf8_is_valid(struct span s); /* 1.5.4: well formed, no surrogate, no U+0000; fast for ASCII */

#endif
