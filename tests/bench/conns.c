/*
 * conns.c - what connections, subscriptions and sessions cost: coming, being there, matching nothing
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/hist.h"
#include "tests/lib/client.h"
#include "tests/lib/proc.h"
#include "tests/lib/tool.h"

#define SLOTS 64u    /* durable sessions made at a time */
#define FILTERS 100u /* in a SUBSCRIBE: the packet stays small enough for any broker */
#define SETTLE_NS 200000000u
#define SETTLED 3 /* looks at memory that all say the same */
#define SETTLE_MAX_NS UINT64_C(5000000000)

static struct {
	struct client *client;
	uint32_t *again, agains; /* slots to be opened */
	uint64_t *since;         /* by slot: when its cycle began */
	uint64_t *left;          /* by holder: filters not subscribed yet */
	uint64_t cycles, subscribed, wanted;
	uint64_t alive_at, seen; /* when something had last come, and how much by then */
	struct hist latency;
} cn;

static struct client *
clients_new(uint32_t n, const struct client_hooks *hooks)
{
	struct client *c = grab(n, sizeof(*c));

	for (uint32_t i = 0; i < n; i++) {
		c[i].index = i;
		c[i].hooks = hooks;
	}
	return c;
}

/* --- connect ----------------------------------------------------------------------------- */

static void
on_cycle_up(struct client *c)
{
	client_close(c);
	hist_add(&cn.latency, clients.now - cn.since[c->index]);
	cn.cycles++;
	cn.again[cn.agains++] = c->index;
}

static const struct client_hooks cycle_hooks = { .role = "cycle", .on_up = on_cycle_up };

static void
cycle_turn(void)
{
	clients_turn(100000000);
	if (clients.reads != cn.seen) {
		cn.seen = clients.reads;
		cn.alive_at = clients.now;
	} else if (clients.now - cn.alive_at > TIMEOUT_NS) {
		fail("nothing came for 10 seconds");
	}
}

static void
cycle_until(uint64_t t)
{
	cn.alive_at = now_ns();
	while (clients.now < t && !interrupted && clients.dropped == 0) {
		while (cn.agains > 0) {
			uint32_t i = cn.again[--cn.agains];

			cn.since[i] = now_ns();
			client_open(&cn.client[i]);
		}
		cycle_turn();
	}
}

bool
conns_cycle(void)
{
	uint64_t cpu0 = 0, cpu1 = 0, own0, own1, t0, t1, cycles, resumed;
	double seconds;

	cn.client = clients_new(opt.clients, &cycle_hooks);
	cn.again = grab(opt.clients, sizeof(*cn.again));
	cn.since = grab(opt.clients, sizeof(*cn.since));
	for (uint32_t i = 0; i < opt.clients; i++)
		cn.again[cn.agains++] = i;
	cycle_until(now_ns() + opt.warmup * 1000000000);
	cn.latency = (struct hist){ 0 };
	if (opt.pid != 0 && !proc_cpu_ns(opt.pid, &cpu0))
		fail("process %d is gone", (int)opt.pid);
	own0 = own_cpu_ns();
	t0 = now_ns();
	cycles = cn.cycles;
	resumed = clients.resumed;
	cycle_until(t0 + opt.seconds * 1000000000);
	if (opt.pid != 0 && !proc_cpu_ns(opt.pid, &cpu1))
		fail("process %d is gone", (int)opt.pid);
	own1 = own_cpu_ns();
	t1 = now_ns();
	cycles = cn.cycles - cycles;
	cycles = cycles > 0 ? cycles : 1;
	seconds = (double)(t1 - t0) / 1e9;
	figure("connects_per_s", "connects", (double)cycles / seconds, "/s");
	if (opt.pid != 0 && cpu1 > cpu0) {
		figure("broker_us_per_connect", "broker CPU per connect",
		    (double)(cpu1 - cpu0) / 1e3 / (double)cycles, "us");
		figure("connects_per_broker_s", "connects per broker CPU second",
		    (double)cycles * 1e9 / (double)(cpu1 - cpu0), "");
	}
	if (opt.tls != NULL)
		figure("resumed", "TLS sessions resumed", (double)(clients.resumed - resumed), "");
	figure("own_us_per_connect", "own CPU per connect",
	    (double)(own1 - own0) / 1e3 / (double)cycles, "us");
	figure("latency_p50_us", "connect to CONNACK, median",
	    (double)hist_quantile(&cn.latency, 0.5) / 1e3, "us");
	figure("latency_p99_us", "connect to CONNACK, 99 %",
	    (double)hist_quantile(&cn.latency, 0.99) / 1e3, "us");
	return true;
}

/* --- memory ------------------------------------------------------------------------------ */

/* The broker's memory once it stands still; it may still be at work on what it was sent. */
static uint64_t
settled_pss(void)
{
	uint64_t until = now_ns() + SETTLE_MAX_NS, before = 0, pss = 0;
	unsigned same = 0;

	if (opt.pid == 0)
		return 0;
	do {
		uint64_t next = now_ns() + SETTLE_NS;

		if (!proc_pss(opt.pid, &pss))
			fail("cannot read the memory of process %d", (int)opt.pid);
		same = pss == before ? same + 1 : 0;
		before = pss;
		while (same < SETTLED && now_ns() < next)
			clients_turn(next - now_ns() < SETTLE_NS ? next - now_ns() : 0);
	} while (same < SETTLED && now_ns() < until && !interrupted);
	return pss;
}

static void
figure_memory(uint64_t before, uint64_t after, uint64_t n, const char *key, const char *label)
{
	if (opt.pid == 0)
		return;
	figure("pss_before_mib", "broker memory before", (double)before / 1048576, "MiB PSS");
	figure("pss_after_mib", "broker memory after", (double)after / 1048576, "MiB PSS");
	figure(key, label, ((double)after - (double)before) / (double)n, "B");
}

static void
subscribe_own(struct client *c)
{
	char filter[64];
	const char *f = filter;

	snprintf(filter, sizeof(filter), "bench/idle/%u", c->index);
	client_subscribe(c, &f, 1, opt.qos);
}

static void
on_idle_up(struct client *c)
{
	if (opt.subscribe)
		subscribe_own(c);
}

static void
on_suback(struct client *c)
{
	(void)c;
	cn.subscribed++;
}

static bool
all_subscribed(void)
{
	return cn.subscribed >= cn.wanted;
}

static const struct client_hooks idle_hooks = {
	.role = "idle", .on_up = on_idle_up, .on_suback = on_suback
};

bool
conns_idle(void)
{
	uint64_t before = settled_pss(), t0 = now_ns(), t1, after;

	cn.client = clients_new(opt.clients, &idle_hooks);
	cn.wanted = opt.subscribe ? opt.clients : 0;
	clients_open(cn.client, opt.clients, all_subscribed);
	t1 = now_ns();
	after = settled_pss();
	figure("clients", "idle clients", (double)opt.clients,
	    opt.subscribe ? "with a subscription" : "");
	figure("connects_per_s", "connected", (double)opt.clients * 1e9 / (double)(t1 - t0), "/s");
	figure_memory(before, after, opt.clients, "bytes_per_client", "broker memory per client");
	for (uint32_t i = 0; i < opt.clients; i++)
		client_close(&cn.client[i]);
	return true;
}

/* --- durable sessions -------------------------------------------------------------------- */

static void
on_session_left(struct client *c)
{
	client_close(c);
	cn.cycles++;
	cn.again[cn.agains++] = (uint32_t)(c - cn.client);
}

static const struct client_hooks session_hooks = {
	.role = "session", .durable = true, .on_up = subscribe_own, .on_suback = on_session_left
};
static const struct client_hooks session_end_hooks = { .role = "session",
	.on_up = on_session_left };

/* n clients come and go, few at a time: a process has fewer descriptors than a broker sessions. */
static void
sessions_cycle(uint64_t n, const struct client_hooks *hooks)
{
	uint32_t opened = 0;

	cn.client = clients_new(SLOTS, hooks);
	cn.again = grab(SLOTS, sizeof(*cn.again));
	cn.agains = cn.cycles = 0;
	for (uint32_t i = 0; i < SLOTS; i++)
		cn.again[cn.agains++] = i;
	cn.alive_at = now_ns();
	while (cn.cycles < n) {
		while (cn.agains > 0 && opened < n) {
			struct client *c = &cn.client[cn.again[--cn.agains]];

			c->index = opened++;
			client_open(c);
		}
		cycle_turn();
		if (interrupted || clients.dropped > 0 || clients.refused > 0)
			fail("%llu of %llu sessions: %s", (unsigned long long)cn.cycles,
			    (unsigned long long)n,
			    clients.refused > 0 ? "a subscription was refused" : clients.why);
	}
	free(cn.client);
	free(cn.again);
}

void
conns_make_sessions(uint64_t n)
{
	sessions_cycle(n, &session_hooks);
}

bool
conns_sessions(void)
{
	uint64_t before = settled_pss(), t0 = now_ns(), t1;

	conns_make_sessions(opt.clients);
	t1 = now_ns();
	figure("sessions", "offline sessions", (double)opt.clients, "with a subscription");
	figure("sessions_per_s", "made", (double)opt.clients * 1e9 / (double)(t1 - t0), "/s");
	figure_memory(
	    before, settled_pss(), opt.clients, "bytes_per_session", "broker memory per session");
	if (!opt.leave)
		sessions_cycle(opt.clients, &session_end_hooks);
	return true;
}

/* --- subscriptions ----------------------------------------------------------------------- */

static void
subscribe_more(struct client *c)
{
	static char filter[FILTERS][64];
	static const char *f[FILTERS];
	uint64_t *left = &cn.left[c->index];
	unsigned n = 0;

	for (; n<FILTERS && * left> 0; n++, --*left) {
		snprintf(filter[n], sizeof(filter[n]), "bench/held/%u/%llu", c->index,
		    (unsigned long long)*left);
		f[n] = filter[n];
	}
	if (n > 0)
		client_subscribe(c, f, n, opt.qos);
	cn.subscribed += n;
}

static void
on_held(struct client *c)
{
	cn.wanted--;
	if (cn.left[c->index] > 0)
		subscribe_more(c);
}

static bool
all_held(void)
{
	return cn.wanted == 0;
}

static const struct client_hooks holder_hooks = {
	.role = "holder", .on_up = subscribe_more, .on_suback = on_held
};

bool
load_beside_subscriptions(void)
{
	uint64_t left = opt.subscriptions, before, after, t0;
	uint32_t n = (uint32_t)((left + opt.per_holder - 1) / opt.per_holder);

	before = settled_pss();
	t0 = now_ns();
	cn.client = clients_new(n, &holder_hooks);
	cn.left = grab(n + 1, sizeof(*cn.left));
	for (uint32_t i = 0; i < n; i++) {
		cn.left[i] = left < opt.per_holder ? left : opt.per_holder;
		left -= cn.left[i];
		cn.wanted += (cn.left[i] + FILTERS - 1) / FILTERS;
	}
	if (n > 0)
		clients_open(cn.client, n, all_held);
	if (clients.refused > 0)
		fail("the broker refused %llu subscriptions; try --per-holder",
		    (unsigned long long)clients.refused);
	figure("subscriptions", "subscriptions held", (double)cn.subscribed, "");
	if (n > 0)
		figure("subscribed_per_s", "subscribed",
		    (double)cn.subscribed * 1e9 / (double)(now_ns() - t0), "/s");
	after = settled_pss();
	if (n > 0)
		figure_memory(before, after, opt.subscriptions, "bytes_per_subscription",
		    "broker memory per subscription");
	return load_pairs();
}
