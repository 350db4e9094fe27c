#include <poll.h>
#include <sys/socket.h>

#include "tests/lib/scenario.h"

#define REQUEST                                                                                    \
	"GET /any/path?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"                  \
	"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                   \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

/* Frames have a mask of zeros: hex then shows what is in them. */
#define MASK "00000000 "

/* The next n bytes. False: it was closed before. */
static bool
take(struct mq *m, uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		struct pollfd f = { .fd = m->fd, .events = POLLIN };
		ssize_t got;

		check(poll(&f, 1, deadline_ms()) == 1);
		got = recv(m->fd, p + at, n - at, 0);
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

/* The same of MQTT: out of short frames, in each of which there may be several packets. */
static bool
take_mqtt(struct mq *m, uint8_t *p, size_t n)
{
	static struct mq *of;
	static size_t left;
	uint8_t head[2];

	check(left == 0 || of == m);
	for (of = m; n > 0; n--, left--, p++) {
		while (left == 0) {
			check(take(m, head, 2) && head[0] == 0x82 && head[1] < 126);
			left = head[1];
		}
		if (!take(m, p, 1))
			return false;
	}
	return true;
}

static void
need(struct mq *m, bool (*from)(struct mq *, uint8_t *, size_t), const char *hex)
{
	uint8_t want[200], got[200];
	size_t n = 0;
	unsigned v;

	for (const char *p = hex; *p != '\0'; p += *p == ' ' ? 1 : 2)
		if (*p != ' ' && sscanf(p, "%2x", &v) == 1)
			want[n++] = (uint8_t)v;
	check(from(m, got, n));
	if (memcmp(got, want, n) != 0)
		fail("not %s", hex);
}

static void
need_answer(struct mq *m, const char *status)
{
	char head[4096];
	size_t n = 0;

	while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
		check(n < sizeof(head) - 1 && take(m, (uint8_t *)head + n++, 1));
	head[n] = '\0';
	if (strncmp(head, "HTTP/1.1 ", 9) != 0 || strncmp(head + 9, status, 3) != 0)
		fail("not %s: %s", status, head);
}

static void
need_end(struct mq *m)
{
	uint8_t byte;

	check(!take(m, &byte, 1));
}

static void
need_connack(struct mq *m)
{
	uint8_t head[2], body[125];

	check(take_mqtt(m, head, 2) && head[0] == 0x20 && head[1] < sizeof(body));
	check(take_mqtt(m, body, head[1]) && body[1] == 0);
}

static struct mq *
web_open(void)
{
	struct mq *m = mq_open(0);

	mq_bytes(m, REQUEST, strlen(REQUEST));
	need_answer(m, "101");
	return m;
}

/* A session in frames cut otherwise than its packets, who breaks rules, and one who never ends his request. */
SCENARIO(1, 2)
{
	struct mq *web, *other, *plain;
	long before;

	clock_move(0);
	broker_start("listener.default.type=ws");
	web = web_open();
	/* CONNECT (MQTT 5, client w, will t: gone), the last byte of it with SUBSCRIBE of t; a ping in the midst. */
	mq_hex(web, "02 93 " MASK "1018 0004 4d515454 05 06 0000 00 0001 77 00 0001");
	mq_hex(web, "89 82 " MASK "6869");
	need(web, take, "8a 02 6869");
	mq_hex(web, "00 85 " MASK "74 0004 676f 80 8a " MASK "6e65 8207 0001 00 0001 74");
	mq_hex(web, "82 81 " MASK "00");
	need_connack(web);
	need(web, take_mqtt, "9004 0001 00 00");
	mq_hex(web, "82 87 " MASK "3005 0001 74 00 78");
	need(web, take_mqtt, "3005 0001 74 00 78");

	/* Its will goes to who stays. */
	other = web_open();
	mq_hex(other, "82 8f " MASK "100d 0004 4d515454 05 02 0000 00 0000");
	need_connack(other);
	mq_hex(other, "82 89 " MASK "8207 0001 00 0001 74 00");
	need(other, take_mqtt, "9004 0001 00 00");
	mq_hex(web, "81 81 " MASK "20");
	need(web, take, "88 02 03eb");
	need_end(web);
	need(other, take_mqtt, "3008 0001 74 00 676f6e65");
	check(broker_counter("ends__websocket") == 1);

	/* Who says goodbye is answered so. */
	before = broker_counter("ends__closed");
	mq_hex(other, "88 82 " MASK "03e8");
	wait_for(broker_counter("ends__closed") == before + 1);

	plain = mq_open(0);
	mq_hex(plain, "100d 0004 4d515454 05 02 0000 00 0000 0d0a0d0a");
	need_answer(plain, "400");
	need_end(plain);
	before = broker_counter("accepted");
	plain = mq_open(0);
	mq_bytes(plain, REQUEST, strlen(REQUEST) - 1);
	wait_for(broker_counter("accepted") == before + 1); /* its time has begun */
	clock_move(11000);
	/* A worker that sleeps does not see that the clock has moved. */
	wait_for((mq_close(mq_open(0)), broker_counter("ends__connect_timeout") == 1));
	need_end(plain);
	broker_stop();
}
