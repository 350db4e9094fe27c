#include "tests/lib/scenario.h"

static int
bench(const char *options)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "$BIN/tbmq-bench --port %d --warmup 0 --seconds 1 %s >$DIR/bench; code=$?; "
	    "cat $DIR/bench; exit $code",
	    broker.port, options);
	return broker_sh(command);
}

/* Five sessions with a hundred messages each; all processes are killed, and `lose` is done before they start again. */
static int
bench_restart(const char *lose)
{
	char options[600];
	int code;

	check(broker_sh("$CTL --json status | grep -o '\"pid\": *[0-9]*' | cut -d: -f2 "
			"| tr '\\n' ' ' >$DIR/pids") == 0);
	snprintf(options, sizeof(options),
	    "restart -n 5 -m 100 --sessions 100 --restart 'kill -9 $(cat $DIR/pids); %s; "
	    "until $CTL start --port %d; do sleep 0.01; done'",
	    lose, broker.port);
	code = bench(options);
	broker_adopt();
	return code;
}

static bool
found(const char *fault, int count)
{
	char command[100];

	snprintf(command, sizeof(command), "grep -q '^%s  *%d FAULT' $DIR/bench", fault, count);
	return broker_sh(command) == 0;
}

SCENARIO(1)
{
	broker_start("queue_max_messages=1000");
	check(bench("durable -n 5") == 0);
	check(bench("durable -n 5 -q 2 -V 5") == 0);
	check(bench("durable -n 5 --offline --rate 100") == 0);
	check(bench("drain -n 5 -m 1000 -V 5 --receive-max 10") == 0);
	check(bench("drain -n 5 -m 1001") == 1);
	check(found("lost", 5));

	check(bench("sessions -n 100") == 0);
	wait_for(broker_counter("sessions_persistent") == 0);
	check(bench("sessions -n 100 --leave") == 0);
	wait_for(broker_counter("sessions_persistent") == 100);

	check(bench("restart -n 5 --restart true") == 1);
	check(bench_restart(":") == 0);
	check(bench_restart("rm -r $DIR/data") == 1);
	check(found("lost", 500) && found("sessions lost", 5));
	check(bench("sync-floor --batch 10 --dir $DIR") == 0);
	broker_stop();
}
