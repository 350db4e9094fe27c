#include "tests/conformance/check.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct check *checks;
int version;
const char *target_host;
int target_port;
int patience_ms;
struct wire_packet connack;

static char run_name[32];
static int report_fd;

void
check_add(struct check *c)
{
	c->next = checks;
	checks = c;
}

/* In base 36: three numbers have to fit into the 23 characters of a client id. */
static char *
short_number(char *to, uint64_t v)
{
	char reversed[16];
	size_t n = 0;

	do
		reversed[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % 36];
	while ((v /= 36) > 0);
	while (n > 0)
		*to++ = reversed[--n];
	*to = '\0';
	return to;
}

void
check_begin(unsigned number, int result_fd)
{
	char *to;

	report_fd = result_fd;
	to = short_number(run_name, (uint64_t)time(NULL) % 60466176);
	to = short_number(to, (uint64_t)getppid() % 1296);
	short_number(to, number);
}

/* Nothing of the runner's may be flushed twice, hence _exit(). */
static _Noreturn void
report(char result, const char *format, va_list ap)
{
	dprintf(report_fd, "%c", result);
	vdprintf(report_fd, format, ap);
	_exit(0);
}

static _Noreturn void
report_text(char result, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(result, format, ap);
}

void
check_end(void)
{
	report_text('p', "%s", "");
}

void
wrong(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report('f', format, ap);
}

void
not_applicable(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report('n', format, ap);
}

void
pass_time(int ms)
{
	int64_t until = wire_now_ms() + ms;

	while (wire_now_ms() < until)
		poll(NULL, 0, (int)(until - wire_now_ms()));
}

const char *
text_of(const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		err(1, "conformance");
	va_end(ap);
	return text;
}

const char *
id(const char *suffix)
{
	return text_of("c%s%s", run_name, suffix);
}

const char *
T(const char *suffix)
{
	return text_of("t/%s/%s", run_name, suffix);
}

/* --- connections ------------------------------------------------------------------------- */

struct wire *
dial(void)
{
	struct wire *w = wire_open(target_host, target_port, version);

	demand(w != NULL, "no connection: %s", wire_trouble());
	return w;
}

struct wire *
join_with(const struct wire_connect *o)
{
	struct wire *w = dial();

	wire_send(w, wire_make_connect(version, o));
	connack = need(w, CONNACK);
	demand(
	    connack.reason == 0, "CONNECT was answered with code %02x", (unsigned)connack.reason);
	return w;
}

struct wire *
session_with(struct wire_connect o)
{
	o.resume = true;
	o.props = wire_props("r14", o.props, SESSION_EXPIRY, 600);
	return join_with(&o);
}

struct span
make_connect(unsigned flags, struct span payload)
{
	return wire_make(version, CONNECT << 4, "s112pr", version == 3 ? "MQIsdp" : "MQTT", version,
	    flags, 0, NO_PROPS, payload);
}

void
leave(struct wire *w)
{
	struct wire_end e;

	wire_send(w, wire_make(version, DISCONNECT << 4, ""));
	wire_shutdown(w);
	e = wire_read_end(w, patience_ms);
	demand(e.bad == NULL, "%s", e.bad);
	demand(e.closed, "the connection stays open after DISCONNECT");
	wire_close(w);
}

/* --- reading ----------------------------------------------------------------------------- */

struct wire_packet
need(struct wire *w, enum wire_type type)
{
	struct wire_packet k;

	switch (wire_read(w, patience_ms, &k)) {
	case WIRE_CLOSED:
		wrong("closed instead of %s", wire_type_name[type]);
	case WIRE_NOTHING:
		wrong("nothing came instead of %s", wire_type_name[type]);
	case WIRE_PACKET:
		break;
	}
	demand(k.type == type && k.bad == NULL, "%s came instead of %s", wire_describe(&k),
	    wire_type_name[type]);
	return k;
}

void
quiet(struct wire *w)
{
	wire_send(w, wire_make(version, PINGREQ << 4, ""));
	need(w, PINGRESP);
}

void
ended(struct wire *w, const int *codes)
{
	static const int of_three[] = { 0, 0x84, 0x85, 0x88, 0x86, 0x87 };
	struct wire_end e = wire_read_end(w, patience_ms);
	int reason = e.reason;

	demand(e.bad == NULL, "%s", e.bad);
	demand(e.closed, "the connection stays open");
	if (reason < 0)
		return;
	if (version < 5)
		reason = e.last == CONNACK && reason < 6 ? of_three[reason] : 0;
	while (*codes >= 0 && *codes != reason)
		codes++;
	demand(*codes >= 0, "%s with code %02x, then closed", wire_type_name[e.last],
	    (unsigned)e.reason);
}

/* --- messages ---------------------------------------------------------------------------- */

uint16_t
new_id(void)
{
	static uint16_t last;

	return ++last;
}

struct span
make_message(uint16_t packet_id, const struct wire_message *m)
{
	return wire_make_publish(version, packet_id, m);
}

uint16_t
send_message(struct wire *w, const struct wire_message *m)
{
	uint16_t packet_id = m->id != 0 ? m->id : new_id();

	wire_send(w, make_message(packet_id, m));
	return packet_id;
}

static struct wire_packet
need_answer(struct wire *w, enum wire_type type, uint16_t packet_id)
{
	struct wire_packet k = need(w, type);

	demand(k.id == packet_id, "%s came for identifier %u", wire_describe(&k), packet_id);
	return k;
}

int
publish_message(struct wire *w, const struct wire_message *m)
{
	uint16_t packet_id = send_message(w, m);
	int reason;

	if (m->qos == 0)
		return 0;
	reason = need_answer(w, m->qos == 1 ? PUBACK : PUBREC, packet_id).reason;
	if (m->qos == 2 && reason < 0x80) {
		answer(w, PUBREL, packet_id, 0);
		need_answer(w, PUBCOMP, packet_id);
	}
	return reason;
}

struct span
make_subscribe(uint16_t packet_id, struct span props, const char *filter, unsigned options)
{
	return wire_make_subscribe(version, packet_id, props, filter, options);
}

struct span
make_unsubscribe(uint16_t packet_id, const char *filter)
{
	return wire_make_unsubscribe(version, packet_id, filter);
}

/* Messages may come before it; they are read next. */
static struct wire_packet
need_suback(struct wire *w, uint16_t packet_id)
{
	struct span before = NO_PROPS;
	struct wire_packet k;

	for (;;) {
		demand(wire_read(w, patience_ms, &k) == WIRE_PACKET, "no SUBACK came");
		if (k.type != PUBLISH)
			break;
		before = wire_bytes(version, "rr", before, k.raw);
	}
	demand(k.type == SUBACK && k.bad == NULL && k.id == packet_id,
	    "%s came instead of SUBACK id=%u", wire_describe(&k), packet_id);
	if (before.len > 0)
		wire_unread(w, before);
	return k;
}

int
ask(struct wire *w, const char *filter, unsigned options, struct span props)
{
	uint16_t packet_id = new_id();
	struct wire_packet k;

	wire_send(
	    w, make_subscribe(packet_id, props, filter, version >= 5 ? options : options & 3));
	k = need_suback(w, packet_id);
	demand(k.codes.len == 1, "%s came for one filter", wire_describe(&k));
	return k.codes.p[0];
}

void
subscribe(struct wire *w, const char *filter, unsigned options)
{
	int code = ask(w, filter, options, NO_PROPS);

	demand(code == (int)(options & 3), "a filter with QoS %u was answered with %02x",
	    options & 3, (unsigned)code);
}

int
unsubscribe(struct wire *w, const char *filter)
{
	uint16_t packet_id = new_id();
	struct wire_packet k;

	wire_send(w, make_unsubscribe(packet_id, filter));
	k = need_answer(w, UNSUBACK, packet_id);
	return k.codes.len > 0 ? k.codes.p[0] : 0;
}

void
answer(struct wire *w, enum wire_type type, uint16_t packet_id, unsigned reason)
{
	wire_send(w, wire_make_ack(version, type, packet_id, reason));
}

struct wire_packet
arrives(struct wire *w, const char *topic, const char *text)
{
	struct wire_packet k = need(w, PUBLISH);

	demand(span_eq(k.topic, span_str(topic)) && span_eq(k.payload, span_str(text)),
	    "%s came instead of topic=%s payload=%s", wire_describe(&k), topic, text);
	return k;
}

struct wire_packet
gets(struct wire *w, const char *topic, const char *text)
{
	struct wire_packet k = arrives(w, topic, text);

	if (k.qos == 1)
		answer(w, PUBACK, k.id, 0);
	if (k.qos == 2) {
		answer(w, PUBREC, k.id, 0);
		need_answer(w, PUBREL, k.id);
		answer(w, PUBCOMP, k.id, 0);
	}
	return k;
}

void
gets_no_more(struct wire *w, struct wire *from, unsigned qos)
{
	const char *mark = T("mark");

	subscribe(w, mark, 2);
	publish(from, .topic = mark, .text = "mark", .qos = qos);
	gets(w, mark, "mark");
	quiet(w);
}

/* What is retained may come some time behind the SUBACK, so the mark is another retained message, asked for later. */
void
is_retained(const char *topic, const char *text)
{
	struct wire *w = join(.id = id("late")), *from = join(.id = id("marker"));
	const char *mark = T("retained-mark");

	publish(from, .topic = mark, .text = "mark", .retain = true, .qos = 1);
	subscribe(w, topic, 2);
	if (text != NULL) {
		struct wire_packet k = gets(w, topic, text);

		demand(k.retain, "a retained message came without RETAIN");
	}
	subscribe(w, mark, 1);
	gets(w, mark, "mark");
	quiet(w);
	publish(from, .topic = mark, .retain = true, .qos = 1);
	leave(w);
	leave(from);
}
