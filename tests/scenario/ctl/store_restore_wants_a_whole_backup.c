#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct mq *m;

	broker_start();
	m = mq_connect(.id = "one");
	check(mq_publish(m, "kept", "x", 1, true) < 0x80);
	mq_close(m);
	check(broker_sh("$CTL store backup $DIR/copy") == 0);
	check(broker_sh("$CTL store backup $DIR/copy") == 1); /* it is not empty now */
	broker_stop();
	check(broker_sh("rm -r $DIR/data") == 0);

	/* Cut off before its end, a file lost, a file cut: the data directory stays as it was. */
	check(broker_sh("cp -r $DIR/copy $DIR/bad && rm $DIR/bad/manifest\n"
			"$CTL store restore $DIR/bad") == 1);
	check(broker_sh("cp $DIR/copy/manifest $DIR/bad/ && rm $DIR/bad/queue.db\n"
			"$CTL store restore $DIR/bad") == 1);
	check(broker_sh("head -c 4096 $DIR/copy/queue.db >$DIR/bad/queue.db\n"
			"$CTL store restore $DIR/bad") == 1);
	check(broker_sh("! ls -d $DIR/data* 2>/dev/null") == 0);

	check(broker_sh("$CTL store restore $DIR/copy") == 0);
	broker_start();
	m = mq_connect(.id = "one");
	check(mq_subscribe(m, "kept", 0) == 0);
	mq_need_publish(m, "kept", "x");
	mq_close(m);
}
