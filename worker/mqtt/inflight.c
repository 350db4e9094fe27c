#include "worker/mqtt/inflight.h"

#include <stdlib.h>

#include "shared/child/child.h"

#define CAP_MIN 8
#define CAP_MAX 65536 /* a place for each identifier: no two meet any more, and it may be full */

static int inflights_grow(struct inflights *f, uint32_t cap);
static uint32_t home_of(const struct inflights *f, uint16_t id);
static struct inflight *place_of(const struct inflights *f, uint16_t id);

struct inflight *
inflight_find(const struct inflights *f, uint16_t id)
{
	struct inflight *e;

	if (f->n == 0)
		return NULL;
	e = place_of(f, id);
	return e->state != INFLIGHT_NONE ? e : NULL;
}

struct inflight *
inflight_add(struct inflights *f, uint16_t id)
{
	struct inflight *e;

	if (f->cap < CAP_MAX && f->n + 1 > f->cap / 2 &&
	    inflights_grow(f, f->cap > 0 ? f->cap * 2 : CAP_MIN) != 0)
		return NULL;
	e = place_of(f, id);
	*e = (struct inflight){ .id = id, .state = INFLIGHT_HELD };
	f->n++;
	return e;
}

struct inflight *
inflight_new(struct inflights *f, uint32_t size)
{
	struct inflight *e;

	if (f->n >= UINT16_MAX)
		return NULL;
	do {
		f->last = f->last == UINT16_MAX ? 1 : (uint16_t)(f->last + 1);
	} while (inflight_find(f, f->last) != NULL);
	e = inflight_add(f, f->last);
	if (e == NULL)
		return NULL;
	e->size = size;
	f->bytes += size;
	return e;
}

/* What had to go on to a later place because of this one moves back: a search ends at a free place. */
void
inflight_del(struct inflights *f, struct inflight *e)
{
	uint32_t mask = f->cap - 1, gap = (uint32_t)(e - f->at);

	msg_unref(&e->msg);
	f->bytes -= e->size;
	for (uint32_t i = (gap + 1) & mask; f->cap < CAP_MAX && f->at[i].state != INFLIGHT_NONE;
	     i = (i + 1) & mask) {
		uint32_t from_home = (i - home_of(f, f->at[i].id)) & mask;

		if (from_home < ((i - gap) & mask))
			continue;
		f->at[gap] = f->at[i];
		gap = i;
	}
	f->at[gap] = (struct inflight){ .state = INFLIGHT_NONE };
	f->n--;
}

void
inflights_clear(struct inflights *f)
{
	for (uint32_t i = 0; i < f->cap; i++)
		msg_unref(&f->at[i].msg);
	f->n = 0;
	f->bytes = 0;
	inflights_trim(f);
}

void
inflights_trim(struct inflights *f)
{
	if (f->n > 0)
		return;
	free(f->at);
	f->at = NULL;
	f->cap = 0;
}

/* Neighbours are no neighbours here: what is deleted has few behind it to look at. */
static uint32_t
home_of(const struct inflights *f, uint16_t id)
{
	return f->cap < CAP_MAX ? (uint32_t)hash_mix(id ^ self.key.k[0]) & (f->cap - 1) : id;
}

/* Where it is, or the free place it would take. */
static struct inflight *
place_of(const struct inflights *f, uint16_t id)
{
	uint32_t i = home_of(f, id);

	while (f->at[i].state != INFLIGHT_NONE && f->at[i].id != id)
		i = (i + 1) & (f->cap - 1);
	return &f->at[i];
}

static int
inflights_grow(struct inflights *f, uint32_t cap)
{
	struct inflights larger = { .at = calloc(cap, sizeof(*f->at)), .cap = cap };

	if (larger.at == NULL)
		return -1;
	for (uint32_t i = 0; i < f->cap; i++)
		if (f->at[i].state != INFLIGHT_NONE)
			*place_of(&larger, f->at[i].id) = f->at[i];
	free(f->at);
	f->at = larger.at;
	f->cap = cap;
	return 0;
}
