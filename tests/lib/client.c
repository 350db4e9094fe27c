#include "tests/lib/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/mqtt/props.h"
#include "shared/mqtt/rd.h"
#include "tests/lib/bytes.h"
#include "tests/lib/tls_client.h"
#include "tests/lib/tool.h"

#define EVENTS 512
#define IN_ROOM (256u << 10)   /* read at once: a closed loop has thousands of messages waiting */
#define PORTS_PER_SOURCE 10000 /* connections: an address has 28,000 ports, some still closing */

struct clients clients;

const char *const client_state_name[] = {
	[CLIENT_CLOSED] = "closed",
	[CLIENT_CONNECTING] = "connecting",
	[CLIENT_SHAKING] = "in a TLS handshake",
	[CLIENT_ASKING] = "without a CONNACK",
	[CLIENT_UP] = "up",
};

static struct {
	int epoll;
	struct sockaddr_storage to;
	socklen_t to_len;
	struct client_options options;
	unsigned run; /* makes client ids of this run unlike others' */
	uint8_t *in;  /* a part of a packet, then what was just read */
	size_t in_room;
	uint8_t ack[IN_ROOM]; /* answers to what was just read */
	size_t ack_len;
	struct bytes plain, cipher; /* of TLS: what has come, what goes */
} net;

static void client_drop(struct client *c, const char *why);

void
clients_init(const struct client_options *o)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *ai;
	struct rlimit files;
	char port[8];
	int err;

	net.options = *o;
	snprintf(port, sizeof(port), "%u", (unsigned)o->port);
	err = getaddrinfo(o->host, port, &hint, &ai);
	if (err != 0)
		fail("%s: %s", o->host, gai_strerror(err));
	memcpy(&net.to, ai->ai_addr, ai->ai_addrlen);
	net.to_len = ai->ai_addrlen;
	freeaddrinfo(ai);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	net.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (net.epoll < 0)
		fail("epoll: %s", strerror(errno));
	net.run = (unsigned)getpid();
	net.in_room = IN_ROOM + 2 * o->payload_max;
	net.in = grab(1, net.in_room);
	if (o->authority != NULL)
		tls_client_authority(o->authority);
	if (o->authority != NULL && o->resumes)
		tls_client_resumes();
	clients.now = now_ns();
}

static void
backlog_add(struct backlog *b, const void *data, size_t len)
{
	if (b->at > 0) {
		memmove(b->p, b->p + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->cap - b->len < len) {
		b->cap = b->len + (uint32_t)len;
		b->p = realloc(b->p, b->cap);
		if (b->p == NULL)
			fail("no memory");
	}
	memcpy(b->p + b->len, data, len);
	b->len += (uint32_t)len;
}

static void
watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(net.epoll, op, c->fd, &e) != 0)
		fail("epoll: %s", strerror(errno));
}

/* Many connections to one port on loopback need many source addresses. */
static void
bind_source(int fd)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)&net.to;
	uint32_t turn = (uint32_t)(clients.opened / PORTS_PER_SOURCE);
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1;

	if (net.to.ss_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return;
	from.sin_addr.s_addr = htonl(0x7f200001 + turn % 1000 * 256); /* 127.32.0.1 and up */
	/* The port is chosen at connect(), where it need not differ for different targets. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		fail("bind: %s", strerror(errno));
}

void
client_open(struct client *c)
{
	int on = 1;

	c->fd = socket(net.to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket %llu: %s", (unsigned long long)clients.opened, strerror(errno));
	bind_source(c->fd);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (net.options.users > 0)
		c->user = (uint32_t)(clients.opened % net.options.users);
	clients.opened++;
	c->state = CLIENT_CONNECTING;
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
	if (connect(c->fd, (struct sockaddr *)&net.to, net.to_len) != 0 && errno != EINPROGRESS)
		client_drop(c, strerror(errno));
}

static void
client_end(struct client *c)
{
	if (c->state == CLIENT_UP)
		clients.up--;
	c->state = CLIENT_CLOSED;
	close(c->fd);
	free(c->in.p);
	free(c->out.p);
	tls_client_free(c->tls);
	c->tls = NULL;
	c->in = c->out = (struct backlog){ 0 };
}

void
client_close(struct client *c)
{
	static const uint8_t disconnect[] = { PKT_DISCONNECT << 4, 0 };

	if (c->state == CLIENT_UP)
		client_send(c, disconnect, sizeof(disconnect));
	client_cut(c); /* the send may have found it broken */
}

void
client_cut(struct client *c)
{
	if (c->state != CLIENT_CLOSED)
		client_end(c);
}

static void
client_drop(struct client *c, const char *why)
{
	if (clients.dropped++ == 0)
		snprintf(clients.why, sizeof(clients.why), "%s", why);
	client_end(c);
}

/* As it is on the wire. */
static void
put_out(struct client *c, const void *data, size_t len)
{
	ssize_t n = 0;

	if (!client_is_behind(c)) {
		n = send(c->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			client_drop(c, strerror(errno));
			return;
		}
		n = n < 0 ? 0 : n;
		if ((size_t)n == len)
			return;
		watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	}
	backlog_add(&c->out, (const uint8_t *)data + n, len - (size_t)n);
}

static void
put_cipher(struct client *c)
{
	size_t len = net.cipher.len;

	net.cipher.len = 0;
	if (len > 0)
		put_out(c, net.cipher.p, len);
}

void
client_send(struct client *c, const void *data, size_t len)
{
	if (c->tls == NULL) {
		put_out(c, data, len);
		return;
	}
	tls_client_put(c->tls, span_of(data, len), &net.cipher);
	put_cipher(c);
}

static void
on_writable(struct client *c)
{
	ssize_t n = send(c->fd, c->out.p + c->out.at, c->out.len - c->out.at, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN)
			client_drop(c, strerror(errno));
		return;
	}
	c->out.at += (uint32_t)n;
	if (client_is_behind(c))
		return;
	c->out.len = c->out.at = 0;
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	if (c->hooks->on_sent != NULL)
		c->hooks->on_sent(c);
}

static void
ask(struct client *c)
{
	char id[64], user[16] = "", password[16] = "";
	bool has_user = net.options.users > 0;
	int len = snprintf(
	    id, sizeof(id), "%s-%u-%s-%u", net.options.name, net.run, c->hooks->role, c->index);
	bool is_5 = net.options.version == MQTT_5, expires = is_5 && c->hooks->durable;
	bool limited = is_5 && net.options.receive_max > 0, has_will = c->hooks->will != NULL;
	uint32_t props = (expires ? 5 : 0) + (limited ? 3 : 0);
	struct client_will will;
	size_t will_len = 0, user_len = 0;
	struct wr w;
	uint8_t *buf;

	if (has_will) {
		c->hooks->will(c, &will);
		will_len = (is_5 ? 1 : 0) + 4 + strlen(will.topic) + will.payload.len;
	}
	if (has_user) {
		user_len = 4 + (size_t)snprintf(user, sizeof(user), "u%u", c->user) +
		    (size_t)snprintf(password, sizeof(password), "p%u", c->user);
	}
	buf = grab(1, 160 + will_len);
	w = wr_of(buf, 160 + will_len);
	wr_u8(&w, PKT_CONNECT << 4);
	wr_varint(
	    &w, 12 + (uint32_t)len + (is_5 ? 1 : 0) + props + (uint32_t)(will_len + user_len));
	wr_str(&w, span_str("MQTT"));
	wr_u8(&w, (uint8_t)net.options.version);
	/* 0x02: clean start */
	wr_u8(&w,
	    (c->hooks->durable ? 0 : 0x02) | (has_will ? 0x04 | (uint8_t)will.qos << 3 : 0) |
		(has_user ? 0xc0 : 0));
	wr_u16(&w, (uint16_t)net.options.keep_alive);
	if (is_5)
		wr_varint(&w, props);
	if (expires)
		wr_prop_num(&w, PROP_SESSION_EXPIRY, UINT32_MAX); /* never */
	if (limited)
		wr_prop_num(&w, PROP_RECEIVE_MAX, net.options.receive_max);
	wr_str(&w, span_of(id, (size_t)len));
	if (has_will && is_5)
		wr_varint(&w, 0);
	if (has_will) {
		wr_str(&w, span_str(will.topic));
		wr_str(&w, will.payload);
	}
	if (has_user) {
		wr_str(&w, span_str(user));
		wr_str(&w, span_str(password));
	}
	c->state = CLIENT_ASKING;
	client_send(c, buf, (size_t)(w.p - buf));
	free(buf);
}

static void
on_connected(struct client *c)
{
	int err = 0;
	socklen_t err_len = sizeof(err);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &err_len);
	if (err != 0) {
		client_drop(c, strerror(err));
		return;
	}
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	if (net.options.authority == NULL) {
		ask(c);
		return;
	}
	c->state = CLIENT_SHAKING;
	c->tls = tls_client_new(net.options.host);
	(void)tls_client_take(c->tls, span_of(NULL, 0), &net.plain, &net.cipher);
	put_cipher(c);
}

void
client_subscribe(struct client *c, const char *const *filters, unsigned count, unsigned qos)
{
	size_t len = 2 + (net.options.version == MQTT_5);
	struct wr w;
	uint8_t *buf;

	for (unsigned i = 0; i < count; i++)
		len += 3 + strlen(filters[i]);
	buf = grab(1, len + MQTT_HEADER_MAX);
	w = wr_of(buf, len + MQTT_HEADER_MAX);
	wr_u8(&w, PKT_SUBSCRIBE << 4 | 2);
	wr_varint(&w, (uint32_t)len);
	wr_u16(&w, 1);
	if (net.options.version == MQTT_5)
		wr_varint(&w, 0);
	for (unsigned i = 0; i < count; i++) {
		wr_str(&w, span_str(filters[i]));
		wr_u8(&w, (uint8_t)qos);
	}
	client_send(c, buf, (size_t)(w.p - buf));
	free(buf);
}

/* --- packets ----------------------------------------------------------------------------- */

static void
ack(struct client *c, unsigned type, uint16_t id)
{
	uint8_t *p = net.ack + net.ack_len;

	if (sizeof(net.ack) - net.ack_len < 4) {
		client_send(c, net.ack, net.ack_len);
		net.ack_len = 0;
		p = net.ack;
	}
	p[0] = (uint8_t)(type << 4 | (type == PKT_PUBREL ? 2 : 0));
	p[1] = 2;
	p[2] = (uint8_t)(id >> 8);
	p[3] = (uint8_t)id;
	net.ack_len += 4;
}

static const char *
on_connack(struct client *c, struct rd *r)
{
	struct props props = { 0 };
	const char *why = NULL;
	uint8_t present, code;

	present = rd_u8(r);
	code = rd_u8(r);
	if (r->bad || c->state != CLIENT_ASKING)
		return "bad CONNACK";
	if (code != 0)
		return "CONNECT was refused";
	if (net.options.version == MQTT_5 && props_decode(r, IN_CONNACK, &props, &why) != MQTT_OK)
		return "bad properties in CONNACK";
	c->receive_max = props_has(&props, PROP_RECEIVE_MAX) ? props.receive_max : UINT16_MAX;
	c->present = present & 1;
	c->state = CLIENT_UP;
	clients.up++;
	clients.resumed += c->tls != NULL && tls_client_is_resumed(c->tls);
	if (c->hooks->on_up != NULL)
		c->hooks->on_up(c);
	return NULL;
}

static const char *
on_publish(struct client *c, unsigned flags, struct rd *r)
{
	struct publish m = { .qos = flags >> 1 & 3, .dup = flags & 8, .retain = flags & 1 };

	m.topic = rd_bin(r);
	if (m.qos > 0)
		m.id = rd_u16(r);
	if (net.options.version == MQTT_5)
		rd_bytes(r, rd_varint(r));
	if (r->bad || m.qos == 3 || (m.qos > 0 && m.id == 0) || c->hooks->on_message == NULL)
		return "bad PUBLISH";
	m.payload = rd_rest(r);
	if (m.qos > 0)
		ack(c, m.qos == 1 ? PKT_PUBACK : PKT_PUBREC, m.id);
	c->hooks->on_message(c, &m);
	return NULL;
}

static const char *
on_ack(struct client *c, unsigned type, struct rd *r)
{
	uint16_t id = rd_u16(r);
	uint8_t reason = rd_left(r) > 0 ? rd_u8(r) : 0;

	if (r->bad)
		return "bad acknowledgement";
	if (type == PKT_PUBREL) {
		ack(c, PKT_PUBCOMP, id);
		if (c->hooks->on_release != NULL)
			c->hooks->on_release(c, id);
		return NULL;
	}
	if (c->hooks->on_ack == NULL)
		return "acknowledgement to one who published nothing";
	if (type == PKT_PUBREC && reason < 0x80)
		ack(c, PKT_PUBREL, id);
	clients.refused += reason >= 0x80;
	c->hooks->on_ack(c, type, id, reason);
	return NULL;
}

static const char *
on_suback(struct client *c, struct rd *r)
{
	rd_u16(r);
	if (net.options.version == MQTT_5)
		rd_bytes(r, rd_varint(r));
	if (r->bad || rd_left(r) == 0 || c->hooks->on_suback == NULL)
		return "bad SUBACK";
	while (rd_left(r) > 0)
		clients.refused += rd_u8(r) >= 0x80;
	c->hooks->on_suback(c);
	return NULL;
}

/* NULL, or why the connection has to end. */
static const char *
on_packet(struct client *c, unsigned head, struct span body)
{
	unsigned type = head >> 4;
	struct rd r = rd_of(body);

	if (c->state == CLIENT_ASKING && type != PKT_CONNACK)
		return "the first packet was no CONNACK";
	switch (type) {
	case PKT_CONNACK:
		return on_connack(c, &r);
	case PKT_PUBLISH:
		return on_publish(c, head & 15, &r);
	case PKT_PUBACK:
	case PKT_PUBREC:
	case PKT_PUBREL:
	case PKT_PUBCOMP:
		return on_ack(c, type, &r);
	case PKT_SUBACK:
		return on_suback(c, &r);
	case PKT_DISCONNECT:
		return "the broker sent DISCONNECT";
	default:
		return "a packet that a broker doesn't send";
	}
}

/*
 * Bytes of the packet at in, with header; 0: more must come; -1: malformed. A length that is not
 * in its shortest form passes, as some brokers send that.
 */
static int64_t
packet_len(struct span in, size_t *header_out)
{
	uint32_t len = 0;

	for (unsigned i = 1; i <= 4; i++) {
		if (i >= in.len)
			return 0;
		len |= (uint32_t)(in.p[i] & 0x7f) << 7 * (i - 1);
		if (!(in.p[i] & 0x80)) {
			*header_out = i + 1;
			return (int64_t)len + i + 1;
		}
	}
	return -1;
}

/* What has come in the clear, behind what was there of a packet; it is all in net.in. */
static void
on_bytes(struct client *c, size_t len)
{
	struct span left = span_of(net.in, len);
	const char *why = NULL;
	size_t header;

	net.ack_len = 0;
	while (why == NULL && c->state != CLIENT_CLOSED) {
		int64_t n = packet_len(left, &header);

		if (n < 0 || n > (int64_t)net.in_room / 2)
			why = "malformed or oversized packet";
		if (n <= 0 || why != NULL || left.len < (size_t)n)
			break;
		why = on_packet(c, left.p[0], span_of(left.p + header, (size_t)n - header));
		left = span_of(left.p + n, left.len - (size_t)n);
	}
	if (c->state == CLIENT_CLOSED)
		return;
	c->in.len = 0;
	if (left.len > 0)
		backlog_add(&c->in, left.p, left.len);
	if (net.ack_len > 0)
		client_send(c, net.ack, net.ack_len);
	if (why != NULL && c->state != CLIENT_CLOSED)
		client_drop(c, why);
}

/* False: it has failed, and is dropped. Bytes in the clear, moved behind those in net.in, are in *len then. */
static bool
on_cipher(struct client *c, size_t held, size_t *len)
{
	bool good;

	net.plain.len = 0;
	good = tls_client_take(c->tls, span_of(net.in + held, *len), &net.plain, &net.cipher);
	put_cipher(c);
	if (!good)
		client_drop(c, tls_client_bad(c->tls));
	if (c->state == CLIENT_CLOSED)
		return false;
	if (c->state == CLIENT_SHAKING && tls_client_is_open(c->tls))
		ask(c);
	*len = net.plain.len;
	if (net.plain.len > net.in_room - held)
		fail("TLS: more than there is room for");
	if (net.plain.len > 0)
		memcpy(net.in + held, net.plain.p, net.plain.len);
	return c->state != CLIENT_CLOSED;
}

static void
on_readable(struct client *c)
{
	size_t held = c->in.len, len;
	ssize_t n;

	if (held > 0)
		memcpy(net.in, c->in.p, held);
	n = recv(c->fd, net.in + held, net.in_room - held, 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			client_drop(
			    c, n == 0 ? "the broker closed the connection" : strerror(errno));
		return;
	}
	clients.reads++;
	len = (size_t)n;
	if (c->tls == NULL || on_cipher(c, held, &len))
		on_bytes(c, held + len);
}

void
clients_turn(uint64_t wait_ns)
{
	struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000),
		.tv_nsec = (long)(wait_ns % 1000000000) };
	struct epoll_event event[EVENTS];
	int n = epoll_pwait2(net.epoll, event, EVENTS, &wait, NULL);

	if (n < 0 && errno != EINTR)
		fail("epoll: %s", strerror(errno));
	clients.now = now_ns();
	for (int i = 0; i < n; i++) {
		struct client *c = event[i].data.ptr;

		if (c->state == CLIENT_CONNECTING) {
			on_connected(c);
			continue;
		}
		/* A hook of one before may have closed it. */
		if (c->state != CLIENT_CLOSED && event[i].events & EPOLLOUT)
			on_writable(c);
		if (c->state != CLIENT_CLOSED && event[i].events & ~(uint32_t)EPOLLOUT)
			on_readable(c);
	}
}

void
clients_open(struct client *first, uint32_t count, bool (*more)(void))
{
	uint64_t up = clients.up, seen = clients.reads, since = now_ns();
	uint32_t opened = 0;
	bool done;

	do {
		while (opened < count && opened - (clients.up - up) < OPEN_MAX_UNDER_WAY)
			client_open(&first[opened++]);
		clients_turn(100000000);
		if (clients.dropped > 0)
			fail("%s port %u: %s", net.options.host, (unsigned)net.options.port,
			    clients.why);
		done = more();
		if (clients.reads != seen) {
			seen = clients.reads;
			since = clients.now;
		}
		if (interrupted || clients.now - since > TIMEOUT_NS)
			fail("%u of %u clients connected", (unsigned)(clients.up - up), count);
	} while (!done || clients.up - up < count);
}
