/*
 * store.h - what persist must not forget: records, over kv.h
 *
 * The only way to that state. What is written is read back at once; it is in the batch store_batch() names, which is on disk as a whole or not at
 * all. Answers that stand for it leave when store_safe() has come to that number (out.h). Spans that come out are borrowed until the next
 * call; as an exception, what an entry or a retained message holds may be given to store_entry_add().
 *
 * Every record begins with the version of its format. Integers are big-endian; lengths are checked when a record is read, since a file is
 * no more to be trusted than a client: a record that can't be is -EPROTO, counted, and treated as not there.
 *
 * Runs in: persist's loop. Nobody else in persist touches the tables.
 * Errors:  -errno; nothing changed then.
 */
#ifndef PERSIST_STORE_H
#define PERSIST_STORE_H

#include "shared/base/list.h"
#include "shared/conf/conf.h"
#include "shared/ipc/proc.h"
#include "shared/mqtt/msg.h"
#include "worker/persist/kv.h"

int store_open(const char *dir);
void store_close(void);

/* --- batches ------------------------------------------------------------------------------ */

uint64_t store_batch(void);                    /* what is written now belongs to it */
uint64_t store_safe(enum conf_durability how); /* the last that is safe in this sense */
enum conf_durability
store_strictest(void); /* that anybody asks for: of the broker and its listeners */
/* End of a turn. 1: the batch has gone to the disk, 0: there was nothing; -EAGAIN: the last is not done; -ENOSPC: no room, try again; -EIO: broken. */
int store_write(void);
bool store_is_full(void);             /* little room is left: what comes now should not be taken */
void store_conf(void);                /* the configuration is another */
bool store_is_idle(void);             /* the disk has all that has been written */
void store_tell(void (*ended)(void)); /* as kv_tell() */
int store_fd(void);                   /* readable when the disk is done */
int store_synced(void); /* after it was. 0; -EIO: broken, nothing can be promised any more */
bool store_turn(void);  /* housekeeping, bounded; true: there is more */

struct store_status {
	const char *dir; /* borrowed until store_close() */
	struct kv_found opened;
	struct kv_numbers now;
};
void store_status(struct store_status *out);
const char *store_table_name(enum kv_table t);

/* --- marks by name ------------------------------------------------------------------------ */

int store_meta_put(const char *name, uint64_t value);
bool store_meta_get(const char *name, uint64_t *out);

/*
 * How far the ring of a worker's generation has been applied: written with what was applied. Generations are told apart from those of
 * the same number when the broker had been started before.
 */
int store_position_put(unsigned slot, uint32_t gen, uint64_t position);
uint64_t store_position(unsigned slot, uint32_t gen); /* 0: nothing of it */

/* --- sessions and their subscriptions ----------------------------------------------------- */

struct store_session {
	struct span client_id, user_name;
	uint64_t queue;   /* its id */
	uint64_t left_ms; /* wall clock; 0: connected */
	uint64_t epoch;   /* of its connection; 0: it has none */
	uint32_t number, expiry;
};

int store_session_put(const struct store_session *s);
int store_session_del(uint32_t number); /* the record only */
/* The first at or above *number, which then is one above it. */
bool store_session_next(uint32_t *number, struct store_session *out);

struct store_sub {
	struct span filter; /* with $share/NAME/ if it was */
	uint32_t id;
	uint8_t options;
};

int store_sub_put(uint32_t number, const struct store_sub *s);
int store_sub_del(uint32_t number, struct span filter);
/* All of a session: fn is called for each. */
typedef void store_sub_fn(void *arg, const struct store_sub *s);
void store_sub_each(uint32_t number, store_sub_fn *fn, void *arg);

/* A shared subscription's number, the same after a restart; 0: no memory. *queue_out: the id of its queue. */
uint32_t store_group_get(struct span filter, uint64_t *queue_out);
int store_group_del(struct span filter);

/* --- messages ----------------------------------------------------------------------------- */

/*
 * A message on its way into queues. With one receiver, or few and a small message, each entry holds a copy; else all refer to one, which
 * is counted: store_msg_fini() writes the count once.
 */
struct store_msg {
	struct msg_view v;
	uint64_t id;   /* of the shared copy; 0: none (yet) */
	uint32_t refs; /* given to entries since store_msg_init() */
	bool is_shared, is_new;
	bool again; /* may have been delivered already, before a crash: it goes with DUP */
};

void store_msg_init(struct store_msg *m, const struct msg_view *v, size_t receivers);
void store_msg_fini(struct store_msg *m);

/* --- queues: entries in the order of their sequence numbers ------------------------------- */

enum entry_state { ENTRY_QUEUED, ENTRY_SENT, ENTRY_RELEASED };

struct store_entry {
	uint64_t seq;
	uint64_t expires_ms;  /* wall clock; 0: never */
	struct store_msg msg; /* as it was published; RELEASED: none */
	struct span subids;   /* u32 each, in this machine's order */
	uint32_t size;        /* bytes it counts for */
	uint32_t group;       /* number of the shared subscription it came by; 0: none */
	uint8_t qos, state;   /* qos: of the delivery */
	bool retain;          /* likewise */
};

struct store_queue { /* others only read it */
	uint64_t id;
	uint64_t next_seq; /* above all that were ever there */
	uint64_t sent;     /* up to here entries have been handed out at least once */
	uint64_t doubtful; /* up to here some may have been, before a crash */
	uint64_t bytes;
	uint64_t entries;
	uint64_t first;        /* no entry is below */
	uint64_t batch, fresh; /* entries from `fresh` on were added in batches up to `batch` */
	uint64_t given;        /* the last that was asked for by store_entry_next() */
	/* Up to `lease` entries may be handed out; it was raised in batch `leased`, before entries from lease_fresh on. */
	uint64_t lease, leased, lease_fresh, lease_safe;
	struct ahead *ahead; /* entries read before they are asked for; mostly NULL */
	bool is_dirty;
	struct list dirty; /* what is above goes with the batch */
};

uint64_t store_queue_id(void); /* never used before */
int store_queue_open(uint64_t id, struct store_queue **out);
void store_queue_close(struct store_queue **q); /* the handle; NULL is fine */
void store_queue_del(struct store_queue **q);   /* closes one that is empty, for good */
/* e->seq is at or above next_seq; e->msg is not looked at. */
int store_entry_add(struct store_queue *q, const struct store_entry *e, struct store_msg *m);
bool store_entry_get(struct store_queue *q, uint64_t seq, struct store_entry *out);
bool store_entry_next(
    struct store_queue *q, uint64_t after, struct store_entry *out); /* the first above */
void store_queue_sent(struct store_queue *q, uint64_t seq);
void store_entry_sent(
    struct store_queue *q, const struct store_entry *e); /* up to this one, which expires no more */
/* What is above was not, though it was said to be: it expires again. */
void store_queue_not_sent(struct store_queue *q, uint64_t seq);
/*
 * What has been handed out must go with DUP after a crash. So it is written ahead, for many entries at once, up to where they may be
 * handed out. May this one? If not, it may when the batch is safe.
 */
void store_queue_lease(struct store_queue *q, uint64_t upto);
bool store_queue_may_send(struct store_queue *q, uint64_t seq);
void store_queue_rest(struct store_queue *q); /* nobody is handed its entries any more, for now */
int store_entry_release(
    struct store_queue *q, const struct store_entry *e); /* RELEASED: its message goes */
int store_entry_del(struct store_queue *q, const struct store_entry *e);
bool store_entry_is_safe(const struct store_queue *q, uint64_t seq);
/* Queues that nobody asked for since store_open(): of sessions that had ended. The first at or above id. */
bool store_queue_next(uint64_t *id);

/* --- retained messages, by topic in byte order -------------------------------------------- */

struct store_retained {
	struct msg_view v;
	uint64_t seq;       /* of the update */
	struct span source; /* who had published it, as acl/who.h has it; empty: unknown */
};

/* Replaces `old`, as it is now; NULL: there is none. */
int store_retained_put(const struct store_retained *r, const struct store_retained *old);
bool store_retained_get(struct span topic, struct store_retained *out);
int store_retained_del(const struct store_retained *r);
/* The first topic at or above `from`, or above it. Of topics with the same first 512 bytes the order is unspecified. */
bool store_retained_seek(struct span from, bool above, struct store_retained *out);

/* --- what expires: entries that wait, and retained messages ------------------------------- */

struct store_due {
	struct store_queue *queue; /* whose entry it is; NULL: it is the retained message */
	struct store_entry entry;
	struct store_retained retained;
};

/*
 * They are known by the second at whose beginning all of it is over. Something whose second has come, for the caller to delete: 1. 0: there is
 * nothing before store_due_ms(), wall clock, or UINT64_MAX. -EAGAIN: ask again in the next turn.
 */
int store_due(uint64_t now_ms, struct store_due *out);
uint64_t store_due_ms(void);

/* --- wills, by session -------------------------------------------------------------------- */

struct store_asker { /* of a CONNECT */
	uint64_t token;
	uint32_t
	    gen; /* of its worker, within this run of the broker; 0: of none that will ask again */
	uint8_t slot;
};

struct store_will {
	struct msg_view v;
	struct span source; /* who its client is to the access rules; empty: nobody wants to know */
	uint64_t epoch;     /* of the connection */
	uint32_t number, delay;   /* delay in seconds */
	struct store_asker asker; /* whose CONNECT it came with */
};

int store_will_put(const struct store_will *w); /* replaces */
bool store_will_get(uint32_t number, struct store_will *out);
int store_will_del(uint32_t number);
bool store_will_next(uint32_t *number, struct store_will *out); /* as store_session_next() */

/* --- what other kinds of processes keep: bytes under a name of 1 to 512 bytes ------------- */

int store_kept_put(enum proc_kind whose, struct span name, struct span value);
int store_kept_del(enum proc_kind whose, struct span name); /* 0, also when it isn't there */
bool store_kept_get(enum proc_kind whose, struct span name, struct span *value_out);
/* The first above `after`, in byte order; which may be what came last. */
bool store_kept_next(
    enum proc_kind whose, struct span after, struct span *name_out, struct span *value_out);

/* --- QoS 2 ids received from a session and not yet released ------------------------------- */

int store_rxid_add(uint32_t number, uint16_t id); /* -EEXIST */
bool store_rxid_has(uint32_t number, uint16_t id);
bool store_rxid_del(uint32_t number, uint16_t id); /* false: it wasn't there */
size_t store_rxid_count(uint32_t number);
void store_rxid_drop(uint32_t number); /* all of a session */

#endif
