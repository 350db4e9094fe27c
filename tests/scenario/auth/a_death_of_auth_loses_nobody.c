/*
 * Who is connected does not notice, and who waits to be let in has an answer from its successor.
 */
#include <signal.h>

#include "tests/lib/scenario.h"

#define CLIENTS 40

SCENARIO(1, 4)
{
	static uint8_t connect[] = { 0x10, 29, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 60, 0, 3, 'c',
		'0', '0', 0, 4, 'a', 'n', 'n', 'a', 0, 6, 's', 'e', 'c', 'r', 'e', 't' };
	struct mq *m[CLIENTS], *stays;

	broker_start("authentication=basic", "auth_cache=0");
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	stays = mq_connect(.id = "stays", .user = "anna", .password = "secret");
	check(mq_subscribe(stays, "t", 1) == 1);
	kill(broker_pid_of("auth/0"), SIGSTOP);
	for (int i = 0; i < CLIENTS; i++) {
		m[i] = mq_open(broker.port);
		m[i]->version = 4;
		connect[15] = (uint8_t)('0' + i / 10);
		connect[16] = (uint8_t)('0' + i % 10);
		if (i % 2 == 1)
			connect[sizeof(connect) - 1] = 'T';
		else
			connect[sizeof(connect) - 1] = 't';
		mq_bytes(m[i], connect, sizeof(connect));
	}
	mq_send_publish(stays, "t", "x", 1, 0, false, NULL);
	mq_need_publish(stays, "t", "x");
	broker_kill("auth/0", SIGKILL);
	for (int i = 0; i < CLIENTS; i++) {
		struct packet p = mq_need(m[i], 2);

		if (p.body[1] != (i % 2 == 1 ? 4 : 0))
			fail("client %d got %d", i, p.body[1]);
		mq_close(m[i]);
	}
	mq_quiet(stays);
	mq_disconnect(stays);
	broker_stop();
}
