#include "tests/lib/scenario.h"

/* Sessions, what waits for them, and what is retained: ended in their second, also while nobody was there to see it. */
static void
offline(const char *id, const char *filter, uint32_t expiry)
{
	struct mq *m = mq_connect(.id = id, .resume = true, .expiry = expiry);

	check(mq_subscribe(m, filter, 1) == 1);
	mq_disconnect(m);
}

static void
publish(struct mq *m, const char *topic, const char *payload, bool retain, const char *props)
{
	mq_send_publish(m, topic, payload, strlen(payload), 1, retain, props);
	check(mq_need(m, 4).reason == 0);
}

SCENARIO(1, 2)
{
	struct mq *m;

	clock_move(0);
	broker_start("queue_drop=reject", "store_max_messages=4", "queue_max_age=5000");
	offline("short", "t", 1000);
	offline("long", "t", 100000);
	m = mq_connect(.id = "p");
	publish(m, "t", "kept", false, NULL);
	publish(m, "t", "expires", false, "0200000064"); /* 100 s */
	publish(m, "r", "expires", true, "0200000064");
	publish(m, "r/a", "kept", true, NULL);
	check(mq_publish(m, "t", "no room", 1, false) == 0x97);
	check(broker_counter("dropped__store_limit") == 1);
	clock_move(98000);
	check(broker_counter("queued") == 4 && broker_counter("retained") == 2);
	broker_kill_all();
	clock_move(3000);
	broker_start("queue_drop=reject", "store_max_messages=4", "queue_max_age=5000");
	wait_for(broker_counter("queued") == 2 && broker_counter("retained") == 1);
	check(broker_counter("sessions_persistent") == 2);
	m = mq_connect(.id = "p");
	publish(m, "t", "more", false, NULL);
	check(mq_publish(m, "t", "no room", 1, false) == 0x97);
	broker_kill_all();
	clock_move(900000);
	broker_start("queue_drop=reject", "store_max_messages=4", "queue_max_age=5000");
	wait_for(broker_counter("sessions_expired") == 1 && broker_counter("queued") == 2);
	clock_move(4000000);
	wait_for(broker_counter("queued") == 1 && broker_counter("dropped__too_old") == 1);
	m = mq_connect(.id = "short", .resume = true);
	check(m->present == 0);
	mq_disconnect(m);
	m = mq_connect(.id = "long", .resume = true);
	check(m->present == 1);
	mq_need_publish(m, "t", "more");
	mq_quiet(m);
	mq_disconnect(m);
}
