#include "tests/lib/load.h"

enum { PINGRESP = 13, PINGS = 20000, ROUNDS = 5 };

/*
 * All requests are there at once and their answers are more than may wait for a socket, so that they are made in many parts. Nothing else happens
 * in this broker that would wake the worker for the next.
 */
SCENARIO(1)
{
	struct load l = { 0 };
	struct mq *m;
	uint64_t until;

	broker_start("output_max_bytes=4096", "sys_interval=0");
	m = mq_connect(.id = "m");
	until = now_ms() + (uint64_t)deadline_ms();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < PINGS; i++)
			load_num(&l, 2, 0xc000);
		mq_load(m, &l);
		for (int i = 0; i < PINGS; i++) {
			mq_need(m, PINGRESP);
			check(now_ms() < until); /* some timer wakes it in the end */
		}
	}
	load_free(&l);
	mq_disconnect(m);
}
