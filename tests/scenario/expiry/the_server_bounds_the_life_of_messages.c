#include "tests/lib/scenario.h"

/* The seconds that a PUBLISH says are left; -1: it does not say. */
static int
left(const struct packet *k)
{
	return k->props_len == 5 && k->props[0] == 2 ? k->props[3] << 8 | k->props[4] : -1;
}

static void
need(struct mq *m, const char *payload, int least, int most)
{
	struct packet k = mq_need_publish(m, "t", payload);

	if (left(&k) < least || left(&k) > most)
		fail("\"%s\" has %d s left, not %d to %d", payload, left(&k), least, most);
}

/* Also of those that have no expiry, or, from MQTT 3, can't. */
SCENARIO(1, 2)
{
	struct mq *sub, *five, *three;

	clock_move(0);
	broker_start("message_expiry_max=100");
	five = mq_connect(.id = "5");
	three = mq_connect(.id = "3", .version = 4);
	sub = mq_connect(.id = "s", .expiry = 100000);
	check(mq_subscribe(sub, "t", 1) == 1);
	mq_disconnect(sub);
	check(mq_publish(three, "t", "of 3", 1, false) == 0);
	check(mq_publish(five, "t", "of 5", 1, false) == 0);
	mq_send_publish(five, "t", "long", 4, 1, false, "02000003e8");
	mq_need(five, 4);
	mq_send_publish(five, "t", "short", 5, 1, false, "0200000046"); /* 70 s */
	mq_need(five, 4);
	check(mq_publish(three, "t", "kept", 1, true) == 0);
	clock_move(50000);
	sub = mq_connect(.id = "s", .resume = true, .expiry = 100000);
	need(sub, "of 3", 40, 50);
	need(sub, "of 5", 40, 50);
	need(sub, "long", 40, 50);
	need(sub, "short", 10, 20);
	need(sub, "kept", 40, 50);
	mq_disconnect(sub);

	check(mq_publish(three, "t", "over", 1, false) == 0);
	clock_move(101000);
	sub = mq_connect(.id = "s", .resume = true, .expiry = 100000);
	mq_quiet(sub);
	check(mq_subscribe(sub, "t", 1) == 1);
	check(mq_publish(three, "t", "live", 1, false) == 0);
	need(sub, "live", 90, 100); /* and nothing retained before it */
	mq_disconnect(sub);
	mq_disconnect(five);
	mq_disconnect(three);
}
