#include "tests/lib/scenario.h"

enum { PUBLISH = 3, GROUPS = 2, MOST = 4, MESSAGES = 40 };

/* Each message moves every group on by one: were the turn common to all, each of two groups would always meet the same worker. */
SCENARIO(2, 4)
{
	struct mq *pub, *member[GROUPS][MOST];
	char name[32];

	broker_start();
	pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });
	for (int g = 0; g < GROUPS; g++) {
		for (int i = 0; i < workers(); i++) {
			snprintf(name, sizeof(name), "m%d-%d", g, i);
			member[g][i] = mq_on_worker(i, (struct mq_opts){ .id = name });
			snprintf(name, sizeof(name), "$share/g%d/t", g);
			check(mq_subscribe(member[g][i], name, 0) == 0);
		}
	}
	for (int i = 0; i < MESSAGES; i++)
		mq_publish(pub, "t", "x", 0, false);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < workers(); i++)
			for (int n = 0; n < MESSAGES / workers(); n++)
				mq_need(member[g][i], PUBLISH);
	mq_quiet(pub);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < workers(); i++)
			mq_quiet(member[g][i]);
}
