#include "tests/lib/scenario.h"

enum { QUOTA_EXCEEDED = 0x97, PUBACK = 4 };

static bool real; /* a small file system of our own; else the broker is told that it is full */

static void
fill_disk(void)
{
	if (real) {
		broker_sh("cat /dev/zero >/var/lib/filler");
		return;
	}
	broker_reload("store_reserve = ", "store_reserve = \"1048576 GiB\";");
}

static void
make_room(void)
{
	if (real) {
		check(broker_sh("rm /var/lib/filler") == 0);
		return;
	}
	broker_reload("store_reserve = ", "store_reserve = 0;");
}

SCENARIO(2)
{
	enum machine machine = machine_own();
	struct mq *sub, *pub, *other;
	struct packet p;
	char text[16];

	real = machine != MACHINE_NONE &&
	    broker_sh("mount -t tmpfs -o mode=755,size=24m none /var/lib") == 0;
	broker_start(
	    "store_journal=4194304", machine == MACHINE_OF_ROOT ? "user=" : "log_level=notice");
	sub = mq_connect(.id = "sub", .expiry = 3600);
	check(mq_subscribe(sub, "q", 1) == 1);
	mq_disconnect(sub);
	pub = mq_connect(.id = "pub");
	other = mq_connect(.id = "other");
	for (int round = 0; round < 3 * scale(); round++) {
		fill_disk();
		/* The first finds the disk full: it is neither written nor acknowledged. */
		snprintf(text, sizeof(text), "%d", round);
		mq_send_publish(pub, "q", text, strlen(text), 1, false, NULL);
		if (real)
			wait_for(broker_counter("store_full") == 1);
		else
			check(mq_need(pub, PUBACK).reason == QUOTA_EXCEEDED);
		check(mq_publish(other, "q", "refused", 1, false) == QUOTA_EXCEEDED);
		check(broker_sh("$CTL store status | grep -q '^full  *true$'") == 0);
		check(!mq_read(pub, &p, 0));
		make_room();
		if (real)
			check(mq_need(pub, PUBACK).reason == 0);
		wait_for(broker_counter("store_full") == 0);
		check(mq_publish(other, "q", "after", 1, false) == 0);
		check(broker_sh("$CTL store status | grep -q '^full  *false$'") == 0);
	}
	sub = mq_connect(.id = "sub", .resume = true, .expiry = 3600);
	check(sub->present == 1);
	for (int round = 0; round < 3 * scale(); round++) {
		snprintf(text, sizeof(text), "%d", round);
		if (real)
			mq_need_publish(sub, "q", text);
		mq_need_publish(sub, "q", "after");
	}
	mq_quiet(sub);
}
