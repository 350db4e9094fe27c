#include "tests/lib/scenario.h"

static void
try(int version)
{
	struct mq *sub, *pub = mq_connect(.id = "p");
	char text[16];
	struct packet k;

	sub = mq_on_worker(
	    0, (struct mq_opts){ .id = "s", .version = version, .resume = true, .expiry = 1000 });
	check(mq_subscribe(sub, "q/#", 2) == 2);
	mq_disconnect(sub);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		check(mq_publish(pub, "q/x", text, 1 + i % 2, false) == 0);
	}
	mq_publish(pub, "q/x", "qos0", 0, false);
	sub = mq_connect(.id = "s", .version = version, .resume = true, .expiry = 1000);
	check(sub->present == (version == 3 ? 0 : 1) || version == 3);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		/* PUBREL and PUBLISH may interleave: read by hand. */
		k = mq_need(sub, 3);
		check(k.payload_len == strlen(text) && memcmp(k.payload, text, k.payload_len) == 0);
		if (k.qos == 1) {
			mq_ack(sub, 4, k.id, 0);
		} else {
			uint16_t id = k.id;

			mq_ack(sub, 5, id, 0);
			for (;;) {
				check(mq_read(sub, &k, deadline_ms()));
				if (k.type == 6)
					break;
				fail("packet type %d", k.type);
			}
			mq_ack(sub, 7, id, 0);
		}
	}
	mq_quiet(sub);
	mq_disconnect(sub);
	sub = mq_connect(.id = "s", .version = version);
	check(sub->present == 0);
	mq_publish(pub, "q/x", "gone", 1, false);
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	broker_start("inflight_max=1");
	try(4);
	try(5);
}
