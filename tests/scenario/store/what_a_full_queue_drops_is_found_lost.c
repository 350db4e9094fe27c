#include "tests/lib/scenario.h"

/* The tool that finds no loss elsewhere finds it where there has to be some. */
SCENARIO(1)
{
	check(torture("--set queue_max_messages=20",
		  "--rounds 8 --kill all --publishers 2 --inflight 5 --members 0 "
		  "--backlog 100000000") == 1);
	check(broker_sh("grep -q '^lost: .* it had been acknowledged' $DIR/torture") == 0);
}
