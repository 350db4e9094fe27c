/*
 * load.c - publishers and subscribers; every message is accounted for
 *
 * A payload says run, stream (its publisher) and sequence number, and when it was built. For each
 * stream that a subscriber gets there is a cell with the next number and the gaps before it, so
 * that loss, duplicates and disorder are exact.
 *
 * What a message costs a broker depends on how many lie in its sockets when it comes to read. So
 * there are two loads: a closed loop, which keeps a window of deliveries outstanding, and a pace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/hist.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/tool.h"

#define BURST (32u << 10)       /* bytes sent on a connection at once */
#define TURN_BYTES (128u << 10) /* sent before reading again */
#define TICK_NS 200000u         /* grain of the pace: finer costs more, coarser makes bursts */
#define IDLE_NS 100000000u
#define STALL_NS 500000000u           /* then the window forgets what is outstanding */
#define DRAIN_NS UINT64_C(3000000000) /* nothing came for so long: lost */
#define DRAIN_MAX_NS UINT64_C(60000000000)

enum shape { FAN_OUT, FAN_IN, PAIRS };

struct stamp {
	uint32_t run, stream;
	uint64_t seq, built_ns;
};

struct gap {
	uint64_t from, to; /* to is the first that came */
};

struct cell {
	uint64_t next;
	struct gap *gap; /* in order */
	size_t gaps, cap;
};

struct pub {
	uint8_t *packet; /* of every message, but for identifier and stamp */
	size_t len, id_at, stamp_at;
	uint64_t sent, due;
	uint16_t *free_id; /* a stack; NULL at QoS 0 */
	uint8_t *waits;    /* by identifier: packet type that must come, 0: not in use */
	unsigned free_ids;
	bool queued;
};

/* What had happened when. */
struct mark {
	uint64_t t, sent, received, broker_ns, own_ns;
};

static struct {
	enum shape shape;
	uint32_t run, fan, subs, pubs;
	struct client *sub, *client; /* client: of pub[i] */
	struct pub *pub;
	struct cell *cell;
	uint32_t *queue, head, queued; /* publishers that can send; a circle */
	uint8_t *built;

	bool stopped, shut;
	uint64_t pace_t0, paced;
	uint64_t sent, caused, received, forgotten, unacked, stalls;
	uint64_t duplicates, disorder, wrong, subscribed;
	uint64_t alive_at, alive_seen; /* when something had last come */
	struct hist latency;
	uint64_t measured_from, measured_to;
	uint8_t *fill; /* of a payload, after the stamp */
} ld;

/* --- receiving --------------------------------------------------------------------------- */

static void
on_sub_up(struct client *c)
{
	char filter[64];
	const char *f = filter;

	if (ld.shape == FAN_IN)
		snprintf(filter, sizeof(filter), "bench/%u/+", ld.run);
	else
		snprintf(filter, sizeof(filter), "bench/%u/%u", ld.run,
		    ld.shape == FAN_OUT ? 0 : c->index);
	client_subscribe(c, &f, 1, opt.qos);
}

static void
on_suback(struct client *c)
{
	(void)c;
	ld.subscribed++;
}

static void
gap_add(struct cell *cell, uint64_t from, uint64_t to)
{
	if (cell->gaps == cell->cap) {
		cell->gap = grab_more(cell->gap, &cell->cap, sizeof(*cell->gap));
	}
	cell->gap[cell->gaps++] = (struct gap){ .from = from, .to = to };
}

/* False: seq is in no gap, so it has come before. */
static bool
gap_fill(struct cell *cell, uint64_t seq)
{
	size_t i = cell->gaps;
	struct gap *g, right;

	while (i > 0 && cell->gap[i - 1].from > seq)
		i--;
	if (i == 0 || cell->gap[i - 1].to <= seq)
		return false;
	g = &cell->gap[i - 1];
	right = (struct gap){ .from = seq + 1, .to = g->to };
	g->to = seq;
	if (right.from < right.to) {
		gap_add(cell, right.from, right.to); /* may move all */
		memmove(&cell->gap[i + 1], &cell->gap[i], (cell->gaps - 1 - i) * sizeof(*g));
		cell->gap[i] = right;
	}
	return true;
}

static void
on_message(struct client *c, const struct publish *m)
{
	struct cell *cell;
	struct stamp s;

	if (m->payload.len != opt.size) {
		ld.wrong++;
		return;
	}
	memcpy(&s, m->payload.p, sizeof(s));
	if (s.run != ld.run || m->qos != opt.qos || s.stream >= ld.pubs ||
	    (ld.shape == PAIRS && s.stream != c->index) || s.seq >= ld.pub[s.stream].sent ||
	    memcmp(m->payload.p + sizeof(s), ld.fill + sizeof(s), opt.size - sizeof(s)) != 0) {
		ld.wrong++;
		return;
	}
	cell = &ld.cell[ld.shape == FAN_IN ? s.stream : c->index];
	if (s.seq < cell->next) {
		if (!gap_fill(cell, s.seq)) {
			ld.duplicates++;
			return;
		}
		ld.disorder++;
	} else {
		if (s.seq > cell->next)
			gap_add(cell, cell->next, s.seq);
		cell->next = s.seq + 1;
	}
	ld.received++;
	if (s.built_ns >= ld.measured_from && s.built_ns < ld.measured_to)
		hist_add(&ld.latency, clients.now > s.built_ns ? clients.now - s.built_ns : 0);
}

static uint64_t
count_lost(void)
{
	uint32_t cells = ld.shape == FAN_IN ? ld.pubs : ld.subs;
	uint64_t lost = 0;

	for (uint32_t i = 0; i < cells; i++) {
		const struct cell *cell = &ld.cell[i];

		lost += ld.pub[ld.shape == FAN_OUT ? 0 : i].sent - cell->next;
		for (size_t k = 0; k < cell->gaps; k++)
			lost += cell->gap[k].to - cell->gap[k].from;
	}
	return lost;
}

/* --- publishing -------------------------------------------------------------------------- */

static void
enqueue(uint32_t i)
{
	struct pub *p = &ld.pub[i];

	if (p->queued || ld.client[i].state != CLIENT_UP || client_is_behind(&ld.client[i]) ||
	    p->sent >= p->due || (opt.qos > 0 && p->free_ids == 0))
		return;
	p->queued = true;
	ld.queue[(ld.head + ld.queued++) % ld.pubs] = i;
}

static void
on_pub_up(struct client *c)
{
	struct pub *p = &ld.pub[c->index];
	char topic[64];
	struct publish_out out = { .qos = (uint8_t)opt.qos, .id = opt.qos > 0 };
	struct wr w;
	size_t len;

	snprintf(topic, sizeof(topic), "bench/%u/%u", ld.run, c->index);
	out.topic = span_str(topic);
	out.payload = span_of(ld.fill, opt.size); /* the stamp is written over it */
	len = publish_len(&out, (enum mqtt_version)opt.version);
	p->packet = grab(1, len);
	p->len = publish_encode(&out, (enum mqtt_version)opt.version, p->packet, len);
	p->stamp_at = len - opt.size;
	p->id_at = p->stamp_at - (opt.version == MQTT_5) - 2;
	w = wr_of(p->packet + p->stamp_at, sizeof(struct stamp));
	wr_raw(&w,
	    span_of(&(struct stamp){ .run = ld.run, .stream = c->index }, sizeof(struct stamp)));
	if (opt.qos > 0) {
		p->free_ids = opt.inflight < c->receive_max ? opt.inflight : c->receive_max;
		p->free_id = grab(p->free_ids, sizeof(*p->free_id));
		p->waits = grab(p->free_ids + 1, 1);
		for (unsigned i = 0; i < p->free_ids; i++)
			p->free_id[i] = (uint16_t)(p->free_ids - i);
	}
}

/* At most max messages, as many as fit; answers the bytes. */
static size_t
burst(uint32_t i, uint64_t max)
{
	struct pub *p = &ld.pub[i];
	uint64_t now = now_ns(), left = p->due - p->sent;
	size_t len = 0;

	left = max < left ? max : left;
	for (; left > 0 && (len == 0 || len + p->len <= BURST); left--) {
		struct stamp s = { .run = ld.run, .stream = i, .seq = p->sent, .built_ns = now };

		if (opt.qos > 0) {
			uint16_t id;

			if (p->free_ids == 0)
				break;
			id = p->free_id[--p->free_ids];
			p->waits[id] = opt.qos == 1 ? PKT_PUBACK : PKT_PUBREC;
			p->packet[p->id_at] = (uint8_t)(id >> 8);
			p->packet[p->id_at + 1] = (uint8_t)id;
			ld.unacked++;
		}
		memcpy(p->packet + p->stamp_at, &s, sizeof(s));
		memcpy(ld.built + len, p->packet, p->len);
		len += p->len;
		p->sent++;
		ld.sent++;
		ld.caused += ld.fan;
	}
	client_send(&ld.client[i], ld.built, len);
	return len;
}

static void
on_ack(struct client *c, unsigned type, uint16_t id, uint8_t reason)
{
	struct pub *p = &ld.pub[c->index];
	unsigned ids = opt.inflight < c->receive_max ? opt.inflight : c->receive_max;

	if (opt.qos == 0 || id == 0 || id > ids || p->waits[id] != type) {
		ld.wrong++;
		return;
	}
	if (type == PKT_PUBREC && reason < 0x80) {
		p->waits[id] = PKT_PUBCOMP;
		return;
	}
	p->waits[id] = 0;
	p->free_id[p->free_ids++] = id;
	ld.unacked--;
	enqueue(c->index);
}

static void
on_sent(struct client *c)
{
	enqueue(c->index);
}

static const struct client_hooks sub_hooks = {
	.role = "sub", .on_up = on_sub_up, .on_suback = on_suback, .on_message = on_message
};
static const struct client_hooks pub_hooks = {
	.role = "pub", .on_up = on_pub_up, .on_ack = on_ack, .on_sent = on_sent
};

/* What the pace allows by now; the publishers take turns. */
static void
pace(void)
{
	uint64_t due = (uint64_t)((double)(clients.now - ld.pace_t0) * (double)opt.rate / 1e9);

	for (; ld.paced < due; ld.paced++) {
		uint32_t i = (uint32_t)(ld.paced % ld.pubs);

		ld.pub[i].due++;
		enqueue(i);
	}
}

/*
 * Deliveries that may be caused now. The window opens when a quarter of it is free, not for each
 * message that arrives: the load comes in bursts, as many publishers make it.
 */
static uint64_t
window_room(void)
{
	uint64_t done = ld.received + ld.forgotten;
	uint64_t room = done + opt.window > ld.caused ? done + opt.window - ld.caused : 0;

	if (opt.rate > 0)
		return UINT64_MAX;
	room = room > opt.window ? opt.window : room; /* what was forgotten came after all */
	ld.shut = room == 0 || (ld.shut && room < opt.window / 4);
	return ld.shut ? 0 : room;
}

/* Sends what may be sent; answers how long nothing can be. */
static uint64_t
pump(void)
{
	size_t bytes = 0;

	if (ld.stopped)
		return IDLE_NS;
	if (opt.rate > 0)
		pace();
	while (ld.queued > 0 && bytes < TURN_BYTES) {
		uint64_t room = window_room(), share = room / ld.fan / ld.queued;
		uint32_t i = ld.queue[ld.head];

		if (room == 0)
			return IDLE_NS;
		ld.head = (ld.head + 1) % ld.pubs;
		ld.queued--;
		ld.pub[i].queued = false;
		if (ld.client[i].state == CLIENT_UP)
			bytes += burst(i, share > 0 ? share : 1);
		enqueue(i);
	}
	if (ld.queued > 0)
		return 0;
	return opt.rate > 0 ? TICK_NS : IDLE_NS;
}

static void
turn(void)
{
	uint64_t came;

	clients_turn(pump());
	came = ld.received + clients.reads;
	if (came != ld.alive_seen) {
		ld.alive_seen = came;
		ld.alive_at = clients.now;
	} else if (ld.shut && clients.now - ld.alive_at > STALL_NS && !ld.stopped) {
		ld.forgotten = ld.caused - ld.received; /* or the window stays shut for ever */
		ld.alive_at = clients.now;
		ld.stalls++;
	}
}

/* A connection that is lost makes the figures worthless: the end comes at once. */
static void
run_until(uint64_t t)
{
	while (now_ns() < t && !interrupted && clients.dropped == 0)
		turn();
}

static void
drain(void)
{
	uint64_t until = now_ns() + DRAIN_MAX_NS;

	ld.stopped = true;
	ld.alive_at = clients.now = now_ns();
	while ((ld.received < ld.caused || ld.unacked > 0) && clients.now < until &&
	    clients.now - ld.alive_at < DRAIN_NS && clients.dropped == 0)
		turn();
}

static struct mark
mark(void)
{
	struct mark m = { .sent = ld.sent, .received = ld.received };

	if (opt.pid != 0 && !proc_cpu_ns(opt.pid, &m.broker_ns))
		fail("process %d is gone", (int)opt.pid);
	m.own_ns = own_cpu_ns();
	m.t = now_ns();
	return m;
}

static bool
report(const struct mark *from, const struct mark *to, const struct mark *drained)
{
	double seconds = (double)(to->t - from->t) / 1e9;
	double deliveries = (double)(drained->received - from->received);
	bool good = true;

	deliveries = deliveries > 0 ? deliveries : 1;
	figure("published_per_s", "published", (double)(to->sent - from->sent) / seconds, "/s");
	figure("delivered_per_s", "delivered", (double)(to->received - from->received) / seconds,
	    "/s");
	if (opt.pid != 0)
		figure("broker_us_per_delivery", "broker CPU per delivery",
		    (double)(drained->broker_ns - from->broker_ns) / 1e3 / deliveries, "us");
	figure("own_us_per_delivery", "own CPU per delivery",
	    (double)(drained->own_ns - from->own_ns) / 1e3 / deliveries, "us");
	figure("latency_p50_us", "latency, median", (double)hist_quantile(&ld.latency, 0.5) / 1e3,
	    "us");
	figure("latency_p99_us", "latency, 99 %", (double)hist_quantile(&ld.latency, 0.99) / 1e3,
	    "us");
	figure("latency_max_us", "latency, longest", (double)ld.latency.max / 1e3, "us");
	figure("delivered", "delivered in all", (double)ld.received, "");
	if (ld.stalls > 0)
		figure("stalls", "nothing came for half a second", (double)ld.stalls, "times");
	good &= figure_fault("lost", "lost", count_lost());
	good &= figure_fault("duplicates", "duplicates", ld.duplicates);
	good &= figure_fault("disorder", "out of order", ld.disorder);
	good &= figure_fault("wrong", "wrong content, QoS or acknowledgement", ld.wrong);
	good &= figure_fault("unacknowledged", "unacknowledged", ld.unacked);
	return good;
}

static bool
all_subscribed(void)
{
	return ld.subscribed == ld.subs;
}

static bool
nothing_more(void)
{
	return true;
}

static bool
load(enum shape shape)
{
	struct mark from, to, drained;
	uint32_t n = opt.clients;

	ld.shape = shape;
	ld.run = (uint32_t)now_ns();
	ld.subs = shape == FAN_IN ? 1 : n;
	ld.pubs = shape == FAN_OUT ? 1 : n;
	ld.fan = shape == FAN_OUT ? n : 1;
	ld.sub = grab(ld.subs, sizeof(*ld.sub));
	ld.client = grab(ld.pubs, sizeof(*ld.client));
	ld.pub = grab(ld.pubs, sizeof(*ld.pub));
	ld.cell = grab(n, sizeof(*ld.cell));
	ld.queue = grab(ld.pubs, sizeof(*ld.queue));
	ld.built = grab(1, BURST + opt.size + 256);
	ld.fill = grab(1, opt.size);
	for (size_t i = 0; i < opt.size; i++)
		ld.fill[i] = (uint8_t)(i * 31 + 7);
	for (uint32_t i = 0; i < ld.subs; i++) {
		ld.sub[i].index = i;
		ld.sub[i].hooks = &sub_hooks;
	}
	for (uint32_t i = 0; i < ld.pubs; i++) {
		ld.client[i].index = i;
		ld.client[i].hooks = &pub_hooks;
		ld.pub[i].due = opt.rate > 0 ? 0 : UINT64_MAX;
	}
	clients_open(ld.sub, ld.subs, all_subscribed);
	if (clients.refused > 0)
		fail("the broker refused %llu subscriptions", (unsigned long long)clients.refused);
	clients_open(ld.client, ld.pubs, nothing_more);

	ld.measured_from = ld.measured_to = UINT64_MAX;
	ld.pace_t0 = clients.now = ld.alive_at = now_ns();
	for (uint32_t i = 0; i < ld.pubs; i++)
		enqueue(i);
	run_until(ld.pace_t0 + opt.warmup * 1000000000);
	from = mark();
	ld.measured_from = from.t;
	run_until(from.t + opt.seconds * 1000000000);
	to = mark();
	ld.measured_to = to.t;
	drain();
	drained = mark();
	for (uint32_t i = 0; i < ld.subs; i++)
		client_close(&ld.sub[i]);
	for (uint32_t i = 0; i < ld.pubs; i++)
		client_close(&ld.client[i]);
	return report(&from, &to, &drained);
}

bool
load_fan_out(void)
{
	return load(FAN_OUT);
}

bool
load_fan_in(void)
{
	return load(FAN_IN);
}

bool
load_pairs(void)
{
	return load(PAIRS);
}
