#include "tests/differential/pair.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/differential/explained.h"
#include "tests/lib/tool.h"

#define PEERS_MAX 64
#define SESSIONS_MAX 32
#define UNDER_WAY_MAX 256
/* For what is explained to turn out another way, and for what should not come at all. */
#define CALM_MS 400
#define ROUNDS_MAX 1000

/* Messages that a broker has sent and has not got acknowledged, of one client identifier. */
struct session {
	char id[40];
	struct under_way {
		uint16_t id;
		char *payload, *topic;
	} under_way[SIDES][UNDER_WAY_MAX];
};

struct end {
	struct wire *w; /* NULL: we have closed it */
	unsigned pongs; /* to come */
	bool accepted, closed, has_spoken;
};

struct peer {
	char name[24];
	const char *group;
	struct session *session;
	struct end end[SIDES];
	int version;
	uint16_t last_id;
	bool answers, releases, has_asked, has_left;
};

struct event {
	enum side side;
	const char *who, *stream;
	char *text;
};

struct pair pair = { .patience_ms = 5000 };

static struct {
	char prefix[24];
	struct peer peer[PEERS_MAX];
	size_t npeers;
	struct session session[SESSIONS_MAX];
	size_t nsessions;
	struct event *event;
	size_t nevents, cap;
	char *step;
	char *what;
	uint64_t taken[SIDES][EXPLAINED_MAX]; /* of liberties: a sum over their values */
	bool is_batch;
} run;

static const char *const prop_name[SHARED_AVAILABLE + 1] = {
	[PAYLOAD_FORMAT] = "payload-format",
	[MESSAGE_EXPIRY] = "expiry",
	[CONTENT_TYPE] = "content-type",
	[RESPONSE_TOPIC] = "response-topic",
	[CORRELATION_DATA] = "correlation",
	[SUBSCRIPTION_ID] = "subscription",
	[SESSION_EXPIRY] = "session-expiry",
	[ASSIGNED_ID] = "assigned-id",
	[SERVER_KEEP_ALIVE] = "keep-alive",
	[AUTH_METHOD] = "auth-method",
	[AUTH_DATA] = "auth-data",
	[RESPONSE_INFORMATION] = "response-information",
	[SERVER_REFERENCE] = "reference",
	[REASON_STRING] = "reason-string",
	[RECEIVE_MAX] = "receive-max",
	[ALIAS_MAX] = "alias-max",
	[TOPIC_ALIAS] = "alias",
	[MAX_QOS] = "max-qos",
	[RETAIN_AVAILABLE] = "retain",
	[USER_PROPERTY] = "user",
	[MAX_PACKET] = "max-packet",
	[WILDCARD_AVAILABLE] = "wildcard",
	[SUBSCRIPTION_ID_AVAILABLE] = "subscription-ids",
	[SHARED_AVAILABLE] = "shared",
};

static void settle(void);
static void put_on_wire(struct peer *p, struct span bytes);

/* --- texts ------------------------------------------------------------------------------- */

const char *
text_of(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return (const char *)wire_bytes(5, "r1", span_str(text), 0).p;
}

const char *
own(const char *name)
{
	return text_of("%s%s", run.prefix, name);
}

/* Behind "$share/GROUP/" if there is one; other topics that begin with $ are everybody's. */
static const char *
own_filter(const char *filter)
{
	const char *rest;

	if (filter[0] != '$')
		return own(filter);
	if (strncmp(filter, "$share/", 7) != 0 || (rest = strchr(filter + 7, '/')) == NULL)
		return filter;
	return text_of("%.*s%s", (int)(rest + 1 - filter), filter, own(rest + 1));
}

/* Printable, without the prefix. */
static void
put_text(FILE *f, struct span s)
{
	size_t skip = strlen(run.prefix);

	for (size_t i = 0; i < s.len; i++) {
		if (s.len - i >= skip && memcmp(s.p + i, run.prefix, skip) == 0) {
			i += skip - 1;
			continue;
		}
		if (s.p[i] < ' ' || s.p[i] > '~')
			fprintf(f, "\\%02x", s.p[i]);
		else
			putc(s.p[i], f);
		if (i == 100 && s.len > 200) {
			fprintf(f, "...%zu", s.len);
			break;
		}
	}
}

static void
say(const char *format, ...)
{
	va_list ap;

	free(run.step);
	va_start(ap, format);
	if (vasprintf(&run.step, format, ap) < 0)
		err(1, "differential");
	va_end(ap);
}

/* --- what came --------------------------------------------------------------------------- */

static void
note(enum side side, const struct peer *p, const char *stream, char *text)
{
	if (run.nevents == run.cap)
		run.event = grab_more(run.event, &run.cap, sizeof(*run.event));
	run.event[run.nevents++] = (struct event){ side, p->group != NULL ? p->group : p->name,
		text_of("%s", stream), text };
}

static void
note_text(enum side side, const struct peer *p, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		err(1, "differential");
	note(side, p, "connection", copy);
}

static uint64_t
sum_of(struct span s)
{
	uint64_t sum = 1;

	for (size_t i = 0; i < s.len; i++)
		sum = sum * 31 + s.p[i];
	return sum;
}

static bool
is_liberty(enum side side, enum wire_type type, enum wire_prop_id prop, struct span value)
{
	const struct liberty *l = liberty_find(type, prop);

	if (l != NULL)
		run.taken[side][l - liberties] += sum_of(value);
	return l != NULL;
}

static void
put_reason(FILE *f, enum side side, const struct wire_packet *k)
{
	bool is_success = k->reason == 0x10 && is_liberty(side, k->type, NO_MATCHING, NO_PROPS);

	if (k->reason >= 0)
		fprintf(f, " reason=%02x", is_success ? 0 : (unsigned)k->reason);
	for (size_t i = 0; i < k->codes.len; i++)
		fprintf(f, "%s%02x", i == 0 ? " codes=" : ",", k->codes.p[i]);
}

static void
put_props(FILE *f, enum side side, const struct wire_packet *k)
{
	/* In the order of identifiers; of what may be there several times, in the order it came. */
	for (unsigned id = 1; id <= SHARED_AVAILABLE; id++)
		for (size_t i = 0; i < k->nprops; i++) {
			const struct wire_prop *p = &k->prop[i];

			if (p->id != id || is_liberty(side, k->type, p->id, p->raw))
				continue;
			fprintf(f, " %s=", prop_name[id]);
			if (id == MESSAGE_EXPIRY) /* counts down while we look */
				fprintf(f, "%u", (p->number + 2) / 5 * 5);
			else if (p->text.p == NULL)
				fprintf(f, "%u", p->number);
			put_text(f, p->text);
			if (id == USER_PROPERTY) {
				putc(':', f);
				put_text(f, p->value);
			}
		}
}

static struct under_way *
under_way_by_id(struct session *s, enum side side, uint16_t id)
{
	for (size_t i = 0; i < UNDER_WAY_MAX; i++)
		if (s->under_way[side][i].id == id)
			return &s->under_way[side][i];
	return NULL;
}

static struct under_way *
under_way_by_payload(struct session *s, enum side side, const char *payload)
{
	for (size_t i = 0; i < UNDER_WAY_MAX; i++)
		if (s->under_way[side][i].id != 0 &&
		    strcmp(s->under_way[side][i].payload, payload) == 0)
			return &s->under_way[side][i];
	return NULL;
}

static void
forget(struct under_way *u)
{
	free(u->payload);
	free(u->topic);
	*u = (struct under_way){ 0 };
}

static void
forget_session(struct session *s, enum side side)
{
	for (size_t i = 0; i < UNDER_WAY_MAX; i++)
		forget(&s->under_way[side][i]);
}

/* How its identifier relates to what is under way. */
static const char *
identifier_of(struct peer *p, enum side side, const struct wire_packet *k)
{
	char payload[64];
	struct under_way *u;
	const char *is = "new";

	snprintf(payload, sizeof(payload), "%.*s", (int)k->payload.len, (const char *)k->payload.p);
	u = under_way_by_payload(p->session, side, payload);
	if (u != NULL)
		is = u->id == k->id ? "again" : "another";
	else if ((u = under_way_by_id(p->session, side, k->id)) != NULL)
		is = "taken";
	else
		u = under_way_by_id(p->session, side, 0);
	if (u == NULL)
		errx(1, "differential: more than %d messages under way", UNDER_WAY_MAX);
	forget(u);
	u->id = k->id;
	u->payload = strdup(payload);
	u->topic = strndup((const char *)k->topic.p, k->topic.len);
	if (u->payload == NULL || u->topic == NULL)
		err(1, "differential");
	return is;
}

static void
note_packet(struct peer *p, enum side side, const struct wire_packet *k)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	const char *stream = wire_type_name[k->type];
	struct under_way *u;

	if (f == NULL)
		err(1, "differential");
	fputs(wire_type_name[k->type], f);
	switch (k->type) {
	case PUBLISH:
		stream = text_of("%.*s", (int)k->topic.len, (const char *)k->topic.p);
		putc(' ', f);
		put_text(f, k->topic);
		fputs(" '", f);
		put_text(f, k->payload);
		fprintf(f, "' qos=%u%s", k->qos, k->retain ? " retain" : "");
		if (k->qos > 0) {
			const char *id = identifier_of(p, side, k);

			/* What is new to us may have been sent to a connection that had just gone: then DUP is right. */
			fprintf(f, "%s id=%s", k->dup && strcmp(id, "new") != 0 ? " dup" : "", id);
		}
		break;
	case PUBREL:
		u = under_way_by_id(p->session, side, k->id);
		fprintf(f, " '%s'", u != NULL ? u->payload : "unknown");
		if (u != NULL) /* as PUBREC, which follows the messages of a topic */
			stream = text_of("PUBREL %s", u->topic);
		break;
	case CONNACK:
		stream = "connection";
		fprintf(f, " present=%u", k->ack_flags);
		break;
	case DISCONNECT:
	case PINGRESP:
	case AUTH:
		stream = "connection";
		break;
	default:
		fprintf(f, " id=%u", k->id);
	}
	put_reason(f, side, k);
	put_props(f, side, k);
	if (k->bad != NULL)
		fprintf(f, " (%s)", k->bad);
	fclose(f);
	note(side, p, stream, text);
}

static void
end_send(struct peer *p, enum side side, struct span bytes)
{
	if (p->end[side].w != NULL)
		wire_send(p->end[side].w, bytes);
}

static void
end_answer(struct peer *p, enum side side, enum wire_type type, uint16_t id, unsigned reason)
{
	struct under_way *u = under_way_by_id(p->session, side, id);

	end_send(p, side, wire_make_ack(p->version, type, id, reason));
	if (u != NULL && (type == PUBACK || type == PUBCOMP || reason >= 0x80))
		forget(u);
}

static void
on_packet(struct peer *p, enum side side, const struct wire_packet *k)
{
	struct end *e = &p->end[side];

	e->has_spoken = true;
	if (k->type == PINGRESP && e->pongs > 0) {
		e->pongs--;
		return;
	}
	if (k->type == CONNACK && k->reason == 0) {
		e->accepted = true;
		if (!(k->ack_flags & 1))
			forget_session(p->session, side);
	}
	note_packet(p, side, k);
	if (p->answers && k->type == PUBLISH && k->qos > 0)
		end_answer(p, side, k->qos == 1 ? PUBACK : PUBREC, k->id, 0);
	else if (p->answers && k->type == PUBREL)
		end_answer(p, side, PUBCOMP, k->id, 0);
	else if (p->releases && k->type == PUBREC && k->reason < 0x80)
		end_send(p, side, wire_make_ack(p->version, PUBREL, k->id, 0));
}

/* All that has come. */
static void
end_read(struct peer *p, enum side side)
{
	struct end *e = &p->end[side];
	struct wire_packet k;
	enum wire_got got;

	while ((got = wire_read(e->w, 0, &k)) == WIRE_PACKET)
		on_packet(p, side, &k);
	if (got == WIRE_CLOSED) {
		e->closed = e->has_spoken = true;
		e->accepted = false;
		note_text(side, p, "closed");
	}
}

static void
read_all(int ms)
{
	struct pollfd fds[PEERS_MAX * SIDES];
	size_t at[PEERS_MAX * SIDES], n = 0;

	for (size_t i = 0; i < run.npeers * SIDES; i++) {
		const struct end *e = &run.peer[i / SIDES].end[i % SIDES];

		if (e->w == NULL || e->closed)
			continue;
		at[n] = i;
		fds[n++] = (struct pollfd){ .fd = e->w->fd, .events = POLLIN };
	}
	poll(fds, n, ms);
	for (size_t i = 0; i < n; i++)
		if (fds[i].revents != 0)
			end_read(&run.peer[at[i] / SIDES], (enum side)(at[i] % SIDES));
}

/* --- comparing --------------------------------------------------------------------------- */

static bool
is_group(const char *who)
{
	for (size_t i = 0; i < run.npeers; i++)
		if (run.peer[i].group != NULL && strcmp(run.peer[i].group, who) == 0)
			return true;
	return false;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char **text;
	size_t from, to;
};

static struct lines
lines_of(enum side side, const struct event *like)
{
	struct lines l = { .text = grab(run.nevents + 1, sizeof(*l.text)) };

	for (size_t i = 0; i < run.nevents; i++)
		if (run.event[i].side == side && strcmp(run.event[i].who, like->who) == 0 &&
		    strcmp(run.event[i].stream, like->stream) == 0)
			l.text[l.to++] = run.event[i].text;
	if (is_group(like->who))
		qsort(l.text, l.to, sizeof(*l.text), by_text);
	return l;
}

static const char *
joined(const struct lines *l)
{
	struct span s = NO_PROPS;

	for (size_t i = l->from; i < l->to; i++)
		s = wire_bytes(5, "rrr", s, span_str(s.len > 0 ? " | " : ""), span_str(l->text[i]));
	return s.len > 0 ? (const char *)wire_bytes(5, "r1", s, 0).p : "-";
}

/* The stream of this event, without what is equal at its beginning and its end. */
static bool
differs(const struct event *like, const char *what[SIDES])
{
	struct lines l[SIDES] = { lines_of(OURS, like), lines_of(THEIRS, like) };

	while (l[OURS].from < l[OURS].to && l[THEIRS].from < l[THEIRS].to &&
	    strcmp(l[OURS].text[l[OURS].from], l[THEIRS].text[l[THEIRS].from]) == 0) {
		l[OURS].from++;
		l[THEIRS].from++;
	}
	while (l[OURS].from < l[OURS].to && l[THEIRS].from < l[THEIRS].to &&
	    strcmp(l[OURS].text[l[OURS].to - 1], l[THEIRS].text[l[THEIRS].to - 1]) == 0) {
		l[OURS].to--;
		l[THEIRS].to--;
	}
	for (enum side side = OURS; side < SIDES; side++) {
		what[side] = joined(&l[side]);
		free(l[side].text);
	}
	return strcmp(what[OURS], what[THEIRS]) != 0;
}

static bool
is_first_of_stream(const struct event *e)
{
	for (const struct event *f = run.event; f < e; f++)
		if (strcmp(f->who, e->who) == 0 && strcmp(f->stream, e->stream) == 0)
			return false;
	return true;
}

enum verdict { EQUAL, EXPLAINED, DIFFERENT };

/* Of all that came in this step. In the end explanations are ticked off and the first difference is kept. */
static enum verdict
compare(bool is_end)
{
	enum verdict v = EQUAL;
	const char *what[SIDES];

	for (const struct event *e = run.event; e < run.event + run.nevents; e++) {
		const struct explained *why;

		if (!is_first_of_stream(e) || !differs(e, what))
			continue;
		why = explained_find(pair.script, what[THEIRS], what[OURS]);
		if (why == NULL)
			v = DIFFERENT;
		else if (v == EQUAL)
			v = EXPLAINED;
		if (is_end && why != NULL)
			seen->explained[why - explained]++;
		if (is_end && why == NULL && run.what == NULL &&
		    asprintf(&run.what, "%s\n    %s got\n      theirs: %s\n      ours:   %s\n",
			run.step, e->who, what[THEIRS], what[OURS]) < 0)
			err(1, "differential");
	}
	return v;
}

/* --- steps ------------------------------------------------------------------------------- */

static bool
is_owed(const struct peer *p, enum side side)
{
	const struct end *e = &p->end[side];

	return e->w != NULL && !e->closed &&
	    ((p->has_asked && !e->has_spoken) || (p->has_left && !e->closed) || e->pongs > 0);
}

/* Somebody who waits for the answer to CONNECT, the close behind DISCONNECT, or a PINGRESP. */
static bool
is_anybody_owed(void)
{
	for (size_t i = 0; i < run.npeers * SIDES; i++)
		if (is_owed(&run.peer[i / SIDES], (enum side)(i % SIDES)))
			return true;
	return false;
}

static void
ping_all(void)
{
	for (size_t i = 0; i < run.npeers * SIDES; i++) {
		struct peer *p = &run.peer[i / SIDES];
		struct end *e = &p->end[i % SIDES];

		if (e->w != NULL && e->accepted && !p->has_left && e->pongs == 0 &&
		    wire_send(e->w, wire_make(p->version, PINGREQ << 4, "")))
			e->pongs++;
	}
}

static void
settle(void)
{
	int64_t since = wire_now_ms(), passed;
	size_t before;
	unsigned round = 0;
	enum verdict v;

	/* One round to have the step done, and more until one has brought nothing. */
	do {
		before = run.nevents;
		ping_all();
		while (is_anybody_owed() && wire_now_ms() - since < pair.patience_ms)
			read_all(10);
	} while ((before != run.nevents || round < 2) && ++round < ROUNDS_MAX);
	while ((v = compare(false)) != EQUAL) {
		passed = wire_now_ms() - since;
		if (passed > (v == EXPLAINED ? CALM_MS : pair.patience_ms) || run.what != NULL)
			break; /* the first difference is all that counts */
		read_all(10);
	}
	compare(true);
	for (size_t i = 0; i < run.nevents; i++)
		free(run.event[i].text);
	run.nevents = 0;
}

static void
step_ends(void)
{
	if (!run.is_batch)
		settle();
}

void
together(void)
{
	run.is_batch = true;
}

void
as_one(void)
{
	run.is_batch = false;
	settle();
}

void
pass_time(int ms)
{
	int64_t until = wire_now_ms() + ms;

	say("after %d ms", ms);
	while (wire_now_ms() < until)
		read_all((int)(until - wire_now_ms()));
	settle();
}

void
pair_begin(const char *script, int version)
{
	static unsigned number;

	pair.script = script;
	pair.version = version;
	snprintf(run.prefix, sizeof(run.prefix), "%xx%x/", (unsigned)getpid(), number++);
	free(run.what);
	run.what = NULL;
}

bool
pair_differs(void)
{
	return run.what != NULL;
}

bool
pair_end(const char **what)
{
	run.is_batch = false;
	pass_time(CALM_MS);
	for (size_t i = 0; i < run.npeers * SIDES; i++)
		wire_close(run.peer[i / SIDES].end[i % SIDES].w);
	for (size_t i = 0; i < run.nsessions * SIDES; i++)
		forget_session(&run.session[i / SIDES], (enum side)(i % SIDES));
	for (size_t i = 0; i < nliberties; i++)
		if (run.taken[OURS][i] != run.taken[THEIRS][i])
			seen->liberty[i]++;
	memset(run.peer, 0, sizeof(run.peer));
	memset(run.session, 0, sizeof(run.session));
	memset(run.taken, 0, sizeof(run.taken));
	run.npeers = run.nsessions = 0;
	wire_forget();
	*what = run.what;
	return run.what == NULL;
}

/* --- words ------------------------------------------------------------------------------- */

static struct session *
session_of(const char *id)
{
	for (size_t i = 0; i < run.nsessions; i++)
		if (strcmp(run.session[i].id, id) == 0)
			return &run.session[i];
	if (run.nsessions == SESSIONS_MAX)
		errx(1, "differential: too many client identifiers");
	snprintf(run.session[run.nsessions].id, sizeof(run.session[0].id), "%s", id);
	return &run.session[run.nsessions++];
}

static struct peer *
peer_new(const char *name)
{
	struct peer *p = &run.peer[run.npeers];
	unsigned same = 1;

	if (run.npeers == PEERS_MAX)
		errx(1, "differential: too many connections");
	for (size_t i = 0; i < run.npeers; i++)
		same += strcmp(run.peer[i].session->id, name) == 0;
	run.npeers++;
	p->session = session_of(name);
	if (same == 1)
		snprintf(p->name, sizeof(p->name), "%s", name);
	else
		snprintf(p->name, sizeof(p->name), "%s#%u", name, same);
	p->version = pair.version;
	p->answers = p->releases = true;
	for (enum side side = OURS; side < SIDES; side++) {
		p->end[side].w = wire_open(pair.host, pair.port[side], pair.version);
		if (p->end[side].w == NULL)
			errx(1, "differential: no connection to port %d: %s", pair.port[side],
			    wire_trouble());
	}
	return p;
}

struct peer *
dial(const char *name)
{
	return peer_new(name);
}

struct peer *
join_with(const char *name, struct wire_connect o)
{
	struct peer *p = peer_new(name);

	say("%s connects", p->name);
	if (o.id == NULL)
		o.id = own(name);
	if (o.will_topic != NULL)
		o.will_topic = own_filter(o.will_topic);
	put_on_wire(p, wire_make_connect(pair.version, &o));
	return p;
}

struct peer *
session_with(const char *name, struct wire_connect o)
{
	o.resume = true;
	if (o.props.len == 0)
		o.props = wire_props("14", SESSION_EXPIRY, 600);
	return join_with(name, o);
}

static void
put_on_wire(struct peer *p, struct span bytes)
{
	p->has_asked = true;
	for (enum side side = OURS; side < SIDES; side++)
		end_send(p, side, bytes);
	step_ends();
}

void
send_bytes(struct peer *p, struct span bytes)
{
	char hex[129];

	for (size_t i = 0; i < bytes.len && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes.p[i]);
	say("%s sends %s%s", p->name, hex, bytes.len > 64 ? "..." : "");
	put_on_wire(p, bytes);
}

static uint16_t
next_id(struct peer *p)
{
	return ++p->last_id;
}

void
publish_message(struct peer *p, struct wire_message m)
{
	say("%s publishes '%s' to %s with QoS %u%s", p->name, m.text != NULL ? m.text : "", m.topic,
	    m.qos, m.retain ? ", retained" : "");
	m.topic = m.topic[0] == '\0' ? "" : own_filter(m.topic);
	put_on_wire(p, wire_make_publish(p->version, m.id != 0 ? m.id : next_id(p), &m));
}

void
subscribe_with(struct peer *p, const char *filter, unsigned options, struct span props)
{
	say("%s subscribes to %s with options %02x", p->name, filter, options);
	if (p->version < 5)
		options &= 3;
	put_on_wire(
	    p, wire_make_subscribe(p->version, next_id(p), props, own_filter(filter), options));
}

void
subscribe(struct peer *p, const char *filter, unsigned options)
{
	subscribe_with(p, filter, options, NO_PROPS);
}

void
unsubscribe(struct peer *p, const char *filter)
{
	say("%s unsubscribes from %s", p->name, filter);
	put_on_wire(p, wire_make_unsubscribe(p->version, next_id(p), own_filter(filter)));
}

void
hold(struct peer *p)
{
	p->answers = false;
}

void
hold_releases(struct peer *p)
{
	p->releases = false;
}

void
release(struct peer *p)
{
	p->answers = true;
}

void
answer(struct peer *p, enum wire_type type, const char *payload, uint16_t id, unsigned reason)
{
	say("%s answers %s for '%s' or %u with reason %02x", p->name, wire_type_name[type],
	    payload != NULL ? payload : "", id, reason);
	for (enum side side = OURS; side < SIDES; side++) {
		uint16_t of = id;

		if (payload != NULL) {
			const struct under_way *u = under_way_by_payload(p->session, side, payload);

			if (u == NULL)
				continue; /* it has not come, which is a difference already */
			of = u->id;
		}
		end_answer(p, side, type, of, reason);
	}
	step_ends();
}

void
leave_with(struct peer *p, unsigned reason, struct span props)
{
	say("%s disconnects with reason %02x", p->name, reason);
	p->has_left = true;
	for (enum side side = OURS; side < SIDES; side++) {
		if (p->end[side].w == NULL)
			continue;
		if (p->version >= 5 && (reason != 0 || props.len > 0))
			end_send(p, side, wire_make(5, DISCONNECT << 4, "1p", reason, props));
		else
			end_send(p, side, wire_make(p->version, DISCONNECT << 4, ""));
		wire_shutdown(p->end[side].w);
	}
	step_ends();
}

void
leave(struct peer *p)
{
	leave_with(p, 0, NO_PROPS);
}

void
lose(struct peer *p)
{
	say("%s is lost", p->name);
	for (enum side side = OURS; side < SIDES; side++) {
		if (p->end[side].w == NULL)
			continue;
		wire_reset(p->end[side].w);
		p->end[side] = (struct end){ 0 };
	}
	step_ends();
}

void
any_of(struct peer *p, const char *group)
{
	p->group = group;
}
