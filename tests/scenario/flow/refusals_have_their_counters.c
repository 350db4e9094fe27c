#include "tests/lib/scenario.h"

static void
counts(const char *name)
{
	if (broker_counter(name) != 1)
		fail("%s is %ld", name, broker_counter(name));
}

static void
ended(struct mq *m, int reason, const char *counter)
{
	check(mq_need(m, 14).reason == reason);
	mq_need_close(m);
	mq_close(m);
	counts(counter);
}

static void
features_that_are_off(void)
{
	struct mq *m;

	broker_start("max_qos=1", "retain_available=false", "wildcard_available=false",
	    "shared_available=false", "subscription_id_available=false", "max_topic_levels=3",
	    "max_user_properties=1", "max_subscriptions=1");
	m = mq_connect(.id = "qos");
	mq_send_publish(m, "t", "x", 1, 2, false, NULL);
	ended(m, 0x9b, "ends__max_qos");
	m = mq_connect(.id = "retain");
	mq_send_publish(m, "t", "x", 1, 1, true, NULL);
	ended(m, 0x9a, "ends__retain");
	m = mq_connect(.id = "topic");
	mq_send_publish(m, "a/b/c/d", "x", 1, 1, false, NULL);
	ended(m, 0x90, "ends__topic");
	m = mq_connect(.id = "properties");
	mq_send_publish(m, "t", "x", 1, 1, false, "26 0001 6b 0001 76 26 0001 6b 0001 76");
	ended(m, 0x97, "ends__user_properties");
	m = mq_connect(.id = "identifier");
	mq_hex(m, "82 09 0001 02 0b07 0001 74 00");
	ended(m, 0xa1, "ends__subscription_id");
	m = mq_connect(.id = "filters");
	check(mq_subscribe(m, "a/#/b", 0) == 0x8f);
	counts("subscribes__refused_filter");
	check(mq_subscribe(m, "+", 0) == 0xa2);
	counts("subscribes__refused_wildcard");
	check(mq_subscribe(m, "$share/g/t", 0) == 0x9e);
	counts("subscribes__refused_shared");
	check(mq_subscribe(m, "a", 0) == 0 && mq_subscribe(m, "b", 0) == 0x97);
	counts("subscribes__refused_limit");
	counts("subscribes");
	mq_disconnect(m);
	check(mq_try((struct mq_opts){ .id = "w", .will_topic = "w", .will_qos = 2 })->reason ==
	    0x9b);
	counts("connects__refused_will");
	check(broker_counter("ends__protocol_error") == 0);
	broker_stop();
}

static void
queues_that_are_full(void)
{
	struct mq *m, *slow;

	broker_start("queue_max_messages=1", "queue_drop=reject", "retained_max_messages=1",
	    "sessions_max=1");
	m = mq_connect(.id = "offline", .expiry = 1000);
	check(mq_subscribe(m, "kept", 1) == 1);
	mq_disconnect(m);
	wait_for(broker_counter("sessions_offline") == 1);
	check(mq_try((struct mq_opts){ .id = "second", .expiry = 1000 })->reason == 0x97);
	counts("connects__refused_sessions_max");
	m = mq_connect(.id = "publisher");
	check(mq_publish(m, "$SYS/x", "x", 1, false) == 0x87);
	counts("publish_refused__not_authorized");
	check(mq_publish(m, "kept", "1", 1, false) == 0 &&
	    mq_publish(m, "kept", "2", 1, false) == 0x97);
	counts("publish_refused__queue_full");
	check(
	    mq_publish(m, "r/1", "1", 1, true) == 0 && mq_publish(m, "r/2", "2", 1, true) == 0x97);
	counts("publish_refused__retained_full");
	slow = mq_on_worker(0, (struct mq_opts){ .id = "slow", .receive_max = 1 });
	check(mq_subscribe(slow, "live", 1) == 1);
	mq_disconnect(m);
	m = mq_on_worker(0, (struct mq_opts){ .id = "publisher" });
	for (int i = 0; i < 3; i++)
		check(mq_publish(m, "live", "x", 1, false) == (i < 2 ? 0 : 0x97));
	check(broker_counter("publish_refused__queue_full") == 2);
	mq_disconnect(m);
	m = mq_connect(.id = "v4", .version = 4);
	mq_send_publish(m, "kept", "3", 1, 1, false, NULL);
	mq_need_close(m);
	mq_close(m);
	counts("ends__not_kept");
	mq_disconnect(slow);
	broker_stop();
}

static void
rates_and_the_whole_store(void)
{
	static uint8_t large[20000];
	struct mq *m;
	long slowed;

	broker_start("store_max_messages=1", "queue_drop=reject", "client_publish_rate=20:1",
	    "client_byte_rate=10000:1");
	m = mq_connect(.id = "offline", .expiry = 1000);
	check(mq_subscribe(m, "kept", 1) == 1);
	mq_disconnect(m);
	wait_for(broker_counter("sessions_offline") == 1);
	m = mq_connect(.id = "publisher");
	check(mq_publish(m, "kept", "1", 1, false) == 0 &&
	    mq_publish(m, "kept", "2", 1, false) == 0x97);
	counts("publish_refused__store_limit");
	check(broker_counter("slowed__client_rate") == 0);
	for (int i = 0; i < 40; i++)
		mq_send_publish(m, "nobody", "x", 1, 0, false, NULL);
	mq_quiet(m);
	/* Each of those that waited once, however long it was looked at again and again. */
	check(broker_counter("slowed__client_rate") >= 10 &&
	    broker_counter("slowed__client_rate") <= 40);
	slowed = broker_counter("slowed__client_rate");
	mq_send_publish(m, "nobody", large, sizeof(large), 0, false, NULL);
	mq_quiet(m);
	check(broker_counter("slowed__client_rate") > slowed);
	check(broker_log_has("limit: slowed id=publisher"));
	mq_disconnect(m);
	broker_stop();
}

SCENARIO(1, 2)
{
	features_that_are_off();
	queues_that_are_full();
	rates_and_the_whole_store();
}
