/*
 * Who is connected stays, whatever would be said of it now; who comes is asked by the new rules.
 */
#include "tests/lib/scenario.h"

SCENARIO(2)
{
	struct mq *a, *b;

	broker_start();
	a = mq_connect(.id = "a", .user = "nobody", .password = "knows");
	check(ctl("reload") == 0);
	broker_conf("authentication =", "authentication = \"basic\";");
	check(ctl("reload") == 0);
	b = mq_try((struct mq_opts){ .id = "b", .user = "nobody", .password = "knows" });
	check(b->reason == 0x86);
	mq_close(b);
	mq_quiet(a);
	/* Nonsense changes nothing. */
	broker_conf("authentication =", "authentication = \"basic, magic\";");
	check(ctl("reload") == 1);
	broker_conf("authentication =", "authentication = \"basic, basic\";");
	check(ctl("reload") == 1);
	b = mq_try((struct mq_opts){ .id = "b", .user = "nobody", .password = "knows" });
	check(b->reason == 0x86);
	mq_close(b);
	broker_conf("authentication =", "authentication = \"\";");
	check(ctl("reload") == 0);
	b = mq_connect(.id = "b", .user = "nobody", .password = "knows");
	mq_quiet(a);
	mq_disconnect(a);
	mq_disconnect(b);
	broker_stop();
}
