/*
 * store_dump.h - the records of the store one by one, for people
 *
 * By table and key, as they are now: what is written while one goes on may be seen or not. A session
 * and a group name their queue, in which their entries are. Nothing is left out but payloads: a record
 * that can't be read is shown as key and size.
 *
 * Runs in: persist's loop.
 */
#ifndef PERSIST_STORE_DUMP_H
#define PERSIST_STORE_DUMP_H

#include <jansson.h>

#include "worker/persist/kv.h"

struct store_place { /* a key, or before all of its table */
	enum kv_table table;
	uint16_t key_len; /* 0: before */
	uint8_t key[KV_KEY_MAX];
};

#define STORE_PLACE_TEXT (16 + 2 * KV_KEY_MAX)

/* {"table": …, …} of the record behind *p, which is there then; NULL: the table has no more. */
json_t *store_dump(struct store_place *p, bool payload);
void store_place_write(const struct store_place *p, char out[STORE_PLACE_TEXT]);
bool store_place_read(const char *text, struct store_place *out); /* false: it is none */
bool store_table_of(const char *name, enum kv_table *out);

#endif
