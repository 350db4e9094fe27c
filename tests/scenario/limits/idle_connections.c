#include <stdlib.h>
#include <sys/resource.h>

#include "tests/lib/scenario.h"

#define MOST 15000
#define OTHERS 500 /* descriptors that we have besides */

/* As many as we may have ourselves. */
SCENARIO(4)
{
	struct rlimit lim;
	struct mq **m;
	char id[32];
	int n;

	getrlimit(RLIMIT_NOFILE, &lim);
	n = lim.rlim_max < MOST + OTHERS ? (int)lim.rlim_max - OTHERS : MOST;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	m = calloc((size_t)n, sizeof(struct mq *));
	check(m != NULL);
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
