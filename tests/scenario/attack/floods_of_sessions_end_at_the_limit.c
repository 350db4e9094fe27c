#include <stdio.h>

#include "tests/lib/attack.h"

#define SESSIONS 1000 /* sessions_max, the witness's among them */
#define TRIES 1500

SCENARIO(1, 2)
{
	int taken = 0, refused = 0;

	clock_move(0);
	attack_start("sessions_max=1000");
	for (int i = 0; i < TRIES * scale(); i++) {
		char id[257];
		struct mq *m;

		snprintf(id, sizeof(id), "%0256d", i);
		m = mq_try((struct mq_opts){ .id = id, .expiry = 1000 });
		taken += m->reason == 0;
		refused += m->reason == 0x97;
		if (m->reason == 0 && i % 2 == 0)
			mq_subscribe(m, id, 1);
		mq_close(m);
	}
	check(taken == SESSIONS - 1 && taken + refused == TRIES * scale());
	wait_for(broker_counter("sessions_offline") == SESSIONS - 1);
	attack_look();
	mq_disconnect(mq_connect(.id = "without a session")); /* which has no limit */
	clock_move(1001000);
	attack_end(16 * MIB, 4 * MIB);
}
