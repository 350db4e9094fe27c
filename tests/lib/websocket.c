#include "tests/lib/websocket.h"

#include <err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define ANSWER_MAX 8192 /* of a server that goes on and on */
#define CONTROL_MAX 125

static bool __attribute__((format(printf, 2, 3))) is_bad(struct websocket *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->bad, sizeof(w->bad), fmt, ap);
	va_end(ap);
	return false;
}

static void
draw(uint8_t *to, size_t len)
{
	if (getentropy(to, len) != 0)
		err(1, "websocket");
}

/* --- the handshake ----------------------------------------------------------------------- */

static void
put_text(struct bytes *out, const char *name, const char *value)
{
	bytes_put(out, span_str(name));
	bytes_put(out, span_str(value));
	bytes_put(out, span_str("\r\n"));
}

void
websocket_ask(
    struct websocket *w, const char *host, int port, const char *protocol, struct bytes *out)
{
	uint8_t nonce[16], digest[SHA_DIGEST_LENGTH];
	char text[300];

	*w = (struct websocket){ .protocol = protocol };
	draw(nonce, sizeof(nonce));
	EVP_EncodeBlock((uint8_t *)w->key, nonce, sizeof(nonce));
	snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", w->key);
	SHA1((const uint8_t *)text, strlen(text), digest);
	EVP_EncodeBlock((uint8_t *)w->accept, digest, sizeof(digest));

	put_text(out, "GET /mqtt HTTP/1.1", "");
	snprintf(text, sizeof(text), "%s:%d", host, port);
	put_text(out, "Host: ", text);
	put_text(out, "Upgrade: ", "websocket");
	put_text(out, "Connection: ", "Upgrade");
	put_text(out, "Sec-WebSocket-Key: ", w->key);
	put_text(out, "Sec-WebSocket-Version: ", "13");
	if (protocol != NULL)
		put_text(out, "Sec-WebSocket-Protocol: ", protocol);
	put_text(out, "", "");
}

/* The value of a header, which may be there once; NULL: it is not, or bad. Valid until the next call. */
static const char *
header(struct websocket *w, const char *head, const char *name)
{
	static char value[256];
	const char *found = NULL, *line = head;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		if (found != NULL)
			is_bad(w, "its answer has %s twice", name);
		found = line + len + 1;
	}
	if (found == NULL)
		return NULL;
	found += strspn(found, " \t");
	len = strcspn(found, "\r");
	while (len > 0 && (found[len - 1] == ' ' || found[len - 1] == '\t'))
		len--;
	snprintf(value, sizeof(value), "%.*s", (int)len, found);
	return value;
}

/* value NULL: it must not be there. */
static void
has_to_be(struct websocket *w, const char *head, const char *name, const char *value,
    int (*compare)(const char *, const char *))
{
	const char *got = header(w, head, name);

	if (w->bad[0] != '\0' || (got == NULL && value == NULL))
		return;
	if (got == NULL)
		is_bad(w, "its answer has no %s", name);
	else if (value == NULL || compare(got, value) != 0)
		is_bad(w, "its answer has %s: %.40s", name, got);
}

/* What is behind the answer, too: a server may send at once. */
static bool
take_answer(struct websocket *w)
{
	const uint8_t *end = w->in.len > 0 ? memmem(w->in.p, w->in.len, "\r\n\r\n", 4) : NULL;
	char head[ANSWER_MAX + 1];
	size_t len;

	if (end == NULL)
		return w->in.len <= ANSWER_MAX || is_bad(w, "its answer has no end");
	len = (size_t)(end - w->in.p) + 2;
	if (len > ANSWER_MAX || memchr(w->in.p, '\0', len) != NULL)
		return is_bad(w, "its answer is no HTTP");
	memcpy(head, w->in.p, len);
	head[len] = '\0';
	bytes_drop(&w->in, len + 2);
	if (strncmp(head, "HTTP/1.1 101 ", 13) != 0)
		return is_bad(w, "it answered %.*s", (int)strcspn(head, "\r"), head);
	has_to_be(w, head, "Upgrade", "websocket", strcasecmp);
	has_to_be(w, head, "Connection", "Upgrade", strcasecmp);
	has_to_be(w, head, "Sec-WebSocket-Accept", w->accept, strcmp);
	has_to_be(w, head, "Sec-WebSocket-Protocol", w->protocol, strcmp);
	has_to_be(w, head, "Sec-WebSocket-Extensions", NULL, strcmp);
	w->open = w->bad[0] == '\0';
	return w->open;
}

/* --- frames ------------------------------------------------------------------------------ */

void
websocket_put(struct websocket *w, unsigned first, struct span payload, struct bytes *out)
{
	uint8_t head[14] = { (uint8_t)first }, *to;
	size_t n = 2, size = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

	if (w->closing)
		return;
	head[1] = (uint8_t)(0x80 | (size == 0 ? payload.len : size == 2 ? 126 : 127));
	for (size_t i = size; i-- > 0;)
		head[n++] = (uint8_t)((uint64_t)payload.len >> 8 * i);
	draw(head + n, 4);
	bytes_put(out, span_of(head, n + 4));
	to = bytes_room(out, payload.len);
	for (size_t i = 0; i < payload.len; i++)
		to[i] = payload.p[i] ^ head[n + i % 4];
	out->len += payload.len;
	w->closing = (first & 15) == WS_CLOSE;
}

void
websocket_close(struct websocket *w, struct bytes *out)
{
	websocket_put(w, WS_FIN | WS_CLOSE, span_of("\x03\xe8", 2), out);
}

struct frame {
	bool fin;
	unsigned opcode;
	struct span payload;
	size_t size; /* with its head; 0: more has to come */
};

/* Of what begins at `at`. False: bad. */
static bool
frame_of(struct websocket *w, struct span at, struct frame *out)
{
	size_t size, head;
	uint64_t len;

	*out = (struct frame){ 0 };
	if (at.len < 2)
		return true;
	out->fin = at.p[0] & WS_FIN;
	out->opcode = at.p[0] & 15;
	if (at.p[0] & 0x70)
		return is_bad(w, "a frame has reserved bits");
	if (at.p[1] & 0x80)
		return is_bad(w, "a frame of the server is masked");
	len = at.p[1] & 127;
	size = len == 126 ? 2 : len == 127 ? 8 : 0;
	head = 2 + size;
	if (at.len < head)
		return true;
	if (size > 0) {
		len = 0;
		for (size_t i = 0; i < size; i++)
			len = len << 8 | at.p[2 + i];
		if (len < (size == 2 ? 126 : 65536) || len >> 63 != 0)
			return is_bad(w, "the length of a frame is not as it has to be");
	}
	if (at.len - head < len)
		return true;
	out->payload = span_of(at.p + head, (size_t)len);
	out->size = head + (size_t)len;
	return true;
}

static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	    (code >= 3000 && code <= 4999);
}

static bool
take_close(struct websocket *w, struct span payload, struct bytes *out)
{
	if (payload.len == 1 ||
	    (payload.len > 1 && !is_close_code((unsigned)payload.p[0] << 8 | payload.p[1])))
		return is_bad(w, "a Close has no right code");
	w->closed = true;
	websocket_put(w, WS_FIN | WS_CLOSE, span_of(payload.p, payload.len > 1 ? 2 : 0), out);
	return true;
}

static bool
take_frame(struct websocket *w, const struct frame *f, struct bytes *payload, struct bytes *out)
{
	if (f->opcode >= WS_CLOSE && (!f->fin || f->payload.len > CONTROL_MAX))
		return is_bad(w, "a control frame is in parts, or too long");
	switch (f->opcode) {
	case WS_CONTINUATION:
	case WS_BINARY:
		if (w->in_message != (f->opcode == WS_CONTINUATION))
			return is_bad(w, "a message begins within another, or goes on without one");
		w->in_message = !f->fin;
		bytes_put(payload, f->payload);
		return true;
	case WS_CLOSE:
		return take_close(w, f->payload, out);
	case WS_PING:
		websocket_put(w, WS_FIN | WS_PONG, f->payload, out);
		return true;
	case WS_PONG:
		return true;
	case WS_TEXT:
		return is_bad(w, "a frame holds text");
	default:
		return is_bad(w, "a frame has opcode %u", f->opcode);
	}
}

bool
websocket_take(struct websocket *w, struct span in, struct bytes *payload, struct bytes *out)
{
	size_t at = 0;
	struct frame f;

	bytes_put(&w->in, in);
	if (!w->open && (!take_answer(w) || !w->open))
		return w->bad[0] == '\0';
	while (frame_of(w, span_of(w->in.p + at, w->in.len - at), &f) && f.size > 0 && !w->closed &&
	    take_frame(w, &f, payload, out))
		at += f.size;
	bytes_drop(&w->in, at);
	if (w->closed && w->in.len > 0)
		is_bad(w, "something is behind a Close");
	return w->bad[0] == '\0';
}

bool
websocket_may_end(struct websocket *w)
{
	return w->bad[0] == '\0' &&
	    ((w->in.len == 0 && !w->in_message) || is_bad(w, "it has ended within a message"));
}

void
websocket_fini(struct websocket *w)
{
	bytes_free(&w->in);
}
