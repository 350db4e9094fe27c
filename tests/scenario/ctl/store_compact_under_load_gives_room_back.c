#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

enum { SIZE = 20000, MESSAGES = 1000 };

static bool
has_moved(void)
{
	return strstr(ctl_text("store", "status", "--json"), "\"moving\":false") != NULL;
}

static long
trees(void)
{
	const char *at = strstr(ctl_text("store", "status", "--json"), "\"tree_bytes\":");

	check(at != NULL);
	return atol(at + strlen("\"tree_bytes\":"));
}

/* So much that there are moves; what is in the queue or has been fetched is in the trees then. */
static void
publish(struct mq *pub, const char *topic, int n)
{
	static char payload[SIZE];

	for (int i = 0; i < n; i++) {
		memcpy(payload, &i, sizeof(i));
		mq_send_publish(pub, topic, payload, SIZE, 1, false, NULL);
		check(mq_need(pub, 4).reason < 0x80);
	}
}

SCENARIO(1, 2)
{
	struct mq *sub, *rest, *pub;
	char path[200];

	broker_start("store_journal=4194304", "queue_max_messages=0", "queue_max_bytes=0");
	rest = mq_connect(.id = "rest", .expiry = 3600, .resume = true);
	check(mq_subscribe(rest, "r", 1) == 1);
	mq_disconnect(rest);
	sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	check(mq_subscribe(sub, "q", 1) == 1);
	mq_disconnect(sub);
	pub = mq_connect(.id = "pub");
	publish(pub, "q", MESSAGES);
	wait_for(has_moved());
	sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	for (int i = 0; i < MESSAGES; i++) {
		struct packet p = mq_need(sub, 3);

		check(memcmp(p.payload, &i, sizeof(i)) == 0);
		mq_ack(sub, 4, p.id, 0);
	}
	mq_quiet(sub);
	/* What stays, with moves that take away what was fetched. */
	publish(pub, "r", MESSAGES / 2);
	wait_for(has_moved());
	check(trees() > (long)SIZE * MESSAGES / 2);

	check(broker_sh("($CTL store compact >$DIR/out; echo $? >$DIR/code.new;"
			" mv $DIR/code.new $DIR/code) 2>/dev/null &") == 0);
	snprintf(path, sizeof(path), "%s/code", broker.dir);
	for (uint64_t until = now_ms() + (uint64_t)deadline_ms(); access(path, F_OK) != 0;) {
		check(now_ms() < until);
		publish(pub, "r", 10);
	}
	check(broker_sh("test $(cat $DIR/code) = 0 && grep -q 'bytes given back' $DIR/out") == 0);
	/* Moves take away what was fetched bit by bit: how much of it they had is not for us to say. */
	snprintf(
	    path, sizeof(path), "test $(cut -d ' ' -f 1 $DIR/out) -gt %d", SIZE * MESSAGES / 10);
	check(broker_sh(path) == 0);
	check(ctl("store", "verify") == 0);
	broker_kill_all();

	broker_start();
	rest = mq_connect(.id = "rest", .expiry = 3600, .resume = true);
	check(rest->present == 1);
	for (int i = 0; i < MESSAGES / 2; i++) {
		struct packet p = mq_need(rest, 3);

		check(memcmp(p.payload, &i, sizeof(i)) == 0);
		mq_ack(rest, 4, p.id, 0);
	}
	mq_disconnect(rest);
}
