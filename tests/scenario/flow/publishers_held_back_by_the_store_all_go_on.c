#include <signal.h>

#include "tests/lib/load.h"

enum { PUBLISHERS = 200, MESSAGES = 20, SIZE = 4000, PUBACK = 4 };

/* The store stands still, so its ring fills, and nobody who publishes to it is read any more. Each goes on when it has room, in several turns. */
SCENARIO(1, 2)
{
	struct mq *sub, *pub[PUBLISHERS];
	char name[16];
	int persist;

	broker_start("hang_timeout=120", "store_ring_size=65536", "overflow_size=1048576",
	    "queue_max_messages=0", "queue_max_bytes=0", "durability=memory", "sys_interval=0");
	persist = broker_pid_of("persist/0");
	sub = mq_connect(.id = "sub", .expiry = 1000);
	check(mq_subscribe(sub, "t/#", 1) == 1);
	mq_disconnect(sub);
	for (int i = 0; i < PUBLISHERS; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		pub[i] = mq_on_worker(i % workers(), (struct mq_opts){ .id = name });
	}
	check(kill(persist, SIGSTOP) == 0);
	for (int i = 0; i < PUBLISHERS; i++) {
		struct load l = { 0 };

		snprintf(name, sizeof(name), "t/%d", i);
		for (int n = 1; n <= MESSAGES; n++)
			load_publish(&l, name, strlen(name), 1, (uint16_t)n, false, SIZE);
		mq_load(pub[i], &l);
		load_free(&l);
	}
	broker_counter_rests("publish_received");
	check(broker_counter("publish_received") < PUBLISHERS * MESSAGES);
	check(kill(persist, SIGCONT) == 0);
	for (int i = 0; i < PUBLISHERS; i++)
		for (int n = 1; n <= MESSAGES; n++)
			check(mq_need(pub[i], PUBACK).id == n);
	check(broker_counter("dropped__overflow") == 0);
	for (int i = 0; i < PUBLISHERS; i++)
		mq_disconnect(pub[i]);
}
