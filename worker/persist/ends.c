#include "worker/persist/ends.h"

#include <errno.h>
#include <stdlib.h>

/* From place 1 on; the parent of the one at i is at i / 2. */
static struct {
	struct durable **at;
	uint32_t n, cap;
} the;

static void
put(struct durable *d, uint32_t i)
{
	the.at[i] = d;
	d->ends_at = i;
}

uint64_t
ends_ms(const struct durable *d)
{
	return d->left_ms + d->expiry * UINT64_C(1000);
}

/* The one at i, which may have come there from anywhere, to where it belongs. */
static void
settle(uint32_t i)
{
	struct durable *d = the.at[i];
	uint64_t ms = ends_ms(d);

	for (; i > 1 && ends_ms(the.at[i / 2]) > ms; i /= 2)
		put(the.at[i / 2], i);
	for (uint32_t child; (child = i * 2) <= the.n; i = child) {
		if (child < the.n && ends_ms(the.at[child + 1]) < ends_ms(the.at[child]))
			child++;
		if (ends_ms(the.at[child]) >= ms)
			break;
		put(the.at[child], i);
	}
	put(d, i);
}

int
ends_add(struct durable *d)
{
	if (the.n + 1 >= the.cap) {
		uint32_t cap = the.cap > 0 ? the.cap * 2 : 64;
		struct durable **at = realloc(the.at, cap * sizeof(struct durable *));

		if (at == NULL)
			return -ENOMEM;
		the.at = at;
		the.cap = cap;
	}
	put(d, ++the.n);
	settle(the.n);
	return 0;
}

void
ends_del(struct durable *d)
{
	uint32_t i = d->ends_at;

	if (i == 0)
		return;
	d->ends_at = 0;
	if (i != the.n--) {
		put(the.at[the.n + 1], i);
		settle(i);
	}
}

struct durable *
ends_first(void)
{
	return the.n > 0 ? the.at[1] : NULL;
}

void
ends_fini(void)
{
	free(the.at);
	the.at = NULL;
	the.n = the.cap = 0;
}
