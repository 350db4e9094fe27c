#include "tests/lib/scenario.h"

/* The member that may not have a message is passed over, here and on other workers. */
SCENARIO(1, 2, 4)
{
	struct mq *pub, *some, *all;

	broker_start();
	broker_rules("allow user admin all #\n"
		     "deny user some receive a/secret\n"
		     "allow all subscribe a/#\n");
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub", .user = "admin" });
	some = mq_on_worker(0, (struct mq_opts){ .id = "some", .user = "some" });
	all = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "all", .user = "all" });
	check(mq_subscribe(some, "$share/g/a/#", 1) == 1);
	check(mq_subscribe(all, "$share/g/a/#", 1) == 1);
	for (int i = 0; i < 20; i++) {
		check(mq_publish(pub, "a/secret", "x", 1, false) == 0);
		mq_need_publish(all, "a/secret", "x");
	}
	mq_quiet(some);
	mq_disconnect(all);
	check(mq_publish(pub, "a/secret", "x", 1, false) < 0x80);
	check(mq_publish(pub, "a/open", "y", 1, false) == 0);
	mq_need_publish(some, "a/open", "y");
	mq_disconnect(some);
	mq_disconnect(pub);
}
