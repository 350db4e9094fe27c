/*
 * will.h - wills: published once, when a connection has ended without goodbye (3.1.2.5)
 *
 * A will is in the store from the grant on. It is dropped when the client says goodbye, or comes
 * back to its session before the delay has passed.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_WILL_H
#define PERSIST_WILL_H

#include "worker/persist/directory.h"

/* The connection's will, replacing what was there. -errno: none is kept. */
int will_set(struct session *s, const struct msg_view *v, uint32_t delay);
void will_drop(struct session *s);
void will_publish(struct session *s); /* now, if there is one */
/* The connection ended at since_ms (wall clock), the session goes on for expiry seconds: publishes now or later. */
void will_start(struct session *s, uint32_t expiry, uint64_t since_ms);
/* After a restart: sessions that are back have theirs, those of sessions that ended with the broker are published. */
void will_recover(void);
int will_init(void);
void will_fini(void);

#endif
