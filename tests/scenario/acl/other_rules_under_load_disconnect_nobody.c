#include "tests/lib/scenario.h"

#define CLIENTS 300
#define FLYING 32

/* Rules change while messages are under way; what no rule denies comes, once and in order. */
SCENARIO(1, 2, 4)
{
	static struct mq *m[CLIENTS];
	struct mq *pub, *sub, *durable;
	char text[16];

	broker_start();
	broker_rules("allow all all #\n");
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(text, sizeof(text), "c%d", i);
		m[i] = mq_connect(.id = text, .expiry = i % 2 ? 100 : 0);
		check(mq_subscribe(m[i], "x/#", 1) == 1 && mq_subscribe(m[i], "y", 1) == 1);
	}
	sub = mq_connect(.id = "sub");
	durable = mq_connect(.id = "durable", .expiry = 100);
	pub = mq_connect(.id = "pub");
	check(mq_subscribe(sub, "t", 1) == 1 && mq_subscribe(durable, "t", 1) == 1);
	for (int round = 0; round < many(40); round++) {
		for (int i = 0; i < FLYING; i++) {
			snprintf(text, sizeof(text), "%d", round * FLYING + i);
			mq_send_publish(pub, "t", text, strlen(text), 1, false, NULL);
		}
		switch (round % 3) {
		case 0:
			broker_rules("deny all receive x/1\nallow all all #\n");
			break;
		case 1:
			broker_rules("allow user nobody all #\nallow all all #\n");
			break;
		default:
			broker_reload("acl_file =", "acl_file = \"\";");
		}
		for (int i = 0; i < FLYING; i++) {
			snprintf(text, sizeof(text), "%d", round * FLYING + i);
			check(mq_need(pub, 4).reason == 0);
			mq_need_publish(sub, "t", text);
			mq_need_publish(durable, "t", text);
		}
	}
	broker_rules("allow all all t\n");
	wait_for(broker_counter("subscriptions_ended") == 2 * CLIENTS);
	check(broker_counter("clients") == CLIENTS + 3);
	for (int i = 0; i < CLIENTS; i++) {
		mq_quiet(m[i]);
		mq_disconnect(m[i]);
	}
	mq_disconnect(sub);
	mq_disconnect(durable);
	mq_disconnect(pub);
}
