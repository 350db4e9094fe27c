#include "tests/lib/load.h"

/* The first page of 500 ends with a client, the second within one. */
static const int subscriptions[] = { 500, 700, 700 };

#define CLIENTS ((int)(sizeof(subscriptions) / sizeof(subscriptions[0])))

static struct mq *
subscriber(const char *id, int n)
{
	struct mq *m = mq_on_worker(0, (struct mq_opts){ .id = id });
	struct load l = { 0 };
	char filter[32];

	load_num(&l, 2, 1);
	load_varint(&l, 0);
	for (int i = 0; i < n; i++) {
		load_text(&l, filter, (size_t)snprintf(filter, sizeof(filter), "%s/%d", id, i));
		load_num(&l, 1, 0);
	}
	load_packet(&l, 0, 0x82);
	mq_load(m, &l);
	load_free(&l);
	mq_need(m, 9);
	return m;
}

SCENARIO(1, 2)
{
	struct mq *m[CLIENTS];
	char id[16];

	broker_start();
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		m[i] = subscriber(id, subscriptions[i]);
	}
	check(broker_sh("$CTL subscription list --json | grep -o '\"c[0-9]*/[0-9]*\"' >$DIR/all") ==
	    0);
	check(
	    broker_sh(
		"test $(wc -l <$DIR/all) = 1900 && test $(sort -u $DIR/all | wc -l) = 1900") == 0);
	check(
	    broker_sh(
		"test $($CTL subscription list --client c1 --json | grep -c '\"c1/') = 700") == 0);
	for (int i = 0; i < CLIENTS; i++)
		mq_disconnect(m[i]);
}
