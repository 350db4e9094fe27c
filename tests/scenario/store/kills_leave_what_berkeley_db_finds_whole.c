#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/scenario.h"

enum { PUBLISHERS = 3, WINDOW = 40, SIZE = 8000, ROUNDS = 6, LOAD_MS = 400 };

static struct client {
	struct mq *m;
	int flying;
} pub[PUBLISHERS], sub;

/*
 * Of the copy of the store: recovery, and a look at each table, by those who have made the library. One
 * by one: of several files their tool looks at the first only.
 */
#define TOOL                                                                                       \
	"cd $DIR/copy || exit\n"                                                                   \
	"tool() { t=db5.3_$1; command -v $t || t=db_$1; shift; $t -h . \"$@\"; }\n"
#define VERIFY TOOL "for f in *.db; do tool verify $f || exit; done"
#define RECOVER_AND_VERIFY                                                                         \
	"rm -rf $DIR/copy && cp -r $DIR/data $DIR/copy\n" TOOL "tool recover || exit\n" VERIFY

/* So that moves and checkpoints go on all the time. */
static void
start(void)
{
	broker_start("store_journal=4194304", "queue_max_messages=0", "queue_max_bytes=0");
}

static void
connect_all(void)
{
	char id[16];

	for (int i = 0; i < PUBLISHERS; i++) {
		snprintf(id, sizeof(id), "pub%d", i);
		pub[i] = (struct client){ .m = mq_connect(.id = id) };
	}
	sub = (struct client){ .m = mq_connect(.id = "sub", .expiry = 3600, .resume = true) };
}

/* Entries come, go or stay, retained messages change; a window each is under way until all is killed. */
static void
load_and_kill(int ms)
{
	static char payload[SIZE];
	uint64_t until = now_ms() + (uint64_t)ms;
	struct packet p;
	int n = 0;

	while (now_ms() < until) {
		for (int i = 0; i < PUBLISHERS; i++) {
			char topic[40];

			for (; pub[i].flying < WINDOW; pub[i].flying++) {
				snprintf(topic, sizeof(topic), "t/%d/%d", i, n++ % 50);
				mq_send_publish(pub[i].m, topic, payload,
				    (size_t)(1 + n * 137 % SIZE), 1, n % 7 == 0, NULL);
			}
			while (mq_read(pub[i].m, &p, 0)) {
				check(p.type == 4 && p.reason < 0x80);
				pub[i].flying--;
			}
			check(pub[i].m->fd >= 0);
		}
		while (mq_read(sub.m, &p, 0))
			if (p.type == 3 && p.qos > 0)
				mq_ack(sub.m, 4, p.id, 0);
	}
	broker_kill_all();
	for (int i = 0; i < PUBLISHERS; i++)
		mq_close(pub[i].m);
	mq_close(sub.m);
}

SCENARIO(2)
{
	struct mq *m;
	int seed = (int)getpid();

	printf("    seed %d\n", seed);
	srandom((unsigned)seed);
	start();
	for (int i = 0; i < 2; i++) {
		m = mq_connect(.id = i == 0 ? "sub" : "away", .expiry = 3600, .resume = true);
		check(mq_subscribe(m, "t/#", 1) == 1);
		mq_disconnect(m);
	}
	for (int round = 0; round < ROUNDS * scale(); round++) {
		if (round > 0)
			start();
		connect_all();
		load_and_kill((int)(random() % LOAD_MS) + 50);
		if (broker_sh(RECOVER_AND_VERIFY) != 0)
			fail("round %d: see err", round);
	}
	/* A byte that is another is found: else all that would say nothing. */
	check(broker_sh("test $(stat -c %s $DIR/copy/msg.db) -gt 100000") == 0);
	check(broker_sh("printf X | dd of=$DIR/copy/msg.db bs=1 seek=10000 conv=notrunc") == 0);
	check(broker_sh(VERIFY) != 0);
	start();
	m = mq_connect(.id = "away", .expiry = 3600, .resume = true);
	check(m->present == 1);
	mq_disconnect(m);
}
