#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/attack.h"

#define HALF_OPEN 300
#define HALF_OPEN_MAX 200 /* of one address */
#define LARGE 40          /* clients with a packet of 1 MiB that never ends */

/* From another address than all the others. */
static struct mq *
open_elsewhere(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)broker.port) };
	struct mq *m = calloc(1, sizeof(*m));

	check(m != NULL);
	from.sin_addr.s_addr = inet_addr("127.0.0.66");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	m->version = 5;
	check(m->fd >= 0 && bind(m->fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	check(connect(m->fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return m;
}

/* CONNECT byte by byte: those above the limit of the address are closed at once, the others when their time is over. */
static void
connects(void)
{
	struct mq *m[HALF_OPEN], *good;
	struct load l = { 0 };
	long refused = broker_counter("refused__half_open");

	load_connect(&l, "slow", 0);
	for (int i = 0; i < HALF_OPEN; i++)
		m[i] = open_elsewhere();
	for (size_t at = 0; at + 1 < l.n; at++)
		for (int i = 0; i < HALF_OPEN; i++)
			mq_bytes(m[i], l.p + at, 1);
	wait_for(broker_counter("refused__half_open") >=
	    refused + HALF_OPEN - HALF_OPEN_MAX * workers());
	attack_look();
	good = mq_connect(.id = "good"); /* from an address without guilt */
	mq_quiet(good);
	mq_disconnect(good);
	clock_move(11000);
	for (int i = 0; i < HALF_OPEN; i++)
		mq_need_close(m[i]);
	mq_close_all(m, HALF_OPEN);
	load_free(&l);
}

/* A length alone costs nothing; what has come is held; a byte now and then is no sign of life. */
static void
packets(void)
{
	static uint8_t half[512 * 1024];
	struct mq *m[LARGE];

	for (int i = 0; i < LARGE; i++) {
		m[i] = mq_connect(.keep_alive = 1000);
		mq_hex(m[i], "30 fc ff 3f");
		mq_bytes(m[i], half, i % 4 == 0 ? sizeof(half) : 1000);
	}
	attack_look();
	for (int s = 0; s < 4; s++) {
		clock_move(400000);
		for (int i = 0; i < LARGE; i++)
			mq_bytes(m[i], half, 1);
	}
	for (int i = 0; i < LARGE; i++)
		check(mq_need(m[i], 14).reason == 0x8d);
	mq_close_all(m, LARGE);
}

SCENARIO(1, 2)
{
	clock_move(0);
	attack_start("max_half_open_address=200");
	connects();
	packets();
	/* Half a MiB of each fourth, in a buffer that has doubled, and what it doubled from. */
	attack_end(LARGE / 4 * MIB * 2 + 8 * MIB, 8 * MIB);
}
