#include "tests/lib/scenario.h"

enum { ALLOWED = 5, SENT = 12, RETAINED = 8 };

static struct mq *p;

static void
publish(const char *topic, int qos)
{
	char text[16];

	for (int i = 0; i < SENT; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_publish(p, topic, text, qos, false);
	}
}

static void
come(struct mq *m, const char *topic, int from, int to)
{
	char text[16];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_need_publish(m, topic, text);
	}
	mq_quiet(m);
}

/* Of QoS 2 several are under way at a time. */
static void
come_twice(struct mq *m, int from, int to)
{
	char text[16];
	int done = from;

	while (done < to) {
		struct packet k;

		check(mq_read(m, &k, deadline_ms()));
		if (k.type == 3) {
			snprintf(text, sizeof(text), "%d", from++);
			check(k.payload_len == strlen(text) &&
			    memcmp(k.payload, text, k.payload_len) == 0);
			mq_ack(m, 5, k.id, 0);
		} else {
			check(k.type == 6);
			mq_ack(m, 7, k.id, 0);
			done++;
		}
	}
	check(from == to);
	mq_quiet(m);
}

static void
in_full(void)
{
	clock_move(2 * 3600000);
	mq_quiet(p);
}

static void
qos_0_is_dropped(struct mq *m)
{
	long dropped = broker_counter("dropped__rate");

	check(mq_subscribe(m, "0", 0) == 0);
	publish("0", 0);
	come(m, "0", 0, ALLOWED);
	wait_for(broker_counter("dropped__rate") == dropped + SENT - ALLOWED);
	in_full();
	mq_quiet(m);
}

static void
the_rest_waits(struct mq *m, int qos)
{
	check(mq_subscribe(m, "q", qos) == qos);
	publish("q", qos);
	for (int i = 0; i < SENT; i += ALLOWED) {
		int to = i + ALLOWED < SENT ? i + ALLOWED : SENT;

		if (qos == 1)
			come(m, "q", i, to);
		else
			come_twice(m, i, to);
		in_full();
	}
	mq_unsubscribe(m, "q");
}

/* They are not dropped, at any QoS: they come as there is room. */
static void
retained_ones_all_come(struct mq *m)
{
	bool seen[RETAINED] = { false };

	check(mq_subscribe(m, "r/+", 0) == 0);
	for (int i = 0; i < RETAINED; i++) {
		struct packet k;

		while (!mq_read(m, &k, 50))
			in_full();
		check(k.type == 3 && k.retain && strncmp(k.topic, "r/", 2) == 0);
		check(!seen[k.topic[2] - '0']);
		seen[k.topic[2] - '0'] = true;
	}
	in_full();
	mq_unsubscribe(m, "r/+");
}

/* The client leaves while some wait for it: they come when it is back. */
static void
what_waits_outlives_the_connection(struct mq *m)
{
	check(mq_subscribe(m, "l", 1) == 1);
	publish("l", 1);
	come(m, "l", 0, ALLOWED);
	mq_close(m);
	in_full();
	m = mq_connect(.id = "durable", .expiry = 1000000, .resume = true);
	check(m->present);
	come(m, "l", ALLOWED, 2 * ALLOWED);
	in_full();
	come(m, "l", 2 * ALLOWED, SENT);
	mq_disconnect(m);
}

SCENARIO(1, 4)
{
	struct mq *m[3];
	char topic[16];

	clock_move(0);
	broker_start("hang_timeout=3600", "client_delivery_rate=5:3600");
	p = mq_connect(.id = "p");
	m[0] = mq_connect(.id = "mqtt3", .version = 4);
	m[1] = mq_connect(.id = "clean");
	m[2] = mq_connect(.id = "durable", .expiry = 1000000);
	for (int i = 0; i < RETAINED; i++) {
		snprintf(topic, sizeof(topic), "r/%d", i);
		mq_publish(p, topic, "r", 1, true);
	}
	for (int i = 0; i < 3; i++) {
		qos_0_is_dropped(m[i]);
		the_rest_waits(m[i], 1);
		the_rest_waits(m[i], 2);
		retained_ones_all_come(m[i]);
		mq_unsubscribe(m[i], "0");
	}
	what_waits_outlives_the_connection(m[2]);
	mq_disconnect(m[0]);
	mq_disconnect(m[1]);
	mq_disconnect(p);
}
