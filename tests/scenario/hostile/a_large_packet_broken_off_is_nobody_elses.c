#include "tests/lib/scenario.h"

enum { LARGE = 1000000, PART = 300000 };

/* The packet is far from whole when its client is lost: nothing of it is published but the will, and nothing is kept. */
SCENARIO(1)
{
	static char part[PART];
	struct mq *sub, *other, *m;
	char head[64];

	broker_start();
	sub = mq_connect(.id = "s");
	other = mq_connect(.id = "o");
	check(mq_subscribe(sub, "#", 0) == 0);
	for (int i = 0; i < 20; i++) {
		m = mq_connect(.id = "m", .will_topic = "will", .will_payload = "gone");
		/* Topic "t", no properties, and the length of a million. */
		snprintf(head, sizeof(head), "30 %02x%02x%02x 0001 74 00", LARGE % 128 | 128,
		    LARGE / 128 % 128 | 128, LARGE / 16384);
		mq_hex(m, head);
		mq_bytes(m, part, sizeof(part));
		mq_quiet(other);
		mq_close(m);
		mq_need_publish(sub, "will", "gone");
	}
	wait_for(broker_counter("connections") == 2);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(other);
}
