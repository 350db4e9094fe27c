/*
 * msg.h - a published message that has to wait: in a queue, in flight, retained
 *
 * Never changed once made, shared by all who hold it. Counted without atomics: an event loop is one thread, and a ring carries bytes, not
 * messages. What is delivered at once never becomes one.
 *
 * Runs in: workers and persist. Errors: NULL: no memory.
 */
#ifndef MQTT_MSG_H
#define MQTT_MSG_H

#include "shared/mqtt/mqtt.h"

struct msg {
	uint32_t refs;
	uint32_t props_len, payload_len;
	uint16_t topic_len;
	uint8_t qos;
	bool retain, has_expiry;
	uint64_t publish_ms; /* wall clock, when it reached the broker */
	uint32_t expiry;     /* seconds from publish_ms, if has_expiry */
	uint8_t data[];      /* topic, forwarded properties, payload */
};

/* What a message is made of; spans are borrowed. Also what travels between processes. */
struct msg_view {
	struct span topic, props, payload;
	uint64_t publish_ms;
	uint32_t expiry;
	uint8_t qos;
	bool retain, has_expiry;
};

struct msg *msg_new(const struct msg_view *v); /* copies; one reference, the caller's */
struct msg *msg_ref(struct msg *m);
void msg_unref(struct msg **m); /* one less, and *m = NULL; NULL is fine */
struct msg_view msg_view(const struct msg *m);
size_t msg_size(const struct msg *m);           /* bytes it holds, header included */
size_t msg_view_size(const struct msg_view *v); /* what a struct msg of it would */

/* Seconds left at wall_ms, rounded up, for the Message Expiry Interval (3.3.2.3.3); 0: expired. Only if has_expiry. */
uint32_t msg_expiry_left(uint64_t publish_ms, uint32_t expiry, uint64_t wall_ms);
bool msg_is_expired(const struct msg_view *v, uint64_t wall_ms);
uint64_t msg_expires_ms(const struct msg_view *v); /* wall clock; 0: never */

#endif
