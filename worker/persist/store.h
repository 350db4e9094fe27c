/*
 * store.h - what persist must not forget
 *
 * The only way to that state. What is written between two store_commit() is one transaction;
 * answers that stand for it leave after the commit (out.h). Spans and messages that come out are
 * borrowed until the next call that writes. store_mem.c keeps everything in this process: then
 * sessions and subscriptions, which the directory and the index hold anyway, are not kept a
 * second time, and nothing is there after a restart.
 *
 * Runs in: persist's loop. Nobody else in persist touches the containers.
 * Errors:  -errno; nothing changed then.
 */
#ifndef PERSIST_STORE_H
#define PERSIST_STORE_H

#include "shared/mqtt/msg.h"

int store_open(const char *dir);
void store_close(void);
int store_commit(void);
bool store_is_durable(void); /* does it outlive this process? */

/* --- meta: counters and marks by name ---------------------------------------------------- */

int store_meta_put(const char *name, uint64_t value);
bool store_meta_get(const char *name, uint64_t *out);

/* --- sessions and their subscriptions ---------------------------------------------------- */

struct store_session {
	struct span client_id, user_name;
	uint64_t epoch, next_seq;
	uint64_t left_ms; /* wall clock; 0: connected */
	uint32_t number, expiry;
};

int store_session_put(const struct store_session *s);
int store_session_del(uint32_t number); /* the record and its subscriptions */
bool store_session_next(uint64_t *pos, struct store_session *out); /* *pos starts at 0 */

int store_sub_put(uint32_t number, struct span filter, uint8_t options, uint32_t subid);
int store_sub_del(uint32_t number, struct span filter);

/* --- messages, counted ------------------------------------------------------------------- */

int store_msg_new(const struct msg_view *v, uint64_t *id_out); /* one reference, the caller's */
void store_msg_ref(uint64_t id);
void store_msg_unref(uint64_t id);
const struct msg *store_msg_get(uint64_t id); /* borrowed while referenced; NULL: can't be read */

/* --- queues: entries in the order of their sequence numbers ------------------------------- */

#define STORE_QUEUE_GROUP                                                                          \
	(UINT64_C(1)                                                                               \
	    << 32) /* queue of a shared subscription: this and its number; else that of a session */

enum entry_state { ENTRY_QUEUED, ENTRY_SENT, ENTRY_RELEASED };

struct store_entry {
	uint64_t seq, msg;
	uint64_t group;      /* shared subscription it came by; 0: none */
	uint64_t expires_ms; /* wall clock; 0: never */
	const uint32_t *subids;
	uint32_t size; /* bytes it counts for */
	uint16_t nsubids;
	uint8_t qos, state;
	bool retain;
};

struct store_queue; /* handle of one queue: entries are found without looking the queue up again */

int store_queue_open(uint64_t id, struct store_queue **out);
void store_queue_close(
    struct store_queue **q); /* NULL is fine. In memory what is still in it goes with it */
/* seq is above all that are there. Takes the caller's reference to the message, unless it fails. */
int store_entry_add(struct store_queue *q, const struct store_entry *e);
bool store_entry_get(struct store_queue *q, uint64_t seq, struct store_entry *out);
bool store_entry_next(
    struct store_queue *q, uint64_t after, struct store_entry *out); /* the first above `after` */
int store_entry_state(struct store_queue *q, uint64_t seq, enum entry_state state);
int store_entry_del(struct store_queue *q, uint64_t seq); /* gives its reference up; -ENOENT */

/* --- retained messages, by topic in byte order -------------------------------------------- */

struct store_retained {
	struct span topic;
	uint64_t msg, seq; /* seq: of the update */
};

/* Replaces. Takes a reference of its own. */
int store_retained_put(struct span topic, uint64_t msg, uint64_t seq);
bool store_retained_get(struct span topic, struct store_retained *out);
bool store_retained_del(struct span topic); /* false: there was none */
/* The first topic at or above `from`, or above it. */
bool store_retained_seek(struct span from, bool above, struct store_retained *out);

/* --- wills, by session ------------------------------------------------------------------- */

int store_will_put(uint32_t number, const struct msg_view *v, uint32_t delay); /* replaces */
const struct msg *store_will_get(uint32_t number, uint32_t *delay_out);        /* or NULL */
void store_will_del(uint32_t number);

/* --- QoS 2 ids received from a session and not yet released ------------------------------- */

int store_rxid_add(uint32_t number, uint16_t id); /* -EEXIST */
bool store_rxid_has(uint32_t number, uint16_t id);
bool store_rxid_del(uint32_t number, uint16_t id); /* false: it wasn't there */
size_t store_rxid_count(uint32_t number);
void store_rxid_drop(uint32_t number); /* all of a session */

#endif
