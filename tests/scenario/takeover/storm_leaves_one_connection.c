#include "tests/lib/scenario.h"

#define N 60

/* Many sockets with one identifier at once, on all workers: in the end exactly one is connected. */
SCENARIO(1, 2, 4)
{
	struct mq *m[N], *last;
	struct packet k;
	int alive = 0;

	broker_start();
	for (int round = 0; round < 3 * scale(); round++) {
		alive = 0;
		for (int i = 0; i < N; i++) {
			m[i] = mq_open(0);
			mq_hex(m[i], "10 11 0004 4d515454 05 00 003c 00 0004 73616d65");
		}
		wait_for(broker_counter("clients") == 1);
		for (int i = 0; i < N; i++) {
			mq_hex(m[i], "c000");
			while (mq_read(m[i], &k, 200) && k.type != 13)
				;
			if (m[i]->fd >= 0 && k.type == 13)
				alive++;
		}
		check(alive == 1);
		last = mq_connect(.id = "same", .resume = true);
		for (int i = 0; i < N; i++) {
			mq_need_close(m[i]);
			mq_close(m[i]);
		}
		mq_quiet(last);
		mq_disconnect(last);
		wait_for(broker_counter("sessions") == 0);
	}
}
