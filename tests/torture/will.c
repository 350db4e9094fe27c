/*
 * will.c - clients that do nothing but have a will, a new one each time they connect
 *
 * A will is a message of a stream. Which connections are lost, and when, is up to kept.c and to the kills;
 * once one that was accepted is lost, its will is as good as acknowledged.
 */
#include <stdio.h>

#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/torture.h"

struct testator {
	struct kept kept;
	uint64_t seq; /* of the will of this connection */
	bool was_accepted, is_last;
};

static struct testator *testators;

static uint32_t
stream_of(const struct client *c)
{
	return (uint32_t)(opt.publishers * opt.topics) + c->index;
}

static void
will(struct client *c, struct client_will *out)
{
	snprintf(out->topic, sizeof(out->topic), "torture/%u/will/%u", run_id, c->index);
	out->qos = 1 + c->index % 2;
	testators[c->index].seq = ledger_publish(stream_of(c));
	out->payload = message_of(stream_of(c), testators[c->index].seq);
}

static void
on_up(struct client *c)
{
	kept_is_resumed(&testators[c->index].kept);
	testators[c->index].was_accepted = true;
}

static const struct client_hooks hooks = {
	.role = "will", .durable = true, .will = will, .on_up = on_up
};

void
wills_init(void)
{
	testators = grab(opt.wills, sizeof(*testators));
	for (uint32_t i = 0; i < opt.wills; i++) {
		struct client *c = &testators[i].kept.client;

		c->hooks = &hooks;
		c->index = i;
		ledger_stream(stream_of(c), (uint32_t)opt.publishers + i, 0, 1 + i % 2);
	}
}

void
wills_turn(void)
{
	for (struct testator *t = testators; t < testators + opt.wills; t++) {
		struct client *c = &t->kept.client;

		if (t->was_accepted && c->state == CLIENT_CLOSED) {
			ledger_acknowledged(stream_of(c), t->seq, clients.now);
			t->was_accepted = false;
		}
		if (!t->is_last)
			kept_turn(&t->kept);
	}
}

bool
wills_say_last(void)
{
	bool all = true;

	for (struct testator *t = testators; t < testators + opt.wills; t++) {
		if (!t->is_last && t->kept.client.state == CLIENT_UP) {
			client_cut(&t->kept.client);
			t->is_last = true;
		}
		all &= t->is_last && !t->was_accepted;
	}
	return all;
}
