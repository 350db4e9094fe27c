#include "tests/lib/scenario.h"

enum { IMPLEMENTATION_SPECIFIC_ERROR = 0x83, DEATHS = 3, TEXT = 600 };

static void
expect_deaths(void)
{
	for (int i = 0; i < DEATHS; i++)
		broker_expect_death();
}

SCENARIO(1, 2)
{
	char poison[TEXT + 1] = "poison";
	struct mq *sub, *pub, *clean;

	memset(poison + 6, 'x', TEXT - 6);
	broker_preload("persist", "poison");
	broker_start();
	sub = mq_connect(.id = "sub", .expiry = 3600);
	check(mq_subscribe(sub, "q", 1) == 1);
	pub = mq_connect(.id = "pub", .expiry = 3600);
	clean = mq_connect(.id = "clean");
	check(mq_subscribe(clean, "q", 0) == 0);
	expect_deaths();
	check(mq_publish(pub, poison, "deadly", 1, true) == IMPLEMENTATION_SPECIFIC_ERROR);
	check(mq_publish(pub, "q", "after", 1, false) == 0);
	mq_need_publish(sub, "q", "after");
	mq_need_publish(clean, "q", "after");
	broker_wait_ready();
	check(broker_counter("quarantined") == 1);
	check(broker_log_has(
	    "quarantine: persist has died of it again and again, not applied type=STORE"));
	check(broker_sh("grep deadly $DIR/data/quarantine-STORE-*") == 0);

	/* Its worker registers it again, which is another record. */
	expect_deaths();
	expect_deaths();
	check(mq_subscribe(sub, poison, 1) == IMPLEMENTATION_SPECIFIC_ERROR);
	check(broker_sh("grep poison $DIR/data/quarantine-SUB-*") == 0);
	check(mq_publish(pub, "q", "more", 2, false) == 0);
	mq_need_publish(sub, "q", "more");
	mq_need_publish(clean, "q", "more");
	broker_wait_ready();
	mq_quiet(sub);
	mq_quiet(clean);
}
