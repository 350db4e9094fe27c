#include <stdlib.h>

#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *m, *d;
	char *text;

	broker_start();
	m = mq_connect(.id = "one");
	d = mq_connect(.id = "two", .expiry = 1000);
	mq_subscribe(m, "a/+", 1);
	mq_subscribe(d, "$share/g/b/#", 2);
	mq_publish(m, "kept/x", "value", 1, true);
	text = ctl_text("client", "list", "--json");
	check(strstr(text, "\"one\"") != NULL && strstr(text, "\"two\"") != NULL);
	text = ctl_text("subscription", "list", "--json");
	check(strstr(text, "\"a/+\"") != NULL && strstr(text, "\"$share/g/b/#\"") != NULL);
	text = ctl_text("retained", "list", "kept/#");
	check(strstr(text, "kept/x") != NULL);
	check(ctl("retained", "clear", "kept/#") == 0);
	text = ctl_text("retained", "list", "kept/#");
	check(strstr(text, "kept/x") == NULL);
	check(ctl("client", "kick", "one") == 0);
	check(mq_need(m, 14).reason == 0x98);
	mq_need_close(m);
	mq_close(m);
	check(ctl("client", "kick", "nobody") == 1);
	mq_disconnect(d);
	wait_for(broker_counter("sessions_offline") == 1);
	check(ctl("client", "clear-session", "two") == 0);
	wait_for(broker_counter("sessions") == 0);
	check(ctl("nonsense") == 2);
	check(ctl("start") == 1);
	check(ctl("log-level", "debug", "conn") == 0);
	check(ctl("log-level", "loud") == 1);
}
