#include "tests/lib/scenario.h"

enum { RATE = 200, MESSAGES = 400, BYTES = 100000, CONNECTS = 20, CLIENTS = 35 };

/* A bucket holds what a second brings: what is beyond it takes its time. */
static void
messages(void)
{
	struct mq *pub = mq_connect(.id = "p"), *sub = mq_connect(.id = "s");
	uint64_t from = now_ms();
	char text[16];

	check(mq_subscribe(sub, "t", 0) == 0);
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_send_publish(pub, "t", text, strlen(text), 0, false, NULL);
	}
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mq_need_publish(sub, "t", text);
	}
	check(now_ms() - from >= (MESSAGES - RATE) * 1000 / RATE - 50);
	mq_quiet(pub);
	mq_disconnect(pub);
	mq_disconnect(sub);
}

/* A packet larger than a bucket passes when that is full, and those behind it wait until it is paid. */
static void
bytes(void)
{
	static char large[2 * BYTES];
	struct mq *pub = mq_connect(.id = "p");
	uint64_t from = now_ms();
	uint16_t id = mq_send_publish(pub, "t", large, sizeof(large), 1, false, NULL);

	check(mq_need(pub, 4).id == id);
	check(mq_publish(pub, "t", "behind", 1, false) == 0x10);
	check(now_ms() - from >= 900);
	mq_disconnect(pub);
}

/* Who is too fast waits in the socket's backlog. */
static void
connects(void)
{
	struct mq *m[CLIENTS];
	uint64_t from = now_ms();

	for (int i = 0; i < CLIENTS; i++)
		m[i] = mq_connect(.version = 4);
	check(now_ms() - from >= (CLIENTS - CONNECTS) * 1000 / CONNECTS - 50);
	for (int i = 0; i < CLIENTS; i++)
		mq_disconnect(m[i]);
}

SCENARIO(1)
{
	broker_start();
	broker_reload("#client_publish_rate = ", "client_publish_rate = \"200:1\";");
	messages();
	broker_reload("client_publish_rate = ", "client_publish_rate = \"none\";");
	broker_reload("#client_byte_rate = ", "client_byte_rate = \"100000:1\";");
	bytes();
	broker_reload("client_byte_rate = ", "client_byte_rate = \"none\";");
	broker_reload("#connect_rate = ", "connect_rate = 20;");
	connects();
}
