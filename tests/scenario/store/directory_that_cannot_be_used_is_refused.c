#include "tests/lib/scenario.h"

#define SECOND "$BIN/tbmqctl --dir $DIR/second"

/*
 * A second broker, in a directory of its own, says what is wrong with its data directory, and what to do. Nobody has
 * killed the process that found out, nor have those died that were to be its company.
 */
static void
refused(const char *data_dir, const char *text)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd),
	    SECOND
	    " start --port 0 --set data_dir=%s >$DIR/out 2>&1; test $? = 1 || exit 1\n"
	    "cat $DIR/out; tr '\\n' ' ' <$DIR/out | grep -q '%s' || exit 1\n"
	    "! grep -q 'signal 9' $DIR/out && ! grep 'died process=mqtt' $DIR/second/log/tbmq.log",
	    data_dir, text);
	if (broker_sh(cmd) != 0)
		fail("data_dir=%s: not refused with \"%s\"", data_dir, text);
	wait_for(broker_sh(SECOND " status; test $? = 3") == 0); /* it ends */
}

SCENARIO(1)
{
	enum machine machine = machine_own();
	char text[120];
	struct mq *m;

	broker.installed = false; /* the machine is for the mounts */
	snprintf(broker.bin, sizeof(broker.bin), "%s",
	    machine != MACHINE_NONE ? "/run/usr/bin" : broker.bin);
	broker_start();
	m = mq_connect(.id = "m", .expiry = 60);
	check(mq_publish(m, "t", "1", 1, true) < 0x80);

	snprintf(text, sizeof(text),
	    "in use by another broker, pid=%d. Stop that one, or set data_dir",
	    broker_pid_of("persist/0"));
	refused("$DIR/data", text);
	check(broker_sh("touch $DIR/file") == 0);
	refused("$DIR/file", "/file: Not a directory. Set data_dir");
	check(broker_sh("mkdir $DIR/readonly") == 0);
	if (machine != MACHINE_NONE) {
		check(broker_sh("mount -t tmpfs -o ro none $DIR/readonly") == 0);
		refused("$DIR/readonly", "/readonly: Read-only file system. Set data_dir");
		check(broker_sh("umount $DIR/readonly") == 0);
	}
	if (broker_sh("chmod 500 $DIR/readonly && ! touch $DIR/readonly/x") == 0)
		refused("$DIR/readonly", "/readonly: .*. Set data_dir");

	/* Nor is one that has a store already; root's rights to write where it may not are left out. */
	check(broker_sh(
		  SECOND " start --port 0 && " SECOND " stop && chmod 500 $DIR/second/data") == 0);
	check(
	    broker_sh(
		"setpriv --bounding-set -dac_override --inh-caps -dac_override " SECOND
		" start --port 0 >$DIR/out 2>&1; test $? = 1 || exit 1\n"
		"cat $DIR/out; tr '\\n' ' ' <$DIR/out | grep -q '/data: Permission denied. Set'") ==
	    0);

	/* The first has not noticed anything. */
	check(mq_publish(m, "t", "2", 1, true) < 0x80);
	mq_quiet(m);
}
