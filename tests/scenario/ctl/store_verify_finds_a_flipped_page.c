#include <stdlib.h>

#include "tests/lib/scenario.h"

enum { SIZE = 60000, MESSAGES = 150 };

static bool
has_moved(void)
{
	return strstr(ctl_text("store", "status", "--json"), "\"moves\":0,") == NULL;
}

SCENARIO(1)
{
	char *payload = calloc(1, SIZE);
	struct mq *m;
	char *text;

	broker_start("store_journal=4194304");
	m = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	check(mq_subscribe(m, "q", 1) == 1);
	mq_disconnect(m);
	m = mq_connect(.id = "pub");
	for (int i = 0; i < MESSAGES; i++) {
		mq_send_publish(m, "q", payload, SIZE, 1, false, NULL);
		check(mq_need(m, 4).reason < 0x80);
	}
	free(payload);
	wait_for(has_moved());
	text = ctl_text("store", "verify");
	check(strstr(text, "queue     good") != NULL && strstr(text, "damaged") == NULL);

	/* On the disk only: the broker has the page in memory. */
	check(broker_sh("printf spoilt | dd of=$DIR/data/queue.db bs=1 seek=10000 conv=notrunc") ==
	    0);
	check(broker_sh("$CTL store verify >$DIR/out") == 1);
	check(broker_sh(
		  "grep 'queue  *damaged' $DIR/out && test $(grep -c damaged $DIR/out) = 1") == 0);
	check(broker_sh("! ls -d $DIR/data/verify") == 0);
	mq_quiet(m);
	mq_close(m);
}
