#include "tests/lib/scenario.h"

/* The window is an hour, so that what passes does not depend on how fast the test is: it moves the clock. */
#define ALLOWED 3
#define WINDOW_MS 3600000

static struct mq *sub;
static int version;

static struct mq *
publisher(void)
{
	return mq_connect(.id = "p", .version = version, .keep_alive = 60);
}

static void
acts(const char *action)
{
	clock_move(WINDOW_MS);
	mq_quiet(sub);
	broker_reload("client_rate_action = ", "client_rate_action = \"%s\";", action);
}

static void
pass_all(struct mq *p, const char *topic)
{
	for (int i = 0; i < ALLOWED; i++) {
		check(mq_publish(p, topic, "in", 1, false) == 0);
		mq_need_publish(sub, topic, "in");
	}
}

static void
wait_stops_reading_and_keep_alive(void)
{
	struct mq *p;

	acts("wait");
	p = publisher();
	pass_all(p, "t");
	mq_send_publish(p, "t", "late", 4, 0, false, NULL);
	mq_hex(p, "c000");
	wait_for(broker_counter("slowed__client_rate") > 0);
	clock_move(WINDOW_MS / ALLOWED / 2);
	mq_quiet(sub);
	check(broker_counter("ends__keep_alive") == 0);
	clock_move(WINDOW_MS / ALLOWED / 2);
	mq_need_publish(sub, "t", "late");
	check(mq_need(p, 13).len == 0);
	mq_disconnect(p);
}

static void
refuse_tells_whom_it_can(void)
{
	long refused = broker_counter("publish_refused__rate");
	int code = version == 5 ? 0x97 : 0;
	struct mq *p;

	acts("refuse");
	p = publisher();
	pass_all(p, "t");
	check(mq_publish(p, "t", "1", 1, false) == code);
	check(mq_publish(p, "t", "2", 2, false) == code);
	if (version == 5) /* what is refused must not make the next mean another topic */
		mq_send_publish(p, "alias", "3", 1, 0, false, "23 0001");
	else
		mq_send_publish(p, "t", "3", 1, 0, false, NULL);
	mq_quiet(p);
	check(broker_counter("publish_refused__rate") == refused + 3);
	check(broker_counter("ends__rate") == 0 || version != 4);
	mq_quiet(sub);
	clock_move(WINDOW_MS);
	if (version == 5) {
		mq_send_publish(p, "", "4", 1, 0, false, "23 0001");
		mq_need_publish(sub, "alias", "4");
	}
	check(mq_publish(p, "t", "5", 2, false) == 0);
	mq_need_publish(sub, "t", "5");
	mq_disconnect(p);
}

static void
drop_qos0_keeps_the_rest(void)
{
	long refused = broker_counter("publish_refused__rate");
	struct mq *p;
	uint16_t id;

	acts("drop_qos0");
	p = publisher();
	pass_all(p, "t");
	mq_send_publish(p, "t", "lost", 4, 0, false, NULL);
	id = mq_send_publish(p, "t", "kept", 4, 1, false, NULL);
	wait_for(broker_counter("publish_refused__rate") == refused + 1);
	mq_quiet(sub);
	clock_move(WINDOW_MS);
	mq_need_publish(sub, "t", "kept");
	check(mq_need(p, 4).id == id);
	mq_disconnect(p);
}

static void
disconnect_says_why(void)
{
	long ends = broker_counter("ends__rate");
	struct mq *p;

	acts("disconnect");
	p = publisher();
	pass_all(p, "t");
	mq_send_publish(p, "t", "lost", 4, 1, false, NULL);
	if (version == 5)
		check(mq_need(p, 14).reason == 0x96);
	mq_need_close(p);
	mq_close(p);
	check(broker_counter("ends__rate") == ends + 1);
	mq_quiet(sub);
}

SCENARIO(1, 4)
{
	clock_move(0);
	broker_start("hang_timeout=3600");
	broker_conf("#client_publish_rate = ", "client_publish_rate = \"3:3600\";");
	broker_reload("#client_rate_action = ", "client_rate_action = \"wait\";");
	sub = mq_connect(.id = "s");
	check(mq_subscribe(sub, "#", 1) == 1);
	for (version = 4; version <= 5; version++) {
		wait_stops_reading_and_keep_alive();
		refuse_tells_whom_it_can();
		drop_qos0_keeps_the_rest();
		disconnect_says_why();
	}
	mq_disconnect(sub);
}
