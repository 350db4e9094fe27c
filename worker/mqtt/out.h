/*
 * out.h - what waits for a client's socket
 *
 * A chain of chunks: small packets are copied into pooled chunks, large payloads are references to one counted buffer that all
 * receivers share. One writev a turn and connection. Chunks go back to the pool as soon as they are written.
 *
 * Runs in: worker's loop. Errors: NULL, -ENOMEM: no memory.
 */
#ifndef MQTT_OUT_H
#define MQTT_OUT_H

#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/base/span.h"

#define OUT_BY_REFERENCE 4096 /* payloads from here on are shared, not copied */

struct out_chunk;

struct out_big { /* a payload shared by connections */
	uint32_t refs, len;
	uint8_t data[];
};

struct out {
	struct out_chunk *first, *last;
	size_t bytes; /* not yet written */
};

void out_init(void); /* the pools of this process */
void out_fini(void);

uint8_t *out_room(struct out *o, size_t len); /* len bytes at the end, counted as written into */
int out_big_add(struct out *o, struct out_big *b); /* takes a reference of its own */
struct out_big *out_big_new(const void *p, size_t len);
void out_big_unref(struct out_big **b);
void out_clear(struct out *o);

/* Writes what the socket takes. 0: all written; 1: some is left; -errno. *sent_out: bytes. */
int out_write(struct out *o, int fd, size_t *sent_out);
/* For who writes it elsewhere: some of what is first, in place or, if that is little, with what follows it in buf; and how much of it has gone. */
struct span out_some(const struct out *o, uint8_t *buf, size_t size);
size_t out_copy(const struct out *o, size_t at, uint8_t *buf,
    size_t n); /* what there is of n bytes from there on */
void out_sent(struct out *o, size_t n);

#endif
