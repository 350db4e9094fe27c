#include "tests/lib/scenario.h"

/* What is run by the shell, with $C for a tbmqctl that was told no directory; its exit code, and what its output has. */
static const struct {
	const char *command;
	int code;
	const char *text;
} tried[] = {
	{ "$C status --dir $DIR", 0, "mqtt/0 *ready" },
	{ "$C status --dir=$DIR --json", 0, "^{.ok.:true" },
	{ "$C --counters status mqtt/0 --dir $DIR", 0, "connections" },
	{ "$C status mqtt/0 --dir $DIR", 2, "with --counters only" },
	{ "$C start --dir $DIR", 1, "a broker runs in $DIR/run already" },
	{ "$C restart --dir $DIR --workers 1 --port 0", 0, "runs: .*, workers 1, $DIR/tbmq.conf" },
	{ "$C --workers 2 --port=0 restart --dir $DIR", 0, "runs: .*, workers 2, $DIR/tbmq.conf" },
	{ "$C --dir $DIR config apply --confirm 60 $DIR/tbmq.conf", 0, "no changes" },
	{ "$C --dir $DIR config apply $DIR/tbmq.conf --confirm=60", 0, "no changes" },
	{ "$C client show --dir $DIR -- --json", 1, "no such client" },
	{ "$C client show --dir $DIR --prefix", 2, "--prefix of client show" },
	{ "$C client list --dir $DIR --prefix", 2, "--prefix needs a value" },
	{ "$C client list --dir $DIR --connected=yes", 2, "--connected has no value" },
	{ "$C --nonsense status --json", 2, "^{.ok.:false,.error.:.*--nonsense" },
	{ "$C --json", 2, "^{.ok.:false,.error.:.*a command is missing" },
	{ "$C stop now --dir $DIR", 2, "stop takes no arguments" },
	{ "$C retained clear a b --dir $DIR", 2, "retained clear takes FILTER" },
	{ "$C help", 0, "retained clear FILTER" },
	{ "$C retained --help", 0, "retained clear FILTER" },
	{ "$C stop --json --dir $DIR", 0, "^{.ok.:true}" },
};

SCENARIO(1)
{
	char cmd[600];

	check(broker_sh("$BIN/tbmqctl start --dir $DIR --port 0") == 0);
	broker_adopt();
	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		snprintf(cmd, sizeof(cmd),
		    "C=$BIN/tbmqctl; %s >$DIR/out 2>&1; test $? = %d && cat $DIR/out && "
		    "grep -q -e \"%s\" $DIR/out",
		    tried[i].command, tried[i].code, tried[i].text);
		if (broker_sh(cmd) != 0)
			fail("%s: not code %d and \"%s\"", tried[i].command, tried[i].code,
			    tried[i].text);
	}
	broker.runs = false;
}
