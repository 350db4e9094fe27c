#include "tests/lib/scenario.h"

#define N 300

static void
try(uint32_t expiry, int qos)
{
	struct mq *m[4], *pub = mq_connect(.id = "p"), *plain = mq_connect(.id = "plain");
	char id[16], text[16];
	int got = 0, of[4] = { 0 }, seen[N] = { 0 };
	struct packet k;

	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		m[i] = mq_on_worker(
		    i % workers(), (struct mq_opts){ .id = id, .expiry = i < 2 ? expiry : 0 });
		check(mq_subscribe(m[i], "$share/g/s/+", 1) == 1);
	}
	check(mq_subscribe(plain, "s/#", 0) == 0);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_publish(pub, "s/x", text, qos, false);
	}
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_need_publish(plain, "s/x", text);
	}
	while (got < N) {
		int before = got;

		for (int i = 0; i < 4; i++)
			while (mq_read(m[i], &k, 20)) {
				int n = 0;

				check(k.type == 3 &&
				    sscanf((const char *)k.payload, "%d", &n) == 1 && n < N);
				check(!seen[n]);
				seen[n] = 1;
				if (k.qos > 0)
					mq_ack(m[i], 4, k.id, 0);
				of[i]++;
				got++;
			}
		if (got == before)
			wait_for(broker_counter("connections") > 0);
	}
	for (int i = 0; i < 4; i++) {
		if (expiry == 0)
			check(of[i] > 0);
		mq_quiet(m[i]);
		mq_disconnect(m[i]);
	}
	mq_disconnect(pub);
	mq_disconnect(plain);
}

SCENARIO(1, 2, 4)
{
	broker_start();
	try(0, 0);
	try(0, 1);
	try(1000, 1);
}
