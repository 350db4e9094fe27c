/*
 * inflight.h - packet identifiers under way, one table a direction
 *
 * Open addressing by a keyed hash. At most half of a table is used, so what lies side by side in it is a few, whatever
 * identifiers a client picks; the largest has a place for each of the 65,535. Entries move with every inflight_add() and
 * inflight_del() of their table.
 *
 * Runs in: worker's loop. Errors: NULL: no memory.
 */
#ifndef MQTT_INFLIGHT_H
#define MQTT_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/mqtt/msg.h"

enum inflight_state {
	INFLIGHT_NONE,
	INFLIGHT_PUBACK,  /* QoS 1 sent: PUBACK is due */
	INFLIGHT_PUBREC,  /* QoS 2 sent: PUBREC is due */
	INFLIGHT_PUBCOMP, /* PUBREL sent: PUBCOMP is due */
	INFLIGHT_STORING, /* received QoS 2: persist has been asked */
	INFLIGHT_HELD,    /* received QoS 2: PUBREC sent, PUBREL is due */
};

struct inflight {
	uint64_t seq; /* durable: persist's name of the delivery */
	struct msg
	    *msg; /* shared subscription: goes to another member if this one ends; else NULL */
	uint64_t group;
	uint32_t size; /* bytes it counts for */
	uint16_t id;
	uint8_t state;
};

struct inflights {
	struct inflight *at;
	uint32_t cap, n;
	uint32_t bytes; /* of all */
	uint16_t last;  /* identifier handed out last */
};

struct inflight *inflight_find(const struct inflights *f, uint16_t id); /* or NULL */
struct inflight *
inflight_add(struct inflights *f, uint16_t id); /* the id isn't there; state is set by the caller */
struct inflight *inflight_new(struct inflights *f, uint32_t size); /* the next free identifier */
void inflight_del(struct inflights *f, struct inflight *e);        /* releases its msg */
void inflights_clear(struct inflights *f);
void inflights_trim(struct inflights *f); /* an empty table gives its memory back */

#endif
