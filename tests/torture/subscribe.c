/*
 * subscribe.c - subscribers: durable sessions that get everything
 *
 * The first ones stay online, but for lost connections; the others go away for a while now and then. The
 * last ones are members of a group, to whom everything comes once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/torture.h"

#define STAY_MIN_MS 300
#define STAY_MAX_MS 2000
#define AWAY_MIN_MS 300
#define AWAY_MAX_MS 4000

/* A QoS 2 message that was taken and whose identifier has not been released. */
struct held {
	uint64_t seq;
	uint32_t stream;
	bool is_used;
};

struct sub {
	struct kept kept;
	struct held *held; /* by packet identifier */
	uint32_t account;  /* in the ledger; members of the group have one */
	uint64_t turn_ns;  /* goes or returns then; 0: it stays online */
	bool is_away, is_subscribed, got_one;
};

static struct {
	struct sub *sub;
	uint32_t n, accounts;
	uint64_t messages;
	bool are_far_behind;
} subs;

static struct sub *
sub_of(struct client *c)
{
	return &subs.sub[c->index];
}

static void
on_up(struct client *c)
{
	struct sub *s = sub_of(c);
	char filter[64];
	const char *f = filter;

	if (!kept_is_resumed(&s->kept)) {
		s->is_subscribed = false;
		memset(s->held, 0, (UINT16_MAX + 1) * sizeof(*s->held));
	}
	if (s->is_subscribed)
		return;
	snprintf(filter, sizeof(filter), "%storture/%u/#",
	    c->index >= opt.online + opt.offline ? "$share/group/" : "", run_id);
	client_subscribe(c, &f, 1, 2);
}

static void
on_suback(struct client *c)
{
	sub_of(c)->is_subscribed = true;
}

/* True: it is the message that we have under this identifier already. */
static bool
is_held(struct client *c, const struct publish *m, uint32_t stream, uint64_t seq)
{
	const struct held *h = &sub_of(c)->held[m->id];

	if (!h->is_used)
		return false;
	if (h->stream == stream && h->seq == seq) {
		ledger_repeated(sub_of(c)->account, stream, seq, m->dup, clients.now);
		return true;
	}
	ledger_fault(FAULT_SPOILT, clients.now,
	    "subscriber %u, identifier %u came with stream %u message %llu, but is not released of "
	    "stream %u message %llu",
	    c->index, m->id, stream, (unsigned long long)seq, h->stream,
	    (unsigned long long)h->seq);
	return false;
}

static void
on_message(struct client *c, const struct publish *m)
{
	struct sub *s = sub_of(c);
	uint32_t stream;
	uint64_t seq;

	subs.messages++;
	s->got_one = true;
	if (!message_parse(m->payload, &stream, &seq)) {
		ledger_fault(FAULT_SPOILT, clients.now, "subscriber %u, topic %.*s, %zu bytes",
		    c->index, (int)m->topic.len, (const char *)m->topic.p, m->payload.len);
		return;
	}
	if (m->qos == 2) {
		if (is_held(c, m, stream, seq))
			return;
		s->held[m->id] = (struct held){ .seq = seq, .stream = stream, .is_used = true };
	}
	if (!ledger_arrived(s->account, stream, seq, m->qos, m->dup, clients.now))
		ledger_fault(FAULT_SPOILT, clients.now,
		    "subscriber %u, topic %.*s, QoS %u: message %llu was not sent like that",
		    c->index, (int)m->topic.len, (const char *)m->topic.p, m->qos,
		    (unsigned long long)seq);
}

static void
on_release(struct client *c, uint16_t id)
{
	sub_of(c)->held[id].is_used = false;
}

static const struct client_hooks hooks = { .role = "sub",
	.durable = true,
	.on_up = on_up,
	.on_suback = on_suback,
	.on_message = on_message,
	.on_release = on_release };

void
subscribers_init(void)
{
	subs.n = (uint32_t)(opt.online + opt.offline + opt.members);
	subs.accounts = (uint32_t)(opt.online + opt.offline) + (opt.members > 0);
	if (opt.members > 0)
		ledger_group(subs.accounts - 1);
	subs.sub = grab(subs.n, sizeof(*subs.sub));
	for (uint32_t i = 0; i < subs.n; i++) {
		struct sub *s = &subs.sub[i];

		s->kept.client.hooks = &hooks;
		s->kept.client.index = i;
		s->account = i < subs.accounts ? i : subs.accounts - 1;
		s->held = grab(UINT16_MAX + 1, sizeof(*s->held));
		if (i >= opt.online)
			s->turn_ns = after_ms(STAY_MIN_MS, STAY_MAX_MS);
	}
}

static void
come_and_go(struct sub *s)
{
	if (clients.now < s->turn_ns)
		return;
	s->is_away = !s->is_away;
	s->turn_ns =
	    s->is_away ? after_ms(AWAY_MIN_MS, AWAY_MAX_MS) : after_ms(STAY_MIN_MS, STAY_MAX_MS);
	if (!s->is_away)
		return;
	if (between(0, 1) == 0)
		client_close(&s->kept.client);
	else
		client_cut(&s->kept.client);
}

void
subscribers_turn(bool may_leave)
{
	uint64_t behind = 0;

	for (struct sub *s = subs.sub; s < subs.sub + subs.n; s++) {
		uint64_t b = ledger_behind(s->account);

		behind = b > behind ? b : behind;
		if (s->turn_ns > 0 && may_leave && s->is_subscribed)
			come_and_go(s);
		s->is_away &= may_leave && b <= opt.backlog / 2;
		if (!s->is_away)
			kept_turn(&s->kept);
	}
	subs.are_far_behind = behind > (subs.are_far_behind ? opt.backlog / 2 : opt.backlog);
}

bool
subscribers_are_ready(void)
{
	for (const struct sub *s = subs.sub; s < subs.sub + subs.n; s++)
		if (!s->is_subscribed)
			return false;
	return true;
}

bool
subscribers_had_messages(void)
{
	for (const struct sub *s = subs.sub; s < subs.sub + opt.online; s++)
		if (!s->got_one)
			return false;
	return true;
}

void
subscribers_mark(void)
{
	for (struct sub *s = subs.sub; s < subs.sub + subs.n; s++)
		s->got_one = false;
}

bool
subscribers_are_far_behind(void)
{
	return subs.are_far_behind;
}

bool
subscribers_have_all(void)
{
	for (uint32_t i = 0; i < subs.accounts; i++)
		if (!ledger_has_last(i))
			return false;
	return true;
}

uint64_t
subscribers_messages(void)
{
	return subs.messages;
}

void
subscribers_explain(void)
{
	for (const struct sub *s = subs.sub; s < subs.sub + subs.n; s++)
		printf("subscriber %u: connection %s%s, %llu messages behind%s\n",
		    s->kept.client.index, client_state_name[s->kept.client.state],
		    s->is_away ? " on purpose" : "", (unsigned long long)ledger_behind(s->account),
		    s->got_one ? "" : ", nothing came since the last kill");
}
