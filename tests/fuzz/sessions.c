/*
 * tbmq-fuzz-sessions - whole sessions at random, many at once, some of their bytes wrong
 *
 * A hundred connections under identifiers that are often another's already connect, take each other over, subscribe, publish, acknowledge what has come or has not, fall
 * silent, break off in the middle of a packet, and send packets that are damaged. Whatever they do, a witness has to be served: it publishes to itself in
 * between. Whether the broker's processes lived through it is for sessions.sh to see.
 *
 * What is sent follows from the seed; how the broker's processes get it, and in what order, does not.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/lib/wire.h"

#define ACTORS_MAX 1000
#define NAMES 150 /* so that every other is taken over from another actor */
#define CAME_MAX 32
#define LARGEST 20000
#define WITNESS_NS UINT64_C(1000000000)
#define FORGET_EVERY 64 /* actions: memory of packets is given back */

static struct {
	const char *host;
	uint64_t port, seed, seconds, actors, damaged, patience;
} opt = { .host = "127.0.0.1",
	.port = 1883,
	.seconds = 60,
	.actors = 100,
	.damaged = 40,
	.patience = 30 };

static const struct setting settings[] = {
	SETTINGS_OF_BROKER(&opt.host, &opt.port),
	{ "seed", 's', &opt.seed, 1, UINT64_MAX, "of all that is drawn (the time)" },
	{ "seconds", 't', &opt.seconds, 1, 1000000, "to go on (60)" },
	{ "actors", 'n', &opt.actors, 1, ACTORS_MAX, "connections (100)" },
	{ "damaged", 0, &opt.damaged, 1, 1000000, "one packet of so many (40)" },
	{ "patience", 0, &opt.patience, 1, 600, "seconds for the witness to be served (30)" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

struct actor {
	struct wire *w; /* NULL: not connected */
	int version;
	bool is_deaf; /* reads nothing */
	struct {
		enum wire_type type;
		uint16_t id;
	} came[CAME_MAX]; /* that an answer would fit to, in turns */
	unsigned ncame;
	uint8_t *rest; /* of a packet that was begun */
	size_t rest_len;
};

static struct actor actors[ACTORS_MAX];
static struct wire *witness;
static uint64_t packets, damaged, connects, closed;

/* --- what is sent ------------------------------------------------------------------------ */

static const char *
name(void)
{
	static char text[8];

	if (one_in(20))
		return "";
	snprintf(text, sizeof(text), "f%u", draw(NAMES));
	return text;
}

static const char *
topic(void)
{
	static const char *const topics[] = { "z/a", "z/a/1", "z/a/2", "z/b", "z/b/1/x", "z", "/",
		"z//", "$z/1", "z/\xc3\xa4" };

	return topics[draw(10)];
}

static const char *
filter(void)
{
	static const char *const filters[] = { "z/#", "z/+", "z/a/+", "+/+/1", "z/a", "#", "z/b/#",
		"$z/#", "$share/g/z/#", "$share/g/z/a", "$share/h/+/a", "z/+/+/x", "$share/g",
		"z#" };

	return one_in(3) ? topic() : filters[draw(14)];
}

static uint32_t
seconds(void)
{
	static const uint32_t some[] = { 0, 1, 2, 600, 0xffffffff };

	return some[draw(5)];
}

static struct span
payload(void)
{
	static uint8_t bytes[LARGEST];

	return span_of(bytes, one_in(10) ? draw(LARGEST) : draw(100));
}

static struct span
connect_props(void)
{
	struct span s = NO_PROPS;

	if (!one_in(3))
		s = wire_props("r14", s, SESSION_EXPIRY, seconds());
	if (one_in(3))
		s = wire_props("r12", s, RECEIVE_MAX, 1 + draw(20));
	if (one_in(6))
		s = wire_props("r14", s, MAX_PACKET, 20 + draw(5000));
	if (one_in(4))
		s = wire_props("r12", s, ALIAS_MAX, draw(20));
	return s;
}

static struct span
make_connect(const struct actor *a)
{
	struct wire_connect o = {
		.id = name(),
		.resume = !one_in(3),
		.keep_alive = one_in(4) ? 1 : 0,
		.props = connect_props(),
	};

	if (one_in(2)) {
		o.will_topic = topic();
		o.will_payload = payload();
		o.will_qos = draw(3);
		o.will_retain = one_in(3);
		if (one_in(2))
			o.will_props = wire_props("14", WILL_DELAY, seconds());
	}
	return wire_make_connect(a->version, &o);
}

static uint16_t
any_id(void)
{
	return (uint16_t)(1 + draw(one_in(10) ? 65535 : 12));
}

static struct span
make_publish(const struct actor *a)
{
	struct wire_message m = {
		.topic = topic(),
		.payload = payload(),
		.qos = draw(3),
		.retain = one_in(4),
	};

	m.dup = m.qos > 0 && one_in(6);
	if (a->version < 5)
		return wire_make_publish(a->version, any_id(), &m);
	if (one_in(4))
		m.props = wire_props("14", MESSAGE_EXPIRY, seconds());
	if (one_in(4))
		m.props = wire_props("r12", m.props, TOPIC_ALIAS, 1 + draw(40));
	if (one_in(6))
		m.props = wire_props("r1ss", m.props, USER_PROPERTY, "a", "b");
	if (m.props.len > 0 && one_in(20))
		m.topic = "";
	return wire_make_publish(a->version, any_id(), &m);
}

static struct span
make_subscribe(const struct actor *a)
{
	struct span props =
	    one_in(3) ? wire_props("1v", SUBSCRIPTION_ID, 1 + draw(1000)) : NO_PROPS;
	unsigned options = draw(3);

	if (a->version >= 5)
		options |= draw(2) * AS_PUBLISHED | draw(3) << 4 | (one_in(30) ? NO_LOCAL : 0);
	return wire_make_subscribe(a->version, any_id(), props, filter(), options);
}

/* One that fits to something that came, mostly. */
static struct span
make_answer(const struct actor *a)
{
	enum wire_type type = (enum wire_type)(PUBACK + draw(4));
	uint16_t id = any_id();
	unsigned reason = 0;

	if (a->ncame > 0 && !one_in(20)) {
		unsigned i = draw(a->ncame < CAME_MAX ? a->ncame : CAME_MAX);

		id = a->came[i].id;
		type = a->came[i].type == PUBREC ? PUBREL
		    : a->came[i].type == PUBREL  ? PUBCOMP
		    : one_in(2)                  ? PUBACK
						 : PUBREC;
	}
	if (a->version >= 5 && one_in(8))
		reason = type == PUBACK || type == PUBREC ? 0x80 : 0x92;
	return wire_make_ack(a->version, type, id, reason);
}

static struct span
make_disconnect(const struct actor *a)
{
	if (a->version < 5 || one_in(2))
		return wire_make(a->version, DISCONNECT << 4, "");
	return wire_make(5, DISCONNECT << 4, "1p", one_in(2) ? 4 : 0,
	    wire_props("14", SESSION_EXPIRY, seconds()));
}

static struct span
make_any(const struct actor *a)
{
	if (one_in(60))
		return one_in(4) ? make_connect(a) : make_disconnect(a);
	switch (draw(20)) {
	case 0:
	case 1:
	case 2:
		return make_subscribe(a);
	case 3:
		return wire_make_unsubscribe(a->version, any_id(), filter());
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		return make_answer(a);
	case 10:
		return wire_make(a->version, PINGREQ << 4, "");
	default:
		return make_publish(a);
	}
}

/* --- what is wrong with it --------------------------------------------------------------- */

static struct span
damage(struct span s)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff };
	uint8_t *bytes = grab(s.len + 1, 1);
	size_t len = s.len, at = draw((unsigned)len), run;
	struct span out;

	memcpy(bytes, s.p, len);
	damaged++;
	switch (draw(5)) {
	case 0:
		bytes[at] ^= (uint8_t)(1 << draw(8));
		break;
	case 1:
		bytes[at] = edges[draw(5)];
		break;
	case 2: /* one more byte, its length as it was */
		memmove(bytes + at + 1, bytes + at, len - at);
		len++;
		break;
	case 3: /* some bytes fewer */
		run = 1 + draw((unsigned)(len - at));
		memmove(bytes + at, bytes + at + run, len - at - run);
		len -= run;
		break;
	default: /* noise to the end */
		for (; at < len; at++)
			bytes[at] = (uint8_t)draw(256);
	}
	out = wire_bytes(5, "r", span_of(bytes, len));
	free(bytes);
	return out;
}

/* --- actors ------------------------------------------------------------------------------ */

static void
end(struct actor *a, bool by_reset)
{
	if (by_reset)
		wire_reset(a->w);
	else
		wire_close(a->w);
	free(a->rest);
	*a = (struct actor){ 0 };
}

/* Nobody waits for a broker that takes nothing any more. */
static void
put(struct actor *a, struct span s)
{
	struct pollfd p = { .fd = a->w->fd, .events = POLLOUT };

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)) {
		end(a, true);
		return;
	}
	packets++;
	if (!wire_send(a->w, s)) {
		closed++;
		end(a, false);
	}
}

static struct span
maybe_damaged(struct span s)
{
	return one_in((unsigned)opt.damaged) ? damage(s) : s;
}

static void
enter(struct actor *a)
{
	struct span s;

	a->version = 3 + (int)draw(3);
	a->is_deaf = one_in(20);
	a->w = wire_open(opt.host, (int)opt.port, a->version);
	if (a->w == NULL)
		return;
	connects++;
	s = maybe_damaged(make_connect(a));
	/* What comes in the same segment is handled while the session is still asked for. */
	for (unsigned n = one_in(3) ? draw(5) : 0; n > 0; n--)
		s = wire_bytes(5, "rr", s, maybe_damaged(make_any(a)));
	put(a, s);
}

/* The first half now, the second with the next action. */
static void
put_half(struct actor *a, struct span s)
{
	size_t half = 1 + draw((unsigned)s.len);

	a->rest_len = s.len - half;
	a->rest = grab(a->rest_len + 1, 1);
	memcpy(a->rest, s.p + half, a->rest_len);
	put(a, span_of(s.p, half));
}

static void
act(struct actor *a)
{
	uint8_t *rest = a->rest;
	struct span s;

	if (a->w == NULL) {
		enter(a);
		return;
	}
	if (rest != NULL) {
		s = wire_bytes(5, "r", span_of(rest, a->rest_len));
		free(rest);
		a->rest = NULL;
		put(a, s);
		return;
	}
	switch (draw(150)) {
	case 0:
		end(a, true);
		return;
	case 1:
		end(a, false);
		return;
	case 2:
		wire_shutdown(a->w);
		return;
	case 3:
	case 4:
		put_half(a, make_any(a));
		return;
	default:
		put(a, maybe_damaged(make_any(a)));
	}
}

static void
hear(struct actor *a)
{
	struct wire_packet k;
	enum wire_got got;

	if (a->w == NULL || a->is_deaf)
		return;
	while ((got = wire_read(a->w, 0, &k)) == WIRE_PACKET)
		if (k.id != 0 && k.type <= PUBREL && (k.type == PUBLISH || k.type >= PUBREC)) {
			a->came[a->ncame % CAME_MAX].type = k.type;
			a->came[a->ncame++ % CAME_MAX].id = k.id;
		}
	if (got == WIRE_CLOSED) {
		closed++;
		end(a, false);
	}
}

/* --- the witness ------------------------------------------------------------------------- */

static _Noreturn void
not_served(const char *what)
{
	fail("seed %" PRIu64 ": the witness was not served: %s", opt.seed, what);
}

static struct wire_packet
hears(void)
{
	struct wire_packet k;

	if (wire_read(witness, (int)opt.patience * 1000, &k) != WIRE_PACKET)
		not_served("nothing came");
	if (k.bad != NULL)
		not_served(wire_describe(&k));
	return k;
}

static void
needs(enum wire_type type)
{
	struct wire_packet k = hears();

	if (k.type != type)
		not_served(wire_describe(&k));
}

static void
witness_begin(void)
{
	witness = wire_open(opt.host, (int)opt.port, 5);
	if (witness == NULL)
		not_served("no connection");
	wire_send(witness,
	    wire_make_connect(5,
		&(struct wire_connect){
		    .id = "witness", .props = wire_props("14", SESSION_EXPIRY, 60) }));
	needs(CONNACK);
	wire_send(witness, wire_make_subscribe(5, 1, NO_PROPS, "witness", 1));
	needs(SUBACK);
}

/* Over the store and back: its session is a durable one. */
static void
witness_is_served(void)
{
	static uint16_t id;

	id = id == 65535 ? 1 : (uint16_t)(id + 1);
	wire_send(witness,
	    wire_make_publish(
		5, id, &(struct wire_message){ .topic = "witness", .text = "x", .qos = 1 }));
	for (bool is_acknowledged = false, has_come = false; !is_acknowledged || !has_come;) {
		struct wire_packet k = hears();

		is_acknowledged |= k.type == PUBACK;
		if (k.type != PUBLISH)
			continue;
		has_come = true;
		wire_send(witness, wire_make_ack(5, PUBACK, k.id, 0));
	}
}

static void
usage(void)
{
	puts("Usage: tbmq-fuzz-sessions [OPTION]...\n"
	     "Drives a broker with whole sessions at random, many at once, some of their bytes "
	     "wrong.\n");
	tool_settings_print(settings, SETTINGS);
	puts("\nExit codes: 0 the witness was served all the time, 1 it was not, 2 usage.");
}

int
main(int argc, char **argv)
{
	uint64_t until, look = 0;

	if (tool_options(argc, argv, settings, SETTINGS, usage) != argc)
		tool_bad_usage("what is ", argv[optind]);
	signal(SIGPIPE, SIG_IGN);
	if (opt.seed == 0)
		opt.seed = (uint64_t)time(NULL);
	chance_begin(opt.seed);
	witness_begin();
	until = now_ns() + opt.seconds * UINT64_C(1000000000);
	for (uint64_t n = 0; now_ns() < until && !interrupted; n++) {
		act(&actors[draw((unsigned)opt.actors)]);
		hear(&actors[draw((unsigned)opt.actors)]);
		if (n % FORGET_EVERY == 0)
			wire_forget();
		if (now_ns() > look) {
			witness_is_served();
			look = now_ns() + WITNESS_NS;
		}
	}
	for (size_t i = 0; i < opt.actors; i++)
		if (actors[i].w != NULL)
			end(&actors[i], one_in(2));
	witness_is_served();
	printf("seed %" PRIu64 ": %" PRIu64 " packets, %" PRIu64 " damaged, %" PRIu64
	       " connections, %" PRIu64 " closed by the broker\n",
	    opt.seed, packets, damaged, connects, closed);
	return TOOL_OK;
}
