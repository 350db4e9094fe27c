#include <stdlib.h>

#include "tests/lib/attack.h"

#define CLIENTS 4
#define FILTERS 1000 /* max_subscriptions */
#define MORE 50      /* that are refused */
#define LEVELS 128   /* max_topic_levels */
#define MANY 20      /* levels of filters that are there for their shapes */

/* As deep as may be, as long as may be, and no two share more than a few levels. */
static size_t
deep(char *filter, int client, int i)
{
	memset(filter, 'd', 4096);
	for (int at = 1; at < LEVELS; at++)
		filter[at * 32] = '/';
	for (int bit = 0; bit < 24; bit++)
		filter[1 + bit] = (char)('a' + ((client << 16 | i) >> bit & 1));
	return 4096;
}

/* A pattern of + that no other has; all match one topic. */
static size_t
shape(char *filter, int client, int i)
{
	uint32_t pattern = (uint32_t)(client << 11 | i) * 2654435761u & 0xfffff;

	for (int at = 0; at < MANY; at++) {
		filter[2 * at] = pattern >> at & 1 ? '+' : 's';
		filter[2 * at + 1] = '/';
	}
	return 2 * MANY - 1;
}

/* A hundred filters a packet. Those beyond max_subscriptions are refused, one by one. */
static void
subscribe_all(struct mq *m, int client, size_t (*filter_of)(char *, int, int))
{
	static char filter[4096];
	struct load l = { 0 };
	int refused = 0;

	for (int i = 0; i < FILTERS + MORE;) {
		struct packet k;

		load_num(&l, 2, (unsigned)i + 1);
		load_varint(&l, 0);
		for (int in_packet = 0; in_packet < 50; in_packet++) {
			load_text(&l, filter, filter_of(filter, client, i++));
			load_num(&l, 1, 0);
		}
		load_packet(&l, 0, 0x82);
		mq_load(m, &l);
		do
			check(mq_read(m, &k, deadline_ms()));
		while (k.type != 9);
		check(k.len >= 53);
		for (int in_packet = 0; in_packet < 50; in_packet++)
			refused += k.body[k.len - 50 + (size_t)in_packet] == 0x97;
	}
	check(refused == MORE);
	load_free(&l);
}

static void
subscribe_and_look(size_t (*filter_of)(char *, int, int), uint32_t expiry)
{
	struct mq *m[CLIENTS], *pub = mq_connect(.id = "attack-pub");
	static const char ids[CLIENTS + 1] = "ABCD";
	char topic[2 * MANY];

	memset(topic, 's', sizeof(topic));
	for (int i = 1; i < 2 * MANY; i += 2)
		topic[i] = '/';
	topic[2 * MANY - 1] = '\0';
	for (int i = 0; i < CLIENTS; i++) {
		char id[2] = { ids[i], '\0' };

		m[i] = mq_connect(.id = id, .expiry = expiry);
		subscribe_all(m[i], i, filter_of);
	}
	for (int i = 0; i < 50 * scale(); i++) {
		mq_publish(pub, topic, "x", 1, false);
		for (int k = 0; filter_of == shape && k < CLIENTS; k++)
			check(strcmp(mq_need(m[k], 3).topic, topic) == 0);
	}
	attack_look();
	mq_close_all(m, CLIENTS);
	for (int i = 0; i < CLIENTS && expiry > 0; i++) {
		char id[2] = { ids[i], '\0' };

		mq_disconnect(mq_connect(.id = id));
	}
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	attack_start();
	subscribe_and_look(shape, 0);
	subscribe_and_look(shape, 1000);
	subscribe_and_look(deep, 0);
	subscribe_and_look(deep, 1000);
	/* The worker has a filter three times, persist four times: whole, and in the index by levels. */
	attack_end(UINT64_C(10) * CLIENTS * FILTERS * 4096, 16 * MIB);
}
