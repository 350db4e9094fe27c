#include <signal.h>

#include "tests/lib/scenario.h"

static bool
gets_in(const char *user, const char *password)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "c", .user = user, .password = password });
	bool in = m->reason == 0;

	mq_close(m);
	return in;
}

SCENARIO(2)
{
	static const char *const all[] = { "authentication=basic", NULL };

	broker_start_with(workers(), all);
	check(
	    broker_sh("for i in $(seq 600); do echo u$i,p$i; done | sed '1i user_name,name' | "
		      "sed 's/$/,a/;1s/,a$/,groups/' >$DIR/csv && $CTL auth import $DIR/csv") == 0);
	check(
	    broker_sh("echo one | $CTL auth add anna --cost 10 && echo two | $CTL auth passwd anna "
		      "--cost 10 && $CTL auth remove p7") == 0);
	/* Each answer came when it was on disk. */
	broker_kill_all();
	broker_start_with(workers(), all);
	check(gets_in("anna", "two") && !gets_in("anna", "one"));
	check(gets_in("u600", "") && gets_in("u1", "") && !gets_in("u7", ""));
	check(broker_sh("test $($CTL auth list | wc -l) = 600") == 0);
	broker_kill("persist/0", SIGKILL);
	broker_wait_ready();
	check(broker_sh("$CTL auth remove anna") == 0 && !gets_in("anna", "two"));
	broker_kill("auth/0", SIGKILL);
	broker_wait_ready();
	check(gets_in("u600", "") && !gets_in("anna", "two"));
	/* As a file, and back. */
	check(broker_sh("$CTL auth export >$DIR/all && $CTL auth import --replace $DIR/all && $CTL "
			"auth export | cmp - $DIR/all") == 0);
	broker_stop();
}
