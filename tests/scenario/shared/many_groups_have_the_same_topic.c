#include "tests/lib/load.h"

enum { PUBLISH = 3, SUBACK = 9, MOST = 256, MORE = 300, MESSAGES = 3 };

static struct mq *
member(int groups)
{
	struct mq *m = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "member" });
	struct load l = { 0 };
	char filter[32];

	load_num(&l, 2, 1);
	load_varint(&l, 0);
	for (int i = 0; i < groups; i++) {
		load_text(&l, filter, (size_t)snprintf(filter, sizeof(filter), "$share/g%d/t", i));
		load_num(&l, 1, 0);
	}
	load_packet(&l, 0, 0x82);
	mq_load(m, &l);
	load_free(&l);
	mq_need(m, SUBACK);
	return m;
}

/* Each group gets a copy of its own; of more groups than a topic may have in a process, those beyond get none, and the log says so. */
static void
try(int groups)
{
	struct mq *m = member(groups), *pub = mq_on_worker(0, (struct mq_opts){ .id = "pub" });

	for (int i = 0; i < MESSAGES; i++) {
		mq_publish(pub, "t", "x", 0, false);
		for (int copy = 0; copy < groups && copy < MOST; copy++)
			mq_need(m, PUBLISH);
	}
	mq_quiet(pub);
	mq_quiet(m);
	mq_disconnect(m);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	broker_start();
	try(MOST - 1);
	check(broker_counter("dropped__no_member") == 0);
	broker_reload("shared_policy = ", "shared_policy = \"local\";");
	try(MOST - 1); /* where the publisher is there may be none */
	check(broker_counter("dropped__no_member") == 0);
	try(MORE);
	check(broker_counter("dropped__no_member") > 0);
	check(broker_log_has("further ones get nothing"));
}
