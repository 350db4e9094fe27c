#include <signal.h>

#include "tests/lib/scenario.h"

enum { QUOTA_EXCEEDED = 0x97, SERVER_UNAVAILABLE_V3 = 3, PUBACK = 4, PINGRESP = 13 };

#define NOBODY_HAS_SO_MUCH "\"1048576 GiB\""

static void
reserve(const char *bytes)
{
	broker_reload("store_reserve = ", "store_reserve = %s;", bytes);
}

static int
reason_of(struct mq_opts o)
{
	struct mq *m = mq_try(o);
	int reason = m->reason;

	mq_close(m);
	return reason;
}

static void
what_would_have_to_be_kept_is_refused(struct mq *pub)
{
	check(mq_publish(pub, "q/x", "refused", 1, false) == QUOTA_EXCEEDED);
	check(mq_publish(pub, "q/x", "refused", 2, false) == QUOTA_EXCEEDED);
	check(mq_publish(pub, "r", "refused", 1, true) == QUOTA_EXCEEDED);
	check(reason_of((struct mq_opts){ .id = "new", .expiry = 60 }) == QUOTA_EXCEEDED);
	check(reason_of((struct mq_opts){ .id = "w", .will_topic = "w" }) == QUOTA_EXCEEDED);
	check(reason_of((struct mq_opts){ .id = "sub" }) == QUOTA_EXCEEDED);
	check(reason_of((struct mq_opts){ .id = "v3", .version = 4, .resume = true }) ==
	    SERVER_UNAVAILABLE_V3);
}

static void
the_rest_lives(struct mq *pub)
{
	struct mq *old = mq_connect(.id = "live"), *live = mq_connect(.id = "live");

	mq_need_close(old);
	check(mq_subscribe(live, "live", 1) == 1);
	mq_publish(pub, "live", "0", 0, false);
	mq_need_publish(live, "live", "0");
	check(mq_publish(pub, "live", "1", 1, false) == 0);
	mq_need_publish(live, "live", "1");
	mq_disconnect(live);
}

SCENARIO(1, 2)
{
	struct mq *sub, *pub, *slow;
	struct packet p;

	broker_start();
	sub = mq_connect(.id = "sub", .expiry = 3600);
	check(mq_subscribe(sub, "q/#", 2) == 2);
	check(mq_subscribe(sub, "r", 2) == 2);
	pub = mq_connect(.id = "pub", .expiry = 3600);
	slow = mq_connect(.id = "slow", .version = 4);
	check(mq_publish(slow, "q/1", "before", 1, false) == 0);
	mq_need_publish(sub, "q/1", "before");

	reserve(NOBODY_HAS_SO_MUCH);
	check(broker_counter("store_full") == 1);
	what_would_have_to_be_kept_is_refused(pub);
	check(mq_subscribe(sub, "other", 1) == QUOTA_EXCEEDED);
	mq_disconnect(sub);

	/* Nothing can be said to an MQTT 3 client: it has to wait, and is not read meanwhile. */
	mq_send_publish(slow, "q/1", "held", 4, 1, false, NULL);
	mq_hex(slow, "c000");
	for (int i = 0; i < 2000 * scale(); i++) /* more than a ring holds */
		check(mq_publish(pub, "q/x", "refused", 1 + i % 2, false) == QUOTA_EXCEEDED);
	what_would_have_to_be_kept_is_refused(pub);
	the_rest_lives(pub);
	check(broker_counter("publish_refused__store_full") >= 2000 * scale());
	check(broker_counter("connects__refused_store_full") >= 8);
	check(broker_log_has("the disk is full"));

	/* What waits outlives the death of persist, and its successor is no better off. */
	broker_kill("persist/0", SIGKILL);
	broker_wait_ready();
	wait_for(broker_counter("store_full") == 1);
	what_would_have_to_be_kept_is_refused(pub);
	check(!mq_read(slow, &p, 0));

	reserve("0");
	check(mq_need(slow, PUBACK).reason == 0);
	mq_need(slow, PINGRESP);
	check(broker_counter("store_full") == 0);
	check(broker_log_has("the disk has room again"));
	check(mq_publish(pub, "q/1", "after", 2, false) == 0);
	sub = mq_connect(.id = "sub", .resume = true, .expiry = 3600);
	check(sub->present == 1);
	mq_need_publish(sub, "q/1", "held");
	mq_need_publish(sub, "q/1", "after");
	mq_quiet(sub);
}
