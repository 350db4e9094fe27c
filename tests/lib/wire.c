#include "tests/lib/wire.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/tls_client.h"
#include "tests/lib/websocket.h"

#define STALLED_MS 10000

const char *const wire_type_name[16] = { "RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK",
	"PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ",
	"PINGRESP", "DISCONNECT", "AUTH" };

/* --- memory ------------------------------------------------------------------------------ */

static struct chunk {
	struct chunk *next;
	uint8_t bytes[];
} * chunks;

static void *
keep(size_t len)
{
	struct chunk *c = malloc(sizeof(*c) + len);

	if (c == NULL)
		err(1, "wire");
	c->next = chunks;
	chunks = c;
	return c->bytes;
}

void
wire_forget(void)
{
	while (chunks != NULL) {
		struct chunk *c = chunks;

		chunks = c->next;
		free(c);
	}
}

/* --- making ------------------------------------------------------------------------------ */

struct maker {
	FILE *file;
	char *bytes;
	size_t len;
};

static void
begin(struct maker *m)
{
	m->file = open_memstream(&m->bytes, &m->len);
	if (m->file == NULL)
		err(1, "wire");
}

static struct span
end(struct maker *m)
{
	uint8_t *p;

	if (fclose(m->file) != 0)
		err(1, "wire");
	p = keep(m->len);
	memcpy(p, m->bytes, m->len);
	free(m->bytes);
	return span_of(p, m->len);
}

static void
put_number(struct maker *m, unsigned bytes, uint32_t v)
{
	while (bytes-- > 0)
		putc((int)(v >> 8 * bytes & 255), m->file);
}

static void
put_varint(struct maker *m, uint32_t v)
{
	for (; v > 127; v >>= 7)
		putc((int)(v & 127) | 128, m->file);
	putc((int)v, m->file);
}

static void
put_raw(struct maker *m, struct span s)
{
	if (s.len > 0)
		fwrite(s.p, 1, s.len, m->file);
}

static void
put_hex(struct maker *m, const char *hex)
{
	for (unsigned v; *hex != '\0'; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (sscanf(hex, "%2x", &v) != 1)
			errx(1, "wire: \"%s\" is not hexadecimal", hex);
		putc((int)v, m->file);
	}
}

static void
put_fields(struct maker *m, int version, const char *format, va_list ap)
{
	struct span s;

	for (; *format != '\0'; format++)
		switch (*format) {
		case '1':
		case '2':
		case '4':
			put_number(m, (unsigned)(*format - '0'), va_arg(ap, unsigned));
			break;
		case 'v':
			put_varint(m, va_arg(ap, unsigned));
			break;
		case 's':
			s = span_str(va_arg(ap, const char *));
			put_number(m, 2, (uint32_t)s.len);
			put_raw(m, s);
			break;
		case 'b':
			s = va_arg(ap, struct span);
			put_number(m, 2, (uint32_t)s.len);
			put_raw(m, s);
			break;
		case 'r':
			put_raw(m, va_arg(ap, struct span));
			break;
		case 'x':
			put_hex(m, va_arg(ap, const char *));
			break;
		case 'p':
			s = va_arg(ap, struct span);
			if (version >= 5) {
				put_varint(m, (uint32_t)s.len);
				put_raw(m, s);
			}
			break;
		case ' ':
			break;
		default:
			errx(1, "wire: no field \"%s\"", format);
		}
}

static struct span
bytes_of(int version, const char *format, va_list ap)
{
	struct maker m;

	begin(&m);
	put_fields(&m, version, format, ap);
	return end(&m);
}

struct span
wire_bytes(int version, const char *format, ...)
{
	struct span s;
	va_list ap;

	va_start(ap, format);
	s = bytes_of(version, format, ap);
	va_end(ap);
	return s;
}

struct span
wire_make(int version, unsigned first, const char *format, ...)
{
	struct span body;
	va_list ap;

	va_start(ap, format);
	body = bytes_of(version, format, ap);
	va_end(ap);
	return wire_bytes(version, "1vr", first, (unsigned)body.len, body);
}

struct span
wire_make_connect(int version, const struct wire_connect *o)
{
	const char *name = o->name != NULL ? o->name : version == 3 ? "MQIsdp" : "MQTT";
	unsigned flags = o->resume ? 0 : 2;
	struct span will = NO_PROPS, user = NO_PROPS, password = NO_PROPS;

	if (o->will_topic != NULL) {
		flags |= 4 | o->will_qos << 3 | (o->will_retain ? 32 : 0);
		will = wire_bytes(version, "psb", o->will_props, o->will_topic, o->will_payload);
	}
	if (o->user != NULL) {
		flags |= 128;
		user = wire_bytes(version, "s", o->user);
	}
	if (o->password != NULL) {
		flags |= 64;
		password = wire_bytes(version, "s", o->password);
	}
	return wire_make(version, CONNECT << 4, "s112p s r r r", name,
	    o->level != 0 ? o->level : (unsigned)version, flags ^ o->flip, o->keep_alive, o->props,
	    o->id != NULL ? o->id : "", will, user, password);
}

struct span
wire_make_publish(int version, uint16_t id, const struct wire_message *m)
{
	struct span payload = m->text != NULL ? span_str(m->text) : m->payload;
	unsigned first = PUBLISH << 4 | (m->dup ? 8u : 0) | m->qos << 1 | (m->retain ? 1 : 0);

	if (m->qos == 0)
		return wire_make(version, first, "spr", m->topic, m->props, payload);
	return wire_make(version, first, "s2pr", m->topic, id, m->props, payload);
}

struct span
wire_make_subscribe(
    int version, uint16_t id, struct span props, const char *filter, unsigned options)
{
	return wire_make(version, SUBSCRIBE << 4 | 2, "2ps1", id, props, filter, options);
}

struct span
wire_make_unsubscribe(int version, uint16_t id, const char *filter)
{
	return wire_make(version, UNSUBSCRIBE << 4 | 2, "2ps", id, NO_PROPS, filter);
}

struct span
wire_make_ack(int version, enum wire_type type, uint16_t id, unsigned reason)
{
	unsigned first = (unsigned)type << 4 | (type == PUBREL ? 2 : 0);

	return reason == 0 ? wire_make(version, first, "2", id)
			   : wire_make(version, first, "21", id, reason);
}

/* --- decoding ---------------------------------------------------------------------------- */

/* Remembers the first thing that is wrong and yields zeros from there on. */
struct reader {
	struct span rest;
	const char *bad;
};

static void
is_bad(struct reader *r, const char *why)
{
	if (r->bad == NULL)
		r->bad = why;
	r->rest.len = 0;
}

static struct span
take(struct reader *r, size_t len)
{
	struct span s = span_of(r->rest.p, len);

	if (len > r->rest.len) {
		is_bad(r, "a field reaches behind the end");
		return span_of(NULL, 0);
	}
	r->rest.p += len;
	r->rest.len -= len;
	return s;
}

static uint32_t
take_number(struct reader *r, size_t bytes)
{
	struct span s = take(r, bytes);
	uint32_t v = 0;

	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.p[i];
	return v;
}

static uint32_t
take_varint(struct reader *r)
{
	uint32_t v = 0, byte;

	for (unsigned i = 0; i < 4; i++) {
		byte = take_number(r, 1);
		v |= (byte & 127) << 7 * i;
		if (byte < 128) {
			if (byte == 0 && i > 0)
				is_bad(r, "an integer is longer than it has to be");
			return v;
		}
	}
	is_bad(r, "an integer has more than four bytes");
	return 0;
}

static struct span
take_binary(struct reader *r)
{
	return take(r, take_number(r, 2));
}

/* Length of the character at the beginning; 0: it is none, or U+0000. */
static size_t
character(struct span s)
{
	static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
	size_t n = s.p[0] < 0x80 ? 1
	    : s.p[0] < 0xc0      ? 0
	    : s.p[0] < 0xe0      ? 2
	    : s.p[0] < 0xf0      ? 3
				 : 4;
	uint32_t c = n == 1 ? s.p[0] : n == 4 && s.p[0] > 0xf7 ? 0xffffffff : s.p[0] & (0x7fu >> n);

	if (n == 0 || n > s.len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

static struct span
take_text(struct reader *r)
{
	struct span s = take_binary(r), rest = s;

	while (rest.len > 0) {
		size_t n = character(rest);

		if (n == 0) {
			is_bad(r, "a text is not UTF-8, or has a null character");
			break;
		}
		rest.p += n;
		rest.len -= n;
	}
	return s;
}

/* By id: the type of its value as in wire_bytes(), and the packets of a server that may have it. */
#define IN(type) (1u << (type))
#define ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK))
static const struct property {
	char type; /* t: a pair */
	unsigned packets;
} property[SHARED_AVAILABLE + 1] = {
	[PAYLOAD_FORMAT] = { '1', IN(PUBLISH) },
	[MESSAGE_EXPIRY] = { '4', IN(PUBLISH) },
	[CONTENT_TYPE] = { 's', IN(PUBLISH) },
	[RESPONSE_TOPIC] = { 's', IN(PUBLISH) },
	[CORRELATION_DATA] = { 'b', IN(PUBLISH) },
	[SUBSCRIPTION_ID] = { 'v', IN(PUBLISH) },
	[SESSION_EXPIRY] = { '4', IN(CONNACK) },
	[ASSIGNED_ID] = { 's', IN(CONNACK) },
	[SERVER_KEEP_ALIVE] = { '2', IN(CONNACK) },
	[AUTH_METHOD] = { 's', IN(CONNACK) | IN(AUTH) },
	[AUTH_DATA] = { 'b', IN(CONNACK) | IN(AUTH) },
	[RESPONSE_INFORMATION] = { 's', IN(CONNACK) },
	[SERVER_REFERENCE] = { 's', IN(CONNACK) | IN(DISCONNECT) },
	[REASON_STRING] = { 's', ACKS | IN(CONNACK) | IN(DISCONNECT) | IN(AUTH) },
	[RECEIVE_MAX] = { '2', IN(CONNACK) },
	[ALIAS_MAX] = { '2', IN(CONNACK) },
	[TOPIC_ALIAS] = { '2', IN(PUBLISH) },
	[MAX_QOS] = { '1', IN(CONNACK) },
	[RETAIN_AVAILABLE] = { '1', IN(CONNACK) },
	[USER_PROPERTY] = { 't', ACKS | IN(CONNACK) | IN(PUBLISH) | IN(DISCONNECT) | IN(AUTH) },
	[MAX_PACKET] = { '4', IN(CONNACK) },
	[WILDCARD_AVAILABLE] = { '1', IN(CONNACK) },
	[SUBSCRIPTION_ID_AVAILABLE] = { '1', IN(CONNACK) },
	[SHARED_AVAILABLE] = { '1', IN(CONNACK) },
};

static bool
may_repeat(unsigned id)
{
	return id == USER_PROPERTY || id == SUBSCRIPTION_ID;
}

static void
take_property(struct reader *r, struct wire_packet *k)
{
	const uint8_t *from = r->rest.p;
	unsigned id = take_number(r, 1);
	struct wire_prop p = { .id = (enum wire_prop_id)id };

	if (r->bad != NULL)
		return;
	if (id >= sizeof(property) / sizeof(property[0]) || !(property[id].packets & IN(k->type))) {
		is_bad(r, "it has a property that doesn't belong there");
		return;
	}
	if (!may_repeat(id) && wire_find(k, p.id) != NULL)
		is_bad(r, "it has a property twice");
	switch (property[id].type) {
	case 'v':
		p.number = take_varint(r);
		break;
	case 's':
		p.text = take_text(r);
		break;
	case 'b':
		p.text = take_binary(r);
		break;
	case 't':
		p.text = take_text(r);
		p.value = take_text(r);
		break;
	default:
		p.number = take_number(r, (size_t)(property[id].type - '0'));
	}
	p.raw = span_of(from, (size_t)(r->rest.p - from));
	if (k->nprops == WIRE_PROPS_MAX)
		is_bad(r, "it has more properties than the tests can hold");
	else if (r->bad == NULL)
		k->prop[k->nprops++] = p;
}

static void
take_properties(struct reader *r, struct wire_packet *k)
{
	struct reader props = { 0 };

	k->props = take(r, take_varint(r));
	props.rest = k->props;
	while (props.rest.len > 0)
		take_property(&props, k);
	if (props.bad != NULL)
		is_bad(r, props.bad);
}

static void
take_publish(struct reader *r, int version, struct wire_packet *k)
{
	k->dup = k->flags & 8;
	k->qos = k->flags >> 1 & 3;
	k->retain = k->flags & 1;
	k->topic = take_text(r);
	if (k->qos > 0 && (k->id = (uint16_t)take_number(r, 2)) == 0)
		is_bad(r, "its packet identifier is 0");
	if (version >= 5)
		take_properties(r, k);
	k->payload = take(r, r->rest.len);
	if (k->qos == 3)
		is_bad(r, "its QoS is 3");
	if (k->qos == 0 && k->dup)
		is_bad(r, "DUP with QoS 0");
}

/* What acknowledgements, DISCONNECT and AUTH have in common: all of it may be left out. */
static void
take_reason(struct reader *r, int version, struct wire_packet *k)
{
	k->reason = 0;
	if (version < 5 || r->rest.len == 0)
		return;
	k->reason = (int)take_number(r, 1);
	if (r->rest.len > 0)
		take_properties(r, k);
}

static void
take_body(struct reader *r, int version, struct wire_packet *k)
{
	switch (k->type) {
	case CONNACK:
		k->ack_flags = take_number(r, 1);
		k->reason = (int)take_number(r, 1);
		if (version >= 5 && !(k->reason == 1 && r->rest.len == 0)) /* 1: as MQTT 3 has it */
			take_properties(r, k);
		break;
	case PUBLISH:
		take_publish(r, version, k);
		break;
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP:
		k->id = (uint16_t)take_number(r, 2);
		take_reason(r, version, k);
		break;
	case SUBACK:
	case UNSUBACK:
		k->id = (uint16_t)take_number(r, 2);
		if (version >= 5)
			take_properties(r, k);
		if (version < 5 && k->type == UNSUBACK)
			break; /* its identifier is all */
		k->codes = take(r, r->rest.len);
		if (k->codes.len == 0)
			is_bad(r, "it has no reason code");
		break;
	case PINGRESP:
		break;
	case DISCONNECT:
	case AUTH:
		if (version < 5)
			is_bad(r, "this version has no such packet from a server");
		take_reason(r, version, k);
		break;
	default:
		is_bad(r, "a server doesn't send such packets");
	}
}

size_t
wire_length(struct span bytes)
{
	size_t len = 0;

	for (size_t i = 1; i < 5; i++) {
		if (i >= bytes.len)
			return 0;
		len |= (size_t)(bytes.p[i] & 127) << 7 * (i - 1);
		if (bytes.p[i] < 128)
			return bytes.len >= i + 1 + len ? i + 1 + len : 0;
	}
	return SIZE_MAX;
}

void
wire_decode(int version, struct span raw, struct wire_packet *out)
{
	struct reader r = { .rest = raw };
	unsigned first = take_number(&r, 1);

	memset(out, 0, sizeof(*out));
	out->type = (enum wire_type)(first >> 4);
	out->flags = first & 15;
	out->reason = -1;
	out->raw = raw;
	if (take_varint(&r) != r.rest.len)
		is_bad(&r, "its length is not that of what came");
	out->body = r.rest;
	if (out->type != PUBLISH && out->flags != (out->type == PUBREL ? 2 : 0))
		is_bad(&r, "flags of the fixed header that are reserved");
	take_body(&r, version, out);
	if (r.bad == NULL && r.rest.len > 0)
		is_bad(&r, "something is behind the last field");
	out->bad = r.bad;
}

const struct wire_prop *
wire_find(const struct wire_packet *k, enum wire_prop_id id)
{
	for (size_t i = 0; i < k->nprops; i++)
		if (k->prop[i].id == id)
			return &k->prop[i];
	return NULL;
}

const char *
wire_describe(const struct wire_packet *k)
{
	struct maker m;

	begin(&m);
	fputs(wire_type_name[k->type], m.file);
	if (k->id != 0)
		fprintf(m.file, " id=%u", k->id);
	if (k->type == PUBLISH)
		fprintf(m.file, " qos=%u%s%s topic=%.*s payload=%.*s", k->qos, k->dup ? " dup" : "",
		    k->retain ? " retain" : "", (int)k->topic.len, (const char *)k->topic.p,
		    k->payload.len < 40 ? (int)k->payload.len : 40, (const char *)k->payload.p);
	if (k->reason >= 0)
		fprintf(m.file, " reason=%02x", (unsigned)k->reason);
	for (size_t i = 0; i < k->codes.len; i++)
		fprintf(m.file, "%s%02x", i == 0 ? " codes=" : " ", k->codes.p[i]);
	if (k->ack_flags != 0)
		fprintf(m.file, " flags=%02x", k->ack_flags);
	if (k->bad != NULL)
		fprintf(m.file, " (%s)", k->bad);
	putc('\0', m.file);
	return (const char *)end(&m).p;
}

/* --- connections ------------------------------------------------------------------------- */

int64_t
wire_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct {
	bool tls, websocket;
} transport;

static char trouble[160]; /* of the last wire_open() */

bool
wire_transport(const char *name, const char *cafile)
{
	static const char *const names[] = { "tcp", "tls", "ws", "wss" };
	unsigned i = 0;

	while (i < 4 && strcmp(names[i], name) != 0)
		i++;
	if (i == 4)
		return false;
	transport.tls = i & 1;
	transport.websocket = i & 2;
	if (transport.tls)
		tls_client_authority(cafile);
	return true;
}

bool
wire_is_websocket(void)
{
	return transport.websocket;
}

const char *
wire_trouble(void)
{
	return trouble;
}

static bool __attribute__((format(printf, 1, 2))) is_trouble(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(trouble, sizeof(trouble), format, ap);
	va_end(ap);
	return false;
}

static int
dial(const char *host, int port)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *all, *a;
	char service[8];
	int fd = -1;

	snprintf(service, sizeof(service), "%d", port & 0xffff);
	is_trouble("%s", "no such host");
	if (getaddrinfo(host, service, &hint, &all) != 0)
		return -1;
	for (a = all; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		is_trouble("%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(all);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return fd;
}

/* On the socket itself. False: the other side had closed, or takes nothing for so long. */
static bool
send_bytes(struct wire *w, struct span bytes, int stalled_ms)
{
	while (bytes.len > 0 && w->fd >= 0) {
		struct pollfd p = { .fd = w->fd, .events = POLLOUT };
		ssize_t n = send(w->fd, bytes.p, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN && poll(&p, 1, stalled_ms) != 0)
			continue;
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			bytes = span_of(bytes.p + n, bytes.len - (size_t)n);
	}
	return w->fd >= 0;
}

/* What is in a frame already, or is in none. */
static bool
send_plain(struct wire *w, struct span bytes, int stalled_ms)
{
	struct bytes out = { 0 };
	bool good;

	if (w->tls == NULL)
		return send_bytes(w, bytes, stalled_ms);
	tls_client_put(w->tls, bytes, &out);
	good = send_bytes(w, bytes_span(&out), stalled_ms);
	bytes_free(&out);
	return good;
}

bool
wire_send(struct wire *w, struct span bytes)
{
	return w->ws == NULL ? send_plain(w, bytes, STALLED_MS)
			     : wire_send_frame(w, WS_FIN | WS_BINARY, bytes);
}

bool
wire_send_frame(struct wire *w, unsigned first, struct span bytes)
{
	struct bytes out = { 0 };
	bool good;

	websocket_put(w->ws, first, bytes, &out);
	good = send_plain(w, bytes_span(&out), STALLED_MS);
	bytes_free(&out);
	return good;
}

bool
wire_send_pieces(struct wire *w, struct span bytes, size_t piece)
{
	for (; bytes.len > piece; bytes = span_of(bytes.p + piece, bytes.len - piece)) {
		if (!wire_send(w, span_of(bytes.p, piece)))
			return false;
		poll(NULL, 0, 2);
	}
	return wire_send(w, bytes);
}

/* Of the outermost layer that has an end of its own. */
static void
say_goodbye(struct wire *w)
{
	struct bytes out = { 0 };

	if (w->ws != NULL) {
		websocket_close(w->ws, &out);
		send_plain(w, bytes_span(&out), 0);
	} else if (w->tls != NULL) {
		tls_client_close(w->tls, &out);
		send_bytes(w, bytes_span(&out), 0);
	}
	bytes_free(&out);
}

void
wire_shutdown(struct wire *w)
{
	if (w->fd < 0)
		return;
	say_goodbye(w);
	if (w->ws == NULL && w->tls == NULL)
		shutdown(w->fd, SHUT_WR);
}

static void
closed(struct wire *w)
{
	close(w->fd);
	w->fd = -1;
}

static void
wire_free(struct wire *w)
{
	if (w->fd >= 0)
		closed(w);
	if (w->ws != NULL)
		websocket_fini(w->ws);
	free(w->ws);
	tls_client_free(w->tls);
	bytes_free(&w->in);
	free(w);
}

void
wire_close(struct wire *w)
{
	if (w == NULL)
		return;
	say_goodbye(w);
	wire_free(w);
}

void
wire_reset(struct wire *w)
{
	if (w->fd >= 0)
		setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
		    sizeof(struct linger));
	wire_free(w);
}

void
wire_unread(struct wire *w, struct span bytes)
{
	bytes_room(&w->in, bytes.len);
	memmove(w->in.p + bytes.len, w->in.p, w->in.len);
	memcpy(w->in.p, bytes.p, bytes.len);
	w->in.len += bytes.len;
}

static void
take_frames(struct wire *w, struct span bytes)
{
	struct bytes out = { 0 };

	if (w->ws == NULL)
		bytes_put(&w->in, bytes);
	else if (!websocket_take(w->ws, bytes, &w->in, &out))
		w->bad = w->ws->bad;
	if (out.len > 0)
		send_plain(w, bytes_span(&out), STALLED_MS);
	bytes_free(&out);
}

/* What the socket has given goes up through the layers. */
static void
take_bytes(struct wire *w, struct span bytes)
{
	struct bytes plain = { 0 }, out = { 0 };

	if (w->tls == NULL) {
		take_frames(w, bytes);
		return;
	}
	if (!tls_client_take(w->tls, bytes, &plain, &out))
		w->bad = tls_client_bad(w->tls);
	if (out.len > 0)
		send_bytes(w, bytes_span(&out), STALLED_MS);
	if (plain.len > 0)
		take_frames(w, bytes_span(&plain));
	bytes_free(&plain);
	bytes_free(&out);
}

/* The other side has closed, with no reset: was that the moment? */
static void
look_at_end(struct wire *w)
{
	if (w->tls != NULL && !tls_client_ended(w->tls))
		w->bad = "TLS: closed without an end";
	else if (w->ws != NULL && !websocket_may_end(w->ws))
		w->bad = w->ws->bad;
}

/* More bytes, at the latest at that time. */
static enum wire_got
receive(struct wire *w, int64_t until)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int64_t left = until - wire_now_ms();
	uint8_t bytes[4096];
	ssize_t n;

	if (w->fd < 0)
		return WIRE_CLOSED;
	if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
		return WIRE_NOTHING;
	n = recv(w->fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		take_bytes(w, span_of(bytes, (size_t)n));
	if (n == 0)
		look_at_end(w);
	if (n == 0 || (n < 0 && errno != EINTR) || w->bad != NULL) {
		closed(w);
		return WIRE_CLOSED;
	}
	return WIRE_PACKET;
}

/* Reads until it is true of the layer that it is open. */
static bool
comes_true(struct wire *w, bool (*is_open)(const struct wire *w))
{
	int64_t until = wire_now_ms() + STALLED_MS;

	while (!is_open(w)) {
		enum wire_got got = receive(w, until);

		if (w->bad != NULL)
			return is_trouble("%s", w->bad);
		if (got == WIRE_CLOSED)
			return is_trouble("closed before it was open");
		if (got == WIRE_NOTHING && wire_now_ms() >= until)
			return is_trouble("no answer");
	}
	return true;
}

static bool
has_tls(const struct wire *w)
{
	return tls_client_is_open(w->tls);
}

static bool
has_websocket(const struct wire *w)
{
	return w->ws->open;
}

static bool
begin_tls(struct wire *w, const char *host)
{
	w->tls = tls_client_new(host);
	take_bytes(w, NO_PROPS);
	return comes_true(w, has_tls);
}

static bool
begin_websocket(struct wire *w, const char *host, int port, const char *protocol)
{
	struct bytes out = { 0 };

	w->ws = calloc(1, sizeof(*w->ws));
	if (w->ws == NULL)
		err(1, "wire");
	websocket_ask(w->ws, host, port, protocol, &out);
	send_plain(w, bytes_span(&out), STALLED_MS);
	bytes_free(&out);
	return comes_true(w, has_websocket);
}

struct wire *
wire_open_as(const char *host, int port, int version, const char *protocol)
{
	int fd = dial(host, port);
	struct wire *w;

	if (fd < 0)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		err(1, "wire");
	w->fd = fd;
	w->version = version;
	if ((!transport.tls || begin_tls(w, host)) &&
	    (!transport.websocket || begin_websocket(w, host, port, protocol)))
		return w;
	wire_free(w);
	return NULL;
}

struct wire *
wire_open(const char *host, int port, int version)
{
	return wire_open_as(host, port, version, version == 3 ? "mqttv3.1" : "mqtt");
}

static const char *
kept_text(const char *text)
{
	return strcpy(keep(strlen(text) + 1), text);
}

enum wire_got
wire_read(struct wire *w, int ms, struct wire_packet *out)
{
	int64_t until = wire_now_ms() + ms;
	enum wire_got got;
	uint8_t *copy;
	size_t len;

	while ((len = wire_length(bytes_span(&w->in))) == 0) {
		got = receive(w, until);
		if (w->bad != NULL) {
			*out = (struct wire_packet){ .bad = kept_text(w->bad), .reason = -1 };
			w->bad = NULL;
			return WIRE_PACKET;
		}
		if (got != WIRE_PACKET && (got == WIRE_CLOSED || wire_now_ms() >= until))
			return got;
	}
	if (len == SIZE_MAX) {
		if (w->fd >= 0)
			closed(w);
		return WIRE_CLOSED;
	}
	copy = keep(len);
	memcpy(copy, w->in.p, len);
	bytes_drop(&w->in, len);
	wire_decode(w->version, span_of(copy, len), out);
	return WIRE_PACKET;
}

struct wire_end
wire_read_end(struct wire *w, int ms)
{
	struct wire_end e = { .reason = -1 };
	int64_t until = wire_now_ms() + ms;
	struct wire_packet k;
	enum wire_got got;

	while ((got = wire_read(w, (int)(until - wire_now_ms()), &k)) == WIRE_PACKET) {
		if (e.bad == NULL)
			e.bad = k.bad;
		e.others += e.last != 0;
		e.last = k.type;
		e.reason = k.type == CONNACK || k.type == DISCONNECT ? k.reason : -1;
	}
	e.closed = got == WIRE_CLOSED;
	return e;
}
