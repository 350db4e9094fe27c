#include "worker/mqtt/ws.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

#define REQUEST(protocol)                                                                          \
	"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"                          \
	"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"       \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"

/* Of RFC 6455, 1.3. */
#define ANSWER                                                                                     \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static struct ws *ws;
static struct out out;
static uint8_t buf[1 << 17], sent[1 << 17];
static size_t nsent;

static void
begin(void)
{
	out_init();
	ws = ws_new(true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ws);
	nsent = 0;
}

static void
end(void)
{
	ws_free(ws);
	out_clear(&out);
	out_fini();
}

static ssize_t
input(const void *p, size_t len)
{
	memcpy(buf, p, len);
	return ws_input(ws, buf, len);
}

/* Takes all output, so many bytes at a time. */
static void
take(size_t step)
{
	uint8_t gather[64];
	struct span some;

	while ((some = ws_output(ws, &out, gather, sizeof(gather))).len > 0) {
		size_t n = some.len < step ? some.len : step;

		memcpy(sent + nsent, some.p, n);
		nsent += n;
		ws_sent(ws, &out, n);
	}
}

static bool
has_sent(const char *text)
{
	return nsent >= strlen(text) && memcmp(sent, text, strlen(text)) == 0;
}

static void
open_it(void)
{
	begin();
	CU_ASSERT_EQUAL(input(REQUEST("mqtt"), sizeof(REQUEST("mqtt")) - 1), -EAGAIN);
	take(1000);
	CU_ASSERT_TRUE(has_sent(ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n"));
	nsent = 0;
}

/* first: FIN, reserved bits and opcode. The mask is "mask", so that the bytes that come differ from those that are meant. */
static size_t
frame(uint8_t *to, unsigned first, const void *payload, size_t len)
{
	static const uint8_t mask[4] = "mask";
	size_t n = 0;

	to[n++] = (uint8_t)first;
	to[n++] = (uint8_t)(0x80 | (len < 126 ? len : len < 65536 ? 126 : 127));
	if (len >= 65536)
		for (int i = 56; i >= 16; i -= 8)
			to[n++] = (uint8_t)((uint64_t)len >> i);
	if (len >= 126) {
		to[n++] = (uint8_t)(len >> 8);
		to[n++] = (uint8_t)len;
	}
	memcpy(to + n, mask, 4);
	n += 4;
	for (size_t i = 0; i < len; i++)
		to[n++] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
	return n;
}

static void
a_request_is_answered(void)
{
	open_it();
	end();
	begin();
	/* 3.1 alone, in any list, and a byte at a time. */
	for (size_t i = 0; i < sizeof(REQUEST("chat ,mqttv3.1")) - 1; i++)
		CU_ASSERT_EQUAL(input(&REQUEST("chat ,mqttv3.1")[i], 1), -EAGAIN);
	take(7);
	CU_ASSERT_TRUE(has_sent(ANSWER "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n"));
	end();
	begin();
	CU_ASSERT_EQUAL(
	    input(REQUEST("mqttv3.1, mqtt"), sizeof(REQUEST("mqttv3.1, mqtt")) - 1), -EAGAIN);
	take(1000);
	CU_ASSERT_TRUE(has_sent(ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n"));
	end();
}

static void
other_requests_are_refused(void)
{
	static const struct {
		const char *request, *status;
	} bad[] = {
		{ "\r\n\r\n", "400" },
		{ "nonsense\r\n\r\n", "400" },
		{ "GET / HTTP/1.0\r\n\r\n", "400" },
		{ "GET  HTTP/1.1\r\n\r\n", "405" },
		{ "POST / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "405" },
		{ "GET / HTTP/1.1\r\nno header\r\n\r\n", "400" },
		{ "GET / HTTP/1.1\r\n: empty\r\n\r\n", "400" },
		{ "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "400" },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "426" },
		{ "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		  "Sec-WebSocket-Version: 8\r\n\r\n",
		    "426" },
		{ "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
		    "400" },
		{ "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
		  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n\r\n",
		    "400" },
		{ "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt5, amqp\r\n"
		  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		    "400" },
	};
	char want[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		CU_ASSERT_EQUAL(input(bad[i].request, strlen(bad[i].request)), -EPROTO);
		take(1000);
		snprintf(want, sizeof(want), "HTTP/1.1 %s ", bad[i].status);
		if (!has_sent(want))
			printf("\n    %s", bad[i].request);
		CU_ASSERT_TRUE(has_sent(want));
		end();
	}
	begin();
	CU_ASSERT_EQUAL(input("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24), -EPROTO);
	end();
	begin();
	memset(buf, 'x', 9000);
	CU_ASSERT_EQUAL(ws_input(ws, buf, 8000), -EAGAIN);
	CU_ASSERT_EQUAL(ws_input(ws, buf, 1000), -EPROTO);
	take(1000);
	CU_ASSERT_TRUE(has_sent("HTTP/1.1 431 "));
	end();
}

/* Of each length that has a head of its own, cut anywhere, also within the request's read. */
static void
frames_become_bytes(void)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 70000 };
	static uint8_t bytes[1 << 17], payload[70000], got[70000];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = frame(bytes, 0x82, payload, lengths[i]), all = 0;

		open_it();
		for (size_t at = 0, step = 1; at < n; at += step, step = step % 5000 + 1) {
			size_t len = n - at < step ? n - at : step;
			ssize_t took = input(bytes + at, len);

			CU_ASSERT_TRUE(took > 0 || took == -EAGAIN);
			if (took > 0)
				memcpy(got + all, buf, (size_t)took);
			all += took > 0 ? (size_t)took : 0;
		}
		CU_ASSERT_EQUAL(all, lengths[i]);
		CU_ASSERT_EQUAL(memcmp(got, payload, all), 0);
		end();
	}
	begin();
	memcpy(bytes, REQUEST("mqtt"), sizeof(REQUEST("mqtt")) - 1);
	CU_ASSERT_EQUAL(input(bytes,
			    sizeof(REQUEST("mqtt")) - 1 +
				frame(bytes + sizeof(REQUEST("mqtt")) - 1, 0x82, "behind", 6)),
	    6);
	CU_ASSERT_EQUAL(memcmp(buf, "behind", 6), 0);
	end();
}

/* Fragments, with a ping between them. */
static void
fragments_and_pings_are_understood(void)
{
	uint8_t bytes[200];
	size_t n;

	open_it();
	n = frame(bytes, 0x02, "frag", 4);
	n += frame(bytes + n, 0x89, "are you there", 13);
	n += frame(bytes + n, 0x00, "", 0);
	n += frame(bytes + n, 0x8a, "unasked", 7);
	n += frame(bytes + n, 0x80, "ment", 4);
	n += frame(bytes + n, 0x82, "s", 1);
	CU_ASSERT_EQUAL(input(bytes, n), 9);
	CU_ASSERT_EQUAL(memcmp(buf, "fragments", 9), 0);
	CU_ASSERT_TRUE(ws_has_own(ws));
	take(3);
	CU_ASSERT_EQUAL(nsent, 15);
	CU_ASSERT_TRUE(has_sent("\x8a\x0d"
				"are you there"));
	end();
}

static void
who_breaks_the_rules_is_told(void)
{
	static const struct {
		unsigned first, code;
	} bad[] = {
		{ 0x81, 1003 },                 /* text */
		{ 0xc2, 1002 },                 /* a reserved bit */
		{ 0x80, 1002 },                 /* goes on with nothing */
		{ 0x83, 1002 },                 /* unknown */
		{ 0x8b, 1002 }, { 0x09, 1002 }, /* a ping in fragments */
	};
	static uint8_t large[200];
	uint8_t bytes[300];
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_it();
		CU_ASSERT_EQUAL(input(bytes, frame(bytes, bad[i].first, "x", 1)), -EPROTO);
		take(1000);
		CU_ASSERT_EQUAL(nsent, 4);
		CU_ASSERT_EQUAL(sent[0], 0x88);
		CU_ASSERT_EQUAL((unsigned)(sent[2] << 8 | sent[3]), bad[i].code);
		CU_ASSERT_EQUAL(input("more", 4), -EPROTO);
		end();
	}
	open_it();
	CU_ASSERT_EQUAL(input("\x82\x01x", 3), -EPROTO); /* without mask */
	end();
	open_it();
	CU_ASSERT_EQUAL(input(bytes, frame(bytes, 0x89, large, 126)), -EPROTO);
	end();
	open_it(); /* a message within another; what was good before is used first */
	n = frame(bytes, 0x02, "a", 1);
	n += frame(bytes + n, 0x82, "b", 1);
	CU_ASSERT_EQUAL(input(bytes, n), 1);
	CU_ASSERT_EQUAL(input("", 0), -EPROTO);
	end();
}

/* A PUBLISH with so many bytes behind its fixed header; all of it. */
static size_t
put_packet(size_t len, uint8_t fill)
{
	uint8_t head[5] = { 0x30 };
	size_t n = 1, rest = len;
	uint8_t *p;

	do {
		head[n++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
		rest >>= 7;
	} while (rest > 0);
	p = out_room(&out, n + len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memcpy(p, head, n);
	memset(p + n, fill, len);
	return n + len;
}

static void
a_close_is_answered(void)
{
	uint8_t bytes[100];
	size_t n;

	open_it();
	CU_ASSERT_EQUAL(input(bytes, frame(bytes, 0x88, "\x03\xe8 bye", 6)), 0);
	put_packet(3, 'a'); /* what it asked for before */
	take(1000);
	CU_ASSERT_EQUAL(nsent, 7);
	nsent = 0;
	ws_bye(ws);
	take(1000);
	CU_ASSERT_EQUAL(nsent, 4);
	CU_ASSERT_TRUE(has_sent("\x88\x02\x03\xe8"));
	end();
	open_it(); /* what came before it is used first */
	n = frame(bytes, 0x82, "a", 1);
	CU_ASSERT_EQUAL(input(bytes, n + frame(bytes + n, 0x88, "", 0)), 1);
	CU_ASSERT_TRUE(ws_has_ended(ws));
	CU_ASSERT_EQUAL(input("", 0), 0);
	end();
	open_it();
	ws_bye(ws);
	ws_bye(ws);
	take(1);
	CU_ASSERT_EQUAL(nsent, 4);
	CU_ASSERT_TRUE(has_sent("\x88\x02\x03\xe8"));
	end();
}

static bool
is_frame(size_t *at, size_t len, uint8_t fill)
{
	size_t head = len < 126 ? 2 : len < 65536 ? 4 : 10, told = 0;
	const uint8_t *p = sent + *at;

	for (size_t i = 2; i < head; i++)
		told = told << 8 | p[i];
	*at += head + len;
	return *at <= nsent && p[0] == 0x82 &&
	    p[1] ==
	    (len < 126            ? len
		    : len < 65536 ? 126
				  : 127) &&
	    (head == 2 || told == len) && p[head] == 0x30 && p[head + len - 1] == fill;
}

/* Whatever the socket takes at a time: a frame for each packet, and a pong only between two. */
static void
each_packet_has_a_frame(void)
{
	static const size_t lengths[] = { 1, 123, 124, 126, 16000, 65531, 65532, 100000 };
	static const size_t steps[] = { 1, 2, 3, 63, 64, 4096 };
	uint8_t bytes[50], gather[64];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
			size_t small, large, last, at = 0;

			open_it();
			small = put_packet(3, 'a');
			large = put_packet(lengths[i], 'b');
			/* Some of it is on its way. */
			CU_ASSERT_TRUE(ws_output(ws, &out, gather, sizeof(gather)).len > 0);
			CU_ASSERT_EQUAL(input(bytes, frame(bytes, 0x89, "", 0)), -EAGAIN);
			last = put_packet(5, 'c');
			take(steps[s]);
			CU_ASSERT_EQUAL(out.bytes, 0);
			CU_ASSERT_TRUE(is_frame(&at, small, 'a'));
			if (memcmp(sent + at, "\x8a\0", 2) == 0)
				at += 2;
			CU_ASSERT_TRUE(is_frame(&at, large, 'b'));
			if (memcmp(sent + at, "\x8a\0", 2) == 0)
				at += 2;
			CU_ASSERT_TRUE(is_frame(&at, last, 'c'));
			CU_ASSERT_EQUAL(nsent,
			    small + 2 + large +
				(large < 126            ? 2
					: large < 65536 ? 4
							: 10) +
				last + 2 + 2);
			end();
		}
}

/* What was offered is what comes first the next time, whatever has come meanwhile: TLS may hold it. */
static void
what_was_offered_comes_first(void)
{
	uint8_t bytes[50], first[64], again[64];
	struct span one, two;
	size_t at = 0;

	open_it();
	put_packet(3, 'a');
	put_packet(3, 'b');
	one = ws_output(ws, &out, first, sizeof(first));
	CU_ASSERT_EQUAL(one.len, 2 * (2 + 5));
	CU_ASSERT_EQUAL(input(bytes, frame(bytes, 0x89, "", 0)), -EAGAIN);
	put_packet(3, 'c');
	ws_bye(ws); /* 5.5.1: what has not been offered is not sent any more */
	two = ws_output(ws, &out, again, sizeof(again));
	CU_ASSERT_EQUAL(two.len, one.len);
	CU_ASSERT_EQUAL(memcmp(one.p, two.p, one.len), 0);
	take(1);
	CU_ASSERT_TRUE(is_frame(&at, 5, 'a') && is_frame(&at, 5, 'b'));
	CU_ASSERT_EQUAL(nsent, at + 2 + 4);
	CU_ASSERT_EQUAL(memcmp(sent + at, "\x8a\0\x88\x02\x03\xe8", 6), 0);
	end();
}

/* Who pings and does not read costs no memory. */
static void
pings_without_end_are_not_all_answered(void)
{
	uint8_t bytes[200], payload[125] = { 0 };

	open_it();
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(input(bytes, frame(bytes, 0x89, payload, 125)), -EAGAIN);
	take(1000);
	CU_ASSERT_TRUE(nsent >= 127 && nsent <= 256);
	end();
}

UNIT_MAIN("worker/mqtt/ws", TEST(a_request_is_answered), TEST(other_requests_are_refused),
    TEST(frames_become_bytes), TEST(fragments_and_pings_are_understood),
    TEST(who_breaks_the_rules_is_told), TEST(a_close_is_answered), TEST(each_packet_has_a_frame),
    TEST(what_was_offered_comes_first), TEST(pings_without_end_are_not_all_answered))
