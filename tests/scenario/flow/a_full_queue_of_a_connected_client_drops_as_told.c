#include "tests/lib/scenario.h"

enum { PUBLISH = 3, PUBACK = 4, QUOTA_EXCEEDED = 0x97 };

/* Of six messages one is under way and three may wait; "145": what comes, one after the other. */
static void
drops(const char *policy, const char *comes, uint32_t expiry)
{
	struct mq *sub = mq_connect(.id = "s", .receive_max = 1, .expiry = expiry),
		  *pub = mq_connect(.id = "p"), *old = mq_connect(.id = "o", .version = 4);
	bool rejects = strcmp(policy, "reject") == 0;
	char text[2] = "0";
	struct packet k;

	broker_reload("queue_drop = ", "queue_drop = \"%s\";", policy);
	check(mq_subscribe(sub, "t", 1) == 1);
	for (int i = 1; i <= 6; i++) {
		text[0] = (char)('0' + i);
		check(mq_publish(pub, "t", text, 1, false) ==
		    (rejects && i > 4 ? QUOTA_EXCEEDED : 0));
	}
	if (rejects) { /* in MQTT 3 there is no other way to say so */
		mq_send_publish(old, "t", "7", 1, 1, false, NULL);
		mq_need_close(old);
	} else {
		check(mq_publish(old, "t", "7", 1, false) == 0);
	}
	for (; *comes != '\0'; comes++) {
		k = mq_need(sub, PUBLISH);
		if (k.payload_len != 1 || memcmp(k.payload, comes, 1) != 0)
			fail("\"%s\": %c came instead of %c", policy, k.payload[0], *comes);
		mq_ack(sub, PUBACK, k.id, 0);
	}
	mq_quiet(sub);
	mq_disconnect(sub);
	mq_disconnect(pub);
	mq_close(old);
}

SCENARIO(1)
{
	broker_start("queue_max_messages=3");
	drops("newest", "1234", 0);
	drops("oldest", "1567", 0);
	drops("reject", "1234", 0);
	/* A session that is kept is persist's, and has the same rules. */
	drops("newest", "1234", 100);
	drops("oldest", "1567", 100);
	drops("reject", "1234", 100);
}
