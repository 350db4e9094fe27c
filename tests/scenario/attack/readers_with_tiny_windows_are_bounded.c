#include <sys/socket.h>

#include "tests/lib/attack.h"

#define READERS 30
#define MESSAGES 600
#define PAYLOAD 16000
#define OUTPUT 131072 /* output_max_bytes */

static struct mq *
reader(int i)
{
	struct mq *m = mq_connect(.receive_max = 10);
	int least = 1;

	setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	check(mq_subscribe(m, "window/of/1", i % 3) == i % 3);
	return m;
}

/* Three kinds: they ask and don't listen to the answers. */
static void
deaf(void)
{
	static const uint8_t ping[] = { 0xc0, 0 }, publish[] = { 0x32, 6, 0, 1, 'd', 0, 1, 0 },
			     subscribe[] = { 0x82, 7, 0, 1, 0, 0, 1, 'd', 0 };
	struct load many = { 0 };
	struct mq *m[6];

	for (int i = 0; i < 6; i++) {
		m[i] = reader(0);
		many.n = 0;
		while (many.n < 60000)
			if (i % 3 == 0)
				load_add(&many, ping, sizeof(ping));
			else if (i % 3 == 1)
				load_add(&many, publish, sizeof(publish));
			else
				load_add(&many, subscribe, sizeof(subscribe));
		/* The kernel holds some MiB both ways. */
		check(mq_pour(m[i], many.p, many.n, 1000) < 1000 * many.n);
	}
	attack_look();
	mq_close_all(m, 6);
	load_free(&many);
}

SCENARIO(1, 2)
{
	struct mq *m[READERS], *pub, *good;
	struct load l = { 0 };

	attack_start("output_max_bytes=131072", "queue_max_bytes=1048576");
	for (int i = 0; i < READERS; i++)
		m[i] = reader(i);
	pub = mq_connect(.id = "attack-pub");
	good = mq_connect(.id = "good");
	mq_subscribe(good, "window/of/1", 0);
	for (int i = 0; i < MESSAGES * scale(); i++) {
		load_publish(&l, "window/of/1", 11, i % 2, (uint16_t)(1 + i), false, PAYLOAD);
		mq_load(pub, &l);
		check(mq_need(good, 3).payload_len == PAYLOAD);
		if (i % 2 == 1)
			mq_need(pub, 4);
		for (int k = 0; k < READERS; k += 2) { /* a few bytes at a time */
			char byte[3];

			(void)!recv(m[k]->fd, byte, sizeof(byte), MSG_DONTWAIT);
		}
	}
	check(broker_counter("dropped__output_full") > 0);
	check(broker_counter("dropped__queue_full") > 0);
	attack_look();
	mq_close_all(m, READERS);
	deaf();
	mq_disconnect(good);
	mq_disconnect(pub);
	load_free(&l);
	/* Each may have its output and a message more; what waits for the window is shared. */
	attack_end(READERS * (OUTPUT + PAYLOAD) + 16 * MIB, MIB * 12 * (unsigned)workers());
}
