#include "tests/lib/scenario.h"

static void
is_listed(const char *const *args, const char *client, const char *connected)
{
	const char *text = broker_ctl_text(args), *at = strstr(text, client);
	char want[64];

	snprintf(want, sizeof(want), "\"connected\":%s", connected);
	check(at != NULL && strstr(at + 1, client) == NULL);
	check(strstr(text, want) != NULL && strstr(text, "\"share\":\"g\"") != NULL);
}

SCENARIO(1, 2)
{
	static const char *const all[] = { "subscription", "list", "--json", NULL };
	static const char *const one[] = { "subscription", "list", "--client", "durable", "--json",
		NULL };
	struct mq *clean, *durable;

	broker_start();
	clean = mq_connect(.id = "clean");
	durable = mq_connect(.id = "durable", .expiry = 1000);
	check(mq_subscribe(clean, "$share/g/clean/t", 1) == 1);
	check(mq_subscribe(durable, "$share/g/durable/t", 1) == 1);
	is_listed(all, "\"$share/g/clean/t\"", "true");
	is_listed(all, "\"$share/g/durable/t\"", "true");
	is_listed(one, "\"$share/g/durable/t\"", "true");
	mq_disconnect(durable);
	wait_for(broker_counter("sessions_offline") == 1);
	is_listed(all, "\"$share/g/durable/t\"", "false");
	is_listed(one, "\"$share/g/durable/t\"", "false");
	mq_disconnect(clean);
}
