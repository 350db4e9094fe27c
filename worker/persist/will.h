/*
 * will.h - wills: published once, when a connection has ended without goodbye (3.1.2.5)
 *
 * A will is in the store from the grant on. It is dropped when the client says goodbye, or comes
 * back to its session before the delay has passed.
 *
 * One batch has that it is forgotten, what durable sessions get of it, and that workers are still to get it for
 * their clients, which they do when the batch is safe: a crash before that publishes it again, and a crash
 * behind it doesn't.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_WILL_H
#define PERSIST_WILL_H

#include "worker/persist/directory.h"
#include "worker/persist/store.h"

/* The connection's will, replacing what was there. -errno: none is kept. */
int will_set(struct session *s, const struct store_will *w); /* its number is the session's */
void will_drop(struct session *s);
void will_publish(struct session *s); /* now, if there is one */
/* The connection ended at since_ms (wall clock), the session goes on for expiry seconds: publishes now or later. */
void will_start(struct session *s, uint32_t expiry, uint64_t since_ms);
/*
 * After a restart: sessions that are back have theirs, those of sessions that ended with the broker are published.
 * Who still asks for his connection comes with his will once more.
 */
void will_recover(void);
/* Before that, of a connection that had ended: the session has its will, if that one had any, */
void will_load(struct session *s, uint64_t epoch);
/* or there is no such session, and this is done with it. */
void will_gone(uint32_t number, uint64_t epoch, bool is_due);
void will_turn(void);              /* those that are due go to workers */
bool will_is_sent(uint64_t batch); /* those that became due in it, or before, have gone there */
int will_init(void);
void will_fini(void);

#endif
