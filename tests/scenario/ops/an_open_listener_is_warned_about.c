#include "tests/lib/scenario.h"

#define WARNING "listeners.default: whoever reaches"

/* Lines of the log that warn: one for each time that it was open. */
static bool
logged(int times)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd), "test $(grep -c '" WARNING "' $DIR/log/tbmq.log) -eq %d", times);
	return broker_sh(cmd) == 0;
}

SCENARIO(1)
{
	struct mq *m;

	broker_start();
	m = mq_connect(.id = "m");
	check(logged(0));
	check(broker_sh("! $CTL config check 2>&1 | grep -q warning") == 0);
	broker_conf("\taddress = ", "address = \"0.0.0.0\";");
	check(broker_sh("$CTL config check 2>&1 | grep -q 'tbmqctl: warning: " WARNING "'") == 0);
	check(broker_sh("$BIN/tbmqd --dir $DIR -t 2>&1 | grep -q 'tbmqd: warning: " WARNING "'") ==
	    0);
	check(ctl("reload") == 0);
	check(logged(1));
	/* Nor is one that is asked for. */
	broker_reload("#authentication = ", "authentication = \"basic\";");
	check(logged(2));
	broker_reload("#allow_anonymous = ", "allow_anonymous = false;");
	check(logged(2));
	mq_quiet(m);
	mq_disconnect(m);
	broker_reload("allow_anonymous = false", "allow_anonymous = true;");
	check(logged(3));
	broker_kill_all();
	broker_start();
	check(logged(4));
}
