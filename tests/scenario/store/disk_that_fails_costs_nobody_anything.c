#include <sys/resource.h>

#include "tests/lib/scenario.h"

/* Bytes of a file: the broker's own log has fewer, the store's journal more. */
#define LIMIT 65536

/* From here on what persist writes to the store fails; its successor has the master's limits. */
static int
break_store(void)
{
	const struct rlimit limit = { .rlim_cur = LIMIT, .rlim_max = LIMIT };
	int pid = broker_pid_of("persist/0");

	broker_expect_death();
	check(prlimit(pid, RLIMIT_FSIZE, &limit, NULL) == 0);
	return pid;
}

SCENARIO(1, 2)
{
	static char filler[2 * LIMIT];
	struct mq *sub, *pub, *clean;
	char text[16];

	broker_start();
	sub = mq_connect(.id = "sub", .expiry = 3600);
	check(mq_subscribe(sub, "q", 2) == 2);
	pub = mq_connect(.id = "pub", .expiry = 3600);
	clean = mq_connect(.id = "clean");
	memset(filler, 'x', sizeof(filler) - 1);
	check(mq_publish(pub, "filler", filler, 1, true) < 0x80);
	for (int round = 0; round < 2 * scale(); round++) {
		int pid = break_store();

		/* It has to wait for the successor: that finds it in the ring. */
		snprintf(text, sizeof(text), "%d", round);
		check(mq_publish(pub, "q", text, 2, false) == 0);
		check(broker_pid_of("persist/0") != pid);
		mq_need_publish(sub, "q", text);
		mq_quiet(sub);
		mq_quiet(clean);
		broker_wait_ready();
	}
	check(broker_log_has("the store is broken"));
	check(broker_sh(
		  "$CTL status | grep 'last end: exit code 1 persist: the store is broken'") == 0);
	broker_kill_all();
	broker.deaths = 0;
	broker_start();
	sub = mq_connect(.id = "sub", .resume = true, .expiry = 3600);
	check(sub->present == 1);
	mq_quiet(sub);
}
