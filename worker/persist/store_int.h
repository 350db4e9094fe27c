/*
 * store_int.h - what the store's files share: keys and records
 *
 * Included by store*.c only.
 */
#ifndef PERSIST_STORE_INT_H
#define PERSIST_STORE_INT_H

#include <openssl/sha.h>

#include "shared/mqtt/packet.h"
#include "shared/mqtt/rd.h"
#include "worker/persist/kv.h"
#include "worker/persist/store.h"

#define STORE_VERSION 2 /* of the tables as a whole; each record has its own too */

#define TEXT_MAX 512 /* bytes of a topic or filter in a key; of a longer one the rest is a hash */

struct key {
	uint8_t b[16 + TEXT_MAX + SHA256_DIGEST_LENGTH];
	size_t len;
};

static inline struct span
key_span(const struct key *k)
{
	return span_of(k->b, k->len);
}

static inline void
key_u32(struct key *k, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		k->b[k->len++] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void
key_u64(struct key *k, uint64_t v)
{
	key_u32(k, (uint32_t)(v >> 32));
	key_u32(k, (uint32_t)v);
}

void key_text(struct key *k, struct span text);
bool key_take(struct key *k, struct span key); /* as it was read; false: it is longer than any */

/* A record of len bytes for the key, its version written; w->p NULL: no memory. */
bool record_put(enum kv_table t, const struct key *k, size_t len, bool fresh, struct wr *w);
/* Reads the version. False: not there, or of no use, which has been counted and logged. */
bool record_get(enum kv_table t, const struct key *k, struct rd *out);
bool record_is_good(enum kv_table t, struct rd *r);
void record_bad(enum kv_table t);

/* A message as it stands within a record, to its end. */
size_t message_len(const struct msg_view *v);
void message_write(struct wr *w, const struct msg_view *v);
void message_read(struct rd *r, struct msg_view *out);

/* What is behind the version. False: it can't be. */
bool session_read(struct rd *r, struct store_session *out); /* all but its number */
bool sub_read(struct span key, struct rd *r, struct store_sub *out);
bool group_read(struct rd *r, uint32_t *number_out, uint64_t *queue_out);
bool will_read(struct rd *r, struct store_will *out); /* likewise */
bool retained_read(struct span key, struct rd *r, struct store_retained *out);
bool state_read(struct rd *r, struct store_queue *out); /* what of a queue is in the store */
bool entry_read(const struct store_queue *q, uint64_t seq, struct rd *r, struct store_entry *out);

/* --- store_due.c: the index of what expires, for who writes that ---------------------------- */

int due_open(bool has_all); /* false: it may lack some of what is stored */
/* fresh: as kv_put() has it. what: the key of an entry, or as due_retained() makes it. */
int due_put(uint64_t expires_ms, struct span what, bool fresh);
void due_del(uint64_t expires_ms, struct span what);
int due_move(uint64_t from_ms, uint64_t to_ms, struct span what); /* 0: not in there */
/* key: of KV_RETAINED; false: it can't be one. */
bool due_retained(struct span key, struct key *what_out);
bool due_turn(void); /* true: there is more to do */

/* When a record is due; 0: never, or not any more. */
uint64_t entry_expires_ms(struct span key, struct span value);
uint64_t retained_expires_ms(struct span key, struct span value);
struct store_queue *queue_at(uint64_t id);                     /* open now, or NULL */
bool retained_at(struct span key, struct store_retained *out); /* by its key in KV_RETAINED */

uint64_t id_next(void); /* never given before; 0: no memory */

int queues_open(void);
void queues_close(void);
int queues_save(void); /* the states of those that have changed, into the batch */

int rxids_open(void);
void rxids_close(void);

#endif
