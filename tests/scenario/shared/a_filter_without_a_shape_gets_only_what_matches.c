#include "tests/lib/scenario.h"

/* 35 levels: too deep for interest tables, so that each message is offered to the group's process. */
SCENARIO(1, 2)
{
	static const char rest[] =
	    "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a";
	char filter[128], match[128], other[128];
	struct mq *m, *pub;

	snprintf(filter, sizeof(filter), "$share/g/+%s", rest);
	snprintf(match, sizeof(match), "x%s", rest);
	snprintf(other, sizeof(other), "x%s/b", rest);
	broker_start();
	m = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "m" });
	pub = mq_on_worker(0, (struct mq_opts){ .id = "p" });
	check(mq_subscribe(m, filter, 1) == 1);
	for (int qos = 0; qos <= 2; qos++) {
		mq_publish(pub, "t", "1", qos, false);
		mq_publish(pub, other, "2", qos, false);
		mq_publish(pub, match, "3", qos, false);
		mq_need_publish(m, match, "3");
	}
	mq_quiet(m);
	mq_disconnect(m);
	mq_disconnect(pub);
}
