#include <stdlib.h>

#include "tests/lib/scenario.h"

SCENARIO(1)
{
	char other[160], cmd[600];

	broker_start();
	snprintf(other, sizeof(other), "%s/other", broker.dir);
	snprintf(cmd, sizeof(cmd), "%s/tbmqctl --dir %s start --port %d >%s/out 2>&1", broker.bin,
	    other, broker.port, broker.dir);
	check(system(cmd) != 0);
	snprintf(cmd, sizeof(cmd), "grep -q 'cannot listen on 127.0.0.1:%d' %s/out", broker.port,
	    broker.dir);
	check(system(cmd) == 0);
}
