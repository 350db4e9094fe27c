/*
 * tbmq-bench - loads an MQTT broker, accounts for every message, and says what it cost
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"
#include "tests/lib/client.h"
#include "tests/lib/tool.h"

#define FIGURES_MAX 32

struct mode {
	const char *name;
	bool (*run)(void);
	unsigned clients;
	bool durable; /* sessions: QoS 1 at least, and no window of deliveries unless asked for */
	const char *help;
};

static const struct mode modes[] = {
	{ "fanout", load_fan_out, 100, false, "1 publisher, -n subscribers of its topic" },
	{ "fanin", load_fan_in, 100, false, "-n publishers, 1 subscriber of all their topics" },
	{ "p2p", load_pairs, 100, false, "-n publishers, each with a subscriber of its own" },
	{ "subs", load_beside_subscriptions, 100, false,
	    "p2p, while --subscriptions that don't match are held" },
	{ "connect", conns_cycle, 32, false, "-n slots connect and disconnect over and over" },
	{ "idle", conns_idle, 10000, false, "-n clients connect and stay: the broker's memory" },
	{ "durable", load_durable, 100, true,
	    "p2p to durable sessions; --offline: their clients are away" },
	{ "drain", load_drain, 100, true,
	    "-n durable sessions come back to --messages each and take them" },
	{ "sessions", conns_sessions, 10000, true,
	    "-n durable sessions are made and left: the broker's memory" },
	{ "restart", load_restart, 100, true,
	    "as drain beside --sessions, with --restart before they come back" },
	{ "sync-floor", floor_sync, 1, false,
	    "no broker: append --batch records to a file in --dir, fdatasync, again" },
	{ "read-floor", floor_read, 100, false,
	    "no broker: read -n times --messages records from a tree in --dir by a cursor in "
	    "bulk" },
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

static struct {
	struct figure {
		const char *key, *label, *unit;
		double value;
		bool is_fault;
	} figure[FIGURES_MAX];
	unsigned n;
} said;

struct options opt = {
	.host = "127.0.0.1",
	.port = 1883,
	.version = 3,
	.size = 64,
	.inflight = 20,
	.seconds = 5,
	.warmup = 1,
	.subscriptions = 10000,
	.per_holder = 1000,
	.messages = 1000,
	.dir = ".",
	.batch = 1,
};

uint64_t
own_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- figures ----------------------------------------------------------------------------- */

void
figure(const char *key, const char *label, double value, const char *unit)
{
	if (said.n == FIGURES_MAX)
		fail("too many figures");
	said.figure[said.n++] =
	    (struct figure){ .key = key, .label = label, .unit = unit, .value = value };
}

bool
figure_fault(const char *key, const char *label, uint64_t count)
{
	figure(key, label, (double)count, "");
	said.figure[said.n - 1].is_fault = true;
	return count == 0;
}

static int
decimals(double v)
{
	return v >= 1000 || v == (double)(long long)v ? 0 : v >= 10 ? 1 : 3;
}

void
figures_print(const char *mode, bool good)
{
	if (opt.json)
		printf("{\"mode\":\"%s\",\"good\":%s", mode, good ? "true" : "false");
	for (unsigned i = 0; i < said.n; i++) {
		const struct figure *f = &said.figure[i];

		if (opt.json)
			printf(",\"%s\":%.*f", f->key, decimals(f->value), f->value);
		else if (!f->is_fault || f->value > 0)
			printf("%-40s %12.*f %s\n", f->label, decimals(f->value), f->value,
			    f->is_fault ? "FAULT" : f->unit);
	}
	puts(opt.json ? "}" : good ? "good" : "BAD");
}

/* --- options ----------------------------------------------------------------------------- */

static const struct setting settings[] = {
	SETTINGS_OF_BROKER(&opt.host, &opt.port),
	{ "pid", 0, &opt.pid, 2, 4194304, "the broker's first process: measure all below it" },
	{ "version", 'V', &opt.version, 3, 5, "3: MQTT 3.1.1, 5: MQTT 5 (3)" },
	{ "clients", 'n', &opt.clients, 1, 5000000, "see above" },
	{ "qos", 'q', &opt.qos, 0, 2,
	    "of messages and subscriptions (0; with durable sessions 1)" },
	{ "size", 's', &opt.size, 24, 64 << 20, "bytes of a payload (64)" },
	{ "window", 'w', &opt.window, 1, 1000000000,
	    "deliveries outstanding in all (10000; fanout 20000; durable: no limit)" },
	{ "rate", 'r', &opt.rate, 1, 100000000, "publish so many a second in all instead" },
	{ "inflight", 'i', &opt.inflight, 1, 65535,
	    "QoS 1, 2: unacknowledged messages of a publisher (20)" },
	{ "seconds", 'd', &opt.seconds, 1, 30000, "how long to measure (5)" },
	{ "warmup", 0, &opt.warmup, 0, 3600, "seconds before that (1)" },
	{ "subscribe", 0, &opt.subscribe, 0, 1, "idle: each client has a subscription" },
	{ "subscriptions", 0, &opt.subscriptions, 0, 1000000000,
	    "subs: held on further connections (10000)" },
	{ "per-holder", 0, &opt.per_holder, 1, 1000000000, "subs: on each of these (1000)" },
	{ "offline", 0, &opt.offline, 0, 1, "durable: nobody is there to deliver to" },
	{ "messages", 'm', &opt.messages, 1, 1000000000,
	    "drain, restart: queued for each session (1000)" },
	{ "receive-max", 0, &opt.receive_max, 1, 65535,
	    "MQTT 5: what subscribers take unacknowledged (doesn't say)" },
	{ "sessions", 0, &opt.sessions, 0, 100000000,
	    "restart: others that are offline, with a subscription (0)" },
	{ "restart", 0, &opt.restart, 0, 0,
	    "restart: shell command that kills the broker and starts it" },
	{ "leave", 0, &opt.leave, 0, 1, "don't end the durable sessions that were made" },
	{ "dir", 0, &opt.dir, 0, 0, "sync-floor, read-floor: where the files are (.)" },
	{ "batch", 'b', &opt.batch, 1, 1000000, "sync-floor: records of a batch (1)" },
	{ "tls", 0, &opt.tls, 0, 0,
	    "speak TLS; the broker's certificate is signed by what is in this file" },
	{ "resume", 0, &opt.resume, 0, 1, "TLS: resume a session of before" },
	{ "users", 0, &opt.users, 1, 1000000,
	    "connect as u0, u1, …, so many, with passwords p0, p1, … (as nobody)" },
	{ "json", 0, &opt.json, 0, 1, "print one JSON object" },
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void
usage(void)
{
	puts("Usage: tbmq-bench MODE [OPTION]...\n"
	     "Loads an MQTT broker, accounts for every message, and says what it cost.\n");
	for (size_t i = 0; i < MODES; i++)
		printf("  %-10s %s (%u)\n", modes[i].name, modes[i].help, modes[i].clients);
	putchar('\n');
	tool_settings_print(settings, SETTINGS);
	puts("\nExit codes: 0 good, 1 messages or connections were lost or wrong, 2 usage.");
}

static const struct mode *
mode_of(const char *name)
{
	for (size_t i = 0; i < MODES; i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	tool_bad_usage("no mode ", name);
}

int
main(int argc, char **argv)
{
	int rest = tool_options(argc, argv, settings, SETTINGS, usage);
	const struct mode *mode;
	bool good;

	if (rest != argc - 1)
		tool_bad_usage("give one mode", "");
	mode = mode_of(argv[rest]);
	opt.version = opt.version < 5 ? 4 : 5; /* as in CONNECT */
	if (opt.clients == 0)
		opt.clients = mode->clients;
	if (mode->durable && opt.qos == 0)
		opt.qos = 1;
	if (opt.window == 0 && !mode->durable)
		opt.window = mode->run == load_fan_out ? 20000 : 10000;
	/* Subscribers send nothing, and a run should need no PINGREQ. */
	opt.keep_alive = opt.seconds + opt.warmup < 300 ? 600 : 65535;

	clients_init(&(struct client_options){ .host = opt.host,
	    .port = (uint16_t)opt.port,
	    .version = (enum mqtt_version)opt.version,
	    .keep_alive = (uint16_t)opt.keep_alive,
	    .payload_max = opt.size,
	    .receive_max = (uint16_t)opt.receive_max,
	    .authority = opt.tls,
	    .resumes = opt.resume,
	    .users = (uint32_t)opt.users,
	    .name = "bench" });
	good = mode->run();
	if (clients.dropped > 0)
		fprintf(stderr, "tbmq-bench: first connection lost: %s\n", clients.why);
	good &= figure_fault("dropped", "connections dropped", clients.dropped);
	good &= figure_fault("refused", "refused", clients.refused);
	figures_print(mode->name, good);
	return good ? TOOL_OK : TOOL_BAD;
}
