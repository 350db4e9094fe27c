#include "tests/lib/scenario.h"

/* A client need not wait for CONNACK. */
SCENARIO(1, 2)
{
	struct mq *m;

	broker_start();
	m = mq_open(0);
	mq_hex(m,
	    "10 0e 0004 4d515454 05 02 003c 00 0001 61"
	    "82 07 0001 00 0001 74 01"
	    "32 07 0001 74 0002 00 78");
	check(mq_need(m, 2).reason == 0);
	check(mq_need(m, 9).reason == 1);
	{
		struct packet a, b;

		check(mq_read(m, &a, deadline_ms()));
		check(a.type == 3 || a.type == 4);
		check(mq_read(m, &b, deadline_ms()));
		check(a.type + b.type == 7);
	}
	mq_close(m);
}
