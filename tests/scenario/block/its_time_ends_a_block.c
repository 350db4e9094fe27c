#include "tests/lib/scenario.h"

static int
reason_of(const char *id)
{
	struct mq *m = mq_try((struct mq_opts){ .id = id });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1, 4)
{
	clock_move(0);
	broker_start("hang_timeout=3600");
	check(ctl("block", "add", "--client", "a", "--for", "10m") == 0);
	check(ctl("block", "add", "--client", "b", "--for", "1h") == 0);
	check(ctl("block", "add", "--client", "c") == 0);
	clock_move(599000 - 60000);
	for (const char *id = "a"; id != NULL; id = id[0] == 'a' ? "b" : id[0] == 'b' ? "c" : NULL)
		check(reason_of(id) == 0x8a);
	clock_move(61000);
	wait_for(reason_of("a") == 0);
	check(reason_of("b") == 0x8a);
	/* Another end in place of the first. */
	check(ctl("block", "add", "--client", "b", "--for", "2h") == 0);
	clock_move(3600000);
	check(reason_of("b") == 0x8a);
	clock_move(3600000);
	wait_for(reason_of("b") == 0);
	check(reason_of("c") == 0x8a);
	wait_for(strstr(ctl_text("block", "list"), "value=b") == NULL);
	check(strstr(ctl_text("block", "list"), "kind=client value=c") != NULL);
}
