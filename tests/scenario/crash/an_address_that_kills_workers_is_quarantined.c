#include "tests/lib/scenario.h"

enum { DEATHS = 3 };

#define FROM "127.0.0.2"

static bool
is_closed_at_once(void)
{
	long before = broker_counter("refused__quarantined");
	struct mq *m = mq_try((struct mq_opts){ .id = "another", .from = FROM });
	int reason = m->reason;

	mq_close(m);
	return reason != 0 && broker_counter("refused__quarantined") == before + 1;
}

static void
others_are_served(void)
{
	mq_disconnect(mq_connect(.id = "good"));
}

static void
it_ends_when_cleared(void)
{
	char *text = ctl_text("quarantine", "clear", FROM);

	check(strcmp(text, "cleared=1\n") == 0);
	mq_disconnect(mq_connect(.id = "another", .from = FROM));
}

/* The limit of an address is three times that of a client. */
SCENARIO(1, 2)
{
	broker_preload("mqtt", "deadly");
	broker_start("quarantine_deaths=1");
	/* A worker that dies of CONNECT does not know whose it is. */
	for (int i = 0; i < DEATHS; i++) {
		others_are_served();
		broker_expect_death();
		check(mq_try((struct mq_opts){
				 .id = "bad", .from = FROM, .will_topic = "deadly/will" })
			  ->reason == -1);
	}
	wait_for(is_closed_at_once());
	check(broker_log_has("quarantine: workers died of it, refused from now on from=" FROM
			     " packet=CONNECT deaths=3 until="));
	others_are_served();
	it_ends_when_cleared();

	/* One that has another name each time is out under each, and then altogether. */
	for (int i = 0; i < DEATHS; i++) {
		char id[2] = { (char)('a' + i), '\0' };
		struct mq *m = mq_connect(.id = id, .from = FROM);

		broker_expect_death();
		mq_send_publish(m, "deadly/abort", "x", 1, 0, false, NULL);
		mq_need_close(m);
		mq_close(m);
	}
	wait_for(is_closed_at_once());
	others_are_served();
	it_ends_when_cleared();
	check(strcmp(ctl_text("quarantine", "clear"), "cleared=3\n") == 0);
	broker_wait_ready();
}
