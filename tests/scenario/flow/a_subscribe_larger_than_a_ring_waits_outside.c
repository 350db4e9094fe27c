#include <signal.h>
#include <sys/socket.h>

#include "tests/lib/load.h"

#define FILTERS 100000

static void
subscribe(struct mq *m)
{
	struct load l = { 0 };

	load_num(&l, 2, 1);
	load_varint(&l, 0);
	for (int i = 0; i < FILTERS; i++) {
		load_text(&l, "f", 1);
		load_num(&l, 1, 0);
	}
	load_packet(&l, 0, 0x82);
	mq_load(m, &l);
	load_free(&l);
}

static void
try(bool kill_it)
{
	struct mq *sub = mq_connect(.id = "sub", .expiry = 1000), *pub = mq_connect(.id = "pub"),
		  *m = mq_connect(.id = "m", .expiry = 1000),
		  *gone = mq_connect(.id = "gone", .expiry = 1000);
	int persist = broker_pid_of("persist/0");
	long waited = broker_counter("ring_overflows"), dropped = broker_counter("ring_dropped");
	struct packet k;
	uint16_t id;

	check(mq_subscribe(sub, "t", 1) == 1);
	check(kill(persist, SIGSTOP) == 0);
	subscribe(m);
	subscribe(gone);
	wait_for(broker_counter("ring_overflows") > waited + 1);
	id = mq_send_publish(pub, "t", "x", 1, 1, false, NULL);
	/* A reset: of an end in order it hears once it reads again. */
	setsockopt(gone->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
	    sizeof(struct linger));
	mq_close(gone);
	wait_for(broker_counter("connections") == 3);
	if (kill_it) {
		broker_expect_death();
		check(kill(persist, SIGKILL) == 0);
	} else {
		check(kill(persist, SIGCONT) == 0);
	}
	k = mq_need(pub, 4);
	check(k.id == id && k.reason == 0);
	mq_need_publish(sub, "t", "x");
	k = mq_need(m, 9);
	check(k.len == FILTERS + 3);
	for (size_t i = 3; i < k.len; i++)
		check(k.body[i] == 0);
	check(broker_counter("ring_dropped") == dropped);
	mq_publish(pub, "f", "y", 0, false);
	mq_need_publish(m, "f", "y");
	mq_disconnect(sub);
	mq_disconnect(m);
	mq_disconnect(pub);
	mq_disconnect(mq_connect(.id = "sub"));
	mq_disconnect(mq_connect(.id = "m"));
	mq_disconnect(mq_connect(.id = "gone"));
	wait_for(broker_counter("sessions") == 0);
}

SCENARIO(1)
{
	broker_start("hang_timeout=120", "ring_size=65536", "store_ring_size=65536",
	    "overflow_size=1048576");
	try(false);
	try(true);
}
