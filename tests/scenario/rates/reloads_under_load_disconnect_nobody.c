#include <stdlib.h>

#include "tests/lib/scenario.h"

enum { CLIENTS = 8, ROUNDS = 12, MESSAGES = 40 };

/* Each next to its opposite: off and on, for clients, users and the broker, in and out. */
static const char *const change[][2] = {
	{ "client_publish_rate = ", "client_publish_rate = \"20:1,1000:60\";" },
	{ "user_publish_rate = ", "user_publish_rate = \"50:1\";" },
	{ "broker_publish_rate = ", "broker_publish_rate = \"100:1\";" },
	{ "client_delivery_rate = ", "client_delivery_rate = \"200:1\";" },
	{ "user_byte_rate = ", "user_byte_rate = \"10 KiB:1\";" },
	{ "user_max_connections = ", "user_max_connections = 1;" },
	{ "client_publish_rate = ", "client_publish_rate = \"none\";" },
	{ "user_publish_rate = ", "user_publish_rate = \"none\";" },
	{ "broker_publish_rate = ", "broker_publish_rate = \"none\";" },
	{ "client_delivery_rate = ", "client_delivery_rate = \"none\";" },
	{ "user_byte_rate = ", "user_byte_rate = \"none\";" },
	{ "user_max_connections = ", "user_max_connections = 0;" },
};

/* What was sent before a change is under way while it comes. */
SCENARIO(1, 4)
{
	struct mq *m[CLIENTS], *sub;
	int next[CLIENTS] = { 0 };

	broker_start("inflight_max=1000");
	sub = mq_connect(.id = "s", .user = "watcher", .expiry = 1000);
	check(mq_subscribe(sub, "t/+", 1) == 1);
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "p%d", i);
		m[i] = mq_on_worker(
		    i % workers(), (struct mq_opts){ .id = id, .user = i % 2 ? "odd" : "even" });
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++)
			for (int n = 0; n < MESSAGES / ROUNDS; n++) {
				char topic[16], text[16];

				snprintf(topic, sizeof(topic), "t/%d", i);
				snprintf(text, sizeof(text), "%d", next[i]++);
				mq_send_publish(m[i], topic, text, strlen(text), 1, false, NULL);
			}
		broker_reload(change[round][0], "%s", change[round][1]);
	}
	for (int left = CLIENTS * (MESSAGES / ROUNDS) * ROUNDS, got[CLIENTS] = { 0 }; left > 0;
	     left--) {
		struct packet k = mq_need(sub, 3);
		int i = k.topic[2] - '0';

		check(i >= 0 && i < CLIENTS);
		check(atoi((const char *)k.payload) == got[i]++);
		mq_ack(sub, 4, k.id, 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		for (int n = 0; n < next[i]; n++)
			mq_need(m[i], 4);
		mq_quiet(m[i]);
	}
	mq_quiet(sub);
	check(broker_counter("publish_refused__rate") == 0);
	check(broker_counter("connects") == CLIENTS + 1 + broker_counter("ends__normal"));
	for (int i = 0; i < CLIENTS; i++)
		mq_disconnect(m[i]);
	mq_disconnect(sub);
}
