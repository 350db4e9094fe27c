#include <stdlib.h>

#include "tests/lib/attack.h"

#define LARGEST 1048576 /* max_packet_size */
#define CLIENTS 20
#define FILTERS 200000 /* of one byte, in one packet */

static char text[65536];

/* A CONNECT with everything as long as its length can say; the reason code that answers, -1: none. */
static int
connect(size_t id, size_t user, size_t password, size_t will_topic, size_t will)
{
	struct load l = { 0 };
	struct mq *m = mq_open(0);
	struct packet k;
	int reason = -1;

	load_text(&l, "MQTT", 4);
	load_num(&l, 1, 5);
	load_num(&l, 1, 2 | 128 | 64 | (will > 0 ? 4 : 0));
	load_num(&l, 2, 0);
	load_varint(&l, 0);
	load_text(&l, text, id);
	if (will > 0) {
		load_varint(&l, 0);
		load_text(&l, text, will_topic);
		load_text(&l, text, will);
	}
	load_text(&l, text, user);
	load_text(&l, text, password);
	load_packet(&l, 0, 0x10);
	mq_load(m, &l);
	load_free(&l);
	if (mq_read(m, &k, deadline_ms()))
		reason = k.reason;
	mq_close(m);
	return reason;
}

static void
connects(void)
{
	for (int i = 0; i < CLIENTS * scale(); i++) {
		check(connect(65535, 65535, 65535, 0, 0) == 0x85);
		check(connect(256, 65535, 65535, 65535, 65535) == 0x90);
		check(connect(256, 65535, 65535, 4096, 65535) == 0);
	}
}

/* More is announced than may be: the answer comes before the packet. */
static void
announced(void)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct mq *m = mq_open(0);

		mq_hex(m, "10 ff ff ff 7f 0004 4d515454");
		mq_need_close(m);
		mq_close(m);
		m = mq_connect(.keep_alive = 0);
		mq_hex(m, "30 ff ff ff 7f");
		check(mq_need(m, 14).reason == 0x95);
		mq_need_close(m);
		mq_close(m);
	}
}

/* The largest there may be, from many at once. */
static void
publishes(void)
{
	struct mq *m[CLIENTS];
	struct load l = { 0 };

	load_publish(&l, "over/size", 9, 1, 1, false, LARGEST - 19);
	check(l.n == LARGEST - 1);
	for (int i = 0; i < CLIENTS; i++)
		m[i] = mq_connect(.keep_alive = 0);
	for (int n = 0; n < 3 * scale(); n++) {
		for (int i = 0; i < CLIENTS; i++)
			mq_bytes(m[i], l.p, l.n);
		for (int i = 0; i < CLIENTS; i++)
			mq_need(m[i], 4);
	}
	mq_close_all(m, CLIENTS);
	load_free(&l);
}

static void
filters(uint32_t expiry)
{
	struct mq *m = mq_connect(.id = "filters", .expiry = expiry);
	struct load l = { 0 };
	struct packet k;

	for (int type = 8; type <= 10; type += 2) {
		load_num(&l, 2, 1);
		load_varint(&l, 0);
		for (int i = 0; i < FILTERS; i++) {
			load_text(&l, "f", 1);
			if (type == 8)
				load_num(&l, 1, 0);
		}
		load_packet(&l, 0, (unsigned)type << 4 | 2);
		mq_load(m, &l);
		if (!mq_read(m, &k, deadline_ms()))
			fail("no answer to %d filters", FILTERS);
		check(k.type == type + 1 && k.len == FILTERS + 3);
		for (size_t i = 3; i < k.len; i++) /* only the first was there to be taken out */
			check(k.body[i] == (type == 8 || i == 3 ? 0 : 0x11));
	}
	load_free(&l);
	mq_disconnect(m);
	mq_disconnect(mq_connect(.id = "filters"));
}

SCENARIO(1, 2)
{
	memset(text, 'o', sizeof(text));
	attack_start();
	connects();
	announced();
	publishes();
	attack_look();
	filters(0);
	filters(1000);
	check(broker_counter("ring_dropped") == 0); /* its filters waited, not others' messages */
	attack_end(2 * CLIENTS * MIB + 64 * MIB, MIB * 12 * (unsigned)workers());
}
