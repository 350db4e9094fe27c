/*
 * tbmq-torture - kills a broker again and again under full load, and looks whether it keeps its word
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/power.h"
#include "tests/torture/torture.h"

#define KINDS_MAX 16
#define TURN_NS 5000000u
/* One kill of so many comes before the broker has recovered from the last. */
#define HASTY 5

struct options opt = {
	.kills = "master,all",
	.host = "127.0.0.1",
	.port = 1883,
	.version = 5,
	.rounds = 20,
	.publishers = 8,
	.topics = 4,
	.online = 2,
	.offline = 2,
	.members = 3,
	.retained = 1,
	.wills = 4,
	.inflight = 20,
	.size = 200,
	.backlog = 20000,
	.calm_min = 50,
	.calm_max = 600,
	.deadline = 60,
};

unsigned run_id;

static const struct setting settings[] = {
	{ "start", 0, &opt.start, 0, 0,
	    "command that starts the broker and returns when it serves" },
	{ "kill", 0, &opt.kills, 0, 0,
	    "what is killed: all, master, names of processes, or power (master,all)" },
	{ "store", 0, &opt.store, 0, 0,
	    "directory that the broker keeps all in, watched for power cuts" },
	SETTINGS_OF_BROKER(&opt.host, &opt.port),
	{ "version", 'V', &opt.version, 3, 5, "3: MQTT 3.1.1, 5: MQTT 5 (5)" },
	{ "rounds", 'n', &opt.rounds, 1, 1000000, "kills (20)" },
	{ "seed", 's', &opt.seed, 1, UINT64_MAX, "of all that is drawn (the time)" },
	{ "publishers", 0, &opt.publishers, 1, 10000, "each with topics of its own (8)" },
	{ "topics", 0, &opt.topics, 1, 1000, "of a publisher, QoS 1 and 2 in turns (4)" },
	{ "online", 0, &opt.online, 1, 1000, "durable subscribers that reconnect at once (2)" },
	{ "offline", 0, &opt.offline, 0, 1000, "durable subscribers that come and go (2)" },
	{ "members", 0, &opt.members, 0, 1000,
	    "of a group of shared subscriptions, who come and go (3)" },
	{ "retained", 0, &opt.retained, 0, 1000,
	    "topics of a publisher whose messages are retained (1)" },
	{ "wills", 0, &opt.wills, 0, 1000, "clients that have one (4)" },
	{ "inflight", 'i', &opt.inflight, 1, 1000, "unacknowledged messages of a publisher (20)" },
	{ "size", 0, &opt.size, 1, 10000, "bytes of most payloads; some have 64 times that (200)" },
	{ "backlog", 0, &opt.backlog, 1000, 100000000,
	    "messages a subscriber may be behind before publishing pauses (20000)" },
	{ "calm-min", 0, &opt.calm_min, 0, 3600000,
	    "ms of full load before a kill, at least (50)" },
	{ "calm-max", 0, &opt.calm_max, 0, 3600000, "and at most (600)" },
	{ "deadline", 0, &opt.deadline, 1, 3600,
	    "seconds without progress that are too many (60)" },
	{ "tolerate-undupped", 0, &opt.tolerated, 0, 0,
	    "kills around which packets that come again without DUP are counted, but no fault" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static struct {
	const char *kind[KINDS_MAX];
	unsigned killed[KINDS_MAX], order[KINDS_MAX], kinds;
	uint64_t progress, progress_ns; /* what had been answered or come, and since when */
} plan;

static void
usage(void)
{
	puts("Usage: tbmq-torture --start COMMAND [OPTION]...\n"
	     "Kills a broker with SIGKILL again and again under full load. What it had "
	     "acknowledged has\n"
	     "to reach each durable subscriber: in order, QoS 2 once, QoS 1 again only with DUP or "
	     "where\n"
	     "the publisher had sent again. So have wills; retained messages have to reach new "
	     "ones.\n");
	tool_settings_print(settings, SETTINGS);
	puts("\nWhat the command leaves running is the broker; it is ended in the end.\n"
	     "Exit codes: 0 the broker kept its word, 1 it did not, 2 usage.");
}

static void
plan_init(void)
{
	char *list = strdup(opt.kills), *word, *rest = NULL;

	for (word = strtok_r(list, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
		if (plan.kinds == KINDS_MAX)
			tool_bad_usage("too many kinds of kills", "");
		if (strcmp(word, "power") == 0 && opt.store == NULL)
			tool_bad_usage("power cuts", " need --store");
		plan.order[plan.kinds] = plan.kinds;
		plan.kind[plan.kinds++] = word; /* the list stays */
	}
	if (plan.kinds == 0)
		tool_bad_usage("nothing to kill", "");
}

/* Each kind once, in an order that is drawn, then again. */
static unsigned
plan_next(uint64_t round)
{
	unsigned at = (unsigned)(round % plan.kinds);

	for (unsigned i = plan.kinds - 1; at == 0 && i > 0; i--) {
		unsigned k = (unsigned)between(0, i), swapped = plan.order[i];

		plan.order[i] = plan.order[k];
		plan.order[k] = swapped;
	}
	return plan.order[at];
}

/* --- rounds ------------------------------------------------------------------------------ */

enum load { LOAD_NONE, LOAD_FULL };

static void
turn(enum load load)
{
	uint64_t progress;

	victim_turn();
	subscribers_turn(load == LOAD_FULL);
	publishers_turn(
	    load == LOAD_FULL && subscribers_are_ready() && !subscribers_are_far_behind());
	if (subscribers_are_ready())
		wills_turn();
	retained_turn();
	clients_turn(TURN_NS);
	progress = publishers_answers() + subscribers_messages();
	if (progress != plan.progress || plan.progress_ns == 0) {
		plan.progress = progress;
		plan.progress_ns = clients.now;
	}
}

/* Turns until done() or a moment; false: interrupted, or it takes too long. */
static bool
turns_until(enum load load, bool (*done)(void), uint64_t until_ns)
{
	uint64_t began = clients.now, patience = opt.deadline * 1000000000;

	while (done != NULL ? !done() : clients.now < until_ns) {
		turn(load);
		if (interrupted)
			return false;
		if (clients.now - plan.progress_ns > patience ||
		    clients.now - began > 4 * patience) {
			puts("stuck:");
			publishers_explain();
			subscribers_explain();
			return false;
		}
	}
	return true;
}

/* It does again all that it has to do. */
static bool
has_recovered(void)
{
	return victim_is_up() && publishers_had_answers() && subscribers_had_messages();
}

static bool
kill_one(enum load load, unsigned kind)
{
	do {
		if (!turns_until(load, victim_is_up, 0))
			return false;
	} while (!victim_kill(plan.kind[kind]) && turns_until(load, NULL, after_ms(10, 10)));
	ledger_kill(plan.kind[kind], now_ns());
	plan.killed[kind]++;
	publishers_mark();
	subscribers_mark();
	return !interrupted;
}

static bool
torment(void)
{
	for (uint64_t round = 0; round < opt.rounds; round++) {
		unsigned kind = plan_next(round);
		bool is_hasty = round > 0 && between(1, HASTY) == 1;

		if (!is_hasty && !turns_until(LOAD_FULL, has_recovered, 0))
			return false;
		if (!turns_until(LOAD_FULL, NULL, after_ms(opt.calm_min, opt.calm_max)) ||
		    !kill_one(LOAD_FULL, kind))
			return false;
	}
	return true;
}

/* Of two that come after one another, the second has subscribed when all had been acknowledged. */
static bool
new_subscribers_were_there(void)
{
	static uint64_t before = UINT64_MAX;

	before = before == UINT64_MAX ? retained_rounds() : before;
	return opt.retained == 0 || retained_rounds() >= before + 2;
}

/*
 * One more kill, when nothing is under way. Then a last message on each stream says where it ends: who has
 * got that will get nothing of before any more.
 */
static bool
settle(void)
{
	return turns_until(LOAD_NONE, publishers_are_done, 0) &&
	    kill_one(LOAD_NONE, plan.kinds - 1) && turns_until(LOAD_NONE, publishers_say_last, 0) &&
	    turns_until(LOAD_NONE, publishers_are_done, 0) &&
	    turns_until(LOAD_NONE, wills_say_last, 0) &&
	    turns_until(LOAD_NONE, subscribers_have_all, 0) &&
	    turns_until(LOAD_NONE, new_subscribers_were_there, 0);
}

static void
summary(bool good)
{
	struct ledger_totals t = ledger_totals();
	struct power_totals p = power_totals();

	printf("seed %" PRIu64 ", killed", opt.seed);
	for (unsigned i = 0; i < plan.kinds; i++)
		printf("%s %s %u", i > 0 ? "," : "", plan.kind[i], plan.killed[i]);
	printf("; published %" PRIu64 " (%" PRIu64 " times again), acknowledged %" PRIu64
	       ", refused %" PRIu64 "; arrived %" PRIu64 " (%" PRIu64 " with DUP)",
	    t.published, t.sent_again, t.acknowledged, t.refused, t.arrived, t.dup);
	if (opt.tolerated != NULL)
		printf(", tolerated without DUP %" PRIu64, t.tolerated);
	if (opt.store != NULL)
		printf("; not synced at %" PRIu64 " power cuts: %" PRIu64 " sectors, lost %" PRIu64
		       ", %" PRIu64 " directory entries, lost %" PRIu64,
		    p.cuts, p.sectors, p.sectors_lost, p.entries, p.entries_lost);
	for (unsigned f = 0; f < FAULTS; f++)
		printf("%s %s %" PRIu64, f > 0 ? "," : ";", fault_name[f], t.fault[f]);
	puts(good ? ": good" : ": BAD");
}

int
main(int argc, char **argv)
{
	bool good;

	if (tool_options(argc, argv, settings, SETTINGS, usage) != argc)
		tool_bad_usage("what is ", argv[optind]);
	if (opt.start == NULL)
		tool_bad_usage("give --start", "");
	if (opt.calm_max < opt.calm_min)
		tool_bad_usage("calm-max", " is below calm-min");
	opt.version = opt.version < 5 ? 4 : 5; /* as in CONNECT */
	if (opt.seed == 0)
		opt.seed = (uint64_t)time(NULL);
	chance_begin(opt.seed);
	run_id = (unsigned)getpid();
	setvbuf(stdout, NULL, _IOLBF, 0);
	plan_init();
	clients_init(&(struct client_options){ .host = opt.host,
	    .name = "torture",
	    .port = (uint16_t)opt.port,
	    .keep_alive = 60,
	    .version = (enum mqtt_version)opt.version,
	    .payload_max = 65 * opt.size });
	ledger_init((uint32_t)(opt.publishers * opt.topics + opt.wills),
	    (uint32_t)(opt.online + opt.offline + (opt.members > 0)), opt.tolerated, stdout);
	publishers_init();
	subscribers_init();
	wills_init();
	retained_init();
	victim_init();
	if (opt.store != NULL)
		power_init(opt.store, "../libpower.so");

	good = torment() && settle();
	if (publishers_are_done()) /* else much may be on its way */
		ledger_close();
	if (!victim_end()) {
		puts("stuck: the broker did not end");
		good = false;
	}
	good &= ledger_is_good();
	summary(good);
	return good ? TOOL_OK : TOOL_BAD;
}
