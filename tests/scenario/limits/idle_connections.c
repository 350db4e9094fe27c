#include <stdlib.h>
#include <sys/resource.h>

#include "tests/lib/scenario.h"

SCENARIO(4)
{
	int n = scale() == 1 ? 3000 : 15000;
	struct mq **m = calloc((size_t)n, sizeof(*m));
	struct rlimit lim;
	char id[32];

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	broker_start();
	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "idle-%d", i);
		m[i] = mq_connect(.id = id);
	}
	check(broker_counter("clients") == n);
	for (int i = 0; i < n; i += 50)
		mq_quiet(m[i]);
	for (int i = 0; i < n; i++)
		mq_close(m[i]);
	wait_for(broker_counter("connections") == 0);
	wait_for(broker_counter("sessions") == 0);
	free(m);
}
