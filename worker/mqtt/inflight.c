#include "worker/mqtt/inflight.h"

#include <stdlib.h>

#define CAP_MIN 8
#define CAP_MAX 65536 /* a place for each identifier: no two meet any more */

static int inflights_grow(struct inflights *f, uint32_t cap);

struct inflight *
inflight_find(const struct inflights *f, uint16_t id)
{
	struct inflight *e;

	if (f->n == 0)
		return NULL;
	e = &f->at[id & (f->cap - 1)];
	return e->state != INFLIGHT_NONE && e->id == id ? e : NULL;
}

struct inflight *
inflight_add(struct inflights *f, uint16_t id)
{
	struct inflight *e;

	if (f->cap == 0 && inflights_grow(f, CAP_MIN) != 0)
		return NULL;
	while ((e = &f->at[id & (f->cap - 1)])->state != INFLIGHT_NONE)
		if (f->cap == CAP_MAX || inflights_grow(f, f->cap * 2) != 0)
			return NULL;
	*e = (struct inflight){ .id = id, .state = INFLIGHT_HELD };
	f->n++;
	return e;
}

struct inflight *
inflight_new(struct inflights *f)
{
	if (f->n >= UINT16_MAX)
		return NULL;
	do {
		f->last = f->last == UINT16_MAX ? 1 : (uint16_t)(f->last + 1);
	} while (inflight_find(f, f->last) != NULL);
	return inflight_add(f, f->last);
}

void
inflight_del(struct inflights *f, struct inflight *e)
{
	msg_unref(&e->msg);
	*e = (struct inflight){ .state = INFLIGHT_NONE };
	f->n--;
}

void
inflights_clear(struct inflights *f)
{
	for (uint32_t i = 0; i < f->cap && f->n > 0; i++)
		if (f->at[i].state != INFLIGHT_NONE)
			inflight_del(f, &f->at[i]);
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

/* Identifiers that shared a place with none in the smaller table share with none in the larger. */
static int
inflights_grow(struct inflights *f, uint32_t cap)
{
	struct inflight *at = calloc(cap, sizeof(*at));

	if (at == NULL)
		return -1;
	for (uint32_t i = 0; i < f->cap; i++)
		if (f->at[i].state != INFLIGHT_NONE)
			at[f->at[i].id & (cap - 1)] = f->at[i];
	free(f->at);
	f->at = at;
	f->cap = cap;
	return 0;
}
