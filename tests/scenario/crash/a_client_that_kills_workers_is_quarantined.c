#include "tests/lib/scenario.h"

enum { BANNED = 0x8a, NOT_AUTHORIZED_V3 = 5, DEATHS = 3, TIME_MS = 600000 };

static int died;

/* Another is connected as well, and one of the same name from elsewhere: they have nothing to do with it. */
static void
kill_a_worker(void)
{
	struct mq *good = mq_connect(.id = "good"),
		  *same = mq_connect(.id = "bad", .from = "127.0.0.2"),
		  *bad = mq_connect(.id = "bad", .version = died % 2 == 0 ? 5 : 4);
	char count[100];

	mq_quiet(good);
	broker_expect_death();
	mq_send_publish(bad, "deadly/abort", "x", 1, 1, false, NULL);
	mq_need_close(bad);
	snprintf(
	    count, sizeof(count), "test $(grep -c 'slots: died' $DIR/log/tbmq.log) = %d", ++died);
	wait_for(broker_sh(count) == 0);
	mq_close(good);
	mq_close(same);
	mq_close(bad);
}

static void
kill_until_quarantined(void)
{
	for (int i = 0; i < DEATHS; i++)
		kill_a_worker();
	wait_for(strstr(ctl_text("quarantine", "list"), "client_id=bad") != NULL);
}

static void
others_are_served(void)
{
	static const struct mq_opts others[] = {
		{ .id = "good" },
		{ .id = "other" },
		{ .id = "bad", .from = "127.0.0.2" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct mq *m = mq_connect_with(others[i]);

		check(mq_subscribe(m, "t", 0) == 0);
		mq_send_publish(m, "t", "x", 1, 0, false, NULL);
		mq_need_publish(m, "t", "x");
		mq_disconnect(m);
	}
}

static void
is_refused(void)
{
	struct mq *m = mq_open(0);
	struct packet k;

	mq_hex(m, "10 10 0004 4d515454 05 02 003c 00 0003 626164");
	k = mq_need(m, 2);
	check(k.body[1] == BANNED && memmem(k.body, k.len, "in quarantine", 13) != NULL);
	mq_need_close(m);
	mq_close(m);
	check(mq_try((struct mq_opts){ .id = "bad", .version = 4 })->reason == NOT_AUTHORIZED_V3);
	check(mq_try((struct mq_opts){ .id = "bad", .version = 3 })->reason == NOT_AUTHORIZED_V3);
}

static void
is_served(void)
{
	mq_disconnect(mq_connect(.id = "bad"));
	check(ctl_text("quarantine", "list")[0] == '\0');
	check(strstr(ctl_text("status"), "quarantine:") == NULL);
}

static void
it_is_reported(void)
{
	check(broker_log_has("client=\"bad\" from=127.0.0.1 packet=PUBLISH deaths=3 until="));
	check(strstr(ctl_text("status"), ") client=\"bad\" from=127.0.0.1 packet=PUBLISH\n"));
	check(strstr(ctl_text("status"),
	    "quarantine: what=client client_id=bad from=127.0.0.1 packet=PUBLISH deaths=3"));
	check(strstr(ctl_text("quarantine", "list", "--json"),
	    "{\"what\":\"client\",\"client_id\":\"bad\",\"from\":\"127.0.0.1\","));
}

SCENARIO(1, 2)
{
	broker_preload("mqtt", "deadly");
	clock_move(0);
	broker_start();
	kill_until_quarantined();
	it_is_reported();
	is_refused();
	check(broker_counter("connects__refused_quarantined") == 3);
	others_are_served();

	/* Successors are told. */
	for (int w = 0; w < workers(); w++) {
		check(ctl("worker", "restart", w == 0 ? "0" : "1") == 0);
		wait_for(broker_log_has(w == 0 ? "ended process=mqtt/0" : "ended process=mqtt/1"));
		broker_wait_ready();
	}
	is_refused();
	others_are_served();

	check(ctl("quarantine", "clear", "good") == 1);
	check(strcmp(ctl_text("quarantine", "clear", "bad"), "cleared=1\n") == 0);
	is_served();

	/* What was before is forgotten. */
	kill_until_quarantined();
	is_refused();
	clock_move(TIME_MS);
	wait_for(broker_log_has("its time is over, no longer refused client=\"bad\""));
	is_served();
	others_are_served();
}
