#include "tests/lib/scenario.h"

#define WILL .will_topic = "w", .will_payload = "gone", .will_delay = 100

SCENARIO(1, 2)
{
	struct mq *sub, *m;

	clock_move(0);
	broker_start();
	sub = mq_connect(.id = "s");
	mq_subscribe(sub, "w", 0);
	/* back in time */
	m = mq_connect(.id = "m", .expiry = 1000, WILL);
	mq_close(m);
	wait_for(broker_counter("wills_pending") == 1);
	clock_move(90000);
	m = mq_connect(.id = "m", .resume = true, .expiry = 1000, WILL);
	check(m->present == 1);
	wait_for(broker_counter("wills_pending") == 0);
	clock_move(90000);
	mq_quiet(sub);
	/* not back */
	mq_close(m);
	wait_for(broker_counter("wills_pending") == 1);
	clock_move(101000);
	mq_need_publish(sub, "w", "gone");
	/* the session ends first */
	m = mq_connect(.id = "m2", .expiry = 10, WILL);
	mq_close(m);
	wait_for(broker_counter("wills_pending") == 1);
	clock_move(11000);
	mq_need_publish(sub, "w", "gone");
	/* a clean start ends the session at once */
	m = mq_connect(.id = "m3", .expiry = 1000, WILL);
	mq_close(m);
	wait_for(broker_counter("wills_pending") == 1);
	m = mq_connect(.id = "m3");
	mq_need_publish(sub, "w", "gone");
	mq_quiet(sub);
	mq_disconnect(m);
	mq_disconnect(sub);
}
