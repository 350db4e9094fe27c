#include "tests/differential/random.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/differential/explained.h"
#include "tests/differential/pair.h"
#include "tests/lib/chance.h"
#include "tests/lib/tool.h"

#define CLIENTS 5
#define TOPICS 6
#define FILTERS 8

enum kind { JOIN, RESUME, TAKE, LEAVE, LOSE, SUB, UNSUB, PUB, HOLD, RELEASE, KINDS };

struct op {
	enum kind kind;
	unsigned client, what, qos;
	bool retain, is_empty;
};

/* What a client is like, for all of a seed. */
struct nature {
	int version;
	unsigned options;     /* of all its subscriptions */
	uint32_t receive_max; /* 0: not said */
	bool will, will_retain;
	unsigned will_qos;
	bool numbered;  /* its subscriptions have identifiers; MQTT 5 */
	bool has_props; /* what it publishes; likewise */
};

static const char *const topic[TOPICS] = { "a", "a/1", "a/2", "b/1", "b/1/x", "c" };
static const char *const filter[FILTERS] = { "a", "a/1", "a/+", "b/#", "b/1", "+/1", "c", "a/#" };
/* Topics a filter matches, a bit each: overlapping subscriptions are for scripts, see there. */
static const unsigned matches[FILTERS] = { 1, 2, 6, 24, 8, 10, 32, 7 };

static void
draw_all(uint64_t seed, struct nature *nature, struct op *op, unsigned n)
{
	static const enum kind often[] = { JOIN, RESUME, RESUME, RESUME, TAKE, LEAVE, LOSE, SUB,
		SUB, SUB, UNSUB, PUB, PUB, PUB, PUB, PUB, PUB, PUB, HOLD, RELEASE };

	chance_begin(seed);
	for (unsigned i = 0; i < CLIENTS; i++)
		nature[i] = (struct nature){
			.version = 3 + (int)draw(3),
			.options = draw(3) | draw(2) * AS_PUBLISHED | draw(3) << 4,
			.receive_max = one_in(3) ? 1 + draw(4) : 0,
			.will = one_in(2),
			.will_retain = one_in(3),
			.will_qos = draw(3),
			.numbered = one_in(2),
			.has_props = one_in(2),
		};
	for (unsigned i = 0; i < n; i++)
		op[i] = (struct op){
			.kind = often[draw(sizeof(often) / sizeof(often[0]))],
			.client = draw(CLIENTS),
			.what = draw(TOPICS * FILTERS),
			.qos = draw(3),
			.retain = one_in(4),
			.is_empty = one_in(8),
		};
}

/* --- doing ------------------------------------------------------------------------------- */

struct client {
	struct peer *peer; /* NULL: not connected */
	bool subscribed[FILTERS];
};

static struct peer *
enter(unsigned i, const struct nature *n, bool resume)
{
	struct wire_connect o = { 0 };
	const char *name = text_of("c%u", i);

	pair.version = n->version;
	if (n->will) {
		o.will_topic = topic[i % TOPICS];
		o.will_payload = span_str(text_of("will of %s", name));
		o.will_qos = n->will_qos;
		o.will_retain = n->will_retain;
	}
	if (n->receive_max > 0)
		o.props = wire_props("12", RECEIVE_MAX, n->receive_max);
	if (!resume)
		return join_with(name, o);
	o.props = wire_props("r14", o.props, SESSION_EXPIRY, 600);
	return session_with(name, o);
}

static bool
would_overlap(const struct client *c, unsigned f)
{
	for (unsigned i = 0; i < FILTERS; i++)
		if (i != f && c->subscribed[i] && (matches[i] & matches[f]) != 0)
			return true;
	return false;
}

static bool
do_op(const struct op *o, unsigned number, struct client *c, const struct nature *n)
{
	unsigned t = o->what % TOPICS, f = o->what % FILTERS;

	/* Of the will of who is taken over mosquitto has an opinion of its own. */
	if ((o->kind == JOIN || o->kind == RESUME) == (c->peer != NULL) ||
	    (o->kind == TAKE && n->will))
		return false;
	switch (o->kind) {
	case JOIN:
	case RESUME:
	case TAKE:
		if (o->kind == JOIN)
			memset(c->subscribed, 0, sizeof(c->subscribed));
		c->peer = enter(o->client, n, o->kind != JOIN);
		break;
	case LEAVE:
		leave(c->peer);
		c->peer = NULL;
		break;
	case LOSE:
		lose(c->peer);
		c->peer = NULL;
		break;
	case SUB:
		if (would_overlap(c, f))
			return false;
		c->subscribed[f] = true;
		subscribe_with(c->peer, filter[f], n->options,
		    n->numbered ? wire_props("1v", SUBSCRIPTION_ID, 100 + f) : NO_PROPS);
		break;
	case UNSUB:
		c->subscribed[f] = false;
		unsubscribe(c->peer, filter[f]);
		break;
	case PUB:
		publish(c->peer, .topic = topic[t], .qos = o->qos, .retain = o->retain,
		    .text = o->is_empty && o->retain ? "" : text_of("%u", number),
		    .props = n->has_props ? wire_props("1s 1ss 14", CONTENT_TYPE, "number",
						USER_PROPERTY, "a", "b", MESSAGE_EXPIRY, 100000)
					  : NO_PROPS);
		break;
	case HOLD:
		hold(c->peer);
		break;
	case RELEASE:
		release(c->peer);
		break;
	case KINDS:
		break;
	}
	return true;
}

static void
print_op(FILE *to, const struct op *o, unsigned number)
{
	static const char *const name[KINDS] = { "connects", "connects to its session",
		"connects to it once more", "leaves", "is lost", "subscribes to",
		"unsubscribes from", "publishes", "acknowledges nothing any more",
		"acknowledges again" };

	fprintf(to, "    c%u %s", o->client, name[o->kind]);
	if (o->kind == SUB || o->kind == UNSUB)
		fprintf(to, " %s", filter[o->what % FILTERS]);
	if (o->kind == PUB)
		fprintf(to, " '%u' to %s with QoS %u%s", number, topic[o->what % TOPICS], o->qos,
		    !o->retain        ? ""
			: o->is_empty ? ", retained, empty"
				      : ", retained");
	putc('\n', to);
}

static void
print_nature(FILE *to, unsigned i, const struct nature *n)
{
	fprintf(to, "    c%u has version %d, options %02x", i, n->version, n->options);
	if (n->receive_max > 0)
		fprintf(to, ", receive maximum %u", n->receive_max);
	if (n->numbered)
		fprintf(to, ", subscription identifiers");
	if (n->has_props)
		fprintf(to, ", properties");
	if (n->will)
		fprintf(to, ", a will to %s with QoS %u%s", topic[i % TOPICS], n->will_qos,
		    n->will_retain ? ", retained" : "");
	putc('\n', to);
}

/* Those that are on. True: no difference. done: which made sense. */
static bool
do_all(const struct nature *nature, const struct op *op, const bool *on, bool *done, unsigned n,
    const char **what)
{
	struct client client[CLIENTS] = { 0 };

	/* Somebody who sees all, so that nothing, as a will, is still to come when the next thing is done. */
	pair_begin(RANDOM, 5);
	subscribe(join("witness"), "#", 0);
	for (unsigned i = 0; i < n; i++)
		done[i] = on[i] && !pair_differs() &&
		    do_op(&op[i], i, &client[op[i].client], &nature[op[i].client]);
	return pair_end(what);
}

/* --- shrinking --------------------------------------------------------------------------- */

/* Takes out runs of operations, half of all at first and in the end each alone, as long as there is a difference without them. */
static void
shrink(const struct nature *nature, const struct op *op, bool *on, unsigned n)
{
	bool *tried = grab(n, sizeof(*tried)), *done = grab(n, sizeof(*done));
	const char *what;

	for (unsigned size = n / 2; size > 0; size /= 2)
		for (unsigned from = 0; from < n; from += size) {
			bool any = false;

			memcpy(tried, on, n * sizeof(*tried));
			for (unsigned i = from; i < from + size && i < n; i++) {
				any |= tried[i];
				tried[i] = false;
			}
			if (any && !do_all(nature, op, tried, done, n, &what))
				memcpy(on, done, n * sizeof(*on));
		}
	free(tried);
	free(done);
}

bool
random_run(uint64_t seed, unsigned length, char **what)
{
	struct nature nature[CLIENTS];
	struct op *op = grab(length, sizeof(*op));
	bool *on = grab(length, sizeof(*on)), *done = grab(length, sizeof(*done)), is_good;
	const char *difference;
	size_t len;
	FILE *f;

	*what = NULL;
	draw_all(seed, nature, op, length);
	for (unsigned i = 0; i < length; i++)
		on[i] = true;
	is_good = do_all(nature, op, on, done, length, &difference);
	if (!is_good) {
		f = open_memstream(what, &len);
		if (f == NULL)
			fail("no memory");
		fprintf(f, "%s", difference);
		memcpy(on, done, length * sizeof(*on));
		shrink(nature, op, on, length);
		if (do_all(nature, op, on, done, length, &difference))
			difference = "not again with the following alone\n";
		fprintf(f, "  what is needed for it:\n");
		for (unsigned i = 0; i < CLIENTS; i++)
			print_nature(f, i, &nature[i]);
		for (unsigned i = 0; i < length; i++)
			if (on[i])
				print_op(f, &op[i], i);
		fprintf(f, "  at the end: %s", difference);
		fclose(f);
	}
	free(op);
	free(on);
	free(done);
	return is_good;
}
