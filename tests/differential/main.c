/*
 * tbmq-differential - the same sessions at two brokers, and what differs
 *
 * Several processes take one script after the other. What they have in common is in memory that they share: which is next, and what was seen.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/differential/explained.h"
#include "tests/differential/mosquitto.h"
#include "tests/differential/random.h"
#include "tests/differential/script.h"
#include "tests/lib/tool.h"

#define JOBS_MAX 64
#define NAME_MAX_LEN 80
#define HANGS_S 600

struct script *scripts;
unsigned variant;

static struct {
	const char *host, *only, *program, *acl;
	uint64_t port, jobs, patience, seeds, seed, length, drawn, list;
} opt = { .host = "127.0.0.1",
	.program = "mosquitto",
	.port = 1883,
	.jobs = 8,
	.patience = 10,
	.seed = 1,
	.length = 60 };

static const struct setting settings[] = {
	SETTINGS_OF_BROKER(&opt.host, &opt.port),
	{ "mosquitto", 0, &opt.program, 0, 0, "to be started beside it (mosquitto)" },
	{ "acl", 0, &opt.acl, 0, 0,
	    "the broker's acl_file, in mosquitto's format, for it too: rules/… only" },
	{ "only", 'o', &opt.only, 0, 0, "scripts whose name has this in it" },
	{ "drawn", 0, &opt.drawn, 0, 1, "no scripts but random ones" },
	{ "seeds", 'n', &opt.seeds, 0, 1000000, "random scripts behind the others (0)" },
	{ "seed", 's', &opt.seed, 0, UINT64_MAX, "of the first of them (1)" },
	{ "length", 'l', &opt.length, 1, 100000, "operations of each (60)" },
	{ "jobs", 'j', &opt.jobs, 1, JOBS_MAX, "scripts at once (8)" },
	{ "patience", 0, &opt.patience, 1, 600, "seconds for what differs to become equal (10)" },
	{ "list", 0, &opt.list, 0, 1, "print the scripts and end" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

struct run {
	const struct script *script; /* NULL: random */
	int version;
	unsigned variant;
	char name[NAME_MAX_LEN];
};

static struct run *runs;
static size_t nruns, runs_cap;

static void
usage(void)
{
	puts("Usage: tbmq-differential [OPTION]...\n"
	     "Has clients do the same to a broker and to mosquitto, which it starts, and says what "
	     "differs\nin what they get, unless it is explained.\n");
	tool_settings_print(settings, SETTINGS);
	puts("\nExit codes: 0 no difference, 1 there is one, or one that is explained has gone, "
	     "2 usage.");
}

void
script_add(struct script *s)
{
	struct script **at = &scripts;

	while (*at != NULL)
		at = &(*at)->next;
	*at = s;
}

static void
plan_script(const struct script *s, int version)
{
	for (unsigned v = 0; v == 0 || v < s->variants; v++) {
		struct run r = { .script = s, .version = version, .variant = v };

		if (s->variants == 0)
			snprintf(r.name, sizeof(r.name), "%d/%s", version, s->name);
		else
			snprintf(r.name, sizeof(r.name), "%d/%s-%u", version, s->name, v);
		if (opt.only != NULL && strstr(r.name, opt.only) == NULL)
			continue;
		if (nruns == runs_cap)
			runs = grab_more(runs, &runs_cap, sizeof(*runs));
		runs[nruns++] = r;
	}
}

static void
plan(void)
{
	for (const struct script *s = scripts; s != NULL; s = s->next) {
		if ((strncmp(s->name, "rules/", 6) == 0) != (opt.acl != NULL))
			continue;
		for (int version = 5; version >= 3; version--)
			if (s->versions & 1u << version)
				plan_script(s, version);
	}
}

/* In one write, since others print too. */
static void
tell(bool is_good, const char *name, const char *what)
{
	atomic_fetch_add(is_good ? &seen->passed : &seen->failed, 1);
	if (is_good)
		return;
	dprintf(STDOUT_FILENO, "FAILED  %s: %s", name, what);
}

static void
do_script(const struct run *r)
{
	const char *what;
	bool is_good;

	variant = r->variant;
	pair_begin(r->name, r->version);
	r->script->run();
	is_good = pair_end(&what);
	tell(is_good, r->name, what);
}

static void
do_random(uint64_t seed)
{
	char name[40], *what;
	bool is_good;

	snprintf(name, sizeof(name), "seed %" PRIu64, seed);
	is_good = random_run(seed, (unsigned)opt.length, &what);
	tell(is_good, name, what);
	free(what);
}

static _Noreturn void
work(void)
{
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	while ((i = atomic_fetch_add(&seen->next, 1)) < nruns + opt.seeds) {
		alarm(HANGS_S);
		if (i < nruns)
			do_script(&runs[i]);
		else
			do_random(opt.seed + i - nruns);
	}
	_exit(TOOL_OK);
}

/* A process that did not come to its end is one failure. */
static void
go(void)
{
	pid_t pid[JOBS_MAX];
	int status;

	fflush(stdout);
	for (size_t i = 0; i < opt.jobs; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			fail("no process: %s", strerror(errno));
		if (pid[i] == 0)
			work();
	}
	for (size_t i = 0; i < opt.jobs; i++) {
		while (waitpid(pid[i], &status, 0) < 0 && errno == EINTR && !interrupted)
			;
		if (interrupted)
			break; /* they die with us */
		if (!WIFEXITED(status) || WEXITSTATUS(status) != TOOL_OK)
			tell(false, "a process", "crashed, or did not end in time\n");
	}
}

/* Only where all scripts have run. */
static void
look_for_what_has_gone(void)
{
	for (size_t i = 0; i < nexplained; i++)
		if (seen->explained[i] == 0)
			tell(false, explained[i].script,
			    text_of("what %s explains does not occur any more:\n    theirs: %s\n"
				    "    ours:   %s\n",
				explained[i].section, explained[i].theirs, explained[i].ours));
	for (size_t i = 0; i < nliberties; i++)
		if (seen->liberty[i] == 0)
			tell(false, wire_type_name[liberties[i].type],
			    text_of("what %s leaves open does not differ any more: property "
				    "%02x\n",
				liberties[i].section, (unsigned)liberties[i].prop));
}

int
main(int argc, char **argv)
{
	if (tool_options(argc, argv, settings, SETTINGS, usage) != argc)
		tool_bad_usage("what is ", argv[optind]);
	if (opt.drawn == 0)
		plan();
	if (opt.list != 0) {
		for (const struct run *r = runs; r < runs + nruns; r++)
			puts(r->name);
		return TOOL_OK;
	}
	if (nruns + opt.seeds == 0)
		tool_bad_usage("no such script", "");
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		fail("no memory: %s", strerror(errno));
	pair.host = opt.host;
	pair.port[OURS] = (int)opt.port;
	pair.port[THEIRS] = mosquitto_start(opt.program, opt.acl);
	pair.patience_ms = (int)opt.patience * 1000;
	go();
	mosquitto_stop();
	if (interrupted)
		return TOOL_BAD;
	if (opt.only == NULL && opt.drawn == 0 && opt.acl == NULL)
		look_for_what_has_gone();
	printf("%u passed, %u failed\n", seen->passed, seen->failed);
	return seen->failed > 0 ? TOOL_BAD : TOOL_OK;
}
