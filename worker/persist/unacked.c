#include "worker/persist/unacked.h"

#include <stdlib.h>

static struct unacked *
find(const struct unackeds *u, uint64_t seq)
{
	struct unacked *at = u->at + u->first;
	uint32_t lo = 0, hi = u->n;

	if (u->n > 0 && at->seq == seq) /* they mostly come in order */
		return at;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (at[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < u->n && at[lo].seq == seq && !at[lo].gone ? &at[lo] : NULL;
}

/* False: no memory. */
static bool
room(struct unackeds *u)
{
	uint32_t cap = u->cap ? u->cap * 2 : 8;
	struct unacked *at;

	if (u->first + u->n < u->cap)
		return true;
	if (u->first > u->cap / 2) {
		memmove(u->at, u->at + u->first, u->n * sizeof(*u->at));
		u->first = 0;
		return true;
	}
	at = realloc(u->at, cap * sizeof(*at));
	if (at == NULL)
		return false;
	u->at = at;
	u->cap = cap;
	return true;
}

void
unackeds_add(struct unackeds *u, const struct store_entry *e)
{
	if (!room(u))
		return;
	u->at[u->first + u->n++] = (struct unacked){
		.seq = e->seq,
		.shared = e->msg.is_shared ? e->msg.id : 0,
		.size = e->size,
		.group = e->group,
		.qos = e->qos,
		.state = e->state == ENTRY_QUEUED ? ENTRY_SENT : e->state,
	};
}

bool
unackeds_get(const struct unackeds *u, uint64_t seq, struct store_entry *out)
{
	const struct unacked *x = find(u, seq);

	if (x == NULL)
		return false;
	*out = (struct store_entry){
		.seq = seq,
		.msg = { .id = x->shared, .is_shared = x->shared != 0 },
		.size = x->size,
		.group = x->group,
		.qos = x->qos,
		.state = x->state,
	};
	return true;
}

void
unackeds_released(struct unackeds *u, uint64_t seq)
{
	struct unacked *x = find(u, seq);

	if (x != NULL)
		x->state = ENTRY_RELEASED;
}

void
unackeds_del(struct unackeds *u, uint64_t seq)
{
	struct unacked *x = find(u, seq);

	if (x != NULL)
		x->gone = true;
	while (u->n > 0 && u->at[u->first].gone) {
		u->first++;
		u->n--;
	}
	if (u->n == 0)
		u->first = 0;
}

void
unackeds_clear(struct unackeds *u)
{
	free(u->at);
	*u = (struct unackeds){ 0 };
}
