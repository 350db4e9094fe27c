#include "tests/lib/load.h"

#define N 3000 /* many pages */

static int
number_of(const struct packet *k)
{
	int i = -1;

	check(k->retain && sscanf(k->topic, "many/%d", &i) == 1 && i >= 0 && i < N);
	return i;
}

/* Subscribed, unsubscribed, subscribed in one piece: what the first began has to end, or all would come twice. */
static void
try(uint32_t expiry)
{
	static bool has_come[N];
	struct mq *sub = mq_connect(.id = "s", .expiry = expiry);

	memset(has_come, 0, sizeof(has_come));
	mq_hex(sub,
	    "820c 0001 00 0006 6d616e792f2b 00"
	    "a20b 0002 00 0006 6d616e792f2b"
	    "820c 0003 00 0006 6d616e792f2b 00");
	for (int got = 0, acks = 0; got < N || acks < 3;) {
		struct packet k;

		check(mq_read(sub, &k, deadline_ms()));
		if (k.type != 3) {
			check(k.type == (acks == 1 ? 11 : 9) && k.reason == 0);
			acks++;
			continue;
		}
		check(acks == 3 && !has_come[number_of(&k)]);
		has_come[number_of(&k)] = true;
		got++;
	}
	mq_quiet(sub);
	mq_disconnect(sub);
}

SCENARIO(1, 2)
{
	struct mq *pub;
	struct load l = { 0 };
	char topic[32];

	broker_start();
	pub = mq_connect(.id = "p");
	for (int i = 0; i < N; i++)
		load_publish(&l, topic, (size_t)snprintf(topic, sizeof(topic), "many/%d", i), 0, 0,
		    true, 50);
	mq_load(pub, &l);
	load_free(&l);
	wait_for(broker_counter("retained") == N);
	try(0);
	try(60);
	mq_disconnect(pub);
}
