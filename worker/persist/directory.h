/*
 * directory.h - client identifier → session: who has it, since when, and what is kept for it
 *
 * Every client that is connected anywhere has an entry, so an entry is small: what only a
 * durable session needs hangs off it (queue.h). Numbers name entries in records; a number is
 * used again after its session ended, the epoch tells them apart.
 *
 * Runs in: persist's loop. Errors: NULL: no memory, nothing changed.
 */
#ifndef PERSIST_DIRECTORY_H
#define PERSIST_DIRECTORY_H

#include "shared/child/child.h"

#define SESSION_NUMBERS (UINT32_C(1) << 27) /* a number from a record is below this */
#define SESSION_NO_NUMBER UINT32_MAX
#define SESSION_NO_LISTENER UINT8_MAX

enum session_state {
	SESSION_OFFLINE, /* nobody has it */
	SESSION_ONLINE,  /* granted to slot and handle, with the epoch */
	SESSION_LEAVING, /* the same, and it was asked to let go */
};

struct session {
	uint64_t epoch;
	struct durable *durable; /* NULL: the session ends with its connection */
	char *user;              /* user name, NUL terminated; NULL: none */
	uint32_t number, handle;
	uint32_t connected_s; /* wall clock */
	uint16_t keep_alive, id_len;
	uint8_t slot, state, version, listener; /* listener: its index in the snapshot */
	uint8_t durability; /* enum conf_durability: what answers to its client wait for */
	bool has_will : 1, will_waits : 1; /* will_waits: for its delay */
	bool is_awaited : 1;               /* by a CONNECT that waits for its turn */
	bool is_kept : 1;                  /* its grant stands for something on the disk */
	bool clear : 1; /* an administrator ends it, when its connection has let go */
	char id[];
};

int directory_init(void);
void directory_fini(void);
struct session *directory_find(struct span id);
struct session *directory_at(uint32_t number); /* any number; NULL: nobody's */
/* number: one that is free, or SESSION_NO_NUMBER. The new entry is OFFLINE. */
struct session *directory_add(struct span id, uint32_t number);
void directory_del(struct session *s);
size_t directory_count(void);
/*
 * The first at or above *number, which then is one above it; NULL: no more. Looks at no more
 * than `most` numbers: then *number < directory_end().
 */
struct session *directory_next(uint32_t *number, uint32_t most);
uint32_t directory_end(void); /* above all numbers in use */

static inline struct span
session_id(const struct session *s)
{
	return span_of(s->id, s->id_len);
}

#endif
