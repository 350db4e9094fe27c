#include "tests/lib/scenario.h"

#define MANY 2500 /* more than one request clears */

SCENARIO(1)
{
	struct mq *m;
	char topic[32];

	broker_start("receive_max=65535");
	m = mq_connect(.id = "m");
	for (int i = 0; i < MANY; i++) {
		snprintf(topic, sizeof(topic), "big/%d/v", i);
		mq_send_publish(m, topic, "x", 1, 1, true, NULL);
	}
	for (int i = 0; i < MANY; i++)
		mq_need(m, 4);
	check(mq_publish(m, "small", "x", 1, true) == 0);
	check(strcmp(ctl_text("retained", "clear", "big/+/w"), "cleared=0\n") == 0);
	check(strcmp(ctl_text("retained", "clear", "big/#"), "cleared=2500\n") == 0);
	check(strcmp(ctl_text("--json", "retained", "clear", "big/#"), "{\"cleared\":0}\n") == 0);
	check(ctl_text("retained", "list", "big/#")[0] == '\0');
	check(strstr(ctl_text("retained", "list"), "topic=small") != NULL);
	mq_disconnect(m);
}
