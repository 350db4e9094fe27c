#include "worker/persist/sys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "worker/persist/peer.h"
#include "worker/persist/publish.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"

#define TEXT_MAX 64
#define CLEAR_MAX 500 /* topics that are cleared in a turn */

enum { LOADS = 9, SPANS = 3 };

/* Averages over 1, 5 and 15 minutes, of these sums. */
static const struct {
	const char *name;
	enum counter counter;
	bool dropped; /* all ways to be dropped together */
} load_of[LOADS] = {
	{ "messages/received", CNT_packets_received, false },
	{ "messages/sent", CNT_packets_sent, false },
	{ "publish/received", CNT_publish_received, false },
	{ "publish/sent", CNT_publish_sent, false },
	{ "publish/dropped", CNT_dropped__output_full, true },
	{ "bytes/received", CNT_bytes_received, false },
	{ "bytes/sent", CNT_bytes_sent, false },
	{ "sockets", CNT_accepted, false },
	{ "connections", CNT_connects, false },
};

struct seen { /* of one process */
	uint32_t gen;
	bool published;
	uint64_t value[COUNTERS], told[COUNTERS];
};

struct line { /* a topic whose value was published */
	struct line *next;
	char value[TEXT_MAX];
	char topic[];
};

static struct {
	struct timer timer;
	struct seen *seen[SLOTS];
	uint64_t base[COUNTERS]; /* of processes that are no more */
	uint64_t total[COUNTERS];
	uint64_t last_ms;
	uint64_t heap_most; /* of all processes together, when looked */
	struct {
		uint64_t last;
		double load[SPANS];
		bool known;
	} load[LOADS];
	struct line *lines;
	unsigned slot; /* whose counters are published next; SLOTS: done */
	bool clears;   /* what is retained is taken away */
} the;

static void on_tick(struct timer *t);
static void look(void);
static void tell(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void broker(void);
static void loads(double seconds);
static void forget(void);
static bool clear_some(void);

int
sys_init(void)
{
	timer_init(&the.timer, on_tick);
	the.slot = SLOTS;
	return 0;
}

void
sys_start(void)
{
	the.clears = self.conf.sys_interval == 0;
	if (!the.clears) {
		timer_set(loop_timers(self.loop), &the.timer, clock_ms() + 1000);
		return;
	}
	timer_del(&the.timer);
	the.slot = SLOTS;
	forget();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (the.seen[slot] != NULL)
			the.seen[slot]->published = false;
}

void
sys_fini(void)
{
	timer_del(&the.timer);
	forget();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		free(the.seen[slot]);
	memset(&the, 0, sizeof(the));
}

/* What was told is news again. */
static void
forget(void)
{
	struct line *l;

	while ((l = the.lines) != NULL) {
		the.lines = l->next;
		free(l);
	}
}

static void
on_tick(struct timer *t)
{
	uint64_t now = clock_ms();
	double seconds =
	    the.last_ms != 0 ? (double)(now - the.last_ms) / 1000 : self.conf.sys_interval;

	the.last_ms = now;
	look();
	loads(seconds);
	broker();
	the.slot = 0;
	if (self.conf.sys_interval > 0)
		timer_set(loop_timers(self.loop), t, now + self.conf.sys_interval * UINT64_C(1000));
}

/*
 * Reads the counters of all processes and adds them up. A sum goes on where a dead process left
 * it.
 */
static void
look(void)
{
	memcpy(the.total, the.base, sizeof(the.total));
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		const struct segment *seg =
		    slot == self.slot ? mesh_segment(self.mesh) : mesh_peer(self.mesh, slot);
		struct seen *seen = the.seen[slot];
		uint32_t gen = seg != NULL ? seg->gen : 0;

		if (seen == NULL) {
			if (seg == NULL)
				continue;
			seen = the.seen[slot] = calloc(1, sizeof(*seen));
			if (seen == NULL)
				continue;
			seen->gen = gen;
		}
		if (gen != seen->gen) {
			for (unsigned c = 0; c < COUNTERS; c++)
				if (!counter_info[c].gauge) {
					the.base[c] += seen->value[c];
					the.total[c] += seen->value[c];
				}
			memset(seen->value, 0, sizeof(seen->value));
			seen->gen = gen;
		}
		for (unsigned c = 0; seg != NULL && c < COUNTERS; c++) {
			seen->value[c] =
			    atomic_load_explicit(&seg->counter[c], memory_order_relaxed);
			the.total[c] += seen->value[c];
		}
	}
}

static uint64_t
dropped(void)
{
	uint64_t n = 0;

	for (unsigned c = 0; c < COUNTERS; c++)
		if (strncmp(counter_info[c].name, "dropped__", 9) == 0)
			n += the.total[c];
	return n;
}

static void
publish(const char *topic, const char *value)
{
	struct msg_view v = {
		.topic = span_str(topic),
		.payload = span_str(value),
		.publish_ms = clock_wall_ms(),
		.retain = self.conf.retain_available,
	};

	publish_own(&v, NULL);
}

static void
tell(const char *topic, const char *fmt, ...)
{
	char value[TEXT_MAX];
	struct line *l;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	for (l = the.lines; l != NULL; l = l->next)
		if (strcmp(l->topic, topic) == 0)
			break;
	if (l == NULL) {
		l = malloc(sizeof(*l) + strlen(topic) + 1);
		if (l == NULL)
			return;
		strcpy(l->topic, topic);
		l->next = the.lines;
		the.lines = l;
	} else if (strcmp(l->value, value) == 0) {
		return;
	}
	strcpy(l->value, value);
	publish(topic, value);
}

static void
tell_num(const char *topic, uint64_t n)
{
	tell(topic, "%" PRIu64, n);
}

static void
broker(void)
{
	struct session_numbers n = session_numbers();
	uint64_t offline = the.total[CNT_sessions_offline], *total = the.total;

	tell("$SYS/broker/version", "tbmq version %s", TBMQ_VERSION);
	tell("$SYS/broker/uptime", "%" PRIu64 " seconds",
	    clock_wall_ms() > self.birth.broker_start_ms
		? (clock_wall_ms() - self.birth.broker_start_ms) / 1000
		: 0);
	tell_num("$SYS/broker/clients/total", n.connected + offline);
	tell_num("$SYS/broker/clients/connected", n.connected);
	tell_num("$SYS/broker/clients/active", n.connected);
	tell_num("$SYS/broker/clients/disconnected", offline);
	tell_num("$SYS/broker/clients/inactive", offline);
	tell_num("$SYS/broker/clients/maximum", n.most);
	tell_num("$SYS/broker/clients/expired", total[CNT_sessions_expired]);
	tell_num("$SYS/broker/messages/received", total[CNT_packets_received]);
	tell_num("$SYS/broker/messages/sent", total[CNT_packets_sent]);
	tell_num("$SYS/broker/messages/stored", total[CNT_queued] + total[CNT_retained]);
	tell_num("$SYS/broker/store/messages/count", total[CNT_queued] + total[CNT_retained]);
	tell_num("$SYS/broker/store/messages/bytes",
	    total[CNT_queued_bytes] + total[CNT_retained_bytes]);
	tell_num("$SYS/broker/publish/messages/received", total[CNT_publish_received]);
	tell_num("$SYS/broker/publish/messages/sent", total[CNT_publish_sent]);
	tell_num("$SYS/broker/publish/messages/dropped", dropped());
	tell_num("$SYS/broker/publish/bytes/received", total[CNT_publish_bytes_received]);
	tell_num("$SYS/broker/publish/bytes/sent", total[CNT_publish_bytes_sent]);
	tell_num("$SYS/broker/bytes/received", total[CNT_bytes_received]);
	tell_num("$SYS/broker/bytes/sent", total[CNT_bytes_sent]);
	tell_num("$SYS/broker/subscriptions/count", total[CNT_subscriptions] + n.offline_subs);
	tell_num("$SYS/broker/shared_subscriptions/count", total[CNT_subscriptions_shared]);
	tell_num("$SYS/broker/retained messages/count", total[CNT_retained]);
	if (total[CNT_heap] > the.heap_most)
		the.heap_most = total[CNT_heap];
	tell_num("$SYS/broker/heap/current", total[CNT_heap]);
	tell_num("$SYS/broker/heap/maximum", the.heap_most);
}

/* e to the power of -x, for small x: as (1 - x/1024) to the power of 1024. */
static double
decay(double x)
{
	double f = 1 - x / 1024;

	if (f < 0)
		return 0;
	for (int i = 0; i < 10; i++)
		f *= f;
	return f;
}

static void
loads(double seconds)
{
	static const unsigned minutes[SPANS] = { 1, 5, 15 };

	if (seconds <= 0)
		return;
	for (unsigned i = 0; i < LOADS; i++) {
		uint64_t now = load_of[i].dropped ? dropped() : the.total[load_of[i].counter];
		double rate = (double)(now - the.load[i].last) * 60 / seconds;

		if (now < the.load[i].last)
			rate = 0;
		the.load[i].last = now;
		if (!the.load[i].known) { /* what was before we looked has no time */
			the.load[i].known = true;
			continue;
		}
		for (unsigned k = 0; k < SPANS; k++) {
			double f = decay(seconds / (60.0 * minutes[k]));
			char topic[96];

			the.load[i].load[k] = rate * (1 - f) + the.load[i].load[k] * f;
			snprintf(topic, sizeof(topic), "$SYS/broker/load/%s/%umin", load_of[i].name,
			    minutes[k]);
			tell(topic, "%.2f", the.load[i].load[k]);
		}
	}
}

/* Values that stand still would pass for those of now; a store may have them from a time before our start. False: all are gone. */
static bool
clear_some(void)
{
	char topic[UINT16_MAX];
	struct store_retained r;

	for (unsigned i = 0; i < CLEAR_MAX; i++) {
		if (!retained_next(span_str("$SYS/#"), span_of(NULL, 0), &r))
			return false;
		/* The topic goes with its message. */
		memcpy(topic, r.v.topic.p, r.v.topic.len);
		retained_clear(span_of(topic, r.v.topic.len));
	}
	return true;
}

/* One process a turn: with many of them it is some thousand topics. */
bool
sys_turn(void)
{
	struct seen *seen;
	char topic[128];

	if (the.clears)
		return the.clears = clear_some();
	while (the.slot < SLOTS &&
	    ((seen = the.seen[the.slot]) == NULL || (seen->gen == 0 && !seen->published)))
		the.slot++;
	if (the.slot >= SLOTS)
		return false;
	seen = the.seen[the.slot];
	for (unsigned c = 0; c < COUNTERS; c++) {
		char value[24];

		if (seen->published && seen->gen != 0 && seen->told[c] == seen->value[c])
			continue;
		snprintf(topic, sizeof(topic), "$SYS/broker/processes/%s/%s", proc_title(the.slot),
		    counter_info[c].name);
		if (seen->gen == 0) { /* nobody holds the slot */
			if (seen->published)
				retained_clear(span_str(topic));
			continue;
		}
		snprintf(value, sizeof(value), "%" PRIu64, seen->value[c]);
		seen->told[c] = seen->value[c];
		publish(topic, value);
	}
	seen->published = seen->gen != 0;
	the.slot++;
	return true;
}
