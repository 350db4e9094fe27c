#include "tests/lib/scenario.h"

/* What persist says of a store that it does not open gets to the terminal as it was said. */
SCENARIO(1)
{
	struct mq *m;

	broker_start();
	m = mq_connect(.id = "m", .expiry = 60);
	check(mq_publish(m, "t", "1", 1, true) < 0x80);
	mq_disconnect(m);
	broker_stop();
	check(broker_sh("for f in $DIR/data/*.db; do "
			"printf '\\377\\377' | dd of=$f bs=1 seek=64 conv=notrunc; done") == 0);
	check(broker_sh("$CTL start --port 0 --set on_damage=stop >$DIR/out 2>&1; test $? = 1 && "
			"cat $DIR/out && grep 'on_damage = \"salvage\" to' $DIR/out && "
			"! grep 'signal' $DIR/out") == 0);
	check(ctl("status") == 3);
	check(ctl("start", "--port", "0") == 0);
	broker_adopt();
}
