#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct mq *silent, *speaks;
	struct packet k;

	clock_move(0);
	broker_start();
	silent = mq_connect(.id = "silent", .keep_alive = 100);
	speaks = mq_connect(.id = "speaks", .keep_alive = 100);
	clock_move(140000);
	mq_quiet(silent);
	mq_quiet(speaks);
	clock_move(140000);
	mq_quiet(speaks);
	clock_move(20000);
	k = mq_need(silent, 14);
	check(k.reason == 0x8d);
	mq_need_close(silent);
	mq_quiet(speaks);
	check(broker_counter("ends__keep_alive") == 1);
	mq_disconnect(speaks);
	mq_close(silent);
}
