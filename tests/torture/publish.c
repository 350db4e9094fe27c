/*
 * publish.c - publishers: each knows what it has under way, and sends it again after a reconnect
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/hash.h"
#include "shared/mqtt/rd.h"
#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/torture.h"

#define HEAD 16     /* of a payload: run, stream, number */
#define LARGE 64    /* one message of so many… */
#define LARGER 64   /* …is so much larger */
#define BURST 65536 /* bytes sent at once, beside the last message */

struct flight {
	uint64_t seq, order; /* order: of the first sending */
	uint32_t stream;
	uint8_t waits; /* packet type that must come; 0: not in use */
};

struct pub {
	struct kept kept;
	struct flight *flight; /* by packet identifier - 1 */
	uint64_t order;
	uint32_t next_slot, next_topic;
	unsigned under_way;
	uint64_t left; /* of the last messages */
	bool answered;
};

static struct {
	struct pub *pub;
	uint8_t *payload, *packets;
	size_t room; /* of packets */
	uint64_t answers;
} pubs;

static struct pub *
pub_of(struct client *c)
{
	return &pubs.pub[c->index];
}

/* --- messages ---------------------------------------------------------------------------- */

struct span
message_of(uint32_t stream, uint64_t seq)
{
	uint64_t mixed = hash_mix((uint64_t)stream << 40 ^ seq ^ opt.seed << 20);
	size_t len = HEAD + mixed % opt.size * (mixed >> 32 & (LARGE - 1) ? 1 : LARGER);
	struct wr w = wr_of(pubs.payload, HEAD);

	wr_u32(&w, run_id);
	wr_u32(&w, stream);
	wr_u64(&w, seq);
	memset(pubs.payload + HEAD, (int)(mixed & 0xff), len - HEAD);
	return span_of(pubs.payload, len);
}

bool
message_parse(struct span payload, uint32_t *stream_out, uint64_t *seq_out)
{
	struct rd r = rd_of(payload);
	uint32_t run = rd_u32(&r), stream = rd_u32(&r);
	uint64_t seq = rd_u64(&r);

	if (r.bad || run != run_id || !span_eq(payload, message_of(stream, seq)))
		return false;
	*stream_out = stream;
	*seq_out = seq;
	return true;
}

/* Appends the PUBLISH of a flight at `at` and answers its end. */
static size_t
append(const struct pub *p, const struct flight *f, bool dup, size_t at)
{
	char topic[64];
	struct publish_out out = { .id = (uint16_t)(f - p->flight + 1), .dup = dup };

	snprintf(topic, sizeof(topic), "torture/%u/%u/%u", run_id, p->kept.client.index,
	    (unsigned)(f->stream % opt.topics));
	out.topic = span_str(topic);
	out.payload = message_of(f->stream, f->seq);
	out.qos = f->waits == PKT_PUBACK ? 1 : 2;
	out.retain = is_retained(f->stream);
	return at +
	    publish_encode(&out, (enum mqtt_version)opt.version, pubs.packets + at, pubs.room - at);
}

/* --- what is under way ------------------------------------------------------------------- */

/* NULL: as many are under way as may be. */
static struct flight *
take_off(struct pub *p)
{
	unsigned max = p->kept.client.receive_max;
	uint32_t topic = p->next_topic;
	struct flight *f;

	if (p->under_way >= (opt.inflight < max ? opt.inflight : max))
		return NULL;
	/* Identifiers come again soon, so that one that wasn't freed is found. */
	do {
		f = &p->flight[p->next_slot];
		p->next_slot = (p->next_slot + 1) % (uint32_t)opt.inflight;
	} while (f->waits != 0);
	p->next_topic = (topic + 1) % (uint32_t)opt.topics;
	p->under_way++;
	f->stream = p->kept.client.index * (uint32_t)opt.topics + topic;
	f->seq = ledger_publish(f->stream);
	f->order = ++p->order;
	f->waits = topic % 2 == 0 ? PKT_PUBACK : PKT_PUBREC;
	return f;
}

static void
land(struct pub *p, struct flight *f)
{
	f->waits = 0;
	p->under_way--;
}

/* At most `count` new messages, as many as may be under way and fit. */
static void
publish(struct pub *p, uint64_t count)
{
	struct client *c = &p->kept.client;
	struct flight *f;
	size_t len = 0;

	if (c->state != CLIENT_UP || client_is_behind(c))
		return;
	while (count-- > 0 && len < BURST && (f = take_off(p)) != NULL)
		len = append(p, f, false, len);
	if (len > 0)
		client_send(c, pubs.packets, len);
}

static int
by_order(const void *a, const void *b)
{
	const struct flight *const *x = a, *const *y = b;

	return ((*x)->order > (*y)->order) - ((*x)->order < (*y)->order);
}

static void
on_up(struct client *c)
{
	struct pub *p = pub_of(c);
	struct flight **again = grab(opt.inflight, sizeof(struct flight *));
	unsigned n = 0;
	size_t len = 0;

	kept_is_resumed(&p->kept);
	for (uint64_t i = 0; i < opt.inflight; i++)
		if (p->flight[i].waits != 0)
			again[n++] = &p->flight[i];
	qsort(again, n, sizeof(struct flight *), by_order);
	for (unsigned i = 0; i < n && c->state == CLIENT_UP; i++) {
		uint16_t id = (uint16_t)(again[i] - p->flight + 1);

		if (again[i]->waits == PKT_PUBCOMP) {
			len = ack_encode(PKT_PUBREL, id, (enum mqtt_version)opt.version, 0,
			    span_of(NULL, 0), pubs.packets, pubs.room);
		} else {
			ledger_sent_again(again[i]->stream, again[i]->seq);
			len = append(p, again[i], true, 0);
		}
		client_send(c, pubs.packets, len);
	}
	free(again);
}

static void
on_ack(struct client *c, unsigned type, uint16_t id, uint8_t reason)
{
	struct pub *p = pub_of(c);
	struct flight *f = &p->flight[id - 1];

	if (id == 0 || id > opt.inflight || f->waits != type) {
		ledger_fault(FAULT_SPOILT, clients.now,
		    "publisher %u, an answer of type %u to identifier %u, which waits for %u",
		    c->index, type, id, id > 0 && id <= opt.inflight ? f->waits : 0);
		return;
	}
	p->answered = true;
	pubs.answers++;
	if (type != PKT_PUBCOMP && reason >= 0x80)
		ledger_refused(f->stream, f->seq);
	else if (type != PKT_PUBCOMP)
		ledger_acknowledged(f->stream, f->seq, clients.now);
	if (type == PKT_PUBREC && reason < 0x80)
		f->waits = PKT_PUBCOMP;
	else
		land(p, f);
}

static const struct client_hooks hooks = {
	.role = "pub", .durable = true, .on_up = on_up, .on_ack = on_ack
};

/* --- all of them ------------------------------------------------------------------------- */

void
publishers_init(void)
{
	pubs.pub = grab(opt.publishers, sizeof(*pubs.pub));
	pubs.payload = grab(HEAD + opt.size * LARGER, 1);
	pubs.room = BURST + HEAD + opt.size * LARGER + 128;
	pubs.packets = grab(pubs.room, 1);
	for (uint32_t i = 0; i < opt.publishers; i++) {
		struct pub *p = &pubs.pub[i];

		p->kept.client.hooks = &hooks;
		p->kept.client.index = i;
		p->left = opt.topics;
		p->flight = grab(opt.inflight, sizeof(*p->flight));
		for (uint32_t t = 0; t < opt.topics; t++)
			ledger_stream(i * (uint32_t)opt.topics + t, i, t, 1 + t % 2);
	}
}

void
publishers_turn(bool may_publish)
{
	for (struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++) {
		kept_turn(&p->kept);
		if (may_publish)
			publish(p, UINT64_MAX);
	}
}

bool
publishers_say_last(void)
{
	bool all = true;

	for (struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++) {
		uint64_t before = p->order;

		publish(p, p->left);
		p->left -= p->order - before;
		all &= p->left == 0;
	}
	return all;
}

bool
publishers_are_done(void)
{
	for (const struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++)
		if (p->under_way > 0)
			return false;
	return true;
}

bool
publishers_had_answers(void)
{
	for (const struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++)
		if (!p->answered)
			return false;
	return true;
}

void
publishers_mark(void)
{
	for (struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++)
		p->answered = false;
}

uint64_t
publishers_answers(void)
{
	return pubs.answers;
}

void
publishers_explain(void)
{
	for (const struct pub *p = pubs.pub; p < pubs.pub + opt.publishers; p++)
		printf("publisher %u: connection %s, %u messages under way%s\n",
		    p->kept.client.index, client_state_name[p->kept.client.state], p->under_way,
		    p->answered ? "" : ", no answer since the last kill");
}
