#include "worker/mqtt/ws.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "shared/base/must.h"

#define REQUEST_MAX 8192 /* bytes of a request of HTTP */
#define CONTROL_MAX 125  /* bytes of what a ping or the end of a connection has: 5.5 */
#define OWN_MAX 256      /* of an answer of ours */
#define HEAD_MAX 10      /* of the head of a frame of ours */
#define KEY_LEN 24       /* 16 bytes in base64 */
#define MASK_LEN 4

enum ws_state {
	WS_REQUEST,
	WS_OPEN,
	WS_LEFT,
	WS_CLOSED
}; /* LEFT: the client has closed it, we haven't */

struct frame {       /* that is being sent */
	size_t left; /* of its payload */
	uint8_t head_len, head_at;
	uint8_t head[HEAD_MAX];
};

struct ws {
	struct frame out;
	size_t offered; /* bytes of frames that ws_output() has given and that have not gone */
	wslay_frame_context_ptr in; /* NULL: between two frames */
	uint64_t in_bytes;          /* given to it and not yet those of a whole frame */
	uint64_t in_payload;        /* taken of the frame that it is at */
	char *request;              /* what has come of it */
	char *forwarded;            /* of it, until it is taken */
	uint8_t *own;               /* goes before the next frame */
	uint16_t request_len, own_len, own_at;
	uint8_t state;
	bool wants_forwarded;
	bool in_message;              /* its last fragment has not come */
	bool is_broken;               /* its rules */
	uint8_t close_len;            /* of what is in control when the client has left */
	uint8_t control[CONTROL_MAX]; /* of a frame that has not come whole */
};

struct request { /* what counts of it */
	bool is_get, upgrades, connects, has_version;
	const char *key, *protocol; /* protocol: the one that will be spoken */
	char *forwarded;            /* room for REQUEST_MAX bytes; NULL: it doesn't count */
};

static struct {
	struct span raw; /* of ws_input(), and not yet taken */
	const char *why;
} the;

static bool frame_is_begun(const struct frame *f);
static bool frame_next(struct frame *f, const struct out *o, size_t at);
static ssize_t take_request(struct ws *ws);
static int answer(struct ws *ws, char *text);
static bool request_parse(char *text, struct request *out);
static void header_take(struct request *r, const char *name, const char *value);
static bool has_token(const char *list, const char *token);
static int accept_of(const char *key, char out[29]);
static int refuse(struct ws *ws, const char *status, const char *why);
static int say(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static ssize_t take_frames(struct ws *ws, uint8_t *to);
static int take_part(struct ws *ws, const struct wslay_frame_iocb *f);
static int frame_check(struct ws *ws, const struct wslay_frame_iocb *f);
static int take_control(struct ws *ws, uint8_t opcode, size_t len);
static int own_frame(struct ws *ws, uint8_t opcode, const uint8_t *p, size_t len);
static int broken(struct ws *ws, uint16_t code, const char *why);
static ssize_t on_want(uint8_t *buf, size_t len, int flags, void *arg);

struct ws *
ws_new(bool wants_forwarded)
{
	struct ws *ws = calloc(1, sizeof(*ws));

	if (ws != NULL)
		ws->wants_forwarded = wants_forwarded;
	return ws;
}

void
ws_free(struct ws *ws)
{
	if (ws == NULL)
		return;
	if (ws->in != NULL)
		wslay_frame_context_free(ws->in);
	free(ws->request);
	free(ws->forwarded);
	free(ws->own);
	free(ws);
}

ssize_t
ws_input(struct ws *ws, uint8_t *p, size_t len)
{
	ssize_t n;

	the.raw = span_of(p, len);
	if (ws->state == WS_REQUEST) {
		n = take_request(ws);
		if (n < 0)
			return n;
	}
	n = ws->state == WS_OPEN ? take_frames(ws, p) : 0;
	if (n != 0)
		return n;
	if (!ws_has_ended(ws))
		return -EAGAIN;
	return ws->is_broken ? -EPROTO : 0;
}

/*
 * A packet has a frame of its own: clients are to cope with any frames, and not all do. What was offered once is what comes first
 * the next time, too: TLS may have begun with it. So an answer of our own waits for that.
 */
struct span
ws_output(struct ws *ws, const struct out *o, uint8_t *buf, size_t size)
{
	struct frame f = ws->out;
	size_t at = 0, n = 0;

	if (ws->offered == 0 && !frame_is_begun(&f) && ws->own_len > 0)
		return span_of(ws->own + ws->own_at, ws->own_len - ws->own_at);
	/* A large payload is sent from where it is. */
	if (f.head_at == f.head_len && f.left >= size) {
		struct span some = out_some(o, buf, size);

		ws->offered = some.len < f.left ? some.len : f.left;
		return span_of(some.p, ws->offered);
	}
	while (n < size) {
		/* 5.5.1: none after that which ends the connection. */
		if (!frame_is_begun(&f) &&
		    ((ws->state == WS_CLOSED && n >= ws->offered) || !frame_next(&f, o, at)))
			break;
		for (; n < size && f.head_at < f.head_len; n++)
			buf[n] = f.head[f.head_at++];
		if (n < size) {
			size_t len =
			    out_copy(o, at, buf + n, f.left < size - n ? f.left : size - n);

			n += len;
			at += len;
			f.left -= len;
		}
	}
	ws->offered = n;
	return span_of(buf, n);
}

void
ws_sent(struct ws *ws, struct out *o, size_t n)
{
	struct frame *f = &ws->out;

	if (ws->offered == 0) {
		ws->own_at = (uint16_t)(ws->own_at + n);
		if (ws->own_at < ws->own_len)
			return;
		free(ws->own);
		ws->own = NULL;
		ws->own_at = ws->own_len = 0;
		return;
	}
	ws->offered -= n;
	while (n > 0) {
		size_t len;

		if (!frame_is_begun(f))
			must(frame_next(f, o, 0));
		len = (size_t)(f->head_len - f->head_at);
		len = len < n ? len : n;
		f->head_at = (uint8_t)(f->head_at + len);
		n -= len;
		len = f->left < n ? f->left : n;
		f->left -= len;
		n -= len;
		out_sent(o, len);
	}
}

bool
ws_has_ended(const struct ws *ws)
{
	return ws->state >= WS_LEFT;
}

char *
ws_take_forwarded(struct ws *ws)
{
	char *list = ws->forwarded;

	ws->forwarded = NULL;
	return list;
}

bool
ws_has_own(const struct ws *ws)
{
	return ws->own_len > 0;
}

void
ws_bye(struct ws *ws)
{
	static const uint8_t normal[2] = { WSLAY_CODE_NORMAL_CLOSURE >> 8,
		WSLAY_CODE_NORMAL_CLOSURE & 0xff };

	if (ws->state == WS_OPEN)
		(void)own_frame(ws, WSLAY_CONNECTION_CLOSE, normal, sizeof(normal));
	else if (ws->state == WS_LEFT) /* 5.5.1: its code back */
		(void)own_frame(ws, WSLAY_CONNECTION_CLOSE, ws->control, ws->close_len);
	ws->state = WS_CLOSED;
}

const char *
ws_why(void)
{
	return the.why;
}

static bool
frame_is_begun(const struct frame *f)
{
	return f->head_at < f->head_len || f->left > 0;
}

/* That of the packet which begins there. False: there is none. */
static bool
frame_next(struct frame *f, const struct out *o, size_t at)
{
	uint8_t start[5]; /* of MQTT: type and remaining length */
	size_t got = out_copy(o, at, start, sizeof(start)), len = 0, i = 1;

	if (got == 0)
		return false;
	do {
		must(i < got);
		len |= (size_t)(start[i] & 0x7f) << 7 * (i - 1);
	} while (start[i++] & 0x80);
	len += i;
	*f = (struct frame){ .left = len, .head_len = len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10 };
	f->head[0] = 0x80 | WSLAY_BINARY_FRAME;
	f->head[1] = len < 126 ? (uint8_t)len : len <= UINT16_MAX ? 126 : 127;
	for (int k = f->head_len - 1; k > 1; k--, len >>= 8)
		f->head[k] = (uint8_t)len;
	return true;
}

/* --- the request -------------------------------------------------------------------------- */

/* 0: it has been answered, and what is behind it is in the.raw; -EAGAIN: not all of it is there. */
static ssize_t
take_request(struct ws *ws)
{
	size_t len = ws->request_len + the.raw.len, took;
	char *text, *end;
	int err;

	if (len > REQUEST_MAX)
		len = REQUEST_MAX;
	took = len - ws->request_len;
	text = realloc(ws->request, len + 1);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text + ws->request_len, the.raw.p, took);
	text[len] = '\0';
	ws->request = text;
	end = memmem(text, len, "\r\n\r\n", 4);
	if (end == NULL && len < REQUEST_MAX) {
		ws->request_len = (uint16_t)len;
		return -EAGAIN;
	}
	if (end == NULL)
		return refuse(
		    ws, "431 Request Header Fields Too Large", "a request of HTTP without end");
	took = (size_t)(end + 4 - text) - ws->request_len;
	the.raw = span_of(the.raw.p + took, the.raw.len - took);
	end[2] = '\0';
	/* A text with a NUL in it is not what it looks like. */
	err = strlen(text) == (size_t)(end + 2 - text)
	    ? answer(ws, text)
	    : refuse(ws, "400 Bad Request", "a request of HTTP with a NUL");
	free(ws->request);
	ws->request = NULL;
	return err;
}

static int
answer(struct ws *ws, char *text)
{
	struct request r = { 0 };
	char accept[29];

	/* Whatever it has fits: it is all there. */
	if (ws->wants_forwarded && (ws->forwarded = r.forwarded = calloc(1, REQUEST_MAX)) == NULL)
		return -ENOMEM;
	if (!request_parse(text, &r))
		return refuse(ws, "400 Bad Request", "no request of HTTP");
	if (!r.is_get)
		return refuse(ws, "405 Method Not Allowed\r\nAllow: GET", "not a GET");
	if (!r.upgrades || !r.connects || !r.has_version)
		return refuse(ws,
		    "426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: "
		    "Upgrade\r\nSec-WebSocket-Version: 13",
		    "no request for a WebSocket of version 13");
	if (r.key == NULL || accept_of(r.key, accept) != 0)
		return refuse(ws, "400 Bad Request", "no Sec-WebSocket-Key");
	if (r.protocol == NULL) /* [MQTT-6.0.0-3] */
		return refuse(ws, "400 Bad Request", "the subprotocol mqtt is not offered");
	ws->state = WS_OPEN;
	return say(ws,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
	    accept, r.protocol);
}

/* A line for the request, and one for each header, all ended by CR LF. */
static bool
request_parse(char *text, struct request *out)
{
	char *line = text, *end, *value;
	bool first = true;
	size_t name;

	for (; (end = strstr(line, "\r\n")) != NULL; line = end + 2, first = false) {
		*end = '\0';
		if (first) {
			const char *version = strrchr(line, ' ');

			if (version == NULL || strcmp(version, " HTTP/1.1") != 0 ||
			    strchr(line, ' ') == version)
				return false;
			out->is_get = strncmp(line, "GET /", 5) == 0;
			continue;
		}
		/* Neither one that goes on in the next line nor one without a name. */
		name = strcspn(line, ": \t");
		if (name == 0 || line[name] != ':')
			return false;
		line[name] = '\0';
		value = line + name + 1;
		value += strspn(value, " \t");
		for (char *last = end; last > value && (last[-1] == ' ' || last[-1] == '\t');)
			*--last = '\0';
		header_take(out, line, value);
	}
	return *line == '\0' && !first;
}

static void
header_take(struct request *r, const char *name, const char *value)
{
	/* The order of preference is ours: both mean the same, 3.1 is in what follows. */
	static const char *const protocols[] = { "mqtt", "mqttv3.1" };

	if (strcasecmp(name, "Upgrade") == 0)
		r->upgrades |= has_token(value, "websocket");
	else if (strcasecmp(name, "Connection") == 0)
		r->connects |= has_token(value, "upgrade");
	else if (strcasecmp(name, "Sec-WebSocket-Version") == 0)
		r->has_version = strcmp(value, "13") == 0;
	else if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
		r->key = value;
	else if (strcasecmp(name, "Sec-WebSocket-Protocol") == 0)
		for (int i = 1; i >= 0; i--)
			if (has_token(value, protocols[i]))
				r->protocol = protocols[i];
	if (strcasecmp(name, "X-Forwarded-For") == 0 && r->forwarded != NULL) {
		size_t n = strlen(r->forwarded);

		snprintf(r->forwarded + n, REQUEST_MAX - n, "%s%s", n > 0 ? "," : "", value);
	}
}

/* Lists are separated by commas. */
static bool
has_token(const char *list, const char *token)
{
	size_t len = strlen(token);

	for (const char *p = list; *p != '\0';) {
		size_t n;

		p += strspn(p, " \t,");
		n = strcspn(p, " \t,");
		if (n == len && strncasecmp(p, token, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* RFC 6455, 4.2.2: 20 bytes of SHA-1, in base64. */
static int
accept_of(const char *key, char out[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_LEN + sizeof(guid)];
	uint8_t bytes[KEY_LEN], digest[EVP_MAX_MD_SIZE];

	/* 16 bytes, so it ends in ==. */
	if (strlen(key) != KEY_LEN || strcspn(key, "=") != KEY_LEN - 2 || key[KEY_LEN - 1] != '=' ||
	    EVP_DecodeBlock(bytes, (const uint8_t *)key, KEY_LEN) != KEY_LEN / 4 * 3)
		return -EPROTO;
	snprintf(text, sizeof(text), "%s%s", key, guid);
	if (EVP_Digest(text, sizeof(text) - 1, digest, NULL, EVP_sha1(), NULL) != 1)
		return -ENOMEM;
	EVP_EncodeBlock((uint8_t *)out, digest, 20);
	return 0;
}

static int
refuse(struct ws *ws, const char *status, const char *why)
{
	int err = say(ws, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);

	ws->state = WS_CLOSED;
	the.why = why;
	return err != 0 ? err : -EPROTO;
}

static int
say(struct ws *ws, const char *fmt, ...)
{
	va_list ap;
	int n;

	ws->own = malloc(OWN_MAX);
	if (ws->own == NULL)
		return -ENOMEM;
	va_start(ap, fmt);
	n = vsnprintf((char *)ws->own, OWN_MAX, fmt, ap);
	va_end(ap);
	must(n > 0 && n < OWN_MAX);
	ws->own_len = (uint16_t)n;
	return 0;
}

/* --- frames ------------------------------------------------------------------------------- */

/* MQTT's bytes, written to where these began: there are fewer, and what is there has been taken. */
static ssize_t
take_frames(struct ws *ws, uint8_t *to)
{
	static const struct wslay_frame_callbacks callbacks = { .recv_callback = on_want };
	const size_t room = the.raw.len;
	struct wslay_frame_iocb f;
	size_t n = 0;
	int err = 0;

	while (err == 0 && ws->state == WS_OPEN && (ws->in != NULL || the.raw.len > 0)) {
		ssize_t got;

		if (ws->in == NULL && wslay_frame_context_init(&ws->in, &callbacks, ws) != 0)
			return -ENOMEM;
		got = wslay_frame_recv(ws->in, &f);
		if (got == WSLAY_ERR_WANT_READ)
			break;
		err = got < 0 ? broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "no frame of a WebSocket")
			      : take_part(ws, &f);
		if (err == 0 && f.opcode < WSLAY_CONNECTION_CLOSE) {
			must(n + f.data_length <= room);
			if (f.data_length > 0)
				memcpy(to + n, f.data, f.data_length);
			n += f.data_length;
		}
	}
	/* It takes 4 KB, and has nothing to remember between two frames. */
	if (ws->in != NULL && ws->in_bytes == 0) {
		wslay_frame_context_free(ws->in);
		ws->in = NULL;
	}
	return err != 0 && n == 0 ? err : (ssize_t)n;
}

/* Some of a frame: its first part, its last, one between them, or all. */
static int
take_part(struct ws *ws, const struct wslay_frame_iocb *f)
{
	bool is_first = ws->in_payload == 0, is_control = f->opcode >= WSLAY_CONNECTION_CLOSE;
	int err = is_first ? frame_check(ws, f) : 0;

	if (err != 0)
		return err;
	if (is_control && f->data_length > 0)
		memcpy(ws->control + ws->in_payload, f->data, f->data_length);
	ws->in_payload += f->data_length;
	if (ws->in_payload < f->payload_length)
		return 0;
	ws->in_payload = 0;
	ws->in_bytes -= 2 + MASK_LEN + f->payload_length +
	    (f->payload_length < 126                  ? 0
		    : f->payload_length <= UINT16_MAX ? 2
						      : 8);
	if (is_control)
		return take_control(ws, f->opcode, (size_t)f->payload_length);
	ws->in_message = !f->fin;
	return 0;
}

static int
frame_check(struct ws *ws, const struct wslay_frame_iocb *f)
{
	if (f->rsv != 0)
		return broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "an extension that was not agreed on");
	if (!f->mask) /* 5.1 */
		return broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "a frame without mask");
	switch (f->opcode) {
	case WSLAY_TEXT_FRAME: /* [MQTT-6.0.0-1] */
		return broken(ws, WSLAY_CODE_UNSUPPORTED_DATA, "a frame of text");
	case WSLAY_BINARY_FRAME:
	case WSLAY_CONTINUATION_FRAME:
		if ((f->opcode == WSLAY_CONTINUATION_FRAME) == ws->in_message)
			return 0;
		return broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "fragments out of order");
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG:
		if (f->fin && f->payload_length <= CONTROL_MAX) /* 5.5 */
			return 0;
		return broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "a control frame that is too large");
	default:
		return broken(ws, WSLAY_CODE_PROTOCOL_ERROR, "a frame of an unknown kind");
	}
}

static int
take_control(struct ws *ws, uint8_t opcode, size_t len)
{
	if (opcode == WSLAY_PING)
		return own_frame(ws, WSLAY_PONG, ws->control, len);
	if (opcode == WSLAY_PONG)
		return 0;
	/* What is to be said still goes before our own. */
	ws->state = WS_LEFT;
	ws->close_len = len < 2 ? 0 : 2;
	return 0;
}

/* A client that does not read what it asked for is spared some of it. */
static int
own_frame(struct ws *ws, uint8_t opcode, const uint8_t *p, size_t len)
{
	if (ws->own == NULL && (ws->own = malloc(OWN_MAX)) == NULL)
		return -ENOMEM;
	if (ws->own_len + 2 + len > OWN_MAX)
		return 0;
	ws->own[ws->own_len] = 0x80 | opcode;
	ws->own[ws->own_len + 1] = (uint8_t)len;
	if (len > 0)
		memcpy(ws->own + ws->own_len + 2, p, len);
	ws->own_len = (uint16_t)(ws->own_len + 2 + len);
	return 0;
}

static int
broken(struct ws *ws, uint16_t code, const char *why)
{
	uint8_t bytes[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	(void)own_frame(ws, WSLAY_CONNECTION_CLOSE, bytes, sizeof(bytes)); /* as well as it can */
	ws->state = WS_CLOSED;
	ws->is_broken = true;
	the.why = why;
	return -EPROTO;
}

/* wslay asks for bytes. */
static ssize_t
on_want(uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;

	(void)flags;
	if (len > the.raw.len)
		len = the.raw.len;
	if (len == 0)
		return -1;
	memcpy(buf, the.raw.p, len);
	the.raw = span_of(the.raw.p + len, the.raw.len - len);
	ws->in_bytes += len;
	return (ssize_t)len;
}
