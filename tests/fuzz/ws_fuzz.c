/*
 * A WebSocket, from its first byte: a length, then so many bytes of one read, and so on; what ws makes of it is compared with what it makes
 * of all in one read. Between two reads it may send, and the frames that it sends must have what was given.
 */
#include "worker/mqtt/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/must.h"

#define ALL_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t raw[ALL_MAX], by_reads[ALL_MAX], at_once[ALL_MAX];
	size_t nraw, nby_reads, nat_once;
} the;

/* An input without a request begins behind one. */
static const char request[] =
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

static void
take_output(struct ws *ws, struct out *o)
{
	uint8_t buf[32];
	struct span some;

	while ((some = ws_output(ws, o, buf, sizeof(buf))).len > 0)
		ws_sent(ws, o, some.len > 3 ? some.len - 1 : some.len);
}

/* Answers the last result of ws_input(). */
static ssize_t
feed(struct ws *ws, const uint8_t *p, size_t len, uint8_t *to, size_t *n)
{
	uint8_t *copy =
	    malloc(len > 0 ? len : 1); /* of its very size: what is behind it is not touched */
	ssize_t got;

	must(copy != NULL);
	if (len > 0)
		memcpy(copy, p, len);
	got = ws_input(ws, copy, len);
	must(got <= (ssize_t)len);
	if (got > 0) {
		memcpy(to + *n, copy, (size_t)got);
		*n += (size_t)got;
	}
	free(copy);
	return got;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ws *ws = ws_new(true), *other = ws_new(false);
	struct out o = { 0 }, none = { 0 };
	ssize_t got = -EAGAIN;

	must(ws != NULL && other != NULL);
	out_init();
	the.nraw = the.nby_reads = the.nat_once = 0;
	if (size > 0 && data[0] & 1) {
		must(feed(ws, (const uint8_t *)request, sizeof(request) - 1, the.by_reads,
			 &the.nby_reads) == -EAGAIN);
		must(feed(other, (const uint8_t *)request, sizeof(request) - 1, the.at_once,
			 &the.nat_once) == -EAGAIN);
	}
	for (size_t at = 1; at < size && (got > 0 || got == -EAGAIN);) {
		size_t len = data[at] & 0x7f;
		bool sends = data[at++] & 0x80;

		if (len > size - at)
			len = size - at;
		if (len == 0 || the.nraw + len > sizeof(the.raw))
			continue;
		memcpy(the.raw + the.nraw, data + at, len);
		the.nraw += len;
		got = feed(ws, data + at, len, the.by_reads, &the.nby_reads);
		at += len;
		if (sends) {
			uint8_t *p = out_room(&o, len + 2);

			must(p != NULL);
			memset(p, 'o', len + 2);
			p[0] = 0x30; /* a packet: each has a frame */
			p[1] = (uint8_t)len;
			take_output(ws, &o);
		}
	}
	got = feed(other, the.raw, the.nraw, the.at_once, &the.nat_once);
	/* What stood before an error is used first. */
	must(the.nat_once == the.nby_reads);
	must(memcmp(the.at_once, the.by_reads, the.nat_once) == 0);
	ws_bye(ws);
	take_output(ws, &o);
	take_output(other, &none);
	ws_free(ws);
	ws_free(other);
	out_clear(&o);
	out_fini();
	return 0;
}
