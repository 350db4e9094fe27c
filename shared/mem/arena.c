#include "shared/mem/arena.h"

#include <stdlib.h>

#include "shared/base/must.h"

#define ALIGN 16

struct arena_block {
	struct arena_block *next; /* older, or too large to be anybody's head */
	size_t used, cap;
	_Alignas(ALIGN) uint8_t data[];
};

static struct arena_block *block_new(struct arena *a, size_t cap);

void
arena_init(struct arena *a, size_t block)
{
	must(block > 0);
	*a = (struct arena){ .block = (block + ALIGN - 1) & ~(size_t)(ALIGN - 1) };
}

void
arena_fini(struct arena *a)
{
	struct arena_block *b;

	while ((b = a->head) != NULL) {
		a->head = b->next;
		free(b);
	}
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b, *kept = NULL;

	while ((b = a->head) != NULL) {
		a->head = b->next;
		if (kept == NULL && b->cap == a->block)
			kept = b;
		else
			free(b);
	}
	if (kept != NULL) {
		kept->next = NULL;
		kept->used = 0;
	}
	a->head = kept;
}

void *
arena_alloc(struct arena *a, size_t len)
{
	struct arena_block *b = a->head;
	void *p;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (b == NULL || len > b->cap - b->used) {
		b = block_new(a, len > a->block ? len : a->block);
		if (b == NULL)
			return NULL;
	}
	p = b->data + b->used;
	b->used += len;
	return p;
}

void *
arena_dup(struct arena *a, struct span s)
{
	uint8_t *p;

	if (s.len > SIZE_MAX / 2 - 1)
		return NULL;
	p = arena_alloc(a, s.len + 1);
	if (p == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return p;
}

/* A block for one large piece goes behind the head, which keeps its free room in use. */
static struct arena_block *
block_new(struct arena *a, size_t cap)
{
	struct arena_block *b = malloc(sizeof(*b) + cap);

	if (b == NULL)
		return NULL;
	b->used = 0;
	b->cap = cap;
	if (cap > a->block && a->head != NULL) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}
