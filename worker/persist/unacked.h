/*
 * unacked.h - what of a queue is under way to a connected client
 *
 * Enough of each entry to bring it to its end without reading it again: an acknowledgement is then a look into memory. What isn't in
 * here, for want of memory or because our predecessor had sent it, is in the store all the same.
 *
 * Runs in: persist's loop. Bounded by the client's window. In the order of sequence numbers, as they are sent.
 */
#ifndef PERSIST_UNACKED_H
#define PERSIST_UNACKED_H

#include "worker/persist/store.h"

struct unacked {
	uint64_t seq, shared; /* shared: id of the message that others refer to as well; 0: none */
	uint32_t size, group;
	uint8_t qos, state;
	bool gone;
};

struct unackeds {
	struct unacked *at;
	uint32_t first, n, cap;
};

void
unackeds_add(struct unackeds *u, const struct store_entry *e); /* its seq is above all others */
/* All but the message itself and the subscription identifiers; false: it isn't here. */
bool unackeds_get(const struct unackeds *u, uint64_t seq, struct store_entry *out);
void unackeds_released(struct unackeds *u, uint64_t seq);
void unackeds_del(struct unackeds *u, uint64_t seq);
void unackeds_clear(struct unackeds *u);

#endif
