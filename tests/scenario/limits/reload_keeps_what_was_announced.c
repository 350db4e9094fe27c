#include "tests/lib/scenario.h"

#define DEEP "a/topic/with/more/levels/and/bytes/than/later"

/* Keys "for new connections", each with a value that clients of today could not live with. */
static void
reload_to_less(void)
{
	static const char *const line[][2] = {
		{ "max_qos =", "max_qos = 0;" },
		{ "retain_available =", "retain_available = false;" },
		{ "wildcard_available =", "wildcard_available = false;" },
		{ "shared_available =", "shared_available = false;" },
		{ "subscription_id_available =", "subscription_id_available = false;" },
		{ "max_keepalive =", "max_keepalive = 60;" },
		{ "session_expiry_max =", "session_expiry_max = 1;" },
		{ "max_packet_size =", "max_packet_size = 1024;" },
		{ "max_client_id =", "max_client_id = 23;" },
		{ "max_topic_length =", "max_topic_length = 16;" },
		{ "max_topic_levels =", "max_topic_levels = 3;" },
		{ "max_user_properties =", "max_user_properties = 0;" },
		{ "max_subscriptions =", "max_subscriptions = 2;" },
		{ "receive_max =", "receive_max = 1;" },
		{ "topic_alias_max =", "topic_alias_max = 0;" },
		{ "inflight_max =", "inflight_max = 1;" },
	};

	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++)
		broker_conf(line[i][0], line[i][1]);
	check(ctl("reload") == 0);
}

static void
must_end(const char *id, int reason, void (*says)(struct mq *))
{
	struct mq *m = mq_connect(.id = id);

	says(m);
	check(mq_need(m, 14).reason == reason);
	mq_need_close(m);
	mq_close(m);
}

static void
qos_1(struct mq *m)
{
	mq_send_publish(m, "t", "x", 1, 1, false, NULL);
}

static void
retained(struct mq *m)
{
	mq_send_publish(m, "t", "x", 1, 0, true, NULL);
}

static void
deep(struct mq *m)
{
	mq_send_publish(m, DEEP, "x", 1, 0, false, NULL);
}

static void
with_alias(struct mq *m)
{
	mq_send_publish(m, "t", "x", 1, 0, false, "23 0001");
}

static void
with_user_property(struct mq *m)
{
	mq_send_publish(m, "t", "x", 1, 0, false, "26 0001 6b 0001 76");
}

static void
large(struct mq *m)
{
	static uint8_t payload[2000];

	mq_send_publish(m, "t", payload, sizeof(payload), 0, false, NULL);
}

static void
goes_on(struct mq *m, struct mq *watcher)
{
	char filter[32];
	uint16_t id[3];

	check(mq_publish(m, DEEP, "2", 2, true) == 0);
	check(mq_need_publish(watcher, DEEP, "2").qos == 2);
	check(mq_subscribe(m, DEEP, 2) == 2);
	check(mq_need_publish(m, DEEP, "2").retain);
	mq_unsubscribe(m, DEEP);
	check(mq_subscribe(m, "wide/#", 0) == 0);
	mq_publish(m, "wide/t", "0", 0, false);
	mq_need_publish(m, "wide/t", "0");
	mq_unsubscribe(m, "wide/#");
	for (int i = 0; i < 3; i++) {
		id[i] = mq_send_publish(m, "nobody", "", 0, 2, false, NULL);
		check(mq_need(m, 5).id == id[i]);
	}
	for (int i = 0; i < 3; i++) {
		mq_ack(m, 6, id[i], 0);
		check(mq_need(m, 7).id == id[i]);
	}
	check(mq_subscribe(m, "$share/g/s", 2) == 2);
	for (int i = 0; i < 5; i++) {
		snprintf(filter, sizeof(filter), "more/of/them/%d/#", i);
		check(mq_subscribe_id(m, filter, 1, m->version == 5 ? 7 : 0) == 1);
	}
	large(m);
	if (m->version == 5) {
		with_alias(m);
		with_user_property(m);
	}
	mq_quiet(m);
}

SCENARIO(1, 2)
{
	struct mq *m[4], *late, *watcher;

	clock_move(0);
	broker_start("hang_timeout=3600");
	watcher = mq_connect(.id = "watcher");
	check(mq_subscribe(watcher, DEEP, 2) == 2);
	for (int i = 0; i < 4; i++) {
		char id[80];

		snprintf(id, sizeof(id), "a-client-identifier-longer-than-later-%d", i);
		m[i] = mq_on_worker(i / 2 % workers(),
		    (struct mq_opts){ .id = id, .version = 4 + i % 2, .expiry = 1000 });
	}
	reload_to_less();
	for (int i = 0; i < 4; i++) {
		goes_on(m[i], watcher);
	}

	must_end("n", 0x9b, qos_1);
	must_end("n", 0x9a, retained);
	must_end("n", 0x90, deep);
	must_end("n", 0x94, with_alias);
	must_end("n", 0x97, with_user_property);
	must_end("n", 0x95, large);
	check(mq_try((struct mq_opts){ .id = "an-identifier-that-is-too-long" })->reason == 0x85);
	check(mq_try((struct mq_opts){ .id = "w", .will_topic = "w", .will_qos = 1 })->reason ==
	    0x9b);
	late = mq_connect(.id = "late", .expiry = 1000);
	check(mq_subscribe(late, "#", 0) == 0xa2);
	check(mq_subscribe(late, "$share/g/t", 0) == 0x9e);
	check(mq_subscribe(late, "t", 2) == 0);
	check(mq_subscribe(late, DEEP, 0) == 0x8f);
	check(mq_subscribe(late, "t/2", 0) == 0 && mq_subscribe(late, "t/3", 0) == 0x97);
	mq_close(late);

	/* Nor does what a client was granted for its absence become less. */
	for (int i = 0; i < 4; i++) {
		mq_quiet(m[i]);
		mq_close(m[i]);
	}
	wait_for(broker_counter("sessions_offline") == 3);
	clock_move(30000);
	wait_for(broker_counter("sessions_offline") == 2);
	mq_quiet(watcher);
	mq_disconnect(watcher);
}
