#include "tests/lib/attack.h"

#define CLIENTS 30
#define ALIASES 32 /* topic_alias_max and topic_alias_max_out */
#define TOPIC 4000 /* bytes of each topic: nearly max_topic_length */
#define TIMES 10   /* that each alias gets another topic */

static const char *
topic_of(int n)
{
	static char topic[TOPIC + 1];

	memset(topic, 'a', TOPIC);
	memcpy(topic, "alias/", 6);
	for (int i = 0; i < 20; i++)
		topic[6 + i] = (char)('a' + (n >> i & 1));
	return topic;
}

static void
publish(struct load *l, const char *topic, size_t len, int alias)
{
	size_t at = l->n;

	load_text(l, topic, len);
	load_varint(l, 3);
	load_num(l, 1, 0x23);
	load_num(l, 2, (unsigned)alias);
	load_packet(l, at, 0x30);
}

/* Other topics for the same aliases, again and again; then one more than there are. */
static void
in(struct mq **m)
{
	struct load l = { 0 };

	for (int i = 0; i < CLIENTS; i++) {
		m[i] = mq_connect(.keep_alive = 0);
		for (int n = 0; n < ALIASES * TIMES * scale(); n++) {
			publish(&l, topic_of(n), TOPIC, 1 + n % ALIASES);
			publish(&l, NULL, 0, 1 + n % ALIASES);
			mq_load(m[i], &l);
		}
		mq_quiet(m[i]);
	}
	for (int i = 0; i < CLIENTS / 2; i++) {
		publish(&l, "a", 1, i % 2 == 0 ? ALIASES + 1 : 0);
		mq_load(m[i], &l);
		check(mq_need(m[i], 14).reason == 0x94);
		mq_need_close(m[i]);
	}
	load_free(&l);
}

/* Towards clients that allow for all of them. */
static void
out(struct mq **m, struct mq *pub)
{
	struct load l = { 0 };
	struct packet k;

	for (int i = 0; i < CLIENTS; i++) {
		m[i] = mq_connect(.alias_max = 65535);
		mq_subscribe(m[i], "alias/#", 0);
	}
	for (int n = 0; n < 4 * ALIASES; n++) {
		load_publish(&l, topic_of(n), TOPIC, 0, 0, false, 10);
		mq_load(pub, &l);
		for (int i = 0; i < CLIENTS; i++)
			do
				check(mq_read(m[i], &k, deadline_ms()));
			while (k.type != 3);
	}
	load_free(&l);
}

SCENARIO(1, 2)
{
	struct mq *m[CLIENTS], *pub;

	attack_start("topic_alias_max_out=32");
	in(m);
	attack_look();
	mq_close_all(m, CLIENTS);
	pub = mq_connect(.id = "attack-pub");
	out(m, pub);
	attack_look();
	mq_close_all(m, CLIENTS);
	mq_disconnect(pub);
	/* Twice for all clients, since memory isn't given back at once, and the routes of long topics. */
	attack_end(2 * CLIENTS * ALIASES * TOPIC + 24 * MIB, MIB * 12 * (unsigned)workers());
}
