#include "tests/lib/scenario.h"

static int
answer(const char *user, const char *password)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "c", .user = user, .password = password });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1)
{
	broker_start("authentication=basic");
	check(answer(NULL, NULL) == 0);
	/* Who says a name has to be it. */
	check(answer("anna", NULL) == 0x86 && answer("anna", "x") == 0x86);
	broker_stop();
}
