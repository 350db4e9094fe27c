#include <signal.h>

#include "tests/lib/scenario.h"

enum { CONNACK = 2 };

/* A client of one letter; told: the class that CONNACK has to name, or NULL. */
static struct mq *
connect_and_see(char id, const char *told)
{
	struct mq *m = mq_open(0);
	struct packet k;
	char hex[40], pair[40];
	int n;

	m->version = 5;
	snprintf(hex, sizeof(hex), "100e00044d51545405020000000001%02x", id);
	mq_hex(m, hex);
	k = mq_need(m, CONNACK);
	check(k.body[1] == 0);
	n = snprintf(pair, sizeof(pair), "durability%c%c%s", 0,
	    told != NULL ? (int)strlen(told) : 0, told != NULL ? told : "");
	check((memmem(k.body, k.len, pair, told != NULL ? (size_t)n : strlen("durability")) !=
		  NULL) == (told != NULL));
	return m;
}

SCENARIO(1, 2)
{
	struct mq *sub, *m[3];
	char text[2] = "0";

	broker_start();
	sub = mq_connect(.id = "sub", .expiry = 3600);
	check(mq_subscribe(sub, "q", 2) == 2);
	mq_close(connect_and_see('x', NULL));
	broker_reload("announce_durability = ", "announce_durability = true;");
	m[0] = connect_and_see('0', "power");
	broker_reload("name = \"default\"", "name = \"default\"; durability = \"memory\";");
	m[1] = connect_and_see('1', "memory");
	broker_reload("name = \"default\"", "name = \"default\"; durability = \"default\";");
	broker_reload("#durability = \"power\"", "durability = \"process\";");
	m[2] = connect_and_see('2', "process");

	/* Each goes on as it came, also towards a new persist. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			for (int qos = 1; qos <= 2; qos++) {
				text[0] = (char)('0' + i);
				check(mq_publish(m[i], "q", text, qos, false) == 0);
				mq_need_publish(sub, "q", text);
			}
		if (round == 0) {
			broker_kill("persist/0", SIGKILL);
			broker_wait_ready();
		}
	}
	mq_quiet(sub);
}
