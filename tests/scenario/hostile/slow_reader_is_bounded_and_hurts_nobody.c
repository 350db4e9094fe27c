#include "tests/lib/attack.h"

/* 32 MB for one who does not read: of them the broker holds output_max_bytes. */
SCENARIO(1, 2)
{
	static char big[16001];
	struct mq *slow, *quick, *pub;

	memset(big, 'x', sizeof(big) - 1);
	attack_start("output_max_bytes=262144");
	slow = mq_connect(.id = "slow");
	quick = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "quick" });
	pub = mq_connect(.id = "pub");
	mq_subscribe(slow, "t", 0);
	mq_subscribe(quick, "t", 0);
	for (int i = 0; i < 2000; i++) {
		struct packet k;

		mq_send_publish(pub, "t", big, sizeof(big) - 1, 0, false, NULL);
		k = mq_need(quick, 3);
		check(k.payload_len == sizeof(big) - 1);
	}
	wait_for(broker_counter("dropped__output_full") > 0);
	attack_look();
	mq_quiet(pub);
	mq_quiet(quick);
	mq_close(slow);
	mq_disconnect(quick);
	mq_disconnect(pub);
	attack_end(8 * MIB, 4 * MIB);
}
