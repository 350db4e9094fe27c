#include "tests/lib/bytes.h"

#include <err.h>
#include <stdlib.h>

uint8_t *
bytes_room(struct bytes *b, size_t len)
{
	if (b->len + len > b->cap) {
		b->cap = (b->len + len) * 2;
		b->p = realloc(b->p, b->cap);
		if (b->p == NULL)
			err(1, "bytes");
	}
	return b->p + b->len;
}

void
bytes_put(struct bytes *b, struct span s)
{
	if (s.len == 0)
		return;
	memcpy(bytes_room(b, s.len), s.p, s.len);
	b->len += s.len;
}

void
bytes_drop(struct bytes *b, size_t len)
{
	b->len -= len;
	if (len > 0 && b->len > 0)
		memmove(b->p, b->p + len, b->len);
}

void
bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}
