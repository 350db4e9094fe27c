/*
 * pool.h - chunks of one size, kept for reuse
 *
 * Holds at most keep free chunks; more go back to the allocator.
 */
#ifndef MEM_POOL_H
#define MEM_POOL_H

#include <stddef.h>

struct pool_free {
	struct pool_free *next;
};

struct pool {
	struct pool_free *free;
	size_t size, nfree, keep, used; /* used: chunks that are out */
};

void pool_init(struct pool *p, size_t size, size_t keep);
void pool_fini(struct pool *p);             /* all chunks must be back */
void *pool_get(struct pool *p);             /* not zeroed; NULL: no memory */
void pool_put(struct pool *p, void *chunk); /* NULL is fine */

#endif
