/*
 * publish.h - messages for durable sessions: whose, and what the publisher is told
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_PUBLISH_H
#define PERSIST_PUBLISH_H

#include "shared/child/child.h"
#include "worker/persist/directory.h"

int publish_store(unsigned slot, struct span body,
    bool again); /* REC_STORE; again: our predecessor may have delivered it; -EPROTO */
int publish_release(unsigned slot, struct span body); /* REC_RELEASE; -EPROTO */
/* The same, when our predecessor had stored it and died before it could say so: only the answer. */
int publish_stored_before(unsigned slot, struct span body);
int publish_released_before(unsigned slot, struct span body);
/*
 * A message of ours, a will or $SYS: to durable sessions, the retained store, and all workers
 * that want it. publisher may be NULL.
 */
void publish_own(const struct msg_view *v, const struct session *publisher);
/* In two parts: what goes into the store (source: who it is from, if it is to be known of what is retained), */
void
publish_own_kept(const struct msg_view *v, const struct session *publisher, struct span source);
/* and what goes to workers, when that is safe. */
void publish_own_rest(const struct msg_view *v);
bool publish_has_rest(const struct msg_view *v);
void publish_fini(void);

#endif
