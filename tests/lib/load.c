#include "tests/lib/load.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define IDLE_MS 200 /* a socket that takes nothing for so long isn't read any more */

static void
load_room(struct load *l, size_t n)
{
	while (l->cap - l->n < n) {
		l->cap = l->cap > 0 ? l->cap * 2 : 4096;
		l->p = realloc(l->p, l->cap);
		check(l->p != NULL);
	}
}

void
load_add(struct load *l, const void *p, size_t n)
{
	load_room(l, n);
	if (n > 0)
		memcpy(l->p + l->n, p, n);
	l->n += n;
}

void
load_num(struct load *l, unsigned bytes, uint64_t v)
{
	while (bytes-- > 0)
		load_add(l, &(uint8_t){ (uint8_t)(v >> 8 * bytes) }, 1);
}

void
load_varint(struct load *l, size_t v)
{
	for (; v > 127; v >>= 7)
		load_num(l, 1, (v & 127) | 128);
	load_num(l, 1, v);
}

void
load_text(struct load *l, const char *text, size_t n)
{
	load_num(l, 2, n);
	load_add(l, text, n);
}

void
load_packet(struct load *l, size_t at, unsigned first)
{
	struct load head = { 0 };

	load_num(&head, 1, first);
	load_varint(&head, l->n - at);
	load_room(l, head.n);
	memmove(l->p + at + head.n, l->p + at, l->n - at);
	memcpy(l->p + at, head.p, head.n);
	l->n += head.n;
	load_free(&head);
}

void
load_connect(struct load *l, const char *id, uint32_t expiry)
{
	size_t at = l->n;

	load_text(l, "MQTT", 4);
	load_num(l, 1, 5);
	load_num(l, 1, expiry > 0 ? 0 : 2);
	load_num(l, 2, 0);
	load_varint(l, 5);
	load_num(l, 1, 0x11);
	load_num(l, 4, expiry);
	load_text(l, id, strlen(id));
	load_packet(l, at, 0x10);
}

void
load_publish(struct load *l, const char *topic, size_t topic_len, unsigned qos, uint16_t id,
    bool retain, size_t payload)
{
	size_t at = l->n;

	load_text(l, topic, topic_len);
	if (qos > 0)
		load_num(l, 2, id);
	load_varint(l, 0);
	load_room(l, payload);
	memset(l->p + l->n, 'x', payload);
	l->n += payload;
	load_packet(l, at, 0x30 | qos << 1 | retain);
}

void
load_free(struct load *l)
{
	free(l->p);
	*l = (struct load){ 0 };
}

void
mq_load(struct mq *m, struct load *l)
{
	mq_bytes(m, l->p, l->n);
	l->n = 0;
}

uint64_t
mq_pour(struct mq *m, const void *p, size_t len, unsigned times)
{
	struct pollfd pfd = { .fd = m->fd, .events = POLLOUT };
	uint64_t sum = 0, all = (uint64_t)len * times;

	while (sum < all && poll(&pfd, 1, IDLE_MS) == 1 && !(pfd.revents & (POLLERR | POLLHUP))) {
		size_t at = (size_t)(sum % len);
		ssize_t n =
		    send(m->fd, (const uint8_t *)p + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sum += (uint64_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return sum;
}
