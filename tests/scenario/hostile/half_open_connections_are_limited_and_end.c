#include "tests/lib/scenario.h"

SCENARIO(1)
{
	struct mq *m[12], *good;

	clock_move(0);
	broker_start("max_half_open=10", "connect_timeout=20");
	for (int i = 0; i < 12; i++)
		m[i] = mq_open(0);
	wait_for(broker_counter("refused__half_open") == 2);
	mq_hex(m[0], "10 0e 0004 4d515454 05 02 003c 00 0001"); /* CONNECT, but for its last byte */
	clock_move(10000);
	check(broker_counter("ends__connect_timeout") == 0);
	clock_move(11000);
	wait_for(broker_counter("ends__connect_timeout") == 10);
	for (int i = 0; i < 12; i++) {
		mq_need_close(m[i]);
		mq_close(m[i]);
	}
	good = mq_connect(.id = "good");
	mq_quiet(good);
	mq_disconnect(good);
}
