#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *m;

	clock_move(0);
	broker_start("session_expiry_max=1000");
	m = mq_connect(.id = "m", .expiry = 100);
	mq_close(m);
	wait_for(broker_counter("sessions_offline") == 1);
	clock_move(99000);
	m = mq_connect(.id = "m", .resume = true, .expiry = 100);
	check(m->present == 1);
	mq_hex(m, "e007 00 05 11 0000000a"); /* DISCONNECT: now 10 s */
	mq_need_close(m);
	mq_close(m);
	wait_for(broker_counter("sessions_offline") == 1);
	clock_move(11000);
	wait_for(broker_counter("sessions_offline") == 0);
	m = mq_connect(.id = "m", .resume = true);
	check(m->present == 0);
	mq_hex(m, "e007 00 05 11 0000000a"); /* was 0: not allowed */
	check(mq_need(m, 14).reason == 0x82);
	mq_need_close(m);
	mq_close(m);
	m = mq_connect(.id = "m", .resume = true);
	check(m->present == 0);
	mq_disconnect(m);
}
