#include <signal.h>

#include "tests/lib/scenario.h"

#define N 40

/* Every message once, in any order. */
static void
need_all(struct mq *m)
{
	bool seen[N] = { false };

	for (int got = 0; got < N; got++) {
		struct packet k = mq_need(m, 3);
		int n;

		check(sscanf((const char *)k.payload, "%d", &n) == 1 && n >= 0 && n < N);
		check(!seen[n]);
		seen[n] = true;
		mq_ack(m, 4, k.id, 0);
	}
	mq_quiet(m);
}

static void
publish_all(struct mq *pub)
{
	char text[16];

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		check(mq_publish(pub, "t", text, 1, false) == 0);
	}
}

/* What a clean member leaves unacknowledged. */
static void
left_unacknowledged(bool away)
{
	struct mq *pub = mq_connect(.id = "pub"), *clean, *durable;

	clean = mq_on_worker(0, (struct mq_opts){ .id = "clean" });
	check(mq_subscribe(clean, "$share/g/t", 1) == 1);
	publish_all(pub);
	for (int i = 0; i < N; i++)
		mq_need(clean, 3);
	durable = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "durable", .expiry = 100 });
	check(mq_subscribe(durable, "$share/g/t", 1) == 1);
	if (away)
		mq_close(durable);
	mq_close(clean);
	if (away) {
		wait_for(broker_counter("queued") == N);
		durable = mq_connect(.id = "durable", .resume = true);
	}
	need_all(durable);
	mq_disconnect(durable);
	mq_disconnect(pub);
}

/* What was on its way to a clean member of another worker when that left. */
static void
left_on_the_way(void)
{
	struct mq *pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" }), *clean, *durable;
	int pid = broker_pid_of("mqtt/1");

	durable = mq_on_worker(0, (struct mq_opts){ .id = "durable", .expiry = 100 });
	check(mq_subscribe(durable, "$share/g/t", 1) == 1);
	clean = mq_on_worker(1, (struct mq_opts){ .id = "clean" });
	check(mq_subscribe(clean, "$share/g/t", 1) == 1);
	check(kill(pid, SIGSTOP) == 0);
	publish_all(pub);
	mq_close(clean);
	check(kill(pid, SIGCONT) == 0);
	need_all(durable);
	mq_disconnect(durable);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	broker_start("hang_timeout=120");
	left_unacknowledged(false);
	left_unacknowledged(true);
	if (workers() > 1)
		left_on_the_way();
	check(broker_counter("dropped__no_member") == 0);
}
