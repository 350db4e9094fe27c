#include <signal.h>

#include "tests/lib/load.h"

enum { PUBLISHERS = 20, MESSAGES = 20, SIZE = 4000, UNACKED = 3000, PUBLISH = 3, PUBACK = 4 };

/*
 * What waits for room in the store's ring last are a subscriber's acknowledgements, which nobody answers: who is held back behind them goes on all
 * the same. Nothing else happens in this broker that would wake the worker.
 */
SCENARIO(1)
{
	static uint16_t id[UNACKED];
	struct mq *sub, *pub[PUBLISHERS];
	struct load l = { 0 };
	char name[16];
	int persist;

	broker_start("hang_timeout=120", "store_ring_size=65536", "overflow_size=1048576",
	    "queue_max_messages=0", "queue_max_bytes=0", "inflight_max=65535", "durability=memory",
	    "sys_interval=0");
	persist = broker_pid_of("persist/0");
	sub = mq_connect(.id = "sub", .expiry = 1000);
	check(mq_subscribe(sub, "t/#", 1) == 1);
	for (int i = 0; i < PUBLISHERS; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		pub[i] = mq_on_worker(0, (struct mq_opts){ .id = name });
	}
	for (int n = 0; n < UNACKED; n++) {
		check(mq_publish(pub[0], "t/first", "x", 1, false) == 0);
		id[n] = mq_need(sub, PUBLISH).id;
	}
	check(kill(persist, SIGSTOP) == 0);
	for (int i = 0; i < PUBLISHERS; i++) {
		snprintf(name, sizeof(name), "t/%d", i);
		for (int n = 1; n <= MESSAGES; n++)
			load_publish(&l, name, strlen(name), 1, (uint16_t)n, false, SIZE);
		mq_load(pub[i], &l);
	}
	broker_counter_rests("packets_received");
	for (int n = 0; n < UNACKED; n++) {
		load_num(&l, 2, 0x4002);
		load_num(&l, 2, id[n]);
	}
	mq_load(sub, &l);
	load_free(&l);
	broker_counter_rests("packets_received");
	check(kill(persist, SIGCONT) == 0);
	for (int i = 0; i < PUBLISHERS; i++)
		for (int n = 1; n <= MESSAGES; n++)
			check(mq_need(pub[i], PUBACK).id == n);
	check(broker_counter("dropped__overflow") == 0);
	for (int i = 0; i < PUBLISHERS; i++)
		mq_disconnect(pub[i]);
	mq_disconnect(sub);
}
