/*
 * ask.h - questions to persist that have no answer yet
 *
 * A question is about a connection, named by handle and serial, since it may be gone when the answer comes. Its token is its place in the
 * table and a count that makes every use of the place new: an answer nobody waits for is ignored.
 *
 * Runs in: worker's loop. Bounded by what a connection may have under way (receive_max, one SUBSCRIBE at a time).
 */
#ifndef MQTT_ASK_H
#define MQTT_ASK_H

#include <stdint.h>

#include "shared/mqtt/msg.h"
#include "worker/mqtt/conn.h"

enum ask_kind { ASK_NONE, ASK_PUBLISH, ASK_RELEASE, ASK_SUB, ASK_UNSUB, ASK_RETAINED };

struct ask {
	uint64_t serial; /* of the connection */
	uint32_t handle, seq;
	uint16_t packet_id;
	uint8_t kind, qos;
	uint32_t size; /* PUBLISH: bytes it counts for */
	union {
		struct msg *
		    msg; /* PUBLISH at QoS 2 by a durable session: goes out when persist says it is new; else NULL */
		struct {
			struct suback *suback; /* SUB, UNSUB */
			uint32_t nth;          /* filter */
		};
		struct retain_get *get; /* RETAINED */
		uint32_t next_free;
	};
};

struct ask *
ask_new(enum ask_kind kind, const struct conn *c, uint64_t *token_out); /* NULL: no memory */
struct ask *ask_find(uint64_t token, enum ask_kind kind);
struct conn *ask_conn(const struct ask *a); /* NULL: gone, or going */
void ask_del(struct ask *a);                /* releases nothing it points to */
void ask_fini(void);

#endif
