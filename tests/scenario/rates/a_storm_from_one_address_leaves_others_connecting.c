#include "tests/lib/scenario.h"

enum { STORM = 60, ALLOWED = 10, HOUR_MS = 3600000 };

/* So many of these get in. */
static int
storm(const char *from, int n)
{
	int in = 0;

	for (int i = 0; i < n; i++) {
		struct mq *m = mq_try((struct mq_opts){ .id = "storm", .from = from });

		check(m->reason == 0 || m->reason == -1);
		in += m->reason == 0;
		mq_close(m);
	}
	return in;
}

/* What two workers let in at the same time neither has seen. */
static bool
is_about(int in, int allowed)
{
	return in >= allowed && in < allowed + workers();
}

SCENARIO(1, 4)
{
	struct mq *early;
	int in;

	clock_move(0);
	broker_start("hang_timeout=3600", "connect_rate_address=10:3600");
	early = mq_connect(.id = "early", .from = "127.0.0.2");
	in = storm("127.0.0.2", STORM);
	check(is_about(in, ALLOWED - 1));
	check(broker_counter("refused__address_rate") == STORM - in);
	mq_quiet(early);
	check(storm("127.0.0.3", 5) == 5);
	check(storm("127.1.0.3", 5) == 5);
	clock_move(HOUR_MS / ALLOWED * 2);
	in = storm("127.0.0.2", STORM);
	check(is_about(in, 2));

	/* All of 127.0.0.0/16 together. */
	broker_reload("#connect_rate_prefix_ipv4 = ", "connect_rate_prefix_ipv4 = 16;");
	in = storm("127.0.0.4", ALLOWED / 2) + storm("127.0.9.4", STORM);
	check(is_about(in, ALLOWED));
	check(storm("127.1.0.4", 5) == 5);
	mq_quiet(early);
	mq_disconnect(early);
}
