#include <sys/socket.h>

#include "tests/lib/attack.h"

#define EACH 50
#define WAYS 6

/* They have said all they will, at some point of a conversation, and stay to listen. */
static struct mq *
half_closed(int way)
{
	struct load l = { 0 };
	struct mq *m;

	if (way < 2) {
		m = mq_open(0);
		load_connect(&l, "half", 0);
		mq_bytes(m, l.p, way == 0 ? 0 : l.n / 2);
	} else {
		m = mq_connect(.will_topic = "half/will", .will_payload = "gone");
		if (way == 3)
			mq_hex(m, "30 ff 01 00"); /* in a PUBLISH */
		if (way == 4)
			mq_subscribe(m, "half/#", 0);
		if (way == 5) { /* with answers outstanding, unread */
			for (int i = 1; i < 100; i++)
				load_publish(&l, "half/x", 6, 2, (uint16_t)i, false, 100);
			mq_load(m, &l);
		}
	}
	load_free(&l);
	check(shutdown(m->fd, SHUT_WR) == 0);
	return m;
}

/* A reset in place of an end. */
static void
reset(struct mq *m)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(m->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	mq_close(m);
}

SCENARIO(1, 2)
{
	struct mq *m[EACH * WAYS];
	long wills;

	attack_start();
	wills = broker_counter("wills_published");
	for (int i = 0; i < EACH * WAYS; i++)
		m[i] = half_closed(i % WAYS);
	attack_look();
	wait_for(broker_counter("connections") == 2); /* the witness's */
	wait_for(broker_counter("wills_published") == wills + EACH * (WAYS - 2));
	for (int i = 0; i < EACH * WAYS; i++)
		mq_need_close(m[i]);
	mq_close_all(m, EACH * WAYS);
	for (int i = 0; i < EACH * scale(); i++) {
		m[0] = mq_connect(.keep_alive = 0);
		mq_subscribe(m[0], "half/#", 1);
		reset(m[0]);
	}
	attack_end(16 * MIB, 8 * MIB);
}
