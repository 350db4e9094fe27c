#include "tests/lib/scenario.h"

#define FLYING 32 /* messages under way during each reload */

static const struct {
	const char *from, *to;
	bool is_refused;
} change[] = {
	{ "max_topic_levels", "max_topic_levels = 60;", false },
	{ "workers =", "workers = 5;", false },
	{ "max_topic_levels", "max_topic_levels = 0;", true },
	{ "max_topic_levels", "max_topic_levels = 50;", false },
	{ "workers =", "workers = 3;", false },
	{ "log_level =", "log_level = \"info\";", false },
	{ "log_level =", "log_level = \"notice\";", false },
	{ "queue_max_messages", "queue_max_messages = 200000;", false },
};

static void
fly(struct mq *pub, int from)
{
	char text[16];

	for (int i = from; i < from + FLYING; i++)
		mq_send_publish(
		    pub, "t", text, (size_t)snprintf(text, sizeof(text), "%d", i), 1, false, NULL);
}

static void
land(struct mq *pub, struct mq *clean, struct mq *durable, int from)
{
	char text[16];

	for (int i = 0; i < FLYING; i++)
		check(mq_need(pub, 4).reason == 0);
	for (int i = from; i < from + FLYING; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_need_publish(clean, "t", text);
		mq_need_publish(durable, "t", text);
	}
}

/* Messages are under way whenever something changes, and the clients' workers stay. */
SCENARIO(1, 2, 4)
{
	struct mq *clean, *durable, *pub;
	int n = many(workers() == 2 ? 1000 : 100);

	broker_start_with(0, (const char *[]){ NULL });
	broker_reload("workers =", "workers = 3;");
	broker_wait_ready();
	clean = mq_on_worker(0, (struct mq_opts){ .id = "c" });
	durable = mq_on_worker(1, (struct mq_opts){ .id = "d", .expiry = 1000 });
	pub = mq_on_worker(2, (struct mq_opts){ .id = "p" });
	check(mq_subscribe(clean, "t", 1) == 1 && mq_subscribe(durable, "t", 1) == 1);
	for (int i = 0; i < n; i++) {
		size_t c = (size_t)i % (sizeof(change) / sizeof(change[0]));

		broker_conf(change[c].from, change[c].to);
		fly(pub, i * FLYING);
		check((ctl("reload") != 0) == change[c].is_refused);
		land(pub, clean, durable, i * FLYING);
	}
	check(broker_counter("connections") == 3);
	mq_quiet(clean);
	mq_quiet(durable);
	mq_disconnect(clean);
	mq_disconnect(durable);
	mq_disconnect(pub);
}
