/*
 * It answers nobody: who is for it waits a bounded time, never more than http_parallel ask at once, and all others come and go as ever.
 */
#include "tests/lib/http.h"

#define CLIENTS 40

static void
ask_at(int port)
{
	broker_reload("http_url =", "http_url = \"http://127.0.0.1:%d/by_user\";", port);
}

SCENARIO(1, 4)
{
	static uint8_t connect[] = { 0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, 0, 60, 0, 3, 'c',
		'0', '0', 0, 5, 'n', 'e', 'v', 'e', 'r', 0, 1, 'p' };
	struct mq *m[CLIENTS], *stays, *comes;
	uint64_t began;

	connect[1] = sizeof(connect) - 2;
	broker_start("http_timeout=60", "http_parallel=8", "auth_timeout=4");
	ask_at(http_start(NULL, NULL));
	broker_reload("authentication =", "authentication = \"basic, http\";");
	check(broker_sh("echo secret | $CTL auth add anna --cost 10") == 0);
	stays = mq_connect(.id = "stays", .user = "anna", .password = "secret");
	check(mq_subscribe(stays, "t", 1) == 1);
	for (int i = 0; i < CLIENTS; i++) {
		m[i] = mq_open(broker.port);
		m[i]->version = 4;
		connect[15] = (uint8_t)('0' + i / 10);
		connect[16] = (uint8_t)('0' + i % 10);
		mq_bytes(m[i], connect, sizeof(connect));
	}
	wait_for(broker_counter("http_waiting") == CLIENTS - 8);
	wait_for(http_asked("never") == 8);
	check(http_asked("\"at_once\": 8,") == 1 && http_asked("\"at_once\": 9,") == 0);
	began = now_ms();
	for (int i = 0; i < 20; i++) {
		comes = mq_connect(.id = "comes", .user = "anna", .password = "secret");
		check(mq_publish(comes, "t", "x", 1, false) == 0);
		mq_need_publish(stays, "t", "x");
		mq_disconnect(comes);
	}
	/* Nobody of them has waited for the service. */
	check(broker_counter("http_waiting") == CLIENTS - 8 || now_ms() - began < 4000);
	for (int i = 0; i < CLIENTS; i++) {
		struct packet p = mq_need(m[i], 2);

		check(p.body[1] == 3);
		mq_close(m[i]);
	}
	check(broker_counter("logins__busy") == CLIENTS && broker_counter("http_waiting") == 0);
	/* Those who gave up have left no request behind: the next has its turn at once. */
	comes = mq_connect(.id = "c", .user = "allow", .password = "p");
	mq_disconnect(comes);
	/* It ends, and comes back elsewhere. */
	http_end();
	comes = mq_try((struct mq_opts){ .id = "c", .user = "allow", .password = "p" });
	check(comes->reason == 0x89);
	mq_close(comes);
	ask_at(http_start(NULL, NULL));
	comes = mq_connect(.id = "c", .user = "allow", .password = "p");
	mq_disconnect(comes);
	mq_quiet(stays);
	mq_disconnect(stays);
	broker_stop();
	http_end();
}
