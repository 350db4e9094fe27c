#include "tests/lib/scenario.h"

enum { MEMBERS = 4, MESSAGES = 40, TOPICS = 20, PUBLISH = 3, PUBACK = 4 };

static struct mq *member[MEMBERS], *pub[2];
static int got[MEMBERS]; /* since publish() began */

static void
set(const char *policy)
{
	broker_reload("shared_policy = ", "shared_policy = \"%s\";", policy);
}

/* What member i has got by now of a publisher: a message of its own comes behind all others from there. */
static void
gather(int from, int i, bool acknowledges)
{
	char own[16];
	struct packet k;

	snprintf(own, sizeof(own), "own/%d", i);
	check(mq_publish(pub[from], own, "", 1, false) == 0);
	do {
		k = mq_need(member[i], PUBLISH);
		if (acknowledges || strcmp(k.topic, own) == 0)
			mq_ack(member[i], PUBACK, k.id, 0);
		got[i] += strcmp(k.topic, own) != 0;
	} while (strcmp(k.topic, own) != 0);
	mq_quiet(member[i]); /* the broker has what it sent */
}

/* n messages from one publisher; answers how many members got some. */
static int
publish(int from, int n, int topics, bool acknowledge)
{
	char topic[16];
	int some = 0, all = 0;

	memset(got, 0, sizeof(got));
	for (int i = 0; i < n; i++) {
		snprintf(topic, sizeof(topic), "s/%d", i % topics);
		check(mq_publish(pub[from], topic, "x", 1, false) == 0);
	}
	for (int i = 0; i < MEMBERS; i++) {
		gather(from, i, acknowledge);
		some += got[i] > 0;
		all += got[i];
	}
	check(all == n);
	return some;
}

static void
open_all(void)
{
	char id[16];

	for (int i = 0; i < 2; i++) {
		snprintf(id, sizeof(id), "p%d", i);
		pub[i] = mq_on_worker(i % workers(), (struct mq_opts){ .id = id });
	}
	for (int i = 0; i < MEMBERS; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		member[i] = mq_on_worker(i % workers(), (struct mq_opts){ .id = id });
		check(mq_subscribe(member[i], "$share/g/s/+", 1) == 1);
		snprintf(id, sizeof(id), "own/%d", i);
		check(mq_subscribe(member[i], id, 1) == 1);
	}
}

static void
close_all(void)
{
	for (int i = 0; i < MEMBERS; i++)
		mq_disconnect(member[i]);
	for (int i = 0; i < 2; i++)
		mq_disconnect(pub[i]);
}

/* Load is what is not acknowledged: who has none gets more than his turn, until all have the same. */
static void
least_loaded(void)
{
	open_all();
	publish(0, 2 * MEMBERS, TOPICS, false);
	for (int i = 0; i < MEMBERS; i++)
		check(got[i] == 2);
	mq_ack(member[0], PUBACK, 1, 0);
	mq_ack(member[0], PUBACK, 2, 0);
	mq_quiet(member[0]);
	publish(0, 2 * MEMBERS, TOPICS, false);
	check(got[0] > 2);
	for (int i = 1; i < MEMBERS; i++)
		check(got[i] <= 2);
	close_all();
}

SCENARIO(1, 2)
{
	int before[MEMBERS];

	broker_start();
	open_all();
	check(publish(0, MESSAGES, TOPICS, true) == MEMBERS); /* in turn */

	set("sticky");
	check(publish(0, MESSAGES, TOPICS, true) == 1);
	memcpy(before, got, sizeof(got));
	check(publish(1, MESSAGES, TOPICS, true) == 1 && memcmp(before, got, sizeof(got)) == 0);

	set("hash_client");
	check(publish(0, MESSAGES, TOPICS, true) == 1);

	set("hash_topic");
	check(publish(0, MESSAGES, 1, true) == 1);
	memcpy(before, got, sizeof(got));
	check(publish(1, MESSAGES, 1, true) == 1 && memcmp(before, got, sizeof(got)) == 0);
	check(publish(0, MESSAGES, TOPICS, true) > 1);

	set("local");
	for (int from = 0; from < workers(); from++) {
		publish(from, MESSAGES, TOPICS, true);
		for (int i = 0; i < MEMBERS; i++)
			check((got[i] > 0) == (i % workers() == from));
	}
	close_all();

	set("least_loaded");
	least_loaded();
}
