#include "tests/lib/scenario.h"

SCENARIO(1, 2, 4)
{
	broker_start();
	for (int v = 4; v <= 5; v++)
		for (int i = 0; i < 6; i++) {
			struct mq *a =
			    mq_on_worker(0, (struct mq_opts){ .id = "same", .version = v });
			struct mq *b = mq_connect(.id = "same", .version = v);

			if (v == 5)
				check(mq_need(a, 14).reason == 0x8e);
			mq_need_close(a);
			mq_close(a);
			mq_quiet(b);
			mq_disconnect(b);
		}
	check(broker_counter("ends__takeover") == 12);
}
