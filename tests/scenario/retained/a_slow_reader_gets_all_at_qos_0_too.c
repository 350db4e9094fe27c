#include "tests/lib/scenario.h"

#define N 1000
#define EXACT 40

/* At once: some that match a few, and one that matches all. */
static void
subscribe_all(struct mq *sub)
{
	uint8_t packet[3 + 3 + (EXACT + 1) * 16] = { 0x82, 0, 0, 0, 1, 0 };
	size_t n = 6;

	for (int i = 0; i <= EXACT; i++) {
		char filter[16];
		size_t len = (size_t)(i < EXACT ? snprintf(filter, sizeof(filter), "many/%d", i)
						: snprintf(filter, sizeof(filter), "many/#"));

		packet[n + 1] = (uint8_t)len;
		memcpy(packet + n + 2, filter, len);
		n += 2 + len + 1; /* QoS 0 */
	}
	check(n - 3 >= 128 && n - 3 < 16384);
	packet[1] = (uint8_t)((n - 3) % 128 | 128);
	packet[2] = (uint8_t)((n - 3) / 128);
	mq_bytes(sub, packet, n);
	check(mq_need(sub, 9).reason == 0);
}

/* They are asked for as there is room for them: what live messages would lose there, these don't. */
SCENARIO(1, 2)
{
	struct mq *pub, *sub;
	char topic[32], payload[5001];
	int got = 0;

	memset(payload, 'x', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = '\0';
	broker_start("output_max_bytes=4096");
	pub = mq_connect(.id = "p");
	for (int i = 0; i < N; i++) {
		snprintf(topic, sizeof(topic), "many/%d", i);
		check(mq_publish(pub, topic, payload, 1, true) == 0);
	}
	mq_disconnect(pub);
	sub = mq_connect(.id = "s");
	subscribe_all(sub);
	while (got < N + EXACT) {
		struct packet k = mq_need(sub, 3);

		check(k.retain && k.payload_len == sizeof(payload) - 1);
		got++;
	}
	mq_quiet(sub);
	mq_disconnect(sub);
}
