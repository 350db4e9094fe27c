#include "worker/mqtt/out.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "shared/mem/pool.h"

#define SMALL 1024  /* a chunk for what most turns have for a connection */
#define LARGE 16384 /* for those that have more */
#define IOVS 64     /* chunks of one writev; the rest goes with the next */

enum chunk_kind { CHUNK_SMALL, CHUNK_LARGE, CHUNK_OWN, CHUNK_REF };

struct out_chunk {
	struct out_chunk *next;
	uint32_t start, end, cap;
	uint8_t kind;
	uint8_t *p; /* data of this chunk, or of the shared payload */
	struct out_big *big;
	uint8_t data[];
};

static struct {
	struct pool small, large, ref;
} pools;

static struct out_chunk *chunk_new(size_t len, bool first);
static void chunk_free(struct out_chunk *c);
static void out_append(struct out *o, struct out_chunk *c);

void
out_init(void)
{
	pool_init(&pools.small, SMALL, 4096);
	pool_init(&pools.large, LARGE, 512);
	pool_init(&pools.ref, sizeof(struct out_chunk), 1024);
}

void
out_fini(void)
{
	pool_fini(&pools.small);
	pool_fini(&pools.large);
	pool_fini(&pools.ref);
}

uint8_t *
out_room(struct out *o, size_t len)
{
	struct out_chunk *c = o->last;
	uint8_t *p;

	if (c == NULL || c->cap - c->end < len) {
		c = chunk_new(len, o->first == NULL);
		if (c == NULL)
			return NULL;
		out_append(o, c);
	}
	p = c->p + c->end;
	c->end += (uint32_t)len;
	o->bytes += len;
	return p;
}

int
out_big_add(struct out *o, struct out_big *b)
{
	struct out_chunk *c = pool_get(&pools.ref);

	if (c == NULL)
		return -ENOMEM;
	b->refs++;
	*c = (struct out_chunk){
		.kind = CHUNK_REF, .end = b->len, .cap = b->len, .p = b->data, .big = b
	};
	out_append(o, c);
	o->bytes += b->len;
	return 0;
}

struct out_big *
out_big_new(const void *p, size_t len)
{
	struct out_big *b = malloc(sizeof(*b) + len);

	if (b == NULL)
		return NULL;
	b->refs = 1;
	b->len = (uint32_t)len;
	memcpy(b->data, p, len);
	return b;
}

void
out_big_unref(struct out_big **b)
{
	if (*b != NULL && --(*b)->refs == 0)
		free(*b);
	*b = NULL;
}

void
out_clear(struct out *o)
{
	struct out_chunk *c, *next;

	for (c = o->first; c != NULL; c = next) {
		next = c->next;
		chunk_free(c);
	}
	*o = (struct out){ 0 };
}

int
out_write(struct out *o, int fd, size_t *sent_out)
{
	struct iovec iov[IOVS];
	struct msghdr mh = { .msg_iov = iov };
	struct out_chunk *c;
	ssize_t n;

	*sent_out = 0;
	for (c = o->first; c != NULL && mh.msg_iovlen < IOVS; c = c->next)
		iov[mh.msg_iovlen++] = (struct iovec){ c->p + c->start, c->end - c->start };
	if (mh.msg_iovlen == 0)
		return 0;
	n = mh.msg_iovlen == 1 ? send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
			       : sendmsg(fd, &mh, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;

	*sent_out = (size_t)n;
	out_sent(o, (size_t)n);
	return o->first != NULL;
}

struct span
out_some(const struct out *o, uint8_t *buf, size_t size)
{
	const struct out_chunk *c = o->first;
	size_t n = 0;

	if (c == NULL)
		return span_of(NULL, 0);
	if (c->next == NULL || c->end - c->start >= size)
		return span_of(c->p + c->start, c->end - c->start);
	for (; c != NULL && n < size; c = c->next) {
		size_t len = c->end - c->start < size - n ? c->end - c->start : size - n;

		memcpy(buf + n, c->p + c->start, len);
		n += len;
	}
	return span_of(buf, n);
}

size_t
out_copy(const struct out *o, size_t at, uint8_t *buf, size_t n)
{
	size_t got = 0;

	for (const struct out_chunk *c = o->first; c != NULL && got < n; c = c->next) {
		size_t len = c->end - c->start, skip = at < len ? at : len;

		at -= skip;
		len = len - skip < n - got ? len - skip : n - got;
		memcpy(buf + got, c->p + c->start + skip, len);
		got += len;
	}
	return got;
}

void
out_sent(struct out *o, size_t n)
{
	o->bytes -= n;
	while (n > 0) {
		struct out_chunk *c = o->first;

		if (n < c->end - c->start) {
			c->start += (uint32_t)n;
			break;
		}
		n -= c->end - c->start;
		o->first = c->next;
		chunk_free(c);
	}
	if (o->first == NULL)
		o->last = NULL;
}

static struct out_chunk *
chunk_new(size_t len, bool first)
{
	const size_t head = sizeof(struct out_chunk);
	struct out_chunk *c;
	enum chunk_kind kind;
	size_t size;

	if (first && len <= SMALL - head) {
		kind = CHUNK_SMALL;
		size = SMALL;
		c = pool_get(&pools.small);
	} else if (len <= LARGE - head) {
		kind = CHUNK_LARGE;
		size = LARGE;
		c = pool_get(&pools.large);
	} else {
		if (len > UINT32_MAX - head)
			return NULL;
		kind = CHUNK_OWN;
		size = head + len;
		c = malloc(size);
	}
	if (c == NULL)
		return NULL;
	*c = (struct out_chunk){ .kind = kind, .cap = (uint32_t)(size - head) };
	c->p = c->data;
	return c;
}

static void
chunk_free(struct out_chunk *c)
{
	switch (c->kind) {
	case CHUNK_SMALL:
		pool_put(&pools.small, c);
		break;
	case CHUNK_LARGE:
		pool_put(&pools.large, c);
		break;
	case CHUNK_REF:
		out_big_unref(&c->big);
		pool_put(&pools.ref, c);
		break;
	default:
		free(c);
	}
}

static void
out_append(struct out *o, struct out_chunk *c)
{
	if (o->last == NULL)
		o->first = c;
	else
		o->last->next = c;
	o->last = c;
}
