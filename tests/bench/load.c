/*
 * load.c - publishers and subscribers; every message is accounted for
 *
 * A payload says run, stream (its publisher) and sequence number, and when it was built. For each
 * stream that a subscriber gets there is a cell with the next number and the gaps before it, so
 * that loss, duplicates and disorder are exact.
 *
 * What a message costs a broker depends on how many lie in its sockets when it comes to read. So
 * there are two loads: a closed loop, which keeps a window of deliveries outstanding, and a pace.
 * The durable modes have no such window: there each publisher waits for its acknowledgements.
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
#define TAKE_MAX_NS UINT64_C(600000000000) /* a queue may be long */

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
	uint64_t *since;   /* by identifier: when it was built */
	unsigned free_ids;
	bool queued;
};

/* What had happened when. */
struct mark {
	uint64_t t, sent, acked, received, broker_ns, own_ns;
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
	uint64_t sent, acked, caused, received, forgotten, unacked, stalls;
	uint64_t duplicates, disorder, wrong, subscribed, sessions_lost;
	uint64_t alive_at, alive_seen; /* when something had last come */
	struct hist latency, ack;      /* ack: to PUBACK, or to PUBREC, which stands for the same */
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
on_sub_back(struct client *c)
{
	ld.sessions_lost += !c->present;
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
		p->since = grab(p->free_ids + 1, sizeof(*p->since));
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
			p->since[id] = now;
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
	if (type != PKT_PUBCOMP && reason < 0x80) {
		ld.acked++;
		if (p->since[id] >= ld.measured_from && p->since[id] < ld.measured_to)
			hist_add(&ld.ack, clients.now - p->since[id]);
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
/* The same clients with a session that stays; when they come back to it; when they end it. */
static const struct client_hooks durable_hooks = { .role = "sub",
	.durable = true,
	.on_up = on_sub_up,
	.on_suback = on_suback,
	.on_message = on_message };
static const struct client_hooks back_hooks = {
	.role = "sub", .durable = true, .on_up = on_sub_back, .on_message = on_message
};
static const struct client_hooks end_hooks = { .role = "sub" };
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
 * Messages that may be sent now. The window opens when a quarter of it is free, not for each
 * message that arrives: the load comes in bursts, as many publishers make it.
 */
static uint64_t
window_room(void)
{
	uint64_t done = ld.received + ld.forgotten;
	uint64_t room = done + opt.window > ld.caused ? done + opt.window - ld.caused : 0;

	if (opt.rate > 0 || opt.window == 0 || ld.fan == 0)
		return UINT64_MAX;
	room = room > opt.window ? opt.window : room; /* what was forgotten came after all */
	ld.shut = room == 0 || (ld.shut && room < opt.window / 4);
	return ld.shut ? 0 : room > ld.fan ? room / ld.fan : 1;
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
		uint64_t room = window_room(), share = room / ld.queued;
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
drain(uint64_t quiet_ns, uint64_t max_ns)
{
	uint64_t until = now_ns() + max_ns;

	ld.stopped = true;
	ld.alive_at = clients.now = now_ns();
	while ((ld.received < ld.caused || ld.unacked > 0) && clients.now < until &&
	    clients.now - ld.alive_at < quiet_ns && clients.dropped == 0)
		turn();
}

static struct mark
mark(void)
{
	struct mark m = { .sent = ld.sent, .acked = ld.acked, .received = ld.received };

	if (opt.pid != 0 && !proc_cpu_ns(opt.pid, &m.broker_ns))
		fail("process %d is gone", (int)opt.pid);
	m.own_ns = own_cpu_ns();
	m.t = now_ns();
	return m;
}

/* Of the broker and of our own, for each of n messages. */
static void
figure_cpu(const struct mark *from, const struct mark *to, uint64_t n, const char *broker_key,
    const char *broker_label, const char *own_key, const char *own_label)
{
	double messages = n > 0 ? (double)n : 1;

	if (opt.pid != 0)
		figure(broker_key, broker_label,
		    (double)(to->broker_ns - from->broker_ns) / 1e3 / messages, "us");
	figure(own_key, own_label, (double)(to->own_ns - from->own_ns) / 1e3 / messages, "us");
}

static void
figure_cpu_of_deliveries(const struct mark *from, const struct mark *to)
{
	figure_cpu(from, to, to->received - from->received, "broker_us_per_delivery",
	    "broker CPU per delivery", "own_us_per_delivery", "own CPU per delivery");
}

/* That all that was sent has come, and nothing else. */
static bool
figure_faults(void)
{
	bool good = true;

	if (ld.fan > 0) {
		figure("delivered", "delivered in all", (double)ld.received, "");
		good &= figure_fault("lost", "lost", count_lost());
		good &= figure_fault("duplicates", "duplicates", ld.duplicates);
		good &= figure_fault("disorder", "out of order", ld.disorder);
	}
	good &= figure_fault("sessions_lost", "sessions lost", ld.sessions_lost);
	good &= figure_fault("wrong", "wrong content, QoS or acknowledgement", ld.wrong);
	good &= figure_fault("unacknowledged", "unacknowledged", ld.unacked);
	return good;
}

static bool
report(const struct mark *from, const struct mark *to, const struct mark *drained)
{
	double seconds = (double)(to->t - from->t) / 1e9;

	figure("published_per_s", "published", (double)(to->sent - from->sent) / seconds, "/s");
	if (opt.qos > 0) {
		figure("acknowledged_per_s", "acknowledged",
		    (double)(to->acked - from->acked) / seconds, "/s");
		figure_cpu(from, drained, drained->acked - from->acked, "broker_us_per_message",
		    "broker CPU per message", "own_us_per_message", "own CPU per message");
		figure("ack_p50_us", "PUBLISH to its acknowledgement, median",
		    (double)hist_quantile(&ld.ack, 0.5) / 1e3, "us");
		figure("ack_p99_us", "PUBLISH to its acknowledgement, 99 %",
		    (double)hist_quantile(&ld.ack, 0.99) / 1e3, "us");
	}
	if (ld.fan > 0) {
		figure("delivered_per_s", "delivered",
		    (double)(to->received - from->received) / seconds, "/s");
		figure_cpu_of_deliveries(from, drained);
		figure("latency_p50_us", "latency, median",
		    (double)hist_quantile(&ld.latency, 0.5) / 1e3, "us");
		figure("latency_p99_us", "latency, 99 %",
		    (double)hist_quantile(&ld.latency, 0.99) / 1e3, "us");
		figure("latency_max_us", "latency, longest", (double)ld.latency.max / 1e3, "us");
	}
	if (ld.stalls > 0)
		figure("stalls", "nothing came for half a second", (double)ld.stalls, "times");
	return figure_faults();
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

static void
subs_open(const struct client_hooks *hooks, bool (*more)(void))
{
	for (uint32_t i = 0; i < ld.subs; i++)
		ld.sub[i].hooks = hooks;
	clients_open(ld.sub, ld.subs, more);
	if (clients.refused > 0)
		fail("the broker refused %llu subscriptions", (unsigned long long)clients.refused);
}

static void
close_all(struct client *first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		client_close(&first[i]);
}

/* Sessions that were made for this run. */
static void
sessions_end(void)
{
	if (opt.leave || clients.dropped > 0)
		return;
	close_all(ld.sub, ld.subs);
	subs_open(&end_hooks, nothing_more);
	close_all(ld.sub, ld.subs);
}

/* Subscribers are up and subscribed, publishers are up; each may send due messages, unless there is a pace. */
static void
prepare(enum shape shape, const struct client_hooks *hooks, uint64_t due)
{
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
	for (uint32_t i = 0; i < ld.subs; i++)
		ld.sub[i].index = i;
	for (uint32_t i = 0; i < ld.pubs; i++) {
		ld.client[i].index = i;
		ld.client[i].hooks = &pub_hooks;
		ld.pub[i].due = opt.rate > 0 ? 0 : due;
	}
	ld.measured_from = ld.measured_to = UINT64_MAX;
	subs_open(hooks, all_subscribed);
	clients_open(ld.client, ld.pubs, nothing_more);
}

static void
start(void)
{
	ld.pace_t0 = clients.now = ld.alive_at = now_ns();
	for (uint32_t i = 0; i < ld.pubs; i++)
		enqueue(i);
}

/* What was prepared, for the time asked for. */
static bool
load(void)
{
	struct mark from, to, drained;

	start();
	run_until(ld.pace_t0 + opt.warmup * 1000000000);
	from = mark();
	ld.measured_from = from.t;
	run_until(from.t + opt.seconds * 1000000000);
	to = mark();
	ld.measured_to = to.t;
	drain(DRAIN_NS, DRAIN_MAX_NS);
	drained = mark();
	close_all(ld.client, ld.pubs);
	if (ld.sub[0].hooks->durable)
		sessions_end();
	close_all(ld.sub, ld.subs);
	return report(&from, &to, &drained);
}

static bool
load_clean(enum shape shape)
{
	prepare(shape, &sub_hooks, UINT64_MAX);
	return load();
}

bool
load_fan_out(void)
{
	return load_clean(FAN_OUT);
}

bool
load_fan_in(void)
{
	return load_clean(FAN_IN);
}

bool
load_pairs(void)
{
	return load_clean(PAIRS);
}

/* --- durable sessions -------------------------------------------------------------------- */

bool
load_durable(void)
{
	prepare(PAIRS, &durable_hooks, UINT64_MAX);
	if (opt.offline) {
		close_all(ld.sub, ld.subs);
		ld.fan = 0; /* nobody is there to deliver to */
	}
	return load();
}

/* Every session gets its messages while its client is away. */
static void
fill_queues(void)
{
	uint64_t t0 = now_ns(), all = opt.messages * ld.pubs;

	close_all(ld.sub, ld.subs);
	start();
	while ((ld.sent < all || ld.unacked > 0) && clients.dropped == 0) {
		turn();
		if (interrupted || clients.now - ld.alive_at > TIMEOUT_NS)
			fail("%llu of %llu messages were acknowledged",
			    (unsigned long long)ld.acked, (unsigned long long)all);
	}
	close_all(ld.client, ld.pubs);
	figure("queued", "messages queued", (double)ld.acked, "");
	figure("queued_per_s", "queued", (double)ld.acked * 1e9 / (double)(now_ns() - t0), "/s");
}

/* All come back and take what waits for them. */
static bool
empty_queues(void)
{
	struct mark from = mark(), to;

	subs_open(&back_hooks, nothing_more);
	drain(TIMEOUT_NS, TAKE_MAX_NS);
	to = mark();
	figure("drained_per_s", "drained",
	    (double)(to.received - from.received) * 1e9 / (double)(ld.alive_at - from.t), "/s");
	figure_cpu_of_deliveries(&from, &to);
	sessions_end();
	close_all(ld.sub, ld.subs);
	return figure_faults();
}

bool
load_drain(void)
{
	prepare(PAIRS, &durable_hooks, opt.messages);
	fill_queues();
	return empty_queues();
}

bool
load_restart(void)
{
	uint64_t away;

	if (opt.restart == NULL)
		tool_bad_usage("restart wants --restart COMMAND", "");
	conns_make_sessions(opt.sessions);
	prepare(PAIRS, &durable_hooks, opt.messages);
	fill_queues();
	away = restart_broker(opt.restart);
	figure("sessions", "offline sessions besides", (double)opt.sessions, "");
	figure("restart_s", "from the kill to the first CONNACK", (double)away / 1e9, "s");
	opt.pid = 0; /* it's another now */
	return empty_queues();
}
