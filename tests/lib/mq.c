/*
 * An MQTT client of the tests' own: it shares no code with the broker, so that a mistake in one is no mistake in both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/scenario.h"
#include "tests/lib/wire.h"

struct out {
	uint8_t p[300000];
	size_t n;
};

static void
put(struct out *o, const void *p, size_t n)
{
	check(o->n + n <= sizeof(o->p));
	if (n > 0)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void
put8(struct out *o, unsigned v)
{
	put(o, &(uint8_t){ (uint8_t)v }, 1);
}

static void
put16(struct out *o, unsigned v)
{
	put8(o, v >> 8);
	put8(o, v);
}

static void
put32(struct out *o, uint32_t v)
{
	put16(o, v >> 16);
	put16(o, v & 0xffff);
}

static void
put_varint(struct out *o, size_t v)
{
	for (; v > 127; v >>= 7)
		put8(o, (unsigned)(v & 127) | 128);
	put8(o, (unsigned)v);
}

static void
put_str(struct out *o, const char *s)
{
	put16(o, (unsigned)strlen(s));
	put(o, s, strlen(s));
}

static size_t
unhex(const char *hex, uint8_t *to, size_t room)
{
	size_t n = 0;
	unsigned v;

	while (hex != NULL && *hex != '\0') {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		check(n < room && sscanf(hex, "%2x", &v) == 1);
		to[n++] = (uint8_t)v;
		hex += 2;
	}
	return n;
}

static void
send_packet(struct mq *m, unsigned first, const struct out *body)
{
	static struct out o;

	o.n = 0;
	put8(&o, first);
	put_varint(&o, body->n);
	put(&o, body->p, body->n);
	mq_bytes(m, o.p, o.n);
}

static struct mq *
open_from(const char *from, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)(port != 0 ? port : broker.port)) };
	struct mq *m = calloc(1, sizeof(*m));
	int one = 1;

	check(m != NULL);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(m->fd >= 0);
	if (from != NULL) {
		struct sockaddr_in ours = { .sin_family = AF_INET };

		check(inet_pton(AF_INET, from, &ours.sin_addr) == 1 &&
		    bind(m->fd, (struct sockaddr *)&ours, sizeof(ours)) == 0);
	}
	if (connect(m->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		fail("cannot connect to port %d: %s", ntohs(a.sin_port), strerror(errno));
	setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	m->version = 5;
	return m;
}

struct mq *
mq_open(int port)
{
	return open_from(NULL, port);
}

struct mq *
mq_open_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct mq *m = calloc(1, sizeof(*m));

	check(m != NULL && strlen(path) < sizeof(a.sun_path));
	strcpy(a.sun_path, path);
	m->version = 5;
	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (m->fd < 0 || connect(m->fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		fail("cannot connect to %s: %s", path, strerror(errno));
	return m;
}

void
mq_bytes(struct mq *m, const void *p, size_t len)
{
	const uint8_t *at = p;

	while (len > 0 && m->fd >= 0) {
		ssize_t n = send(m->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* closed: reading will tell */
		at += n;
		len -= (size_t)n;
	}
}

void
mq_hex(struct mq *m, const char *hex)
{
	static uint8_t raw[65536];

	mq_bytes(m, raw, unhex(hex, raw, sizeof(raw)));
}

void
mq_close(struct mq *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

void
mq_disconnect(struct mq *m)
{
	char buf[256];

	mq_hex(m, "e000");
	shutdown(m->fd, SHUT_WR);
	/* Until the broker has seen it: what the test does next comes after. */
	while (recv(m->fd, buf, sizeof(buf), 0) > 0)
		;
	mq_close(m);
}

/* A whole packet at the front of the buffer? Its length, or 0. */
static size_t
whole(const struct mq *m, size_t *head)
{
	size_t len = 0;

	for (size_t i = 1; i < m->len && i < 5; i++) {
		len |= (size_t)(m->buf[i] & 127) << 7 * (i - 1);
		if (!(m->buf[i] & 128)) {
			*head = i + 1;
			return m->len >= i + 1 + len ? i + 1 + len : 0;
		}
	}
	return 0;
}

static size_t
varint_at(const uint8_t *p, size_t *at)
{
	size_t v = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t b = p[(*at)++];

		v |= (size_t)(b & 127) << 7 * i;
		if (!(b & 128))
			break;
	}
	return v;
}

static void
parse(const struct mq *m, struct packet *k)
{
	size_t at = 0;

	if (k->type == PUBLISH) {
		size_t n = (size_t)(k->body[0] << 8 | k->body[1]);

		k->qos = k->flags >> 1 & 3;
		k->dup = k->flags & 8;
		k->retain = k->flags & 1;
		memcpy(k->topic, k->body + 2, n);
		k->topic[n] = '\0';
		at = 2 + n;
		if (k->qos > 0) {
			k->id = (uint16_t)(k->body[at] << 8 | k->body[at + 1]);
			at += 2;
		}
		if (m->version == 5) {
			k->props_len = varint_at(k->body, &at);
			k->props = k->body + at;
			at += k->props_len;
		}
		k->payload = k->body + at;
		k->payload_len = k->len - at;
	} else if (k->type >= PUBACK && k->type <= UNSUBACK && k->len >= 2) {
		k->id = (uint16_t)(k->body[0] << 8 | k->body[1]);
		k->reason = k->type < SUBACK && k->len > 2 ? k->body[2] : 0;
		if (k->type == SUBACK || (k->type == UNSUBACK && m->version == 5)) {
			at = 2;
			if (m->version == 5) {
				size_t n = varint_at(k->body, &at);

				at += n;
			}
			k->reason = k->body[at];
		}
	} else if (k->type == DISCONNECT) {
		k->reason = k->len > 0 ? k->body[0] : 0;
	} else if (k->type == CONNACK) {
		k->reason = k->body[1];
	}
}

bool
mq_read(struct mq *m, struct packet *out, int ms)
{
	static uint8_t copy[262144 + 1];
	uint64_t until = now_ms() + (uint64_t)ms;
	size_t head = 0, len;

	while ((len = whole(m, &head)) == 0) {
		struct pollfd p = { .fd = m->fd, .events = POLLIN };
		uint64_t now = now_ms();
		ssize_t n;

		if (m->fd < 0 || now > until || poll(&p, 1, (int)(until - now)) == 0)
			return false;
		n = recv(m->fd, m->buf + m->len, sizeof(m->buf) - m->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(m->fd);
			m->fd = -1;
			return false;
		}
		m->len += (size_t)n;
	}
	memcpy(copy, m->buf, len);
	copy[len] = '\0';
	memmove(m->buf, m->buf + len, m->len - len);
	m->len -= len;
	*out = (struct packet){
		.type = copy[0] >> 4, .flags = copy[0] & 15, .body = copy + head, .len = len - head
	};
	parse(m, out);
	return true;
}

struct packet
mq_need(struct mq *m, int type)
{
	struct packet k;

	if (!mq_read(m, &k, deadline_ms()))
		fail("%s while waiting for packet type %d", m->fd < 0 ? "closed" : "nothing came",
		    type);
	if (k.type != type)
		fail("packet type %d (reason 0x%02x, topic \"%s\") came instead of %d", k.type,
		    (unsigned)k.reason, k.topic, type);
	return k;
}

void
mq_need_close(struct mq *m)
{
	struct packet k;

	while (mq_read(m, &k, deadline_ms()))
		;
	if (m->fd >= 0)
		fail("the broker does not close the connection");
}

void
mq_quiet(struct mq *m)
{
	mq_hex(m, "c000");
	mq_need(m, PINGRESP);
}

struct mq *
mq_try(struct mq_opts o)
{
	static struct out b;
	struct mq *m = o.path != NULL ? mq_open_unix(o.path) : open_from(o.from, o.port);
	struct packet k;
	unsigned flags = o.resume ? 0 : 2;
	uint8_t props[64];
	struct out p = { .n = 0 };

	(void)props;
	m->version = o.version != 0 ? o.version : 5;
	if (o.will_topic != NULL)
		flags |= 4u | (unsigned)o.will_qos << 3 | (o.will_retain ? 32 : 0);
	flags |= (o.user != NULL ? 128 : 0) | (o.password != NULL ? 64 : 0);
	b.n = 0;
	put_str(&b, m->version == 3 ? "MQIsdp" : "MQTT");
	put8(&b, (unsigned)m->version);
	put8(&b, flags);
	put16(&b, (unsigned)o.keep_alive);
	if (m->version == 5) {
		if (o.expiry > 0) {
			put8(&p, 0x11);
			put32(&p, o.expiry);
		}
		if (o.receive_max > 0) {
			put8(&p, 0x21);
			put16(&p, o.receive_max);
		}
		if (o.alias_max > 0) {
			put8(&p, 0x22);
			put16(&p, o.alias_max);
		}
		if (o.max_packet > 0) {
			put8(&p, 0x27);
			put32(&p, o.max_packet);
		}
		put_varint(&b, p.n);
		put(&b, p.p, p.n);
	}
	put_str(&b, o.id != NULL ? o.id : "");
	if (o.will_topic != NULL) {
		if (m->version == 5) {
			put_varint(&b, o.will_delay > 0 ? 5 : 0);
			if (o.will_delay > 0) {
				put8(&b, 0x18);
				put32(&b, o.will_delay);
			}
		}
		put_str(&b, o.will_topic);
		put_str(&b, o.will_payload != NULL ? o.will_payload : "");
	}
	if (o.user != NULL)
		put_str(&b, o.user);
	if (o.password != NULL)
		put_str(&b, o.password);
	send_packet(m, CONNECT << 4, &b);
	m->reason = -1;
	if (!mq_read(m, &k, deadline_ms())) {
		if (m->fd >= 0)
			fail("no CONNACK");
		return m;
	}
	check(k.type == CONNACK);
	m->present = k.body[0];
	m->reason = k.body[1];
	if (m->version == 5 && m->reason == 0) { /* Assigned Client Identifier */
		size_t at = 2, n = varint_at(k.body, &at);

		for (size_t i = at; i + 3 < at + n; i++)
			if (k.body[i] == 0x12 && k.body[i + 1] == 0 &&
			    i + 3 + k.body[i + 2] <= at + n && k.body[i + 3] == 'a') {
				memcpy(m->assigned, k.body + i + 3, k.body[i + 2]);
				break;
			}
	}
	return m;
}

struct mq *
mq_connect_with(struct mq_opts o)
{
	struct mq *m = mq_try(o);

	if (m->reason != 0)
		fail("CONNECT of \"%s\" refused: 0x%02x", o.id != NULL ? o.id : "",
		    (unsigned)m->reason);
	return m;
}

/* SO_REUSEPORT picks the worker by the ports: another try is another pick. */
struct mq *
mq_on_worker(int worker, struct mq_opts o)
{
	char want[40], id[64];

	snprintf(want, sizeof(want), "\"mqtt/%d\"", worker);
	snprintf(id, sizeof(id), "\"%s\"", o.id);
	for (int i = 0; i < 300; i++) {
		struct mq *m = mq_connect_with(o);
		char *text = ctl_text("client", "list", "--json", "--prefix", o.id),
		     *line = strstr(text, id);
		bool here = false;

		if (line != NULL) {
			char *end = strchr(line, '\n');

			while (line > text && line[-1] != '\n')
				line--;
			if (end != NULL)
				*end = '\0';
			here = strstr(line, want) != NULL;
		}
		if (here)
			return m;
		mq_disconnect(m);
	}
	fail("no connection landed on %s", want);
}

uint16_t
mq_send_publish(struct mq *m, const char *topic, const void *payload, size_t len, int qos,
    bool retain, const char *props_hex)
{
	static struct out b;
	uint8_t props[8192];
	size_t n = unhex(props_hex, props, sizeof(props));

	b.n = 0;
	put_str(&b, topic);
	if (qos > 0) {
		if (++m->id == 0)
			m->id = 1;
		put16(&b, m->id);
	}
	if (m->version == 5) {
		put_varint(&b, n);
		put(&b, props, n);
	}
	put(&b, payload, len);
	send_packet(m, PUBLISH << 4 | (unsigned)qos << 1 | retain, &b);
	return qos > 0 ? m->id : 0;
}

int
mq_publish(struct mq *m, const char *topic, const char *payload, int qos, bool retain)
{
	uint16_t id = mq_send_publish(m, topic, payload, strlen(payload), qos, retain, NULL);
	struct packet k;

	if (qos == 0)
		return 0;
	k = mq_need(m, qos == 1 ? PUBACK : PUBREC);
	check(k.id == id);
	if (qos == 2 && k.reason < 0x80) {
		mq_ack(m, PUBREL, id, 0);
		check(mq_need(m, PUBCOMP).id == id);
	}
	return k.reason;
}

void
mq_ack(struct mq *m, int type, uint16_t id, int reason)
{
	struct out b = { .n = 0 };

	put16(&b, id);
	if (reason != 0)
		put8(&b, (unsigned)reason);
	send_packet(m, (unsigned)type << 4 | (type == PUBREL ? 2 : 0), &b);
}

int
mq_subscribe_id(struct mq *m, const char *filter, int options, int id)
{
	static struct out b;
	struct packet k;

	b.n = 0;
	put16(&b, ++m->id);
	if (m->version == 5) {
		put_varint(&b, id > 0 ? 2 : 0);
		if (id > 0) {
			check(id < 128);
			put8(&b, 0x0b);
			put8(&b, (unsigned)id);
		}
	}
	put_str(&b, filter);
	put8(&b, (unsigned)options);
	send_packet(m, SUBSCRIBE << 4 | 2, &b);
	k = mq_need(m, SUBACK);
	check(k.id == m->id);
	return k.reason;
}

int
mq_subscribe(struct mq *m, const char *filter, int options)
{
	return mq_subscribe_id(m, filter, options, 0);
}

int
mq_unsubscribe(struct mq *m, const char *filter)
{
	static struct out b;
	struct packet k;

	b.n = 0;
	put16(&b, ++m->id);
	if (m->version == 5)
		put_varint(&b, 0);
	put_str(&b, filter);
	send_packet(m, UNSUBSCRIBE << 4 | 2, &b);
	k = mq_need(m, UNSUBACK);
	check(k.id == m->id);
	return k.reason;
}

struct packet
mq_need_publish(struct mq *m, const char *topic, const char *payload)
{
	struct packet k = mq_need(m, PUBLISH);

	if (strcmp(k.topic, topic) != 0 || k.payload_len != strlen(payload) ||
	    memcmp(k.payload, payload, k.payload_len) != 0)
		fail("\"%s\" with \"%.*s\" came instead of \"%s\" with \"%s\"", k.topic,
		    (int)k.payload_len, (const char *)k.payload, topic, payload);
	if (k.qos == 1)
		mq_ack(m, PUBACK, k.id, 0);
	if (k.qos == 2) {
		uint16_t id = k.id;

		mq_ack(m, PUBREC, id, 0);
		check(mq_need(m, PUBREL).id == id);
		mq_ack(m, PUBCOMP, id, 0);
	}
	return k;
}
