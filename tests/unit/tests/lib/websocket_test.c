#include "tests/lib/websocket.h"

#include "tests/lib/wire.h"
#include "tests/unit/unit.h"

#define ACCEPT "Sec-WebSocket-Accept: $A\r\n"
#define TEN "00010203040506070809"
#define RIGHT                                                                                      \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT \
	"Sec-WebSocket-Protocol: mqtt\r\n"

static struct bytes payload, out;

static void
forget(struct websocket *w)
{
	websocket_fini(w);
	bytes_free(&payload);
	bytes_free(&out);
	wire_forget();
}

/* $A in an answer is what the key asks for. Its end is left out. */
static bool
answered(struct websocket *w, const char *answer)
{
	const char *at = strstr(answer, "$A");
	size_t len = at != NULL ? (size_t)(at - answer) : strlen(answer);

	websocket_ask(w, "localhost", 1883, "mqtt", &out);
	bytes_free(&out);
	return websocket_take(w,
	    wire_bytes(5, "rrrx", span_of(answer, len), span_str(at != NULL ? w->accept : ""),
		span_str(at != NULL ? at + 2 : ""), "0d0a"),
	    &payload, &out);
}

static bool
taken(struct websocket *w, const char *hex)
{
	return websocket_take(w, wire_bytes(5, "x", hex), &payload, &out);
}

/* The payload of the frame that is to be sent, which has this first byte and ends what there is. */
static struct span
sent(unsigned first)
{
	uint8_t *mask;

	CU_ASSERT_FATAL(out.len >= 6 && out.len < 126 + 6);
	CU_ASSERT_EQUAL(out.p[0], first);
	CU_ASSERT_EQUAL(out.p[1], 0x80 | (out.len - 6));
	mask = out.p + 2;
	for (size_t i = 6; i < out.len; i++)
		out.p[i] ^= mask[(i - 6) % 4];
	return span_of(out.p + 6, out.len - 6);
}

static void
a_wrong_answer_is_none(void)
{
	static const char *const wrong[] = {
		"HTTP/1.1 400 Bad Request\r\n",
		"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
		"Upgrade\r\n" ACCEPT "Sec-WebSocket-Protocol: mqtt\r\n",
		"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACCEPT
		"Sec-WebSocket-Protocol: mqtt\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT
		"Sec-WebSocket-Protocol: mqtt\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Protocol: mqtt\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nSec-WebSocket-Protocol: "
		"mqtt\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT,
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT
		"Sec-WebSocket-Protocol: mqttv3.1\r\n",
		RIGHT "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		RIGHT "Upgrade: websocket\r\n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct websocket w;

		if (answered(&w, wrong[i]))
			printf("taken: %s\n", wrong[i]);
		CU_ASSERT(!w.open && w.bad[0] != '\0');
		forget(&w);
	}
}

static void
what_no_server_may_send_is_bad(void)
{
	static const char *const bad[] = {
		"82 84 00000000",                   /* masked */
		"c2 01 c0",                         /* reserved bits */
		"a2 01 c0", "92 01 c0", "81 01 61", /* text */
		"83 00",                            /* opcodes that are none */
		"8b 00", "80 00",                   /* a continuation of nothing */
		"02 00 82 00",                      /* a message within another */
		"82 7e 0001 c0", /* lengths longer than they have to be, or than they may be */
		"82 7f 0000000000000001 c0", "82 7f 8000000000000000",
		"09 00", /* control frames in parts, or long */
		"89 7e 007e " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "00 00 00 00 00 00",
		"88 01 03", /* a Close with half a code, or one that isn't sent */
		"88 02 03ed", "88 02 03e8 82 00", /* something behind it */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct websocket w;

		CU_ASSERT(answered(&w, RIGHT));
		if (taken(&w, bad[i]))
			printf("taken: %s\n", bad[i]);
		CU_ASSERT(w.bad[0] != '\0');
		CU_ASSERT(!taken(&w, "8200"));
		forget(&w);
	}
}

static void
bytes_may_come_one_by_one(void)
{
	struct span all = wire_bytes(5, "x", "02 01 d0 89 02 6869 00 01 00 80 00 8a 00 82 7e 0080");
	struct websocket w;

	CU_ASSERT(answered(&w, RIGHT));
	for (size_t i = 0; i < all.len; i++)
		CU_ASSERT(websocket_take(&w, span_of(all.p + i, 1), &payload, &out));
	CU_ASSERT(span_eq(bytes_span(&payload), wire_bytes(5, "x", "d000")));
	CU_ASSERT(span_eq(sent(0x8a), span_str("hi"))); /* the ping is answered */
	CU_ASSERT(!websocket_may_end(&w));
	forget(&w);
}

static void
a_message_may_come_with_the_answer(void)
{
	struct websocket w;

	/* The end that answered() puts behind is the frame's payload. */
	CU_ASSERT(answered(&w, RIGHT "\r\n\x82\x02"));
	CU_ASSERT(w.open);
	CU_ASSERT(span_eq(bytes_span(&payload), span_str("\r\n")));
	forget(&w);
}

static void
close_is_answered_once(void)
{
	struct websocket w;

	CU_ASSERT(answered(&w, RIGHT));
	CU_ASSERT(taken(&w, "88 05 03ea 627965"));
	CU_ASSERT(w.closed && websocket_may_end(&w));
	CU_ASSERT(span_eq(sent(0x88), wire_bytes(5, "x", "03ea")));
	bytes_free(&out);
	websocket_close(&w, &out);
	CU_ASSERT_EQUAL(out.len, 0);
	forget(&w);

	CU_ASSERT(answered(&w, RIGHT));
	websocket_close(&w, &out);
	CU_ASSERT(span_eq(sent(0x88), wire_bytes(5, "x", "03e8")));
	bytes_free(&out);
	CU_ASSERT(taken(&w, "88 02 03e8"));
	CU_ASSERT(w.closed);
	CU_ASSERT_EQUAL(out.len, 0);
	forget(&w);
}

static void
frames_are_masked_and_as_short_as_can_be(void)
{
	static const struct {
		size_t len, head;
		const char *begin;
	} frame[] = { { 125, 6, "82fd" }, { 126, 8, "82fe007e" }, { 65535, 8, "82feffff" },
		{ 65536, 14, "82ff0000000000010000" } };
	static uint8_t zeros[65536];
	struct websocket w;

	CU_ASSERT(answered(&w, RIGHT));
	for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
		struct span begin = wire_bytes(5, "x", frame[i].begin);

		websocket_put(&w, WS_FIN | WS_BINARY, span_of(zeros, frame[i].len), &out);
		CU_ASSERT_EQUAL_FATAL(out.len, frame[i].head + frame[i].len);
		CU_ASSERT(span_eq(span_of(out.p, begin.len), begin));
		/* Of zeros the mask is left. */
		CU_ASSERT_EQUAL(memcmp(out.p + begin.len, out.p + frame[i].head, 4), 0);
		CU_ASSERT_EQUAL(out.p[out.len - 1], out.p[begin.len + (frame[i].len - 1) % 4]);
		bytes_free(&out);
	}
	forget(&w);
}

UNIT_MAIN("tests/lib/websocket", TEST(a_wrong_answer_is_none), TEST(what_no_server_may_send_is_bad),
    TEST(bytes_may_come_one_by_one), TEST(a_message_may_come_with_the_answer),
    TEST(close_is_answered_once), TEST(frames_are_masked_and_as_short_as_can_be))
