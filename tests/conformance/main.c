/*
 * tbmq-conformance - shows of a broker, statement by statement, whether it does what MQTT demands
 *
 * Each check is a process of its own, many at once, since most of them wait. It says over a pipe how it ended: p, f or n, and why.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/broken.h"
#include "tests/conformance/malformed.h"
#include "tests/conformance/statements.h"
#include "tests/lib/tool.h"

#define JOBS_MAX 256
#define SLOWEST 8 /* times the patience: a check that takes longer hangs */

static struct {
	const char *host, *version, *only, *broken, *transport, *cafile;
	uint64_t port, jobs, patience, list, json, coverage, rules, malformed;
} opt = { .host = "127.0.0.1",
	.version = "all",
	.transport = "tcp",
	.port = 1883,
	.jobs = 48,
	.patience = 5 };

static const struct setting settings[] = {
	SETTINGS_OF_BROKER(&opt.host, &opt.port),
	{ "transport", 't', &opt.transport, 0, 0, "tcp, tls, ws or wss (tcp)" },
	{ "cafile", 0, &opt.cafile, 0, 0, "who signs the broker's certificate, for tls and wss" },
	{ "version", 'V', &opt.version, 0, 0, "3 (3.1), 4 (3.1.1), 5, or all (all)" },
	{ "only", 'o', &opt.only, 0, 0, "statements, as 3.1.2-1,3.1.2-2" },
	{ "jobs", 'j', &opt.jobs, 1, JOBS_MAX, "checks at once (48)" },
	{ "patience", 0, &opt.patience, 1, 600, "seconds to wait for what has to come (5)" },
	{ "json", 0, &opt.json, 0, 1, "results as JSON" },
	{ "break", 'b', &opt.broken, 0, 0,
	    "go through a proxy that breaks this rule; own: the check's own rules, under which it "
	    "has to fail" },
	{ "rules", 0, &opt.rules, 0, 1, "print the proxy's rules and end" },
	{ "list", 0, &opt.list, 0, 1, "print the statements and end" },
	{ "malformed", 0, &opt.malformed, 0, 1,
	    "instead of statements, packets that no server may put up with; --only: parts of "
	    "names" },
	{ "coverage", 0, &opt.coverage, 0, 1, "print COVERAGE.md and end" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

enum result { PASSED, FAILED, NOT_APPLICABLE, RESULTS };

static const char *const result_name[RESULTS] = { "pass", "fail", "not applicable" };

/* A statement under one rule, or none. */
struct run {
	const struct statement *statement;
	char rule[64]; /* "": none */
	pid_t pid;
	int fd;
	int64_t until;
	char text[400];
	size_t len;
	enum result result;
};

static struct run *runs;
static size_t nruns, runs_cap;

static void
usage(void)
{
	puts("Usage: tbmq-conformance [OPTION]...\n"
	     "Checks every numbered statement of MQTT 5.0 and 3.1.1, and the basics of 3.1, "
	     "against a broker.\n");
	tool_settings_print(settings, SETTINGS);
	puts("\nExit codes: 0 nothing failed, 1 something did, 2 usage.");
}

/* Is the word one of the list, which commas separate? */
static bool
is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
		if ((at == list || at[-1] == ',' || at[-1] == '-') &&
		    (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

static bool
is_wanted(const struct statement *s)
{
	return (strcmp(opt.version, "all") == 0 || atoi(opt.version) == s->version) &&
	    (opt.only == NULL || is_listed(opt.only, s->id));
}

static void
plan_run(const struct statement *s, struct span rule)
{
	if (nruns == runs_cap)
		runs = grab_more(runs, &runs_cap, sizeof(*runs));
	runs[nruns].statement = s;
	snprintf(runs[nruns].rule, sizeof(runs[nruns].rule), "%.*s", (int)rule.len,
	    (const char *)rule.p);
	nruns++;
}

static void
plan(void)
{
	for (const struct statement *s = statements; s < statements + nstatements; s++) {
		if (!is_wanted(s))
			continue;
		if (opt.broken == NULL || s->check == NULL) {
			plan_run(s, span_str(""));
		} else if (strcmp(opt.broken, "own") != 0) {
			plan_run(s, span_str(opt.broken));
		} else {
			for (const char *at = s->check->rules; *at != '\0'; at += strspn(at, " ")) {
				size_t len = strcspn(at, " ");

				plan_run(s, span_of(at, len));
				at += len;
			}
		}
	}
}

static _Noreturn void
in_child(const struct run *r, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	version = r->statement->version;
	target_host = opt.host;
	target_port = (int)opt.port;
	patience_ms = (int)opt.patience * 1000;
	check_begin((unsigned)(r - runs), fd);
	if (r->rule[0] != '\0') {
		if (broken_is_below(r->rule) && strcmp(opt.transport, "ws") != 0)
			not_applicable("not over WebSocket in the clear");
		target_port = broken_start(r->rule, opt.host, (int)opt.port, version);
		target_host = "127.0.0.1";
		if (!broken_is_below(r->rule))
			wire_transport("tcp", NULL);
	}
	r->statement->check->run();
	check_end();
}

static void
start(struct run *r)
{
	int fd[2];

	if (pipe(fd) != 0)
		fail("no pipe: %s", strerror(errno));
	r->pid = fork();
	if (r->pid < 0)
		fail("no process: %s", strerror(errno));
	if (r->pid == 0) {
		close(fd[0]);
		in_child(r, fd[1]);
	}
	close(fd[1]);
	r->fd = fd[0];
	r->until = wire_now_ms() + (int64_t)opt.patience * 1000 * SLOWEST;
}

static void
finish(struct run *r)
{
	static const char letters[] = "pfn";
	const char *at;

	close(r->fd);
	waitpid(r->pid, NULL, 0);
	r->pid = 0;
	r->text[r->len] = '\0';
	at = r->len > 0 ? strchr(letters, r->text[0]) : NULL;
	r->result = at != NULL ? (enum result)(at - letters) : FAILED;
	if (at == NULL)
		snprintf(r->text, sizeof(r->text), "fthe check crashed, or did not end in time");
}

/* Takes what came; true: that was all. */
static bool
has_ended(struct run *r)
{
	ssize_t n = read(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len);

	if (n > 0)
		r->len += (size_t)n;
	return n == 0 || (n < 0 && errno != EINTR) || r->len == sizeof(r->text) - 1;
}

static void
go(void)
{
	struct run *under_way[JOBS_MAX];
	struct pollfd p[JOBS_MAX];
	size_t next = 0, n = 0;

	while (next < nruns || n > 0) {
		while (n < opt.jobs && next < nruns && !interrupted) {
			struct run *r = &runs[next++];

			if (r->statement->check == NULL) {
				r->result = NOT_APPLICABLE;
				snprintf(r->text, sizeof(r->text), "n%s", r->statement->why_not);
				continue;
			}
			start(r);
			under_way[n++] = r;
		}
		if (interrupted)
			exit(TOOL_BAD); /* the children die with us */
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = under_way[i]->fd, .events = POLLIN };
		poll(p, n, 100);
		for (size_t i = n; i-- > 0;) {
			bool late = wire_now_ms() > under_way[i]->until;

			if (late)
				kill(under_way[i]->pid, SIGKILL);
			if (late || (p[i].revents != 0 && has_ended(under_way[i]))) {
				finish(under_way[i]);
				under_way[i] = under_way[--n];
			}
		}
	}
}

/* Under its own rule a check has to fail. */
static enum result
verdict(const struct run *r)
{
	if (opt.broken == NULL || strcmp(opt.broken, "own") != 0 || r->result == NOT_APPLICABLE)
		return r->result;
	return r->result == FAILED ? PASSED : FAILED;
}

static void
print_table(void)
{
	for (const struct run *r = runs; r < runs + nruns; r++)
		printf("%-5s  %-15s  %-14s  %s%s%s\n", version_name(r->statement->version),
		    statement_name(r->statement), result_name[verdict(r)], r->rule,
		    r->rule[0] != '\0' ? ": " : "", r->text + 1);
}

static void
print_json(void)
{
	json_t *all = json_array();

	for (const struct run *r = runs; r < runs + nruns; r++)
		json_array_append_new(all,
		    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "version",
			version_name(r->statement->version), "id", statement_name(r->statement),
			"result", result_name[verdict(r)], "why", r->text + 1, "rule", r->rule,
			"statement", r->statement->text));
	json_dumpf(all, stdout, JSON_INDENT(1));
	puts("");
	json_decref(all);
}

static void
print_list(void)
{
	for (const struct statement *s = statements; s < statements + nstatements; s++)
		if (is_wanted(s))
			printf("%-5s  %-15s  %s%s%s\n", version_name(s->version), statement_name(s),
			    s->text, s->why_not != NULL ? "; not applicable: " : "",
			    s->why_not != NULL ? s->why_not : "");
}

static void
set_transport(void)
{
	if (opt.cafile == NULL &&
	    (strcmp(opt.transport, "tls") == 0 || strcmp(opt.transport, "wss") == 0))
		tool_bad_usage("no --cafile for ", opt.transport);
	if (!wire_transport(opt.transport, opt.cafile))
		tool_bad_usage("no such transport: ", opt.transport);
}

int
main(int argc, char **argv)
{
	unsigned count[RESULTS] = { 0 };
	FILE *last;

	if (tool_options(argc, argv, settings, SETTINGS, usage) != argc)
		tool_bad_usage("what is ", argv[optind]);
	set_transport();
	if (opt.malformed != 0)
		return malformed(&(struct malformed){
		    .host = opt.host,
		    .only = opt.only,
		    .port = (int)opt.port,
		    .version = atoi(opt.version),
		    .jobs = (unsigned)opt.jobs,
		    .patience_ms = (int)opt.patience * 1000,
		    .list = opt.list,
		    .json = opt.json,
		});
	if (!statements_link())
		return TOOL_BAD;
	if (opt.broken != NULL && strcmp(opt.broken, "own") != 0 &&
	    !broken_has(opt.broken, strlen(opt.broken)))
		tool_bad_usage("no rule ", opt.broken);
	if (opt.rules != 0 || opt.list != 0 || opt.coverage != 0) {
		if (opt.rules != 0)
			broken_print();
		else if (opt.list != 0)
			print_list();
		else
			statements_page();
		return TOOL_OK;
	}
	plan();
	if (nruns == 0)
		tool_bad_usage("no such statement", "");
	go();
	for (const struct run *r = runs; r < runs + nruns; r++)
		count[verdict(r)]++;
	if (opt.json != 0)
		print_json();
	else
		print_table();
	/* JSON stays JSON. */
	last = opt.json != 0 ? stderr : stdout;
	if (count[NOT_APPLICABLE] > 0)
		fprintf(last, "%u not applicable\n", count[NOT_APPLICABLE]);
	fprintf(last, "%u passed, %u failed\n", count[PASSED], count[FAILED]);
	return count[FAILED] > 0 ? TOOL_BAD : TOOL_OK;
}
