#include "tests/lib/scenario.h"

enum { MANY = 100000, CONNECTS = 300 };

static void
write_blocks(void)
{
	char path[220];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tbmq.conf.blocks", broker.dir);
	f = fopen(path, "w");
	check(f != NULL);
	for (int i = 0; i < MANY; i++)
		fprintf(f,
		    "+{\"kind\":\"client\",\"value\":\"client-%d\",\"since\":1,\"until\":0,"
		    "\"reason\":\"one of many\"}\n",
		    i);
	fclose(f);
}

static uint64_t
connects_ms(void)
{
	uint64_t from = now_ms();

	for (int i = 0; i < CONNECTS; i++)
		mq_disconnect(mq_connect(.id = "good"));
	return now_ms() - from;
}

SCENARIO(1)
{
	uint64_t before, with;
	struct mq *m;

	broker_start();
	before = connects_ms();
	broker_stop();
	write_blocks();
	broker_start();
	with = connects_ms();
	/* One by one it would be a hundred times as long. */
	check(with < 3 * before + 1000);
	for (int i = 0; i < MANY; i += MANY / 7) {
		char id[32];

		snprintf(id, sizeof(id), "client-%d", i);
		m = mq_try((struct mq_opts){ .id = id });
		check(m->reason == 0x8a);
		mq_close(m);
	}
	check(broker_sh("test $($CTL block list | wc -l) -eq 100000") == 0);
	check(ctl("block", "remove", "--client", "client-7") == 0);
	mq_disconnect(mq_connect(.id = "client-7"));
	check(broker_sh("test $($CTL block list | wc -l) -eq 99999") == 0);
}
