#include <stdlib.h>

#include "tests/lib/scenario.h"

enum { N = 4000 };

/* What a worker has to tell a new persist is several times what may wait for a full ring. */
SCENARIO(1)
{
	static struct mq *m[N];
	char id[251];
	struct mq *other;

	broker_start("overflow_size=1048576", "ring_size=65536", "store_ring_size=65536");
	memset(id, 'x', sizeof(id) - 1);
	for (int i = 0; i < N; i++) {
		snprintf(id + 200, sizeof(id) - 200, "%d", i);
		m[i] = mq_connect(.id = id, .will_topic = "w", .will_payload = id);
	}
	broker_kill("persist/0", 9);
	broker_wait_ready();
	wait_for(broker_counter("sessions") == N);
	/* The last one is known: who comes with its identifier takes it over. */
	other = mq_connect(.id = id);
	check(mq_need(m[N - 1], 14).reason == 0x8e);
	mq_close(m[N - 1]);
	m[N - 1] = other;
	for (int i = 0; i < N; i += 500)
		mq_quiet(m[i]);
	check(broker_counter("connections") == N);
	for (int i = 0; i < N; i++)
		mq_disconnect(m[i]);
}
