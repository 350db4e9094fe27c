/*
 * bytes.h - bytes that grow: added behind, taken away in front
 *
 * All zero is empty. Memory that runs out ends the program.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include "shared/base/span.h"

struct bytes {
	uint8_t *p;
	size_t len, cap;
};

/* Where so many more may be written behind the last; len is the writer's to move on. */
uint8_t *bytes_room(struct bytes *b, size_t len);
void bytes_put(struct bytes *b, struct span s);
void bytes_drop(struct bytes *b, size_t len); /* the first so many */
void bytes_free(struct bytes *b);             /* and is empty */

static inline struct span
bytes_span(const struct bytes *b) /* until it is changed */
{
	return span_of(b->p, b->len);
}

#endif
