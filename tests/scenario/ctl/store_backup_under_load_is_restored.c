#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

enum { WINDOW = 20, BEFORE = 300 };

static int sent, acked;

/* A window of QoS 1 messages under way until `enough`, then as long as the shell's command runs. */
static void
publish(struct mq *pub, int enough, const char *until)
{
	char path[200], text[16];
	struct packet p;

	snprintf(path, sizeof(path), "%s/%s", broker.dir, until);
	while (acked < enough || access(path, F_OK) != 0) {
		while (sent < acked + WINDOW) {
			snprintf(text, sizeof(text), "%d", sent++);
			mq_send_publish(pub, "q/1", text, strlen(text), 1, false, NULL);
		}
		check(mq_read(pub, &p, deadline_ms()));
		check(p.type == 4 && p.reason < 0x80);
		acked++;
	}
}

/* In order from the first on, and all up to `least`. */
static void
need_all(struct mq *sub, int least)
{
	struct packet p;
	int next = 0;

	while (next < least || broker_counter("queued") > 0) {
		if (!mq_read(sub, &p, next < least ? deadline_ms() : 10)) {
			check(sub->fd >= 0);
			continue;
		}
		check(p.type == 3 && atoi((const char *)p.payload) == next);
		next++;
		mq_ack(sub, 4, p.id, 0);
	}
}

SCENARIO(1, 2)
{
	struct mq *sub, *pub;
	int before;

	broker_start("store_journal=4194304");
	sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	check(mq_subscribe(sub, "q/#", 1) == 1);
	mq_disconnect(sub);
	pub = mq_connect(.id = "pub");
	publish(pub, BEFORE * scale(), "tbmq.conf");
	before = acked;
	check(broker_sh("($CTL store backup $DIR/copy; echo $? >$DIR/code.new;"
			" mv $DIR/code.new $DIR/code) >/dev/null 2>&1 &") == 0);
	publish(pub, acked, "code");
	check(broker_sh("test $(cat $DIR/code) = 0") == 0);
	check(ctl("store", "verify") == 0);

	/* Neither while it runs, nor over a store. */
	check(ctl("store", "restore", broker.dir) == 1);
	check(broker_sh("$CTL store restore $DIR/copy --force") == 1);
	broker_stop();
	mq_close(pub);
	check(broker_sh("$CTL store restore $DIR/copy") == 1);
	check(broker_sh("test -d $DIR/data && ! ls -d $DIR/data.* 2>/dev/null") == 0);

	check(broker_sh("$CTL store restore $DIR/copy --force") == 0);
	check(broker_sh("test -f $DIR/data.before-*/session.db") == 0);
	broker_start();
	sub = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	check(sub->present == 1);
	need_all(sub, before);
	mq_disconnect(sub);
}
