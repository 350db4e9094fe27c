#include "worker/mqtt/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/net/sock.h"
#include "worker/mqtt/accept.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/ask.h"
#include "worker/mqtt/connect.h"
#include "worker/mqtt/deliver.h"
#include "worker/mqtt/gone.h"
#include "worker/mqtt/identity.h"
#include "worker/mqtt/login.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/stream.h"
#include "worker/mqtt/subscribe.h"

#define LINGER_READS                                                                               \
	4 /* of CONN_SCRATCH each: read away before closing, so that our last words aren't lost to a reset */
#define LAST_READS 64 /* of CONN_SCRATCH each: what a client had sent before its connection broke */

static struct {
	struct conn **at; /* by handle; free places hold NULL */
	uint32_t *spare;  /* stack of free handles */
	uint32_t cap, nspare;
	size_t count, half_open;
	uint64_t serial;
	struct conn *dirty, *ended; /* by dirty_next */
	struct list resumed;
	uint8_t scratch[CONN_SCRATCH * 2];
} the;

static void on_event(struct watch *w, uint32_t events);
static void on_timer(struct timer *t);
static ssize_t conn_recv(struct conn *c, void *p, size_t len);
static void conn_read(struct conn *c);
static void conn_ready(struct conn *c);
static void conn_again(struct conn *c);
static void conn_go_on(struct conn *c);
static void conn_hear_out(struct conn *c, int err);
static void conn_read_large(struct conn *c);
static void conn_process(struct conn *c, struct span in);
static void conn_packet(struct conn *c, const struct packet *pk, struct span body);
static void conn_keep(struct conn *c, struct span rest, size_t need);
static void conn_flush(struct conn *c);
static void conn_close(struct conn *c);
static void conn_strip(struct conn *c);
static void conn_free(struct conn *c);
static void on_listener(const struct conn *c, int n);
static int table_grow(void);

/* What may come when; an empty cell is a protocol error. */
static conn_packet_fn *const on_packet[CONN_STATES][PKT_TYPES] = {
	[CONN_NEW] = { [PKT_CONNECT] = on_connect },
	[CONN_ASKED] = { [PKT_DISCONNECT] = on_disconnect, [PKT_AUTH] = on_auth },
	[CONN_OPEN] = {
		[PKT_PUBLISH] = on_publish,
		[PKT_PUBACK] = on_puback,
		[PKT_PUBREC] = on_pubrec,
		[PKT_PUBREL] = on_pubrel,
		[PKT_PUBCOMP] = on_pubcomp,
		[PKT_SUBSCRIBE] = on_subscribe,
		[PKT_UNSUBSCRIBE] = on_unsubscribe,
		[PKT_PINGREQ] = on_pingreq,
		[PKT_DISCONNECT] = on_disconnect,
		[PKT_AUTH] = on_auth,
	},
};

void
conn_init(void)
{
	list_init(&the.resumed);
	out_init();
}

void
conn_fini(void)
{
	for (uint32_t h = 0; h < the.cap; h++)
		if (the.at[h] != NULL) {
			subscribe_drop(
			    the.at[h]); /* it may have ended in the last turn, or not at all */
			conn_free(the.at[h]);
		}
	free(the.at);
	free(the.spare);
	out_fini();
}

int
conn_accept(int fd, unsigned listener, const char *peer)
{
	struct conn *c;
	int err = -ENOMEM;

	if (the.nspare == 0 && table_grow() != 0)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (c == NULL || (c->peer = strdup(peer)) == NULL || (c->terms = terms_take()) == NULL)
		goto fail;
	err = stream_open(c, fd, listener);
	if (err != 0)
		goto fail;
	c->watch.fn = on_event;
	c->fd = fd;
	err = loop_add(self.loop, &c->watch, fd, EPOLLIN);
	if (err != 0)
		goto fail;

	c->handle = the.spare[--the.nspare];
	c->serial = ++the.serial;
	c->state = CONN_NEW;
	c->listener = (uint16_t)listener;
	c->max_packet = UINT32_MAX;
	c->problem_info = true;
	c->half_open = true;
	c->seen_ms = clock_ms();
	list_init(&c->subs);
	list_init(&c->gets);
	list_init(&c->resumed);
	timer_init(&c->timer, on_timer);
	timer_set(loop_timers(self.loop), &c->timer,
	    clock_ms() + c->terms->connect_timeout * UINT64_C(1000));
	the.at[c->handle] = c;
	on_listener(c, 1);
	the.count++;
	the.half_open++;
	count(CNT_accepted);
	count_add(CNT_connections, 1);
	return 0;
fail:
	if (c != NULL) {
		stream_close(c);
		free(c->peer);
		terms_leave(&c->terms);
	}
	free(c);
	return err;
}

struct conn *
conn_find(uint32_t handle, uint64_t serial)
{
	struct conn *c = handle < the.cap ? the.at[handle] : NULL;

	return c != NULL && c->serial == serial ? c : NULL;
}

struct conn *
conn_find_low(uint32_t handle, uint32_t serial_low)
{
	struct conn *c = handle < the.cap ? the.at[handle] : NULL;

	return c != NULL && (uint32_t)c->serial == serial_low ? c : NULL;
}

struct conn *
conn_find_epoch(uint32_t handle, uint64_t epoch)
{
	struct conn *c = handle < the.cap ? the.at[handle] : NULL;

	return c != NULL && c->state == CONN_OPEN && c->epoch == epoch ? c : NULL;
}

struct conn *
conn_next(uint32_t *handle)
{
	while (*handle < the.cap) {
		struct conn *c = the.at[(*handle)++];

		if (c != NULL)
			return c;
	}
	return NULL;
}

size_t
conn_count(void)
{
	return the.count;
}

size_t
conn_half_open(void)
{
	return the.half_open;
}

static void
on_listener(const struct conn *c, int n)
{
	_Atomic uint32_t *count;

	if (c->listener == CONN_NO_LISTENER)
		return;
	count = &mesh_segment(self.mesh)->on_listener[c->listener];
	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + (uint32_t)n, memory_order_relaxed);
}

uint16_t
conn_listener_index(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listener[i].name.s, name) == 0)
			return (uint16_t)i;
	return CONN_NO_LISTENER;
}

void
conn_conf(const struct conf *was, const struct conf *now)
{
	struct segment *seg = mesh_segment(self.mesh);
	uint16_t to[CONF_LISTENERS];
	uint32_t handle = 0;
	struct conn *c;

	for (uint32_t i = 0; i < CONF_LISTENERS; i++)
		atomic_store_explicit(&seg->on_listener[i], 0, memory_order_relaxed);

	for (uint32_t i = 0; i < CONF_LISTENERS; i++)
		to[i] = i < was->nlisteners ? conn_listener_index(now, was->listener[i].name.s)
					    : CONN_NO_LISTENER;
	while ((c = conn_next(&handle)) != NULL) {
		if (c->listener != CONN_NO_LISTENER)
			c->listener = to[c->listener];
		if (c->state < CONN_ENDED)
			on_listener(c, 1);
	}
}

const char *
conn_listener_name(const struct conn *c)
{
	return c->listener != CONN_NO_LISTENER ? self.conf.listener[c->listener].name.s : "";
}

void
conn_enter(struct conn *c, enum conn_state s)
{
	static const uint8_t may[CONN_STATES] = {
		[CONN_NEW] = 1 << CONN_ASKED | 1 << CONN_ENDED,
		[CONN_ASKED] = 1 << CONN_OPEN | 1 << CONN_GHOST | 1 << CONN_ENDED,
		[CONN_OPEN] = 1 << CONN_ENDED,
	};

	must(may[c->state] >> s & 1);
	log_debug(
	    "conn: state id=%s handle=%u from=%u to=%u", conn_name(c), c->handle, c->state, s);
	if (c->half_open) {
		c->half_open = false;
		the.half_open--;
		accept_half_open_del(c->peer);
	}
	c->state = s;
}

void
conn_pause(struct conn *c, unsigned why)
{
	c->pause |= (uint8_t)why; /* events are switched off when the next comes: often none does */
}

void
conn_resume(struct conn *c, unsigned why)
{
	if (!(c->pause & why))
		return;
	c->pause &= (uint8_t)~why;
	if (c->pause != 0 || c->state >= CONN_ENDED)
		return;
	c->seen_ms = clock_ms();
	loop_mod(self.loop, &c->watch, c->watch.events | EPOLLIN);
	conn_again(c);
}

/* What has come already is gone on with next turn. */
static void
conn_again(struct conn *c)
{
	if ((c->in != NULL || c->unread) && list_is_empty(&c->resumed))
		list_add_tail(&the.resumed, &c->resumed);
}

void
conn_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->dirty_next = the.dirty;
	the.dirty = c;
}

bool
conn_flush_all(void)
{
	struct conn *c, *next;
	bool more;

	while ((c = the.dirty) != NULL) {
		the.dirty = NULL;
		for (; c != NULL; c = next) {
			next = c->dirty_next;
			c->dirty = false;
			conn_flush(c);
		}
	}
	/* A connection that can be written to again may have sent something while it could not. */
	more = the.ended != NULL || !list_is_empty(&the.resumed);
	for (c = the.ended, the.ended = NULL; c != NULL; c = next) {
		next = c->dirty_next;
		conn_close(c);
	}
	return more;
}

/* With what has come already. */
static void
conn_go_on(struct conn *c)
{
	struct conn_input *in = c->in;

	list_del(&c->resumed);
	if (c->state >= CONN_ENDED || c->pause != 0 || in == NULL || in->need > CONN_SCRATCH)
		return;
	c->in = NULL;
	conn_process(c, span_of(in->data, in->len));
	free(in);
}

void
conn_serve(struct conn *c)
{
	conn_go_on(c);
	if (c->unread && c->state < CONN_ENDED && c->pause == 0)
		conn_ready(c);
}

bool
conn_turn(void)
{
	struct list now;

	if (list_is_empty(&the.resumed))
		return false;
	/* Those that are resumed while we are at it come next turn. */
	now = the.resumed;
	now.next->prev = now.prev->next = &now;
	list_init(&the.resumed);
	while (!list_is_empty(&now))
		conn_serve(LIST_FIRST(&now, struct conn, resumed));
	return !list_is_empty(&the.resumed);
}

const char *
conn_name(const struct conn *c)
{
	return log_esc(conn_id(c));
}

uint64_t
conn_token(const struct conn *c)
{
	return (uint64_t)c->handle << 32 | (uint32_t)c->serial;
}

struct span
conn_id(const struct conn *c)
{
	return span_of(c->id, c->id_len);
}

uint8_t *
conn_room(struct conn *c, size_t len)
{
	uint8_t *p;

	if (c->state >= CONN_ENDED)
		return NULL;
	p = out_room(&c->out, len);
	if (p == NULL) {
		count(CNT_dropped__no_memory);
		conn_gone(c, CNT_ends__memory, MQTT_UNSPECIFIED_ERROR, true);
		return NULL;
	}
	count(CNT_packets_sent);
	conn_dirty(c);
	return p;
}

struct span
conn_reason_props(const struct conn *c, uint8_t reason, uint8_t buf[CONN_REASON_MAX])
{
	struct wr w = wr_of(buf, CONN_REASON_MAX);

	if (reason >= 0x80 && c->problem_info && c->version == MQTT_5) /* [MQTT-3.1.2-29] */
		wr_prop_str(&w, PROP_REASON_STRING, span_str(mqtt_reason_text(reason)));
	return span_of(buf, (size_t)(w.p - buf));
}

void
conn_send(struct conn *c, const void *packet, size_t len)
{
	uint8_t *p;

	must(len > 0);
	if (len > c->max_packet)
		return;
	p = conn_room(c, len);
	if (p == NULL)
		return;
	memcpy(p, packet, len);
	/* Only what the client sent makes us answer, so not reading bounds what we owe it. */
	if (c->out.bytes > self.conf.output_max_bytes && !c->lost)
		conn_pause(c, PAUSE_OUTPUT);
}

void
conn_end(struct conn *c, enum counter why, enum mqtt_reason reason, const char *text)
{
	uint8_t props[256], packet[300];
	struct wr w = wr_of(props, sizeof(props));
	size_t len;

	if (c->state >= CONN_ENDED)
		return;
	if (c->state == CONN_OPEN &&
	    c->version == MQTT_5) { /* [MQTT-3.14.0-1]: not before CONNACK */
		wr_prop_str(&w, PROP_REASON_STRING, span_str(text));
		len = disconnect_encode(
		    reason, span_of(props, (size_t)(w.p - props)), packet, sizeof(packet));
		if (len > c->max_packet) /* [MQTT-3.14.2-3] */
			len = disconnect_encode(reason, span_of(NULL, 0), packet, sizeof(packet));
		conn_send(c, packet, len);
	}
	log_info("conn: ended id=%s peer=%s reason=0x%02x why=\"%s\"", conn_name(c), c->peer,
	    reason, text);
	conn_gone(c, why, reason, true);
}

bool
conn_decoded(struct conn *c, enum mqtt_reason reason, const char *why)
{
	if (reason == MQTT_OK)
		return true;
	conn_end(c, reason == MQTT_MALFORMED ? CNT_ends__malformed : CNT_ends__protocol_error,
	    reason, why);
	return false;
}

bool
conn_users_fit(struct conn *c, const struct props *p)
{
	if (props_users(p) <= c->terms->max_user_properties)
		return true;
	conn_end(c, CNT_ends__user_properties, MQTT_QUOTA_EXCEEDED,
	    "more user properties than max_user_properties");
	return false;
}

void
conn_gone(struct conn *c, enum counter why, enum mqtt_reason reason, bool will)
{
	bool was_open = c->state == CONN_OPEN, asked = c->state == CONN_ASKED && !c->answered;

	if (c->state >= CONN_ENDED)
		return;
	count(why);
	loop_del(self.loop, &c->watch); /* the socket stays open until the last words are written */
	timer_del(&c->timer);
	list_del(&c->resumed);
	conn_enter(c, asked ? CONN_GHOST : CONN_ENDED);
	if (was_open) {
		count_sub(CNT_clients, 1);
		gone_add(c, reason, will);
	}
	login_drop(c);
	identity_drop(c);
	free(c->in);
	c->in = NULL;
	limit_close(c);
	/* A dirty one keeps its place in that list: the flush finds it there and moves it on. */
	if (!c->dirty) {
		c->dirty_next = the.ended;
		the.ended = c;
	}
	the.count--;
	on_listener(c, -1);
	count_sub(CNT_connections, 1);
	accept_resume();
}

void
conn_answered(struct conn *c)
{
	must(c->state == CONN_GHOST);
	if (c->fd >= 0)
		c->state = CONN_ENDED; /* it ended in this turn: conn_close() is still to come */
	else
		conn_free(c);
}

void
conn_told(struct conn *c)
{
	must(c->untold);
	c->untold = false;
	if (c->fd < 0)
		conn_free(c);
}

/* What only a connection with a socket needs. */
static void
conn_strip(struct conn *c)
{
	stream_close(c);
	close(c->fd);
	c->fd = -1;
	out_clear(&c->out);
	inflights_clear(&c->tx);
	inflights_clear(&c->rx);
	alias_free(&c->alias_in);
	alias_free(&c->alias_out);
	free(c->in);
	limit_free(c);
	c->in = NULL;
}

static void
conn_free(struct conn *c)
{
	if (c->fd >= 0)
		conn_strip(c);
	the.at[c->handle] = NULL;
	the.spare[the.nspare++] = c->handle;
	free(c->id);
	free(c->user);
	free(c->method);
	free(c->mount);
	free(c->peer);
	msg_unref(&c->will);
	access_leave(c);
	terms_leave(&c->terms);
	free(c);
}

/* --- events ------------------------------------------------------------------------------ */

static void
on_event(struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);

	if (events & EPOLLOUT) {
		conn_dirty(c);
		if (stream_wants_out(c))
			events |= EPOLLIN;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (c->pause != 0 && !(events & (EPOLLHUP | EPOLLERR))) {
		loop_mod(self.loop, w, w->events & ~(uint32_t)EPOLLIN);
		return;
	}
	if (c->pause == PAUSE_OUTPUT) { /* it reads no more, and has broken the connection */
		conn_hear_out(c, 0);
		return;
	}
	if (!list_is_empty(&c->resumed))
		return;      /* what it sent before comes first: conn_turn() */
	if (c->pause != 0) { /* nobody is there any more to wait for */
		log_info("conn: closed id=%s peer=%s", conn_name(c), c->peer);
		conn_gone(c, CNT_ends__error, MQTT_UNSPECIFIED_ERROR, true);
		return;
	}
	conn_ready(c);
}

static void
on_timer(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	uint64_t due;

	if (c->state == CONN_ASKED) /* it came: now auth or persist is waited for */
		return;
	if (c->state != CONN_OPEN) {
		log_info("conn: no CONNECT in time peer=%s", c->peer);
		conn_gone(c, CNT_ends__connect_timeout, MQTT_SUCCESS, false);
		return;
	}
	if (c->pause != 0)
		c->seen_ms = clock_ms();
	due = c->seen_ms + c->keep_alive * UINT64_C(1500);
	if (clock_ms() >= due) /* [MQTT-3.1.2-22] */
		conn_end(c, CNT_ends__keep_alive, MQTT_KEEP_ALIVE_TIMEOUT,
		    "nothing came for 1.5 times the keep alive");
	else
		timer_set(loop_timers(self.loop), t, due);
}

/* --- input ------------------------------------------------------------------------------- */

static void
conn_lost(struct conn *c, int err)
{
	log_info("conn: closed id=%s peer=%s%s%s", conn_name(c), c->peer, err != 0 ? " error=" : "",
	    err != 0 ? strerror(err) : "");
	conn_gone(c, err != 0 || c->lost ? CNT_ends__error : CNT_ends__closed,
	    MQTT_UNSPECIFIED_ERROR, true);
	c->lost |= err != 0 || !stream_has_ended(c);
}

/*
 * A client that leaves without reading all that we have sent resets its connection. What it had sent before is still there: acknowledgements, perhaps
 * that it says goodbye.
 */
static void
conn_hear_out(struct conn *c, int err)
{
	c->lost = true;
	out_clear(&c->out); /* nobody will read it */
	c->pause &= (uint8_t)~PAUSE_OUTPUT;
	conn_go_on(c);
	for (int i = 0; i < LAST_READS && c->state == CONN_OPEN && c->pause == 0; i++)
		conn_ready(c);
	if (c->state < CONN_ENDED)
		conn_lost(c, err);
}

/* Bytes; otherwise there is nothing to be done, it may have ended. */
static ssize_t
conn_recv(struct conn *c, void *p, size_t len)
{
	ssize_t n = stream_read(c, p, len);

	if (n > 0 || n == -EAGAIN) {
		if (c->unread)
			conn_again(c);
		/* A handshake may have to wait for room for what it says. */
		else if (stream_wants_out(c))
			loop_mod(self.loop, &c->watch, c->watch.events | EPOLLOUT);
	} else if (n == -EPROTO) {
		log_info("conn: closed id=%s peer=%s: %s", conn_name(c), c->peer, stream_why());
		conn_gone(c, stream_fault(), MQTT_UNSPECIFIED_ERROR, true);
	} else {
		conn_lost(c, (int)-n);
	}
	return n;
}

static void
conn_ready(struct conn *c)
{
	if (c->in != NULL && c->in->need > CONN_SCRATCH)
		conn_read_large(c);
	else
		conn_read(c);
}

static void
conn_read(struct conn *c)
{
	size_t have = 0;
	ssize_t n;

	if (c->in != NULL) {
		have = c->in->len;
		memcpy(the.scratch, c->in->data, have);
	}
	n = conn_recv(c, the.scratch + have, CONN_SCRATCH);
	if (n <= 0)
		return;
	free(c->in);
	c->in = NULL;
	conn_process(c, span_of(the.scratch, have + (size_t)n));
}

/* The rest of a packet larger than the scratch goes straight to its place, which grows with what has come. */
static void
conn_read_large(struct conn *c)
{
	struct conn_input *in = c->in;
	ssize_t n;

	if (in->len == in->cap) {
		size_t cap = in->cap * (size_t)2 < in->need ? in->cap * (size_t)2 : in->need;

		in = realloc(in, sizeof(*in) + cap);
		if (in == NULL) {
			conn_end(
			    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for the packet");
			return;
		}
		in->cap = (uint32_t)cap;
		c->in = in;
	}
	n = conn_recv(c, in->data + in->len, in->cap - in->len);
	if (n <= 0)
		return;
	in->len += (uint32_t)n;
	if (in->len < in->need)
		return;
	c->in = NULL;
	conn_process(c, span_of(in->data, in->len));
	free(in);
}

static void
conn_process(struct conn *c, struct span in)
{
	struct segment *seg = mesh_segment(self.mesh);
	size_t need = 0;
	struct packet pk;

	who_set(&seg->flight.who, conn_id(c), sock_text_host(c->peer));
	while (in.len > 0 && c->state < CONN_ENDED && c->pause == 0) {
		int got = packet_peek(in, c->version, &pk);

		need = 0;
		if (got < 0) {
			conn_end(c, CNT_ends__malformed, MQTT_MALFORMED, "malformed fixed header");
			break;
		}
		if (got == 0)
			break;
		need = (size_t)pk.header_len + pk.body_len;
		if (c->state == CONN_NEW && pk.type != PKT_CONNECT) { /* [MQTT-3.1.0-1] */
			conn_end(c, CNT_ends__protocol_error, MQTT_PROTOCOL_ERROR,
			    "the first packet isn't CONNECT");
			break;
		}
		if (need > c->terms->max_packet_size) { /* before anything is allocated for it */
			conn_end(c, CNT_ends__too_large, MQTT_PACKET_TOO_LARGE,
			    "packet larger than max_packet_size");
			break;
		}
		if (need > in.len)
			break;
		if (c->limits != NULL && !limit_in(c, &pk, need)) {
			need = 0; /* it is whole */
			break;
		}
		seg->flight.packet = pk.type;
		conn_packet(c, &pk, span_of(in.p + pk.header_len, pk.body_len));
		in = span_of(in.p + need, in.len - need);
		need = 0;
	}
	seg->flight.packet = 0;
	if (c->state < CONN_ENDED && in.len > 0)
		conn_keep(c, in, need);
}

static void
conn_packet(struct conn *c, const struct packet *pk, struct span body)
{
	conn_packet_fn *fn = on_packet[c->state][pk->type];

	count(CNT_packets_received);
	c->seen_ms = clock_ms();
	if (fn == NULL && c->state == CONN_ASKED) {
		connect_out_of_turn(c);
		return;
	}
	if (fn == NULL) {
		conn_end(c, CNT_ends__protocol_error, MQTT_PROTOCOL_ERROR,
		    "this packet is not allowed here");
		return;
	}
	fn(c, body, pk->flags);
}

/* What can't be handled yet: an incomplete packet, or whole ones while the connection is paused. */
static void
conn_keep(struct conn *c, struct span rest, size_t need)
{
	size_t cap = rest.len;
	struct conn_input *in;

	/* Room for what is announced, but no more than twice what has come: a length alone costs a client nothing. */
	if (need > CONN_SCRATCH)
		cap = need < rest.len * 2 ? need : rest.len * 2;
	in = malloc(sizeof(*in) + cap);
	if (in == NULL) {
		conn_end(c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for the packet");
		return;
	}
	in->len = (uint32_t)rest.len;
	in->cap = (uint32_t)cap;
	in->need = need > CONN_SCRATCH ? (uint32_t)need : 0;
	memcpy(in->data, rest.p, rest.len);
	c->in = in;
}

/* --- output and end ---------------------------------------------------------------------- */

static void
conn_flush(struct conn *c)
{
	size_t sent;
	int err;

	err = stream_write(c, &sent);
	count_add(CNT_bytes_sent, sent);
	if (c->state >= CONN_ENDED) {
		c->dirty_next = the.ended;
		the.ended = c;
		return;
	}
	if (err < 0) {
		conn_hear_out(c, -err);
		return;
	}
	loop_mod(self.loop, &c->watch,
	    err == 1 ? c->watch.events | EPOLLOUT : c->watch.events & ~(uint32_t)EPOLLOUT);
	if (c->out.bytes <= self.conf.output_max_bytes / 2) {
		conn_resume(c, PAUSE_OUTPUT);
		deliver_pump(c);
	}
}

/* The end of a connection that has said its last words. */
static void
conn_close(struct conn *c)
{
	/* Only now: a delivery to many may be walking through the subscriptions when one of them ends. */
	subscribe_drop(c);
	deliver_drop(c);
	if (!c->lost) {
		stream_bye(c);
		shutdown(c->fd, SHUT_WR);
	}
	for (int i = 0; i < LINGER_READS && !c->lost; i++)
		if (recv(c->fd, the.scratch, CONN_SCRATCH, MSG_DONTWAIT) <= 0)
			break;
	conn_strip(c);
	if (c->state == CONN_ENDED && !c->untold)
		conn_free(c);
}

static int
table_grow(void)
{
	uint32_t cap = the.cap ? the.cap * 2 : 256;
	struct conn **at = realloc(the.at, cap * sizeof(*at));
	uint32_t *spare;

	if (at == NULL)
		return -ENOMEM;
	the.at = at;
	spare = realloc(the.spare, cap * sizeof(*spare));
	if (spare == NULL)
		return -ENOMEM;
	the.spare = spare;
	for (uint32_t h = cap; h-- > the.cap;) {
		at[h] = NULL;
		spare[the.nspare++] = h;
	}
	the.cap = cap;
	return 0;
}
