#include <stdlib.h>

#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	static const uint8_t publish[] = { 0x32, 0x0b, 0, 1, 't', 0, 1, 0, 'h', 'e', 'l', 'l',
		'o' };
	struct mq *sub, *pub;
	char *big = malloc(200001);
	struct packet k;

	broker_start();
	sub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "s" });
	pub = mq_connect(.id = "p");
	mq_subscribe(sub, "t", 1);
	for (size_t i = 0; i < sizeof(publish); i++)
		mq_bytes(pub, publish + i, 1);
	check(mq_need(pub, 4).id == 1);
	mq_need_publish(sub, "t", "hello");
	for (int i = 0; i < 200000; i++)
		big[i] = (char)('a' + i % 26);
	big[200000] = '\0';
	for (int i = 0; i < 20; i++) {
		mq_send_publish(pub, "t", big, 200000, 1, false, NULL);
		mq_need(pub, 4);
		k = mq_need(sub, 3);
		check(k.payload_len == 200000 && memcmp(k.payload, big, 200000) == 0);
		mq_ack(sub, 4, k.id, 0);
	}
	free(big);
	mq_disconnect(sub);
	mq_disconnect(pub);
}
