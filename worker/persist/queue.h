/*
 * queue.h - a durable session's messages: waiting, under way, acknowledged
 *
 * Entries are in the store, in the order of their sequence numbers. A connection is a feed, whose
 * `cursor` runs through them once: up to it everything has been handed to the worker since the session was
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
#include "worker/persist/directory.h"
#include "worker/persist/store.h"
#include "worker/persist/unacked.h"

union subs { /* of a session, or a filter: mostly there is one */
	struct sub *one;
	struct sub **many; /* from two on */
};

struct
    durable { /* what only a session that outlives its connection has, small: there may be millions */
	struct session *session;
	struct store_queue *queue; /* NULL: not open, nothing is in it */
	struct feed *feed;         /* NULL: nobody is there to have its messages */
	uint64_t queue_id;
	union subs subs;
	uint64_t left_ms : 48;   /* wall clock; 0: connected */
	uint64_t has_groups : 1; /* some of its subscriptions may be shared */
	uint64_t has_jumped : 1; /* behind the numbers that our predecessor may have used */
	uint32_t nsubs;
	uint32_t expiry;  /* seconds; MQTT_EXPIRY_NEVER */
	uint32_t target;  /* publish.c: its place among those of the message, if it is one */
	uint32_t ends_at; /* ends.c: its place, 0: none */
};

static inline struct sub *
subs_at(const union subs *x, uint32_t n, uint32_t i)
{
	return n == 1 ? x->one : x->many[i];
}

struct feed { /* a connection */
	struct durable *durable;
	struct list ready; /* with others that have something to send */
	uint64_t cursor;
	uint64_t since; /* the batch of its grant: nothing is delivered before */
	uint64_t
	    had; /* up to here entries may have come to earlier connections; UINT64_MAX: all may */
	struct unackeds unacked; /* what is under way in this connection */
	uint32_t used;           /* how many: also those that are not in there */
	uint32_t used_bytes;     /* of these */
	uint16_t window;
	bool is_ready; /* in the list of those to go on with */
};

struct queue_item {
	struct store_msg *msg;
	const struct store_entry *moved; /* it waits already, there; NULL: it is new */
	struct span subids;              /* u32 each */
	uint32_t group;                  /* number of the shared subscription; 0: none */
	uint8_t qos;
	bool retain;
};

enum queued { QUEUE_OK, QUEUE_FULL, QUEUE_NO_MEMORY };

enum limit { LIMIT_NONE, LIMIT_QUEUE, LIMIT_STORE }; /* what one more message would break */

void queue_init(struct durable *d, struct session *s, uint64_t queue_id);
void queue_load(struct durable *d); /* after a restart: its queue is there */
/* queue_drop decides which message goes when it is full; QUEUE_FULL: this one. */
enum queued queue_add(struct durable *d, const struct queue_item *item);
/* One more for a queue, NULL: it is empty, in which so many wait. */
enum limit queue_limit(const struct store_queue *q, uint64_t waiting, size_t size);
enum limit queue_limit_of_all(uint64_t messages, uint64_t bytes); /* for all queues together */
void queue_dropped(enum limit why);                               /* counts one */
/* What a new message becomes too old, or expires, at; wall clock, 0: never. */
uint64_t queue_expires_ms(const struct msg_view *v);
/* An entry of any queue that has expired before it was sent. */
void queue_expired(struct store_queue *q, const struct store_entry *e);
bool queue_can_send(
    const struct durable *d); /* connected, with room in the window for one more than what waits */
uint64_t queue_entries(const struct durable *d);
uint64_t queue_waiting(const struct durable *d);
uint32_t queue_under_way(const struct durable *d);
/* A connection, until queue_pause(): granted in this batch, from the first entry again. */
enum mqtt_reason queue_begin(struct durable *d, uint16_t window);
/* One that outlived our predecessor, from whom it has had all up to seq: behind that. */
void queue_go_on(struct durable *d, uint16_t window, uint64_t seq);
void queue_pause(struct durable *d); /* not connected any more */
/* Its worker tells that entries above seq did not come to it: they go as new ones the next time, and expire. */
void queue_not_sent(struct durable *d, uint64_t seq);
void queue_ready(struct durable *d); /* may have something to send */
/* -EPROTO: can't be. Without a connection: it is from the time of our predecessor, queue_go_on() comes. */
int queue_acked(struct durable *d, const struct rec_acked *r);

/*
 * The queue of a session, or group, that has ended: its entries go in slices, those of shared
 * subscriptions that may move to another member.
 */
void queue_bury(uint64_t id, struct store_queue **q, bool move);
void queue_bury_orphan(uint64_t id); /* one that the store has, of a session that had ended */

bool queue_turn(void);   /* true: there is more to do */
void queue_synced(void); /* more is safe than before */
void queue_down(unsigned slot);
void queue_fini(void);

#endif
