/*
 * A few processes share the offences out among them, each with a witness of its own and one offender at a time. They say over a pipe how each one
 * ended: its number, and why it failed if it did.
 */
#include "tests/conformance/malformed.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/wire.h"
#include "tests/lib/tool.h"

#define MARKS 16 /* connections that end the watch, so that each worker has some */
#define HEX_MAX 160
#define ENOUGH                                                                                     \
	30 /* failures of a child: a server that fails so often would be waited for all day */

enum verdict { UNTRIED, PASSED, FAILED };

static struct {
	const struct malformed *opt;
	struct allowance may;
	struct offence *offence;
	size_t n;
	enum verdict *verdict; /* of each offence, in the parent */
	char **why;

	/* in a child */
	int report;
	unsigned child;
	struct wire *witness, *client;
	char place[sizeof(PLACE)];
	bool *had_will; /* of each offence */
	bool passed;    /* the server has put up with the one under way */
	char trouble[300];
} the;

/* --- words ------------------------------------------------------------------------------- */

/* Answers false. */
static bool __attribute__((format(printf, 1, 2))) trouble(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(the.trouble, sizeof(the.trouble), format, ap);
	va_end(ap);
	return false;
}

/* One line, so that those of several processes don't mix. Nothing behind the number: it has passed. */
static void __attribute__((format(printf, 2, 3))) say(size_t nth, const char *format, ...)
{
	char why[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	dprintf(the.report, "%zu %s\n", nth, why);
}

static void
set_place(size_t nth)
{
	snprintf(
	    the.place, sizeof(the.place), "m%05u/%05u", the.child % 100000, (unsigned)nth % 100000);
}

/* The bytes with this offence's own text in all places. */
static struct span
placed(struct span bytes)
{
	struct span copy = wire_bytes(5, "r", bytes);
	uint8_t *at = (uint8_t *)copy.p;

	while (
	    (at = memmem(at, copy.len - (size_t)(at - copy.p), PLACE, sizeof(PLACE) - 1)) != NULL)
		memcpy(at, the.place, sizeof(PLACE) - 1);
	return copy;
}

/* The same of a text, borrowed until wire_forget(). */
static const char *
text(const char *s)
{
	return (const char *)placed(span_of(s, strlen(s) + 1)).p;
}

/* --- steps of a client ------------------------------------------------------------------- */

static bool
came(struct wire *w, enum wire_type type, struct wire_packet *out)
{
	switch (wire_read(w, the.opt->patience_ms, out)) {
	case WIRE_CLOSED:
		return trouble("closed instead of %s", wire_type_name[type]);
	case WIRE_NOTHING:
		return trouble("nothing came instead of %s", wire_type_name[type]);
	default:
		return (out->type == type && out->bad == NULL) ||
		    trouble("%s came instead of %s", wire_describe(out), wire_type_name[type]);
	}
}

static struct wire *
dial(int version)
{
	struct wire *w = wire_open(the.opt->host, the.opt->port, version);

	if (w == NULL)
		trouble("no connection: %s", wire_trouble());
	return w;
}

static bool
accepted(struct wire *w, struct wire_packet *out)
{
	return came(w, CONNACK, out) &&
	    (out->reason == 0 || trouble("the connection was refused: %s", wire_describe(out)));
}

/* NULL: trouble. */
static struct wire *
join(int version, const struct wire_connect *o, struct wire_packet *connack_out)
{
	struct wire *w = dial(version);

	if (w == NULL)
		return NULL;
	wire_send(w, wire_make_connect(version, o));
	if (accepted(w, connack_out))
		return w;
	wire_close(w);
	return NULL;
}

#define NO_LOCAL 4

static bool
subscribed(struct wire *w, const char *filter, unsigned options)
{
	struct wire_packet k;

	wire_send(
	    w, wire_make(w->version, SUBSCRIBE << 4 | 2, "2ps1", 1, NO_PROPS, filter, options));
	return came(w, SUBACK, &k) &&
	    ((k.codes.len == 1 && k.codes.p[0] == (options & 3)) ||
		trouble("%s came for a right filter", wire_describe(&k)));
}

static void
ping(struct wire *w)
{
	wire_send(w, wire_make(w->version, PINGREQ << 4, ""));
}

static struct span
make_message(int version, unsigned qos, bool retain, const char *topic, unsigned id)
{
	return wire_make_publish(version, (uint16_t)id,
	    &(struct wire_message){ .topic = topic, .text = "x", .qos = qos, .retain = retain });
}

/* --- the witness ------------------------------------------------------------------------- */

/* What is seen of an offence: the will once, where one was left, and nothing but what was right. */
static void
note(const struct wire_packet *k)
{
	char number[6] = { 0 }, *end;
	size_t place = sizeof(PLACE) - 1, nth;
	struct span rest;

	if (k->type != PUBLISH || k->topic.len <= place)
		return;
	memcpy(number, k->topic.p + place - 5, 5);
	nth = strtoul(number, &end, 10);
	rest = span_of(k->topic.p + place, k->topic.len - place);
	if (*end != '\0' || nth >= the.n || the.offence[nth].may_pass ||
	    span_eq(rest, span_str("/held")))
		return;
	if (!span_eq(rest, span_str("/will")))
		say(nth, "%s: %s", k->retain ? "it was retained" : "it was delivered",
		    wire_describe(k));
	else if (the.offence[nth].moment == FIRST || the.offence[nth].moment == GONE)
		say(nth, "the will was published");
	else if (the.had_will[nth])
		say(nth, "the will was published twice");
	the.had_will[nth] = true;
}

/* Reads on, up to a packet of this type. */
static bool
witness_gets(enum wire_type type, struct wire_packet *out)
{
	do {
		switch (wire_read(the.witness, the.opt->patience_ms, out)) {
		case WIRE_CLOSED:
			return trouble("another client was closed");
		case WIRE_NOTHING:
			return trouble("another client is not served");
		default:
			if (out->bad != NULL)
				return trouble("another client got %s", wire_describe(out));
			note(out);
		}
	} while (out->type != type);
	return true;
}

/*
 * It sees all below its root; where there are no wildcards, what the right part of an offence would bring, and the mark. One that died with
 * its server is replaced, so that each offence that kills one fails, and no other.
 */
static bool
witness_is_there(void)
{
	struct wire_packet k;
	char root[16];

	if (the.witness == NULL || the.witness->fd < 0) {
		wire_close(the.witness);
		snprintf(root, sizeof(root), "%.6s", the.place);
		the.witness = join(5, &(struct wire_connect){ .id = root }, &k);
		snprintf(root, sizeof(root), the.may.wildcard ? "%.6s/#" : "%.6s/mark", the.place);
		if (the.witness == NULL || !subscribed(the.witness, root, 0))
			return false;
	}
	return the.may.wildcard ||
	    (subscribed(the.witness, text(PLACE "/will"), 0) &&
		subscribed(the.witness, text(PLACE "/p"), 0));
}

static bool
witnessed(size_t nth)
{
	const struct offence *o = &the.offence[nth];
	bool will = o->moment != FIRST && o->moment != GONE && !o->may_pass;
	struct wire_packet k;

	while (will && !the.had_will[nth])
		if (!witness_gets(PUBLISH, &k))
			return trouble("the will did not come to another client");
	ping(the.witness);
	return witness_gets(PINGRESP, &k);
}

/* --- moments ----------------------------------------------------------------------------- */

static struct span
connect_of(const struct offence *o)
{
	struct wire_connect c = {
		.id = text(PLACE),
		.will_topic = text(PLACE "/will"),
		.resume = o->moment == KEPT,
	};

	if (o->moment == KEPT)
		c.props = wire_props("14", SESSION_EXPIRY, 600);
	return wire_make_connect(o->version, &c);
}

/* A message of QoS 2 is sent, up to the answer. */
static bool
is_sending(struct wire *w, const char *topic)
{
	struct wire_packet k;

	wire_send(w, make_message(w->version, 2, false, topic, 1));
	return came(w, PUBREC, &k);
}

static bool
is_receiving(struct wire *w)
{
	bool complete = false, delivered = false;
	struct wire_packet k;

	if (!subscribed(w, text(FILTER "/own"), 2))
		return false;
	wire_send(w, make_message(w->version, 2, false, text(FILTER "/own"), 1));
	while (!complete || !delivered) {
		if (wire_read(w, the.opt->patience_ms, &k) != WIRE_PACKET || k.bad != NULL)
			return trouble("a message of QoS 2 was not delivered");
		if (k.type == PUBREC)
			wire_send(w, wire_make(w->version, PUBREL << 4 | 2, "2", 1));
		complete = complete || k.type == PUBCOMP;
		delivered = delivered || k.type == PUBLISH;
	}
	return true;
}

/* Takes the connection to where the offence belongs, and commits it. */
static bool
committed(const struct offence *o)
{
	struct span bytes = placed(o->bytes);
	struct wire *w = the.client = dial(o->version);
	struct wire_packet k;

	if (w == NULL)
		return false;
	if (o->moment == AT_ONCE)
		bytes = wire_bytes(5, "rr", connect_of(o), bytes);
	else if (o->moment != FIRST)
		wire_send(w, connect_of(o));
	if (o->moment > AT_ONCE && !accepted(w, &k))
		return false;
	if (o->moment == GONE)
		bytes = wire_bytes(5, "xr", "e000", bytes);
	if ((o->moment == SENDING && !is_sending(w, text(PLACE "/held"))) ||
	    (o->moment == RECEIVING && !is_receiving(w)) ||
	    (o->moment == KEPT && !subscribed(w, text(FILTER "/mark"), 1)))
		return false;
	wire_send(w, bytes);
	if (o->cut)
		wire_shutdown(w);
	return o->moment != AT_ONCE || accepted(w, &k);
}

/* --- what has to come of it -------------------------------------------------------------- */

static bool
has_code(const struct offence *o, int code)
{
	return code >= 0 && memchr(o->code, code, o->ncodes) != NULL;
}

static bool
is_closed(void)
{
	struct wire_packet k;

	switch (wire_read(the.client, the.opt->patience_ms, &k)) {
	case WIRE_CLOSED:
		return true;
	case WIRE_NOTHING:
		return trouble("the connection stays open");
	default:
		return trouble("%s came", wire_describe(&k));
	}
}

/* Those before it were right. */
static bool
is_of_burst(const struct offence *o, const struct wire_packet *k)
{
	return o->burst && (k->type == PUBREC || k->type == PUBACK);
}

static bool
is_refusal(const struct offence *o, const struct wire_packet *k)
{
	if (!o->may_answer || (k->type != SUBACK && k->type != UNSUBACK) || k->id != 1)
		return false;
	if (k->codes.len == 0 || o->version == 3)
		return o->version < 5; /* which has no words for it there */
	return k->codes.p[k->codes.len - 1] >= 0x80 || k->codes.p[k->codes.len - 1] == 0x11;
}

/* Does the server go on as if nothing was wrong, or close as it should? */
static bool
passed_or_ended(const struct offence *o)
{
	struct wire_packet k;

	if (o->moment != FIRST)
		ping(the.client);
	for (;;) {
		switch (wire_read(the.client, the.opt->patience_ms, &k)) {
		case WIRE_CLOSED:
			return o->version < 5 || o->connect ||
			    trouble("closed without a DISCONNECT");
		case WIRE_NOTHING:
			return trouble("nothing came of it");
		default:
			break;
		}
		if (k.bad != NULL)
			return trouble("%s came", wire_describe(&k));
		if (k.type == DISCONNECT || (k.type == CONNACK && k.reason != 0))
			return has_code(o, k.reason) ? is_closed()
						     : trouble("%s came", wire_describe(&k));
		the.passed = k.type == PINGRESP || k.type == CONNACK;
		if (the.passed)
			return true;
	}
}

static bool
judged(const struct offence *o)
{
	struct wire_packet k;
	bool tells = o->connect && o->moment == FIRST;

	if (o->may_pass)
		return passed_or_ended(o);
	do
		switch (wire_read(the.client, the.opt->patience_ms, &k)) {
		case WIRE_CLOSED:
			return o->version < 5 || tells || o->cut || o->ncodes == 0 ||
			    trouble("closed without a DISCONNECT");
		case WIRE_NOTHING:
			return trouble("the connection stays open");
		default:
			break;
		}
	while (k.bad == NULL && is_of_burst(o, &k));
	if (k.bad == NULL && is_refusal(o, &k)) {
		the.passed = true;
		ping(the.client);
		return came(the.client, PINGRESP, &k);
	}
	if (k.bad != NULL || k.type != (tells ? CONNACK : DISCONNECT) || !has_code(o, k.reason) ||
	    k.ack_flags != 0)
		return trouble("%s came", wire_describe(&k));
	return is_closed();
}

/* The session is as it was before: it is there, and subscribed to what it had asked for. */
static bool
is_kept(const struct offence *o)
{
	struct wire_packet k;
	struct wire *w;

	wire_close(the.client);
	the.client = w = join(o->version,
	    &(struct wire_connect){
		.id = text(PLACE), .resume = true, .props = wire_props("14", SESSION_EXPIRY, 600) },
	    &k);
	if (w == NULL)
		return false;
	if (o->version > 3 && !(k.ack_flags & 1))
		return trouble("the session is gone");
	if (!the.passed && !o->in_part)
		wire_send(w, make_message(o->version, 1, false, text(FILTER), 1));
	wire_send(w, make_message(o->version, 1, false, text(FILTER "/mark"), 2));
	do
		if (wire_read(w, the.opt->patience_ms, &k) != WIRE_PACKET || k.bad != NULL)
			return trouble("the session's subscription is gone");
	while (k.type != PUBLISH);
	if (!span_eq(k.topic, span_str(text(FILTER "/mark"))))
		return trouble("it has subscribed: %s", wire_describe(&k));
	wire_close(w);
	the.client = join(o->version, &(struct wire_connect){ .id = text(PLACE) }, &k);
	if (the.client != NULL) /* which has ended it */
		wire_send(the.client, wire_make(o->version, DISCONNECT << 4, ""));
	return the.client != NULL;
}

static bool
try(size_t nth)
{
	const struct offence *o = &the.offence[nth];
	bool good;

	set_place(nth);
	the.passed = false;
	good = witness_is_there() && committed(o) && judged(o);
	wire_close(the.client);
	the.client = NULL;
	good = good && witnessed(nth) && (o->moment != KEPT || is_kept(o));
	say(nth, "%s", good ? "" : the.trouble);
	wire_close(the.client);
	the.client = NULL;
	return good;
}

/* --- a child ----------------------------------------------------------------------------- */

/* Behind a message from each worker there is nothing more of an offence. */
static bool
nothing_follows(void)
{
	struct wire_packet k;
	struct wire *from;
	char mark[16], id[16];
	bool good = true;

	snprintf(mark, sizeof(mark), "%.6s/mark", the.place);
	for (unsigned i = 0; i < MARKS && good; i++) {
		snprintf(id, sizeof(id), "%.6s/%u", the.place, i);
		from = join(5, &(struct wire_connect){ .id = id }, &k);
		if (from == NULL)
			return false;
		wire_send(from, make_message(5, 0, false, mark, 0));
		do
			good = witness_gets(PUBLISH, &k);
		while (good && !span_eq(k.topic, span_str(mark)));
		wire_close(from);
	}
	return good;
}

/* Nor was anything retained. What is retained comes in any order, so a mark is asked for again behind all. */
static bool
nothing_is_retained(void)
{
	struct wire_packet k;
	char mark[16], all[16], id[16];
	unsigned marks = 0;
	struct wire *w;
	bool good;

	snprintf(mark, sizeof(mark), "%.6s/keep", the.place);
	snprintf(all, sizeof(all), "%.6s/#", the.place);
	snprintf(id, sizeof(id), "%.6s-late", the.place);
	w = join(5, &(struct wire_connect){ .id = id }, &k);
	if (w == NULL)
		return false;
	wire_send(w, make_message(5, 1, true, mark, 1));
	good = came(w, PUBACK, &k) && subscribed(w, all, NO_LOCAL); /* it clears what it finds */
	while (good && marks < 2) {
		good = came(w, PUBLISH, &k);
		if (good && !span_eq(k.topic, span_str(mark))) {
			note(&k);
			wire_send(w, wire_make(5, PUBLISH << 4 | 1, "bp", k.topic, NO_PROPS));
		} else if (good && k.retain && ++marks == 1) {
			good = subscribed(w, mark, NO_LOCAL);
		}
	}
	wire_send(w, wire_make(5, PUBLISH << 4 | 1, "sp", mark, NO_PROPS));
	wire_close(w);
	return good;
}

static _Noreturn void
work(unsigned nth, unsigned of, int report)
{
	uint64_t patience = (uint64_t)the.opt->patience_ms * 1000000, began;
	unsigned late = 0;
	size_t last = nth;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	the.report = report;
	the.child = (unsigned)getpid();
	the.had_will = grab(the.n, sizeof(*the.had_will));
	for (size_t i = nth; i < the.n && late < ENOUGH && !interrupted; i += of) {
		began = now_ns();
		if (!try(i) && now_ns() - began >= patience)
			late++;
		last = i;
	}
	if (!(witness_is_there() && nothing_follows() &&
		(!the.may.retain || !the.may.wildcard || nothing_is_retained())))
		say(last, "after all: %s", the.trouble);
	_exit(0);
}

/* --- the parent -------------------------------------------------------------------------- */

static const char *
hex(struct span bytes)
{
	static char out[2 * HEX_MAX + 4];
	size_t n = bytes.len < HEX_MAX ? bytes.len : HEX_MAX;

	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes.p[i]);
	snprintf(out + 2 * n, 4, "%s", n < bytes.len ? "..." : "");
	return out;
}

static unsigned
number_of(const struct wire_packet *k, enum wire_prop_id id, unsigned absent)
{
	const struct wire_prop *p = wire_find(k, id);

	return p != NULL ? p->number : absent;
}

static void
ask_allowance(void)
{
	struct wire_packet k;
	struct wire *w = join(5, &(struct wire_connect){ 0 }, &k);

	if (w == NULL)
		fail("%s", the.trouble);
	the.may = (struct allowance){
		.max_qos = number_of(&k, MAX_QOS, 2),
		.alias_max = number_of(&k, ALIAS_MAX, 0),
		.receive_max = number_of(&k, RECEIVE_MAX, 65535),
		.max_packet = number_of(&k, MAX_PACKET, UINT32_MAX),
		.retain = number_of(&k, RETAIN_AVAILABLE, 1),
		.wildcard = number_of(&k, WILDCARD_AVAILABLE, 1),
		.shared = number_of(&k, SHARED_AVAILABLE, 1),
		.subscription_id = number_of(&k, SUBSCRIPTION_ID_AVAILABLE, 1),
	};
	wire_close(w);
}

static bool
is_wanted(const struct offence *o)
{
	const char *at = the.opt->only;
	char word[sizeof(o->name)];

	if (the.opt->version != 0 && the.opt->version != o->version)
		return false;
	if (at == NULL)
		return true;
	for (; *at != '\0'; at += strspn(at, ",")) {
		size_t len = strcspn(at, ",");

		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		if (strstr(o->name, word) != NULL)
			return true;
		at += len;
	}
	return false;
}

static void
choose(void)
{
	size_t n = 0;

	the.offence = offences_make(&the.may, &the.n);
	for (size_t i = 0; i < the.n; i++)
		if (is_wanted(&the.offence[i]))
			the.offence[n++] = the.offence[i];
	the.n = n;
	if (n == 0)
		tool_bad_usage("no such packet: ", the.opt->only != NULL ? the.opt->only : "");
}

static void
take(const char *line)
{
	char *why;
	size_t nth = strtoul(line, &why, 10);

	if (nth >= the.n || *why != ' ')
		return;
	why[strcspn(why, "\n")] = '\0';
	if (why[1] == '\0') {
		if (the.verdict[nth] == UNTRIED)
			the.verdict[nth] = PASSED;
	} else if (the.verdict[nth] != FAILED) {
		the.verdict[nth] = FAILED;
		the.why[nth] = strdup(why + 1);
	}
}

static void
share_out(void)
{
	unsigned jobs = the.opt->jobs < the.n ? the.opt->jobs : (unsigned)the.n;
	char *line = NULL;
	size_t cap = 0;
	FILE *reports;
	int fd[2];

	fflush(stdout);
	if (pipe(fd) != 0 || (reports = fdopen(fd[0], "r")) == NULL)
		fail("no pipe: %s", strerror(errno));
	for (unsigned i = 0; i < jobs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("no process: %s", strerror(errno));
		if (pid == 0)
			work(i, jobs, fd[1]);
	}
	close(fd[1]);
	while (getline(&line, &cap, reports) > 0)
		take(line);
	fclose(reports);
	free(line);
	while (wait(NULL) > 0)
		;
}

static const char *
result(size_t nth)
{
	return the.verdict[nth] == PASSED ? "pass" : "fail";
}

static const char *
reason(size_t nth)
{
	return the.verdict[nth] == FAILED && the.why[nth] != NULL ? the.why[nth]
	    : the.verdict[nth] == PASSED                          ? ""
								  : "it was not tried";
}

static void
print_json(void)
{
	json_t *all = json_array();

	for (size_t i = 0; i < the.n; i++)
		json_array_append_new(all,
		    json_pack("{s:s, s:s, s:s, s:s}", "packet", the.offence[i].name, "result",
			result(i), "why", reason(i), "bytes", hex(the.offence[i].bytes)));
	json_dumpf(all, stdout, JSON_INDENT(1));
	puts("");
	json_decref(all);
}

int
malformed(const struct malformed *o)
{
	size_t passed = 0;

	signal(SIGPIPE, SIG_IGN);
	the.opt = o;
	ask_allowance();
	choose();
	if (o->list) {
		for (size_t i = 0; i < the.n; i++)
			printf("%-48s  %s\n", the.offence[i].name, hex(the.offence[i].bytes));
		return TOOL_OK;
	}
	the.verdict = grab(the.n, sizeof(*the.verdict));
	the.why = grab(the.n, sizeof(*the.why));
	share_out();
	for (size_t i = 0; i < the.n; i++) {
		passed += the.verdict[i] == PASSED;
		if (the.verdict[i] != PASSED && !o->json)
			printf("%s  %s\n    %s\n", the.offence[i].name, reason(i),
			    hex(the.offence[i].bytes));
	}
	if (o->json)
		print_json();
	/* JSON stays JSON. */
	fprintf(o->json ? stderr : stdout, "%zu passed, %zu failed\n", passed, the.n - passed);
	return passed == the.n ? TOOL_OK : TOOL_BAD;
}
