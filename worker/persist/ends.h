/*
 * ends.h - sessions without a connection, in the order in which they expire
 *
 * A heap, since a timer in each would be a quarter of what a session takes. What a session has here follows from its
 * left_ms and expiry, which stay as they are from ends_add() to ends_del().
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_ENDS_H
#define PERSIST_ENDS_H

#include "worker/persist/queue.h"

int ends_add(struct durable *d);           /* -ENOMEM */
void ends_del(struct durable *d);          /* if it is there */
struct durable *ends_first(void);          /* NULL: there is none */
uint64_t ends_ms(const struct durable *d); /* wall clock */
void ends_fini(void);

#endif
