#include "tests/lib/scenario.h"

static bool
shows(const char *id, const char *part)
{
	return strstr(ctl_text("client", "show", id, "--json"), part) != NULL;
}

SCENARIO(1, 2)
{
	struct mq *m, *others[20], *pub;
	char id[24];

	broker_start();
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "other-%d", i);
		others[i] = mq_connect(.id = id);
	}
	m = mq_connect(.id = "clean", .receive_max = 1);
	check(mq_subscribe(m, "t/#", 1) == 1);
	pub = mq_connect(.id = "pub");
	for (int i = 0; i < 3; i++)
		mq_publish(pub, "t/x", "x", 1, false);
	check(mq_need(m, 3).qos == 1);
	wait_for(shows("clean", "\"waiting\":2"));
	check(shows("clean", "\"inflight_out\":1") && shows("clean", "\"subscriptions\":1"));
	check(shows("clean", "\"peer\":\"127.0.0.1:") && shows("clean", "\"version\":5"));
	check(shows("clean", "\"persistent\":false") && shows("clean", "\"connected_at\""));
	mq_close(m);

	m = mq_connect(.id = "durable", .expiry = 1000);

	check(shows("durable", "\"peer\"") && shows("durable", "\"queued\":0"));
	mq_disconnect(m);
	wait_for(broker_counter("sessions_offline") == 1);
	check(!shows("durable", "\"peer\"") && !shows("durable", "\"version\""));
	check(shows("durable", "\"connected\":false"));
	for (int i = 0; i < 20; i++)
		mq_disconnect(others[i]);
	mq_disconnect(pub);
}
