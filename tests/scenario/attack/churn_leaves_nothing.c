#include "tests/lib/attack.h"

#define ROUNDS 200
#define AT_ONCE 50

static const char *
id_of(int i)
{
	static char id[32];

	snprintf(id, sizeof(id), "churn-%d", i);
	return id;
}

/* Connections that end in every way there is, some before they have an answer. */
static void
come_and_go(int round)
{
	struct mq *m[AT_ONCE];
	struct load l = { 0 };

	for (int i = 0; i < AT_ONCE; i++) {
		m[i] = mq_open(0);
		load_connect(&l, id_of((round * 7 + i) % 60), i % 3 == 0 ? 1000 : 0);
		if (i % 2 == 0)
			load_publish(&l, "churn/will/not/come", 19, 1, 1, false, 100);
		mq_load(m[i], &l);
	}
	for (int i = 0; i < AT_ONCE; i++) {
		if (i % 5 == 1)
			mq_hex(m[i], "8208 0001 00 0001 23 00 c0"); /* and a byte too many */
		if (i % 5 == 2)
			mq_hex(m[i], "e000");
		if (i % 5 == 3)
			mq_hex(m[i], "ff");
	}
	mq_close_all(m, AT_ONCE);
	load_free(&l);
}

SCENARIO(1, 2)
{
	attack_start();
	for (int round = 0; round < ROUNDS * scale(); round++)
		come_and_go(round);
	wait_for(broker_counter("connections") == 2);
	for (int i = 0; i < 60; i++) /* sessions that were left */
		mq_disconnect(mq_connect(.id = id_of(i)));
	attack_end(16 * MIB, 6 * MIB);
}
