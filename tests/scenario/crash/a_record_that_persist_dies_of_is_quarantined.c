#include "tests/lib/scenario.h"

enum { IMPLEMENTATION_SPECIFIC_ERROR = 0x83, DEATHS = 3, TEXT = 600 };

/* Executables of our own, of which persist is one that has a weakness. */
static void
weaken_persist(void)
{
	check(broker_sh(
		  "mkdir $DIR/bin && cp $BIN/tbmq* $BIN/../libpoison.so $DIR/bin && cd $DIR/bin\n"
		  "mv tbmq-persist persist\n"
		  "echo '#!/bin/sh' >tbmq-persist\n"
		  "echo export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 >>tbmq-persist\n"
		  "echo export LD_PRELOAD=$PWD/libpoison.so >>tbmq-persist\n"
		  "echo exec $PWD/persist '\"$@\"' >>tbmq-persist\n"
		  "chmod +x tbmq-persist") == 0);
	snprintf(broker.bin, sizeof(broker.bin), "%s/bin", broker.dir);
}

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
	weaken_persist();
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
