/*
 * htab.h - hash table of borrowed pointers, open addressing, 8 bytes a slot
 *
 * The caller hashes (keyed: hash.h) and compares; an entry must be able to tell its hash again,
 * which growing needs. Growing and shrinking happen in slices: no call moves more than a few dozen
 * slots, so a table of millions never stalls a loop. Upper bits of the pointer hold part of the hash, so that
 * a probe rarely touches an entry that isn't the one.
 *
 * Owns: its slots, not the entries. Errors: -ENOMEM from htab_add() only, nothing changed.
 */
#ifndef BASE_HTAB_H
#define BASE_HTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct htab_part {
	uint64_t *slot;
	size_t cap; /* power of two, or 0 */
	size_t used, dead;
};

struct htab {
	struct htab_part now, old; /* old drains into now */
	size_t drained;            /* slots of old moved so far */
	uint64_t (*hash_of)(const void *entry);
};

typedef bool htab_eq_fn(const void *entry, const void *key);

void htab_init(struct htab *h, uint64_t (*hash_of)(const void *entry));
void htab_fini(struct htab *h);
size_t htab_count(const struct htab *h);
void *htab_find(const struct htab *h, uint64_t hash, htab_eq_fn *eq, const void *key); /* or NULL */
int htab_add(struct htab *h, uint64_t hash, void *entry);        /* caller knows it isn't there */
bool htab_del(struct htab *h, uint64_t hash, const void *entry); /* false: it wasn't there */
/* by, of the same hash, takes the place of entry, which is there: that can't fail. */
void htab_replace(struct htab *h, uint64_t hash, const void *entry, const void *by);

/*
 * Walks all entries in pieces: *pos starts at 0; gives the next entry, or NULL at the end. Entries
 * that stay throughout are met exactly once, also if the table is resized or others come and go
 * between the calls. Of entries whose whole 64-bit hashes are equal only one is met.
 */
void *htab_next(const struct htab *h, uint64_t *pos);

#endif
