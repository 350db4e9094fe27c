#include "tests/torture/ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tool.h"

const char *const fault_name[FAULTS] = {
	[FAULT_LOST] = "lost",
	[FAULT_DISORDER] = "out of order",
	[FAULT_TWICE] = "QoS 2 twice",
	[FAULT_UNDUPPED] = "again without DUP",
	[FAULT_SPOILT] = "spoilt",
	[FAULT_FORGOTTEN] = "session forgotten",
	[FAULT_STALE] = "retained old",
};

enum { PUBLISHED, ACKNOWLEDGED, REFUSED };

struct message {
	uint64_t acknowledged_ns;
	uint8_t sends; /* no more than UINT8_MAX are counted */
	uint8_t state;
};

struct stream {
	struct message *message;
	uint64_t next, acknowledged_next;
	size_t cap;
	uint32_t publisher, topic;
	uint8_t qos;
};

/* Of one message at one subscriber. */
struct arrival {
	uint32_t kill;        /* how many there had been when it came last */
	uint8_t times, plain; /* plain: without DUP */
};

struct cell {
	struct arrival *arrival;
	size_t cap;
	uint64_t next; /* above all that came */
	uint64_t came; /* different ones */
};

struct kill {
	const char *what;
	uint64_t ns;
	bool is_tolerated;
};

static struct {
	struct stream *stream;
	struct cell *cell; /* of a subscriber one for each stream */
	bool *is_group;    /* a subscriber */
	struct kill *kill;
	size_t kills, kill_cap;
	uint32_t streams, subscribers;
	const char *tolerated;
	FILE *report;
	struct ledger_totals totals;
} ld;

void
ledger_init(uint32_t streams, uint32_t subscribers, const char *tolerated, FILE *report)
{
	ld.streams = streams;
	ld.subscribers = subscribers;
	ld.tolerated = tolerated;
	ld.report = report;
	ld.stream = grab(streams, sizeof(*ld.stream));
	ld.cell = grab((size_t)streams * subscribers, sizeof(*ld.cell));
	ld.is_group = grab(subscribers, sizeof(*ld.is_group));
}

void
ledger_fini(void)
{
	for (uint32_t i = 0; i < ld.streams; i++)
		free(ld.stream[i].message);
	for (size_t i = 0; i < (size_t)ld.streams * ld.subscribers; i++)
		free(ld.cell[i].arrival);
	free(ld.stream);
	free(ld.cell);
	free(ld.is_group);
	free(ld.kill);
	memset(&ld, 0, sizeof(ld));
}

void
ledger_stream(uint32_t stream, uint32_t publisher, uint32_t topic, unsigned qos)
{
	ld.stream[stream].publisher = publisher;
	ld.stream[stream].topic = topic;
	ld.stream[stream].qos = (uint8_t)qos;
}

void
ledger_group(uint32_t subscriber)
{
	ld.is_group[subscriber] = true;
}

static struct cell *
cell_of(uint32_t subscriber, uint32_t stream)
{
	return &ld.cell[(size_t)subscriber * ld.streams + stream];
}

/* --- faults ------------------------------------------------------------------------------ */

/* The kills before and after a moment. */
static void
say_when(uint64_t ns)
{
	size_t after = ld.kills;

	while (after > 0 && ld.kill[after - 1].ns > ns)
		after--;
	if (after > 0)
		fprintf(ld.report, ", %" PRIu64 " ms after kill %zu (%s)",
		    (ns - ld.kill[after - 1].ns) / 1000000, after, ld.kill[after - 1].what);
	if (after < ld.kills)
		fprintf(ld.report, ", %" PRIu64 " ms before kill %zu (%s)",
		    (ld.kill[after].ns - ns) / 1000000, after + 1, ld.kill[after].what);
}

/* Counts; true: it is to be shown, and its line has begun. */
static bool
fault_begin(enum fault f)
{
	if (++ld.totals.fault[f] > FAULTS_SHOWN)
		return false;
	fprintf(ld.report, "%s: ", fault_name[f]);
	return true;
}

static void
fault_end(uint64_t ns)
{
	say_when(ns);
	fputc('\n', ld.report);
}

void
ledger_fault(enum fault f, uint64_t ns, const char *fmt, ...)
{
	va_list ap;

	if (!fault_begin(f))
		return;
	va_start(ap, fmt);
	vfprintf(ld.report, fmt, ap);
	va_end(ap);
	fault_end(ns);
}

static void
say_message(uint32_t subscriber, uint32_t stream, uint64_t seq)
{
	const struct stream *s = &ld.stream[stream];

	fprintf(ld.report, "%s %u, publisher %u topic %u QoS %u message %" PRIu64,
	    ld.is_group[subscriber] ? "group" : "subscriber", subscriber, s->publisher, s->topic,
	    s->qos, seq);
}

/* --- publishing -------------------------------------------------------------------------- */

void
ledger_kill(const char *what, uint64_t now)
{
	const char *at = ld.tolerated != NULL ? strstr(ld.tolerated, what) : NULL;
	size_t len = strlen(what);

	/* A whole word of the list. */
	while (at != NULL &&
	    ((at > ld.tolerated && at[-1] != ',') || (at[len] != ',' && at[len] != '\0')))
		at = strstr(at + 1, what);
	if (ld.kills == ld.kill_cap)
		ld.kill = grab_more(ld.kill, &ld.kill_cap, sizeof(*ld.kill));
	ld.kill[ld.kills++] = (struct kill){ .what = what, .ns = now, .is_tolerated = at != NULL };
}

uint64_t
ledger_publish(uint32_t stream)
{
	struct stream *s = &ld.stream[stream];

	if (s->next == s->cap)
		s->message = grab_more(s->message, &s->cap, sizeof(*s->message));
	s->message[s->next].sends = 1;
	ld.totals.published++;
	return s->next++;
}

void
ledger_sent_again(uint32_t stream, uint64_t seq)
{
	struct message *m = &ld.stream[stream].message[seq];

	m->sends += m->sends < UINT8_MAX;
	ld.totals.sent_again++;
}

void
ledger_acknowledged(uint32_t stream, uint64_t seq, uint64_t now)
{
	struct message *m = &ld.stream[stream].message[seq];

	m->state = ACKNOWLEDGED;
	if (seq >= ld.stream[stream].acknowledged_next)
		ld.stream[stream].acknowledged_next = seq + 1;
	m->acknowledged_ns = now;
	ld.totals.acknowledged++;
}

void
ledger_refused(uint32_t stream, uint64_t seq)
{
	ld.stream[stream].message[seq].state = REFUSED;
	ld.totals.refused++;
}

/* --- arriving ---------------------------------------------------------------------------- */

/*
 * Whether one of the kills that are tolerated may stand between the arrivals: what came after a kill may
 * have been on its way since before it.
 */
static bool
is_tolerated(const struct arrival *before)
{
	for (size_t i = before->kill > 0 ? before->kill - 1 : 0; i < ld.kills; i++)
		if (ld.kill[i].is_tolerated)
			return true;
	return false;
}

static void
came_first(uint32_t subscriber, uint32_t stream, uint64_t seq, uint64_t now)
{
	struct cell *c = cell_of(subscriber, stream);

	c->came++;
	if (seq >= c->next) {
		c->next = seq + 1;
	} else if (!ld.is_group[subscriber] && fault_begin(FAULT_DISORDER)) {
		say_message(subscriber, stream, seq);
		fprintf(ld.report, ": came behind %" PRIu64, c->next - 1);
		fault_end(now);
	}
}

static void
undupped(
    uint32_t subscriber, uint32_t stream, uint64_t seq, const struct arrival *before, uint64_t now)
{
	if (is_tolerated(before)) {
		ld.totals.tolerated++;
	} else if (fault_begin(FAULT_UNDUPPED)) {
		say_message(subscriber, stream, seq);
		fprintf(ld.report,
		    ": sent %u times; came %u times without DUP, before this after kill %u",
		    ld.stream[stream].message[seq].sends, before->plain, before->kill);
		fault_end(now);
	}
}

static void
came_again(
    uint32_t subscriber, uint32_t stream, uint64_t seq, const struct arrival *before, uint64_t now)
{
	const struct stream *s = &ld.stream[stream];

	if (s->qos == 1 && !ld.is_group[subscriber] && before->plain > s->message[seq].sends) {
		undupped(subscriber, stream, seq, before, now);
	} else if (s->qos == 2 && fault_begin(FAULT_TWICE)) {
		say_message(subscriber, stream, seq);
		fprintf(ld.report, ": came %u times, before this after kill %u", before->times,
		    before->kill);
		fault_end(now);
	}
}

void
ledger_repeated(uint32_t subscriber, uint32_t stream, uint64_t seq, bool dup, uint64_t now)
{
	struct arrival *a = &cell_of(subscriber, stream)->arrival[seq];

	ld.totals.arrived++;
	ld.totals.dup += dup;
	a->plain += !dup && a->plain < UINT8_MAX;
	if (!dup)
		undupped(subscriber, stream, seq, a, now);
	a->kill = (uint32_t)ld.kills;
}

bool
ledger_arrived(
    uint32_t subscriber, uint32_t stream, uint64_t seq, unsigned qos, bool dup, uint64_t now)
{
	struct cell *c;
	struct arrival *a;

	if (stream >= ld.streams || seq >= ld.stream[stream].next || qos != ld.stream[stream].qos)
		return false;
	c = cell_of(subscriber, stream);
	while (seq >= c->cap)
		c->arrival = grab_more(c->arrival, &c->cap, sizeof(*c->arrival));
	a = &c->arrival[seq];
	a->times += a->times < UINT8_MAX;
	a->plain += !dup && a->plain < UINT8_MAX;
	ld.totals.arrived++;
	ld.totals.dup += dup;
	if (a->times == 1)
		came_first(subscriber, stream, seq, now);
	else if (qos == 2 || !dup)
		came_again(subscriber, stream, seq, a, now);
	a->kill = (uint32_t)ld.kills;
	return true;
}

uint64_t
ledger_behind(uint32_t subscriber)
{
	uint64_t behind = 0;

	for (uint32_t i = 0; i < ld.streams; i++)
		behind += ld.stream[i].next - cell_of(subscriber, i)->came;
	return behind;
}

static bool
has(uint32_t subscriber, uint32_t stream, uint64_t seq)
{
	const struct cell *c = cell_of(subscriber, stream);

	return seq < c->cap && c->arrival[seq].times > 0;
}

/* Of what was acknowledged: the first number from seq on that is missing, or where the stream ends. */
static uint64_t
next_missing(uint32_t subscriber, uint32_t stream, uint64_t seq)
{
	const struct stream *s = &ld.stream[stream];

	while (seq < s->next &&
	    (s->message[seq].state != ACKNOWLEDGED || has(subscriber, stream, seq)))
		seq++;
	return seq;
}

bool
ledger_has_last(uint32_t subscriber)
{
	for (uint32_t i = 0; i < ld.streams; i++)
		if (ld.is_group[subscriber] ? next_missing(subscriber, i, 0) < ld.stream[i].next
					    : cell_of(subscriber, i)->next != ld.stream[i].next)
			return false;
	return true;
}

uint64_t
ledger_acknowledged_next(uint32_t stream)
{
	return ld.stream[stream].acknowledged_next;
}

static void
lost(uint32_t subscriber, uint32_t stream, uint64_t seq)
{
	const struct cell *c = cell_of(subscriber, stream);
	uint64_t next = seq + 1;

	if (!fault_begin(FAULT_LOST))
		return;
	say_message(subscriber, stream, seq);
	while (next < c->next && c->arrival[next].times == 0)
		next++;
	if (next < c->next)
		fprintf(ld.report, ": %" PRIu64 " came instead", next);
	else
		fprintf(ld.report, ": nothing came behind it");
	fprintf(ld.report, "; it had been acknowledged");
	fault_end(ld.stream[stream].message[seq].acknowledged_ns);
}

void
ledger_close(void)
{
	for (uint32_t k = 0; k < ld.subscribers; k++)
		for (uint32_t i = 0; i < ld.streams; i++)
			for (uint64_t seq = 0; (seq = next_missing(k, i, seq)) < ld.stream[i].next;
			     seq++)
				lost(k, i, seq);
}

struct ledger_totals
ledger_totals(void)
{
	return ld.totals;
}

bool
ledger_is_good(void)
{
	uint64_t faults = 0;

	for (unsigned f = 0; f < FAULTS; f++)
		faults += ld.totals.fault[f];
	return faults == 0;
}
