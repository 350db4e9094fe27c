#include "shared/mem/pool.h"

#include <stdlib.h>

#include "shared/base/must.h"

/* Under the address sanitizer nothing is reused here: its own quarantine finds late uses. */
#ifdef __SANITIZE_ADDRESS__
#define REUSES 0
#else
#define REUSES 1
#endif

void
pool_init(struct pool *p, size_t size, size_t keep)
{
	*p = (struct pool){ .size = size, .keep = REUSES ? keep : 0 };
	if (p->size < sizeof(struct pool_free))
		p->size = sizeof(struct pool_free);
}

void
pool_fini(struct pool *p)
{
	struct pool_free *f;

	must(p->used == 0);
	while ((f = p->free) != NULL) {
		p->free = f->next;
		free(f);
	}
	p->nfree = 0;
}

void *
pool_get(struct pool *p)
{
	struct pool_free *f = p->free;

	if (f != NULL) {
		p->free = f->next;
		p->nfree--;
	} else {
		f = malloc(p->size);
		if (f == NULL)
			return NULL;
	}
	p->used++;
	return f;
}

void
pool_put(struct pool *p, void *chunk)
{
	struct pool_free *f = chunk;

	if (f == NULL)
		return;
	must(p->used > 0);
	p->used--;
	if (p->nfree >= p->keep) {
		free(f);
		return;
	}
	f->next = p->free;
	p->free = f;
	p->nfree++;
}
