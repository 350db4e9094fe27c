/*
 * arena.h - memory with one lifetime
 *
 * Nothing in it is freed by hand; all goes with arena_fini() or arena_reset(). NULL means no memory, and the
 * caller gives up the connection or packet the arena belongs to.
 */
#ifndef MEM_ARENA_H
#define MEM_ARENA_H

#include "shared/base/span.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t block; /* bytes of a block */
};

void arena_init(struct arena *a, size_t block); /* allocates nothing yet */
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);               /* keeps the first block */
void *arena_alloc(struct arena *a, size_t len);  /* aligned to 16, not zeroed */
void *arena_dup(struct arena *a, struct span s); /* with a NUL after it */

#endif
