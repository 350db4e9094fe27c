/*
 * queue.h - a durable session's messages: waiting, under way, acknowledged
 *
 * Entries are in the store, in the order of their sequence numbers. `cursor` runs through them
 * once a connection: up to it everything has been handed to the worker since the session was
 * granted, in flight from before first (with DUP, or as PUBREL), then what waits, as long as the
 * client's window has room. The packet identifier follows from the sequence number, so it is the
 * same however often a message is sent. Deliveries leave at the end of a turn, behind the
 * answers of that turn.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_QUEUE_H
#define PERSIST_QUEUE_H

#include "shared/base/list.h"
#include "shared/net/timer.h"
#include "worker/persist/directory.h"
#include "worker/persist/store.h"

struct durable { /* what only a session that outlives its connection has */
	struct session *session;
	struct store_queue *queue; /* NULL: nothing was ever queued */
	uint64_t next_seq, cursor;
	uint64_t bytes;          /* of all entries */
	uint32_t entries, used;  /* used: under way in this connection */
	uint32_t expiry;         /* seconds; MQTT_EXPIRY_NEVER */
	uint32_t nsubs, ngroups; /* ngroups: subscriptions that are shared */
	uint64_t mark;           /* publish.c: merging overlapping subscriptions */
	uint32_t mark_at;
	uint16_t window;
	bool is_ready;    /* in the list of those to go on with */
	struct list subs; /* struct sub */
	struct list ready;
	struct timer ends; /* session expiry */
	struct timer head; /* expiry of the first message that waits */
};

struct queue_item {
	uint64_t msg; /* borrowed: the queue takes a reference of its own */
	uint64_t group;
	const uint32_t *subids;
	uint16_t nsubids;
	uint8_t qos;
	bool retain;
};

enum queued { QUEUE_OK, QUEUE_FULL, QUEUE_NO_MEMORY };

void queue_init(struct durable *d, struct session *s);
/* queue_drop decides which message goes when it is full; QUEUE_FULL: this one. */
enum queued queue_add(struct durable *d, const struct queue_item *item);
bool queue_has_room(
    const struct durable *d, size_t size); /* as queue_max_messages and queue_max_bytes are */
bool queue_can_send(
    const struct durable *d); /* connected, with room in the window for one more than what waits */
uint32_t queue_waiting(const struct durable *d);
void queue_begin(struct durable *d); /* granted: from the first entry again */
void queue_pause(struct durable *d); /* not connected any more */
void queue_ready(struct durable *d); /* may have something to send */
int queue_acked(struct durable *d, const struct rec_acked *r); /* -EPROTO: can't be */

/*
 * Takes the queue off the session, which has ended: its entries go in slices, those of shared
 * subscriptions that may move to another member. For groups too.
 */
void queue_bury(struct store_queue **q, bool move);

bool queue_turn(void); /* true: there is more to do */
void queue_down(unsigned slot);
void queue_fini(void);

#endif
