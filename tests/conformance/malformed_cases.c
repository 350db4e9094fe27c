/*
 * Most offences are made of packets that are right, in parts, of which one is spoiled; what can't be made so has rows of its own.
 * At the moment where it matters most (CONNECT: as the first, all others: when connected) each series is complete, at others it is thinned.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/conformance/malformed.h"
#include "tests/lib/wire.h"
#include "tests/lib/tool.h"

const char *const moment_name[MOMENTS] = { "first", "at-once", "open", "sending", "receiving",
	"kept", "gone" };

/* What may come of an offence, in the words of MQTT 5. */
struct due {
	uint8_t code[CODES_MAX];
	uint8_t code_v3;        /* of a CONNACK; 0: none may come */
	bool may_answer;        /* see struct offence */
	bool may_pass, pass_v3, /* in all versions; in those without properties */
	    pass_v31;           /* in MQTT 3.1, which says less than the others */
};

static const struct due malformed_packet = { .code = { 0x81 } },
			protocol_error = { .code = { 0x82 } },
			/* where no code is named, or two rules are broken at once */
    either = { .code = { 0x81, 0x82 } };

/* A packet that is right. */
struct part {
	/*
	 * x bytes as they are; i identifier; s text; b binary; P, W properties of the packet and of its will; c reason
	 * code. Lengths are not among the bytes.
	 */
	char kind;
	const char *name;
	struct span bytes;
};

#define PARTS_MAX 10

struct shape {
	enum wire_type type;
	const char *variant; /* of several with this type; else "" */
	unsigned first;      /* byte */
	size_t n;
	struct part part[PARTS_MAX];
};

static struct {
	const struct allowance *may;
	int version;
	enum moment moment;
	bool all;            /* series are complete */
	const char *variant; /* of the shape under way */
	struct offence *offence;
	size_t n, cap;
} the;

/* --- properties a client may send -------------------------------------------------------- */

/* Where: by packet type; bit 0 is the will. */
#define IN(type) (1u << (type))
#define IN_WILL 1u
#define IN_MESSAGE (IN(PUBLISH) | IN_WILL)
#define IN_ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP))

static const struct property {
	unsigned id;
	const char *value;
	unsigned in;
} properties[] = {
	{ PAYLOAD_FORMAT, "01", IN_MESSAGE },
	{ MESSAGE_EXPIRY, "00000009", IN_MESSAGE },
	{ CONTENT_TYPE, "000163", IN_MESSAGE },
	{ RESPONSE_TOPIC, "000172", IN_MESSAGE },
	{ CORRELATION_DATA, "000164", IN_MESSAGE },
	{ SUBSCRIPTION_ID, "8101", IN(SUBSCRIBE) },
	{ SESSION_EXPIRY, "00000000", IN(CONNECT) | IN(DISCONNECT) },
	{ ASSIGNED_ID, "000169", 0 },
	{ SERVER_KEEP_ALIVE, "0009", 0 },
	{ AUTH_METHOD, "00016d", IN(CONNECT) | IN(AUTH) },
	{ AUTH_DATA, "000164", IN(CONNECT) | IN(AUTH) },
	{ REQUEST_PROBLEM, "01", IN(CONNECT) },
	{ WILL_DELAY, "00000000", IN_WILL },
	{ REQUEST_RESPONSE, "01", IN(CONNECT) },
	{ RESPONSE_INFORMATION, "000169", 0 },
	{ SERVER_REFERENCE, "000172", 0 },
	{ REASON_STRING, "000172", IN_ACKS | IN(DISCONNECT) | IN(AUTH) },
	{ RECEIVE_MAX, "0009", IN(CONNECT) },
	{ ALIAS_MAX, "0009", IN(CONNECT) },
	{ TOPIC_ALIAS, "0001", IN(PUBLISH) },
	{ MAX_QOS, "01", 0 },
	{ RETAIN_AVAILABLE, "01", 0 },
	{ USER_PROPERTY, "00016e000176", ~0u },
	{ MAX_PACKET, "00000900", IN(CONNECT) },
	{ WILDCARD_AVAILABLE, "01", 0 },
	{ SUBSCRIPTION_ID_AVAILABLE, "01", 0 },
	{ SHARED_AVAILABLE, "01", 0 },
};

#define NPROPERTIES (sizeof(properties) / sizeof(properties[0]))

/* Values that are of the right type, and wrong all the same. */
static const struct wrong_value {
	unsigned id, in;
	const char *value;
	struct due due;
} wrong_values[] = {
	{ PAYLOAD_FORMAT, IN_MESSAGE, "02", { .code = { 0x81, 0x82, 0x99 }, .may_pass = true } },
	{ PAYLOAD_FORMAT, IN_MESSAGE, "ff", { .code = { 0x81, 0x82, 0x99 }, .may_pass = true } },
	{ RESPONSE_TOPIC, IN(PUBLISH), "00012b", { .code = { 0x81, 0x82 } } },
	{ RESPONSE_TOPIC, IN(PUBLISH), "0003612f23", { .code = { 0x81, 0x82 } } },
	{ RESPONSE_TOPIC, IN(PUBLISH), "0005612f2b2f62", { .code = { 0x81, 0x82 } } },
	{ RESPONSE_TOPIC, IN(PUBLISH), "0000", { .code = { 0x81, 0x82 }, .may_pass = true } },
	{ RESPONSE_TOPIC, IN_WILL, "00012b", { .code = { 0x81, 0x82 }, .may_pass = true } },
	{ RESPONSE_TOPIC, IN_WILL, "0003612f23", { .code = { 0x81, 0x82 }, .may_pass = true } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "00", { .code = { 0x82 } } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "8000", { .code = { 0x81 } } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "8100", { .code = { 0x81 } } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "808000", { .code = { 0x81 } } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "ffffffff01", { .code = { 0x81 } } },
	{ SUBSCRIPTION_ID, IN(SUBSCRIBE), "8080808001", { .code = { 0x81 } } },
	{ REQUEST_PROBLEM, IN(CONNECT), "02", { .code = { 0x82 } } },
	{ REQUEST_PROBLEM, IN(CONNECT), "ff", { .code = { 0x82 } } },
	{ REQUEST_RESPONSE, IN(CONNECT), "02", { .code = { 0x82 } } },
	{ REQUEST_RESPONSE, IN(CONNECT), "ff", { .code = { 0x82 } } },
	{ RECEIVE_MAX, IN(CONNECT), "0000", { .code = { 0x82 } } },
	{ MAX_PACKET, IN(CONNECT), "00000000", { .code = { 0x82 } } },
	{ AUTH_METHOD, IN(CONNECT), "00016d", { .code = { 0x8c, 0x87 } } },
	{ AUTH_DATA, IN(CONNECT), "000164", { .code = { 0x82 } } },
	{ TOPIC_ALIAS, IN(PUBLISH), "0000", { .code = { 0x94 } } },
};

/* Ill-formed, cut short, longer than need be, surrogates, beyond U+10FFFF, bytes of no text, U+0000. */
static const char *const no_text[] = { "80", "bf", "c3", "61c3", "e282", "f09f98", "c328", "e28228",
	"f0288cbc", "c080", "c1bf", "e08080", "e09fbf", "f0808080", "f08fbfbf", "eda080", "edbfbf",
	"eda080edb080", "f4908080", "f5808080", "f888808080", "fc8480808080", "fe", "ff", "fffe",
	"00", "0061", "6100", "610062", "6180", "800061" };

/* Control characters and those that are none: a server may refuse them. */
static const char *const odd_text[] = { "01", "1f", "7f", "c280", "c29f", "efb790", "efbfbe",
	"efbfbf", "f09fbfbf" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- adding ------------------------------------------------------------------------------ */

/* Of a series that isn't complete, one in seven, another at each moment. */
static bool
is_taken(size_t nth)
{
	return the.all || nth % 7 == (size_t)the.moment;
}

static void
take_codes(struct offence *o, const struct due *due)
{
	if (the.version < 5) {
		if (due->code_v3 != 0)
			o->code[o->ncodes++] = due->code_v3;
		return;
	}
	while (o->ncodes < CODES_MAX && due->code[o->ncodes] != 0) {
		o->code[o->ncodes] = due->code[o->ncodes];
		o->ncodes++;
	}
}

static struct offence *__attribute__((format(printf, 4, 5)))
add(enum wire_type type, struct span bytes, struct due due, const char *format, ...)
{
	struct offence *o;
	char what[40];
	va_list ap;

	if (the.n == the.cap)
		the.offence = grab_more(the.offence, &the.cap, sizeof(*the.offence));
	o = &the.offence[the.n++];
	*o = (struct offence){
		.version = the.version,
		.moment = the.moment,
		.bytes = bytes,
		.connect = type == CONNECT,
	};
	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	snprintf(o->name, sizeof(o->name), "%d/%s/%s/%s%s", the.version, moment_name[the.moment],
	    wire_type_name[type], the.variant, what);
	/* Whom the server doesn't know, or who has said goodbye, gets no answer. */
	if (the.moment == GONE || (the.moment == FIRST && type != CONNECT))
		return o;
	if (due.code[0] != 0x82 && ((type == CONNECT && the.moment != FIRST) || type == AUTH))
		due =
		    either; /* one too many, or of a method that nobody agreed on: it is wrong anyhow */
	o->may_answer = due.may_answer;
	o->may_pass =
	    due.may_pass || (due.pass_v3 && the.version < 5) || (due.pass_v31 && the.version == 3);
	take_codes(o, &due);
	return o;
}

/* --- shapes ------------------------------------------------------------------------------ */

static struct span
encoded(const struct part *p)
{
	switch (p->kind) {
	case 's':
	case 'b':
		return wire_bytes(the.version, "b", p->bytes);
	case 'P':
	case 'W':
		return wire_bytes(the.version, "p", p->bytes);
	default:
		return p->bytes;
	}
}

/* Some of its parts, one behind the other. */
static struct span
joined(const struct shape *s, size_t from, size_t to)
{
	struct span all = wire_bytes(5, "");

	for (size_t i = from; i < to; i++)
		all = wire_bytes(5, "rr", all, encoded(&s->part[i]));
	return all;
}

/* The packet with other bytes, whose lengths are among them, in place of a part. */
static struct span
with(const struct shape *s, size_t nth, struct span instead)
{
	return wire_make(5, s->first, "rrr", joined(s, 0, nth), instead, joined(s, nth + 1, s->n));
}

static bool
is_ack(enum wire_type type)
{
	return type >= PUBACK && type <= PUBCOMP;
}

/* Is the packet right, if its body ends there? */
static bool
may_end_at(const struct shape *s, size_t len)
{
	if (s->type == PUBLISH)
		return len >= joined(s, 0, s->n - 1).len;
	if (the.version < 5)
		return false;
	return (is_ack(s->type) && (len == 2 || len == 3)) || (s->type == DISCONNECT && len < 2);
}

static void
spoil_end(const struct shape *s)
{
	static const char *const behind[] = { "00", "00ff", "e000ff" };
	bool asks = s->type == SUBSCRIBE || s->type == UNSUBSCRIBE;
	struct span body = joined(s, 0, s->n), all = wire_make(5, s->first, "r", body);
	struct due due = malformed_packet;

	for (size_t len = 0; len < body.len; len++) {
		if (!is_taken(len) || may_end_at(s, len))
			continue;
		/* User name and password may be left out in MQTT 3.1, whatever the flags say. */
		due.pass_v31 = s->type == CONNECT && len >= joined(s, 0, s->n - 2).len;
		add(s->type, wire_make(5, s->first, "r", span_of(body.p, len)),
		    asks && len == joined(s, 0, 2).len ? protocol_error : due, "short-%zu", len);
	}
	for (size_t len = 1; len < all.len; len++)
		if (is_taken(len))
			add(s->type, span_of(all.p, len), either, "broken-off-%zu", len)->cut =
			    true;
	due.pass_v31 = s->type == CONNECT;
	for (size_t i = 0; i < COUNT(behind) && s->type != PUBLISH; i++)
		add(s->type, wire_make(5, s->first, "rx", body, behind[i]), due, "behind-%s",
		    behind[i]);
}

static void
spoil_header(const struct shape *s)
{
	static const char *const endless[] = { "ffffffff", "ffffffff01", "80808080", "8080808001",
		"8080808000", "ffffffffff7f" };
	static const char *const padded[] = { "00", "8000", "808000" };
	struct span body = joined(s, 0, s->n);
	struct due flags_due = malformed_packet, padded_due = malformed_packet;

	flags_due.pass_v31 = true;
	for (unsigned flags = 0; flags < 16 && s->type != PUBLISH; flags++)
		if (flags != (s->first & 15))
			add(s->type, wire_make(5, s->first >> 4 << 4 | flags, "r", body), flags_due,
			    "flags-%x", flags);
	for (size_t i = 0; i < COUNT(endless); i++)
		add(s->type, wire_bytes(5, "1x", s->first, endless[i]), malformed_packet,
		    "length-%s", endless[i]);
	padded_due.pass_v3 = true; /* only MQTT 5 wants the shortest form */
	for (size_t i = 0; i < COUNT(padded); i++)
		add(s->type,
		    wire_bytes(5, "11xr", s->first, (unsigned)body.len | 128, padded[i], body),
		    padded_due, "length-padded-%s", padded[i]);
}

/* A length that reaches behind the end of the packet. */
static void
spoil_length(const struct shape *s, size_t nth)
{
	const struct part *p = &s->part[nth];
	size_t left = p->bytes.len + joined(s, nth + 1, s->n).len;
	bool one = p->kind == 'P' || p->kind == 'W';
	struct span most =
	    one ? wire_bytes(5, "xr", "ff7f", p->bytes) : wire_bytes(5, "2r", 0xffff, p->bytes);

	add(s->type, with(s, nth, wire_bytes(5, one ? "vr" : "2r", (unsigned)left + 1, p->bytes)),
	    malformed_packet, "%s-too-long", p->name);
	add(s->type, with(s, nth, most), malformed_packet, "%s-far-too-long", p->name);
}

static void
spoil_text(const struct shape *s, size_t nth)
{
	const struct part *p = &s->part[nth];
	struct due due = malformed_packet;

	due.pass_v31 = true;
	for (size_t i = 0; i < COUNT(no_text); i++)
		if (is_taken(i + nth))
			add(s->type,
			    with(s, nth,
				wire_bytes(5, "b", wire_bytes(5, "rx", p->bytes, no_text[i]))),
			    due, "%s-text-%s", p->name, no_text[i]);
	due.may_pass = true;
	for (size_t i = 0; i < COUNT(odd_text); i++)
		if (is_taken(i + nth))
			add(s->type,
			    with(s, nth,
				wire_bytes(5, "b", wire_bytes(5, "rx", p->bytes, odd_text[i]))),
			    due, "%s-text-%s", p->name, odd_text[i]);
}

static void
spoil_identifier(const struct shape *s, size_t nth)
{
	add(s->type, with(s, nth, wire_bytes(5, "2", 0)), either, "identifier-0");
}

static void
spoil_code(const struct shape *s, size_t nth)
{
	static const uint8_t of_message[] = { 0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97,
		0x99 },
			     of_release[] = { 0x00, 0x92 },
			     of_end[] = { 0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94,
				     0x95, 0x96, 0x97, 0x98, 0x99, 0x9b },
			     of_auth[] = { 0x18, 0x19 };
	const uint8_t *right = of_message;
	size_t n = COUNT(of_message);

	if (s->type == PUBREL || s->type == PUBCOMP) {
		right = of_release;
		n = COUNT(of_release);
	} else if (s->type == DISCONNECT) {
		right = of_end;
		n = COUNT(of_end);
	} else if (s->type == AUTH) {
		right = of_auth;
		n = COUNT(of_auth);
	}
	for (unsigned code = 0; code < 256; code++)
		if (memchr(right, (int)code, n) == NULL && is_taken(code))
			add(s->type, with(s, nth, wire_bytes(5, "1", code)), either, "code-%02x",
			    code);
}

/* --- properties of a shape --------------------------------------------------------------- */

/* The packet with these behind the properties it has. */
static struct span
with_props(const struct shape *s, size_t nth, struct span more)
{
	return with(s, nth, wire_bytes(5, "p", wire_bytes(5, "rr", s->part[nth].bytes, more)));
}

static struct span
prop_bytes(unsigned id, const char *value)
{
	return wire_bytes(5, "1x", id, value);
}

static void
spoil_props_length(const struct shape *s, size_t nth)
{
	static const char *const padded[] = { "00", "8000", "808000", "80808000" };
	static const char *const endless[] = { "80808080", "ffffffff", "ffffffff01", "8080808001" };
	const struct part *p = &s->part[nth];
	unsigned len = (unsigned)p->bytes.len | 128;

	for (size_t i = 0; i < COUNT(padded); i++)
		add(s->type, with(s, nth, wire_bytes(5, "1xr", len, padded[i], p->bytes)),
		    malformed_packet, "%s-length-padded-%s", p->name, padded[i]);
	for (size_t i = 0; i < COUNT(endless); i++)
		add(s->type, with(s, nth, wire_bytes(5, "xr", endless[i], p->bytes)),
		    malformed_packet, "%s-length-%s", p->name, endless[i]);
}

static bool
is_known(unsigned id)
{
	for (size_t i = 0; i < NPROPERTIES; i++)
		if (properties[i].id == id)
			return true;
	return false;
}

static void
spoil_props_unknown(const struct shape *s, size_t nth)
{
	/* Of more than a byte: one that is unknown, the largest, a known one padded, none. */
	static const char *const wide[] = { "8001", "ffffff7f", "a600", "a6808000", "8080808001" };
	const char *name = s->part[nth].name;

	for (unsigned id = 0; id < 128; id++)
		if (!is_known(id) && is_taken(id))
			add(s->type, with_props(s, nth, prop_bytes(id, "00016e000176")),
			    malformed_packet, "%s-%02x-unknown", name, id);
	for (size_t i = 0; i < COUNT(wide); i++)
		if (is_taken(i))
			add(s->type,
			    with_props(s, nth, wire_bytes(5, "xx", wide[i], "00016e000176")),
			    malformed_packet, "%s-%s-unknown", name, wide[i]);
}

/* What doesn't belong there. */
static void
spoil_props_foreign(const struct shape *s, size_t nth, const struct property *q)
{
	struct due due = malformed_packet;

	if (s->type == PUBLISH && q->id == SUBSCRIPTION_ID) /* [MQTT-3.3.4-6] */
		due = protocol_error;
	if (s->type == DISCONNECT && q->id == SERVER_REFERENCE) /* only the server's may have it */
		due = either;
	add(s->type, with_props(s, nth, prop_bytes(q->id, q->value)), due, "%s-%02x-foreign",
	    s->part[nth].name, q->id);
}

static void
spoil_props_twice(const struct shape *s, size_t nth, const struct property *q)
{
	struct span one = prop_bytes(q->id, q->value);
	struct due due = protocol_error;
	const char *name = s->part[nth].name;

	if (q->id == PAYLOAD_FORMAT || q->id == MESSAGE_EXPIRY)
		due = either; /* said of the will only */
	if (q->id == AUTH_METHOD)
		due = (struct due){ .code = { 0x82, 0x8c, 0x87 } };
	if (q->id == TOPIC_ALIAS && the.may->alias_max == 0)
		due = (struct due){ .code = { 0x82, 0x94 } };
	add(s->type, with_props(s, nth, wire_bytes(5, "rr", one, one)), due, "%s-%02x-twice", name,
	    q->id);
	add(s->type,
	    with(s, nth, wire_bytes(5, "p", wire_bytes(5, "rrr", one, s->part[nth].bytes, one))),
	    due, "%s-%02x-twice-apart", name, q->id);
}

/* Its value is cut short, and a text in it is none. */
static void
spoil_props_value(const struct shape *s, size_t nth, const struct property *q)
{
	struct span one = prop_bytes(q->id, q->value);
	const char *name = s->part[nth].name;
	bool is_pair = q->id == USER_PROPERTY;

	for (size_t len = 1; len < one.len; len++)
		if (is_taken(len + q->id))
			add(s->type, with_props(s, nth, span_of(one.p, len)), malformed_packet,
			    "%s-%02x-short-%zu", name, q->id, len);
	if (!is_pair && q->id != CONTENT_TYPE && q->id != RESPONSE_TOPIC && q->id != AUTH_METHOD &&
	    q->id != REASON_STRING)
		return;
	for (size_t i = 0; i < COUNT(no_text); i++) {
		struct span bad = wire_bytes(5, "x", no_text[i]);

		if (!is_taken(i + q->id))
			continue;
		add(s->type,
		    with_props(s, nth,
			is_pair ? wire_bytes(5, "1bs", q->id, bad, "v")
				: wire_bytes(5, "1b", q->id, bad)),
		    malformed_packet, "%s-%02x-text-%s", name, q->id, no_text[i]);
		if (is_pair)
			add(s->type, with_props(s, nth, wire_bytes(5, "1sb", q->id, "n", bad)),
			    malformed_packet, "%s-%02x-value-%s", name, q->id, no_text[i]);
	}
}

static void
spoil_props(const struct shape *s, size_t nth)
{
	unsigned in = s->part[nth].kind == 'W' ? IN_WILL : IN(s->type);

	if (the.version < 5)
		return;
	spoil_length(s, nth);
	spoil_props_length(s, nth);
	spoil_props_unknown(s, nth);
	for (const struct property *q = properties; q < properties + NPROPERTIES; q++) {
		if (!(q->in & in)) {
			spoil_props_foreign(s, nth, q);
			continue;
		}
		if (q->id != USER_PROPERTY)
			spoil_props_twice(s, nth, q);
		spoil_props_value(s, nth, q);
	}
	for (const struct wrong_value *w = wrong_values; w < wrong_values + COUNT(wrong_values);
	     w++)
		if (w->in & in)
			add(s->type, with_props(s, nth, prop_bytes(w->id, w->value)), w->due,
			    "%s-%02x-is-%s", s->part[nth].name, w->id, w->value);
}

static void
spoil(const struct shape *s)
{
	the.variant = s->variant;
	spoil_header(s);
	spoil_end(s);
	for (size_t i = 0; i < s->n; i++)
		switch (s->part[i].kind) {
		case 's':
			spoil_text(s, i);
			spoil_length(s, i);
			break;
		case 'b':
			spoil_length(s, i);
			break;
		case 'i':
			spoil_identifier(s, i);
			break;
		case 'P':
		case 'W':
			spoil_props(s, i);
			break;
		case 'c':
			spoil_code(s, i);
			break;
		default:
			break;
		}
	the.variant = "";
}

/* --- the shapes there are ---------------------------------------------------------------- */

static struct part
identifier(void)
{
	return (struct part){ 'i', "identifier", wire_bytes(5, "2", 1) };
}

static struct part
code(unsigned value)
{
	return (struct part){ 'c', "code", wire_bytes(5, "1", value) };
}

static struct part
props(char kind, const char *name)
{
	return (struct part){ kind, name, wire_props("1ss", USER_PROPERTY, "a", "b") };
}

static const char *
protocol_name(void)
{
	return the.version == 3 ? "MQIsdp" : "MQTT";
}

static void
spoil_connect(void)
{
	/* Will of QoS 1, user name, password, clean start. */
	const struct shape s = { CONNECT, "", CONNECT << 4, 8,
		{
		    { 'x', "head", wire_bytes(5, "s112", protocol_name(), the.version, 0xce, 0) },
		    props('P', "props"),
		    { 's', "id", span_str(PLACE) },
		    props('W', "will-props"),
		    { 's', "will-topic", span_str(PLACE "/will") },
		    { 'b', "will-payload", span_str("w") },
		    { 's', "user", span_str("u") },
		    { 'b', "password", span_str("p") },
		} };

	spoil(&s);
}

static void
spoil_publish(unsigned qos)
{
	static const char *const variant[] = { "qos-0-", "qos-1-", "qos-2-" };
	const struct shape s = { PUBLISH, variant[qos], PUBLISH << 4 | qos << 1 | the.may->retain,
		4,
		{
		    { 's', "topic", span_str(PLACE "/p") },
		    identifier(),
		    props('P', "props"),
		    { 'x', "payload", span_str("x") },
		} };
	struct shape without = { s.type, s.variant, s.first, 3,
		{ s.part[0], s.part[2], s.part[3] } };

	spoil(qos > 0 ? &s : &without);
}

static void
spoil_ack(enum wire_type type)
{
	const struct shape s = { type, "", (unsigned)type << 4 | (type == PUBREL ? 2 : 0),
		the.version < 5 ? 1 : 3, { identifier(), code(0), props('P', "props") } };

	spoil(&s);
}

static void
spoil_subscribe(void)
{
	const struct shape s = { SUBSCRIBE, "", SUBSCRIBE << 4 | 2, 4,
		{ identifier(), props('P', "props"), { 's', "filter", span_str(FILTER) },
		    { 'x', "options", wire_bytes(5, "1", 1) } } };

	spoil(&s);
}

static void
spoil_unsubscribe(void)
{
	const struct shape s = { UNSUBSCRIBE, "", UNSUBSCRIBE << 4 | 2, 3,
		{ identifier(), props('P', "props"), { 's', "filter", span_str(FILTER) } } };

	spoil(&s);
}

static void
spoil_end_of_connection(void)
{
	const struct shape s = { DISCONNECT, "", DISCONNECT << 4, the.version < 5 ? 0 : 2,
		{ code(0), props('P', "props") } };

	spoil(&s);
}

static void
spoil_auth(void)
{
	const struct shape s = { AUTH, "", AUTH << 4, 2,
		{ code(0x19),
		    { 'P', "props",
			wire_props("1s 1ss", AUTH_METHOD, "m", USER_PROPERTY, "a", "b") } } };

	spoil(&s);
}

/* --- rows -------------------------------------------------------------------------------- */

/* The first packet, with fields behind the identifier as the flags want them. */
static struct span
make_connect(const char *name, unsigned level, unsigned flags, struct span props)
{
	struct span will = NO_PROPS, user = NO_PROPS, password = NO_PROPS;

	if (flags & 4)
		will = wire_bytes(the.version, "pss", NO_PROPS, PLACE "/will", "w");
	if (flags & 128)
		user = wire_bytes(5, "s", "u");
	if (flags & 64)
		password = wire_bytes(5, "s", "p");
	return wire_make(the.version, CONNECT << 4, "s112psrrr", name, level, flags, 0, props,
	    PLACE, will, user, password);
}

static bool
flags_are_right(unsigned flags)
{
	unsigned will_qos = flags >> 3 & 3;

	if (the.version == 3) /* bit 0 is unused, and the will's bits without a will */
		return !(flags & 4) || will_qos < 3;
	return !(flags & 1) && will_qos < 3 && ((flags & 4) || !(flags & 0x38)) &&
	    (the.version == 5 || (flags & 128) || !(flags & 64));
}

static void
rows_connect(void)
{
	static const char *const names[] = { "", "M", "MQT", "mqtt", "MQTt", "MQTTT", "MQIsdP",
		"AMQP", "MQTT ", "\xff\xff\xff\xff" };
	static const uint8_t levels[] = { 0, 1, 2, 3, 6, 7, 8, 0x40, 0x7f, 0x80, 0x83, 0x84, 0x85,
		0xff };
	/* A server that knows no such version may answer as one of those it knows. */
	const struct due unknown = { .code = { 0x84, 0x01 }, .code_v3 = 1 };
	struct due will_topic = either;
	static const char *const no_topic[] = { "", "#", "+", "a/#", "a/+/b", "a#", "+b" };

	for (unsigned flags = 0; flags < 256; flags++)
		if (!flags_are_right(flags))
			add(CONNECT, make_connect(protocol_name(), the.version, flags, NO_PROPS),
			    malformed_packet, "flags-field-%02x", flags);
	for (size_t i = 0; i < COUNT(names); i++)
		add(CONNECT, make_connect(names[i], the.version, 2, NO_PROPS), unknown,
		    "protocol-%zu", i);
	for (size_t i = 0; i < COUNT(levels) && the.version == 5; i++)
		add(CONNECT, make_connect("MQTT", levels[i], 2, NO_PROPS), unknown, "level-%02x",
		    levels[i]);
	for (unsigned level = 0; level < 8; level++)
		if (level != 3)
			add(CONNECT, make_connect("MQIsdp", level, 2, NO_PROPS), unknown,
			    "mqisdp-level-%02x", level);
	will_topic.pass_v31 = true;
	for (size_t i = 0; i < COUNT(no_topic); i++)
		add(CONNECT,
		    wire_make(the.version, CONNECT << 4, "s112pspss", protocol_name(), the.version,
			6, 0, NO_PROPS, PLACE, NO_PROPS, no_topic[i], "w"),
		    will_topic, "will-topic-%zu", i);
	if (the.version < 5)
		add(CONNECT,
		    wire_make(
			the.version, CONNECT << 4, "s112s", protocol_name(), the.version, 0, 0, ""),
		    (struct due){ .code_v3 = 2 }, "no-id-not-clean");
}

/* Borrowed until the next call. */
static const char *
with_place(const char *pattern)
{
	static char all[48];
	size_t before = strcspn(pattern, "%");
	const char *behind = pattern + before;

	snprintf(all, sizeof(all), "%.*s%s%s", (int)before, pattern, *behind != '\0' ? PLACE : "",
	    *behind != '\0' ? behind + 1 : "");
	return all;
}

static void
row_message(unsigned first, const char *topic, struct span props, struct due due, const char *name)
{
	add(PUBLISH,
	    first & 6 ? wire_make(the.version, first, "s2px", topic, 1, props, "78")
		      : wire_make(the.version, first, "spx", topic, props, "78"),
	    due, "%s-first-%02x", name, first);
}

static void
rows_publish(void)
{
	static const char *const no_topic[] = { "#", "+", "/#", "#/", "+/", "/+", "%/#", "%/+/x",
		"%#", "%+", "+%", "#%", "%/x#", "%/+x" };
	struct due dup = either;
	char name[16];

	for (unsigned flags = 0; flags < 16; flags++) {
		unsigned first = PUBLISH << 4 | flags;

		dup.pass_v31 = true;
		if ((flags & 6) == 6)
			row_message(first, PLACE "/p", NO_PROPS, malformed_packet, "qos-3");
		else if (flags & 8 && !(flags & 6))
			row_message(first, PLACE "/p", NO_PROPS, dup, "dup");
		row_message(first, "", NO_PROPS,
		    (flags & 6) == 6 || (flags & 14) == 8 ? either : protocol_error, "no-topic");
	}
	for (size_t i = 0; i < COUNT(no_topic); i++) {
		snprintf(name, sizeof(name), "wildcard-%zx", i);
		for (unsigned qos = 0; qos <= the.may->max_qos; qos++)
			row_message(PUBLISH << 4 | qos << 1, with_place(no_topic[i]), NO_PROPS,
			    either, name);
	}
	if (the.version < 5)
		return;
	for (unsigned qos = 0; qos <= the.may->max_qos; qos++) {
		unsigned first = PUBLISH << 4 | qos << 1;
		const struct due no_alias = { .code = { 0x94 } },
				 unknown = { .code = { 0x82, 0x94 } };
		unsigned max = the.may->alias_max;

		row_message(first, "", wire_props("12", TOPIC_ALIAS, 1),
		    max > 0 ? protocol_error : unknown, "alias-unknown");
		row_message(first, "", wire_props("12", TOPIC_ALIAS, 0), unknown, "alias-0-alone");
		if (max < 65535) {
			row_message(first, PLACE "/p", wire_props("12", TOPIC_ALIAS, max + 1),
			    no_alias, "alias-above");
			row_message(first, PLACE "/p", wire_props("12", TOPIC_ALIAS, 65535),
			    no_alias, "alias-most");
		}
	}
}

static struct span
make_subscribe(const char *filter, unsigned options)
{
	return wire_make(the.version, SUBSCRIBE << 4 | 2, "2ps1", 1, NO_PROPS, filter, options);
}

/* Alone, and behind a filter that is right. */
static void
row_filter(const char *filter, unsigned options, struct due due, const char *series, unsigned nth)
{
	add(SUBSCRIBE, make_subscribe(filter, options), due, "%s-%02x", series, nth);
	add(SUBSCRIBE,
	    wire_make(
		the.version, SUBSCRIBE << 4 | 2, "2ps1s1", 1, NO_PROPS, FILTER, 0, filter, options),
	    due, "%s-%02x-second", series, nth)
	    ->in_part = true;
}

static void
rows_options(void)
{
	struct due due;

	for (unsigned o = 0; o < 256; o++) {
		bool reserved = o & (the.version == 5 ? 0xc0 : 0xfc), qos = (o & 3) == 3,
		     handling = the.version == 5 && (o & 0x30) == 0x30;

		if (!is_taken(o) || !(reserved || qos || handling))
			continue;
		due = !reserved ? protocol_error : qos || handling ? either : malformed_packet;
		due.pass_v31 = !qos;
		row_filter(FILTER, o, due, "options", o);
	}
}

static void
rows_filters(void)
{
	static const char *const bad[] = { "", "%#", "%/#/a", "#/%", "%/a#", "##", "%/#/", "+%",
		"%+", "%/+a/b", "%/a+/b", "++", "%/++", "+#", "%/+#" },
				 *const bad_share[] = { "$share//%", "$share/g", "$share/g/",
					 "$share/", "$share/+/%", "$share/#/%", "$share/g+/%",
					 "$share/g/%#", "$share/g/%/#/a", "$share/g/+%" };
	const struct due refused = { .code = { 0x82, 0x81, 0x8f }, .may_answer = true };
	struct due due = refused;

	for (size_t i = 0; i < COUNT(bad) + COUNT(bad_share); i++) {
		const char *filter =
		    with_place(i < COUNT(bad) ? bad[i] : bad_share[i - COUNT(bad)]);

		/* MQTT 3 knows no shared subscriptions: these are filters like others. */
		due.pass_v3 = i >= COUNT(bad);
		row_filter(filter, 0, due, "filter", (unsigned)i);
		add(UNSUBSCRIBE,
		    wire_make(the.version, UNSUBSCRIBE << 4 | 2, "2ps", 1, NO_PROPS, filter), due,
		    "filter-%02zx", i);
		add(UNSUBSCRIBE,
		    wire_make(
			the.version, UNSUBSCRIBE << 4 | 2, "2pss", 1, NO_PROPS, "n/a", filter),
		    due, "filter-%02zx-second", i);
	}
	if (the.version == 5 && the.may->shared)
		row_filter("$share/g/" PLACE, 4, protocol_error, "no-local-shared", 4);
}

/* Packets that are right, but not from a client; types there are not; what is one too many. */
static void
rows_types(void)
{
	static const struct {
		enum wire_type type;
		const char *body, *body_v3;
	} servers[] = { { CONNACK, "000000", "0000" }, { SUBACK, "00010000", "000100" },
		{ UNSUBACK, "00010000", "0001" }, { PINGRESP, "", "" } };

	for (size_t i = 0; i < COUNT(servers); i++)
		for (unsigned flags = 0; flags < 16; flags++)
			add(servers[i].type,
			    wire_make(5, (unsigned)servers[i].type << 4 | flags, "x",
				the.version == 5 ? servers[i].body : servers[i].body_v3),
			    flags == 0 ? protocol_error : either, "from-client-flags-%x", flags);
	for (unsigned flags = 0; flags < 16; flags++)
		for (unsigned len = 0; len < 3; len++)
			add(0, wire_make(5, flags, "r", span_of("\0\1\0", len)), either,
			    "flags-%x-length-%u", flags, len);
	for (unsigned flags = 0; flags < 16 && the.version < 5; flags++)
		add(AUTH, wire_make(5, AUTH << 4 | flags, "x", flags % 2 ? "" : "1800"), either,
		    "flags-%x", flags);
	if (the.moment != FIRST)
		add(CONNECT, make_connect(protocol_name(), the.version, 2, NO_PROPS),
		    protocol_error, "second");
}

/* What is right, but not there: nothing was connected yet, or no method agreed on. */
static void
rows_out_of_place(void)
{
	static const uint8_t auth[] = { 0x00, 0x18, 0x19 };

	if (the.moment == FIRST || the.moment == GONE) {
		row_message(0x30, PLACE "/p", NO_PROPS, either, "right");
		if (the.may->retain)
			row_message(0x31, PLACE "/p", NO_PROPS, either, "right");
		row_message(0x32, PLACE "/p", NO_PROPS, either, "right");
		row_message(0x34, PLACE "/p", NO_PROPS, either, "right");
		add(SUBSCRIBE, make_subscribe(FILTER, 1), either, "right");
		add(UNSUBSCRIBE,
		    wire_make(the.version, UNSUBSCRIBE << 4 | 2, "2ps", 1, NO_PROPS, FILTER),
		    either, "right");
		for (unsigned type = PUBACK; type <= PUBCOMP; type++)
			add(type, wire_make(5, type << 4 | (type == PUBREL ? 2 : 0), "2", 1),
			    either, "right");
		add(PINGREQ, wire_make(5, PINGREQ << 4, ""), either, "right");
		add(DISCONNECT, wire_make(5, DISCONNECT << 4, ""), either, "right");
	}
	if (the.version < 5)
		return;
	add(AUTH, wire_make(5, AUTH << 4, ""), either, "right-empty");
	for (size_t i = 0; i < COUNT(auth); i++)
		add(AUTH,
		    wire_make(5, AUTH << 4, "1p", auth[i], wire_props("1s", AUTH_METHOD, "m")),
		    either, "right-%02x", auth[i]);
	if (the.moment != KEPT && the.moment != FIRST)
		add(DISCONNECT,
		    wire_make(5, DISCONNECT << 4, "1p", 0, wire_props("14", SESSION_EXPIRY, 1)),
		    protocol_error, "raises-expiry");
}

/* More than the server has said it takes. */
static void
rows_limits(void)
{
	static const unsigned asks[] = { CONNECT << 4, PUBLISH << 4, PUBLISH << 4 | 2, PUBACK << 4,
		PUBREL << 4 | 2, SUBSCRIBE << 4 | 2, UNSUBSCRIBE << 4 | 2, DISCONNECT << 4,
		AUTH << 4 };
	const struct allowance *may = the.may;
	const struct due too_large = { .code = { 0x95 } }, qos = { .code = { 0x9b } },
			 retain = { .code = { 0x9a } },
			 identifier = { .code = { 0xa1 }, .may_answer = true },
			 wildcard = { .code = { 0xa2 }, .may_answer = true },
			 shared = { .code = { 0x9e }, .may_answer = true };
	struct span all;

	if (the.version < 5)
		return;
	for (size_t i = 0; i < COUNT(asks) && may->max_packet < 268435460; i++)
		add(asks[i] >> 4, wire_bytes(5, "1v2", asks[i], may->max_packet, 1),
		    asks[i] >> 4 == AUTH || (asks[i] >> 4 == CONNECT && the.moment != FIRST)
			? (struct due){ .code = { 0x82, 0x81, 0x95 } }
			: too_large,
		    "limit-size-%02x", asks[i]);
	if (the.moment == OPEN && may->max_qos == 2 && may->receive_max <= 2000) {
		all = wire_bytes(5, "");
		for (unsigned i = 1; i <= may->receive_max + 1; i++)
			all = wire_bytes(5, "rr", all,
			    wire_make(5, 0x34, "s2ps", PLACE "/held", i, NO_PROPS, "x"));
		add(PUBLISH, all, (struct due){ .code = { 0x93 } }, "limit-receive-max")->burst =
		    true;
	}
	for (unsigned q = may->max_qos + 1; q < 3; q++)
		row_message(PUBLISH << 4 | q << 1, PLACE "/p", NO_PROPS, qos, "limit-qos");
	if (!may->retain)
		row_message(0x31, PLACE "/p", NO_PROPS, retain, "limit-retain");
	if (!may->subscription_id)
		add(SUBSCRIBE,
		    wire_make(5, 0x82, "2ps1", 1, wire_props("1v", SUBSCRIPTION_ID, 1), FILTER, 0),
		    identifier, "limit-identifier");
	if (!may->wildcard)
		row_filter(FILTER "/#", 0, wildcard, "limit-wildcard", 0);
	if (!may->shared)
		row_filter("$share/g/" FILTER, 0, shared, "limit-shared", 0);
	if (the.moment != FIRST)
		return;
	for (unsigned q = may->max_qos + 1; q < 3; q++)
		add(CONNECT, make_connect("MQTT", 5, 6 | q << 3, NO_PROPS), qos,
		    "limit-will-qos-%u", q);
	if (!may->retain)
		add(CONNECT, make_connect("MQTT", 5, 0x26, NO_PROPS), retain, "limit-will-retain");
}

/* --- all --------------------------------------------------------------------------------- */

static void
offences_now(void)
{
	the.all = the.moment == FIRST;
	spoil_connect();
	if (the.moment == FIRST)
		rows_connect();
	the.all = the.moment == OPEN;
	for (unsigned qos = 0; qos <= the.may->max_qos; qos++)
		spoil_publish(qos);
	for (unsigned type = PUBACK; type <= PUBCOMP; type++)
		spoil_ack((enum wire_type)type);
	spoil_subscribe();
	spoil_unsubscribe();
	spoil(&(const struct shape){ PINGREQ, "", PINGREQ << 4, 0, { { 0 } } });
	spoil_end_of_connection();
	if (the.version == 5)
		spoil_auth();
	rows_publish();
	rows_options();
	rows_filters();
	rows_types();
	rows_out_of_place();
	rows_limits();
}

struct offence *
offences_make(const struct allowance *may, size_t *n_out)
{
	the.may = may;
	the.variant = "";
	for (the.version = 5; the.version >= 3; the.version--)
		for (the.moment = FIRST; the.moment < MOMENTS; the.moment++)
			if (may->max_qos == 2 || (the.moment != SENDING && the.moment != RECEIVING))
				offences_now();
	*n_out = the.n;
	return the.offence;
}
