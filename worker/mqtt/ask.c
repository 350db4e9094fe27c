#include "worker/mqtt/ask.h"

#include <stdlib.h>

#define NO_PLACE UINT32_MAX

static struct {
	struct ask *at;
	uint32_t cap, free, seq;
} asks = { .free = NO_PLACE };

static int
asks_grow(void)
{
	uint32_t cap = asks.cap ? asks.cap * 2 : 64;
	struct ask *at = realloc(asks.at, cap * sizeof(*at));

	if (at == NULL)
		return -1;
	for (uint32_t i = cap; i-- > asks.cap;) {
		at[i] = (struct ask){ .kind = ASK_NONE, .next_free = asks.free };
		asks.free = i;
	}
	asks.at = at;
	asks.cap = cap;
	return 0;
}

struct ask *
ask_new(enum ask_kind kind, const struct conn *c, uint64_t *token_out)
{
	uint32_t i;

	if (asks.free == NO_PLACE && asks_grow() != 0)
		return NULL;
	i = asks.free;
	asks.free = asks.at[i].next_free;
	asks.at[i] =
	    (struct ask){ .kind = (uint8_t)kind, .handle = c->handle, .serial = c->serial };
	asks.at[i].seq = ++asks.seq;
	*token_out = (uint64_t)asks.seq << 32 | i;
	return &asks.at[i];
}

struct ask *
ask_find(uint64_t token, enum ask_kind kind)
{
	uint32_t i = (uint32_t)token;

	if (i >= asks.cap || asks.at[i].kind != kind || asks.at[i].seq != token >> 32)
		return NULL;
	return &asks.at[i];
}

struct conn *
ask_conn(const struct ask *a)
{
	struct conn *c = conn_find(a->handle, a->serial);

	return c != NULL && c->state == CONN_OPEN ? c : NULL;
}

void
ask_del(struct ask *a)
{
	*a = (struct ask){ .kind = ASK_NONE, .next_free = asks.free };
	asks.free = (uint32_t)(a - asks.at);
}

void
ask_fini(void)
{
	for (uint32_t i = 0; i < asks.cap; i++)
		if (asks.at[i].kind == ASK_PUBLISH)
			msg_unref(&asks.at[i].msg);
	free(asks.at);
}
