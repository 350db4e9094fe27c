/*
 * share.h - shared subscriptions that have a durable member
 *
 * A message goes to one member: a durable one that is connected and has room in its window, or,
 * by its number of clean members, to a worker, which picks one. If nobody can take it now it
 * waits in the group's own queue for the first who can. What a member that ends had not
 * acknowledged goes to another, QoS 2 that has begun excepted.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_SHARE_H
#define PERSIST_SHARE_H

#include "worker/persist/sub.h"

struct group;

int share_new(struct subnode *n);                /* sets n->group */
void share_free(struct subnode *n, bool forget); /* forget: in the store too */
struct subnode *share_find(uint64_t group);      /* by its name in records, or NULL */
bool share_has_queue(uint64_t id);               /* is it a group's? */
uint64_t share_name(const struct subnode *n);

/*
 * Gives a message to one member of the group. publisher may be NULL. hops: as in its record; the
 * last goes to no worker.
 */
enum queued share_give(struct subnode *n, struct store_msg *m, const struct topic_hash *t,
    const struct session *publisher, unsigned hops);
/* A message from a queue of one of the session's groups into its own. False: there is none. */
bool share_fetch(struct durable *d);
/* The entry goes, if the queue is one of a group. */
bool share_drop(struct store_queue *q, const struct store_entry *e);
/* An entry of a session that has ended, to another member. False: there is none. */
bool share_again(struct store_entry *e);

/* A group that persist has no member of: a message of ours to one of its members. */
struct share_hit {
	uint64_t group;
	uint32_t weight;
	unsigned slot;
};
unsigned
share_pick_worker(const struct share_hit *hit, unsigned n, uint32_t turn); /* by weight; n > 0 */

#endif
