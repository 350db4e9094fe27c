/*
 * retained.c - a new subscriber again and again: does it get the newest retained messages?
 *
 * What counts is what was acknowledged before it subscribes. A newer message will do, retained or not; an
 * older one that is said to be retained will not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/torture.h"

#define PAUSE_MIN_MS 20
#define PAUSE_MAX_MS 500

static struct {
	struct client client;
	uint64_t
	    *wanted; /* of each stream the first number that will do + 1; 0: none, or it has come */
	uint64_t again_ns, since_ns;
	uint64_t left, rounds; /* left: streams of which it hasn't come */
	bool is_subscribed;
} probe;

static uint32_t
streams(void)
{
	return (uint32_t)(opt.publishers * opt.topics);
}

bool
is_retained(uint32_t stream)
{
	return stream < streams() && stream % opt.topics < opt.retained;
}

static void
on_up(struct client *c)
{
	char text[64];
	const char *filter = text;

	probe.left = 0;
	for (uint32_t i = 0; i < streams(); i++) {
		probe.wanted[i] = is_retained(i) ? ledger_acknowledged_next(i) : 0;
		probe.left += probe.wanted[i] > 0;
	}
	probe.since_ns = clients.now;
	snprintf(text, sizeof(text), "torture/%u/+/+", run_id);
	client_subscribe(c, &filter, 1, 2);
}

static void
on_suback(struct client *c)
{
	(void)c;
	probe.is_subscribed = true;
}

static void
on_message(struct client *c, const struct publish *m)
{
	uint32_t stream;
	uint64_t seq;

	(void)c;
	if (!message_parse(m->payload, &stream, &seq)) {
		ledger_fault(FAULT_SPOILT, clients.now, "new subscriber, topic %.*s, %zu bytes",
		    (int)m->topic.len, (const char *)m->topic.p, m->payload.len);
		return;
	}
	if (stream >= streams() || probe.wanted[stream] == 0)
		return;
	if (seq + 1 >= probe.wanted[stream]) {
		probe.wanted[stream] = 0;
		probe.left--;
	} else if (m->retain) {
		ledger_fault(FAULT_STALE, clients.now,
		    "new subscriber, publisher %u topic %u: message %llu is retained, but %llu had "
		    "been acknowledged",
		    (unsigned)(stream / opt.topics), (unsigned)(stream % opt.topics),
		    (unsigned long long)seq, (unsigned long long)(probe.wanted[stream] - 1));
	}
}

static const struct client_hooks hooks = {
	.role = "probe", .on_up = on_up, .on_suback = on_suback, .on_message = on_message
};

void
retained_init(void)
{
	probe.client.hooks = &hooks;
	probe.wanted = grab(streams(), sizeof(*probe.wanted));
}

static void
give_up(void)
{
	for (uint32_t i = 0; i < streams(); i++)
		if (probe.wanted[i] > 0)
			ledger_fault(FAULT_STALE, clients.now,
			    "new subscriber, publisher %u topic %u: message %llu had been "
			    "acknowledged, but neither that nor a newer one came",
			    (unsigned)(i / opt.topics), (unsigned)(i % opt.topics),
			    (unsigned long long)(probe.wanted[i] - 1));
	probe.left = 0;
}

void
retained_turn(void)
{
	struct client *c = &probe.client;

	if (opt.retained == 0)
		return;
	if (c->state == CLIENT_UP && clients.now - probe.since_ns > opt.deadline * 500000000)
		give_up();
	if (c->state == CLIENT_UP && probe.is_subscribed && probe.left == 0) {
		client_close(c);
		probe.rounds++;
		probe.again_ns = 0;
	}
	if (c->state != CLIENT_CLOSED)
		return;
	probe.is_subscribed = false;
	if (probe.again_ns == 0)
		probe.again_ns = after_ms(PAUSE_MIN_MS, PAUSE_MAX_MS);
	if (clients.now < probe.again_ns)
		return;
	client_open(c);
	probe.again_ns = 0;
}

uint64_t
retained_rounds(void)
{
	return probe.rounds;
}
