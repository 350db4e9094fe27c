#include <signal.h>

#include "tests/lib/scenario.h"

static void
is_out(const char *id, const char *user)
{
	struct mq *m = mq_try((struct mq_opts){ .id = id, .user = user });

	check(m->reason == 0x8a);
	mq_close(m);
}

static void
all_are_out(void)
{
	is_out("bad", NULL);
	is_out("x", "mallory");
	is_out("bot-1", NULL);
	mq_disconnect(mq_connect(.id = "good"));
	mq_disconnect(mq_connect(.id = "forgiven"));
}

/* Half a line, as a crash may leave one, and one that nobody has written. */
static void
spoil(const char *text)
{
	char path[220];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tbmq.conf.blocks", broker.dir);
	f = fopen(path, "a");
	check(f != NULL);
	fputs(text, f);
	fclose(f);
}

SCENARIO(1, 4)
{
	broker_start();
	check(ctl("block", "add", "--client", "bad", "--reason", "says \"no\"\n") == 0);
	check(ctl("block", "add", "--user", "mallory", "--for", "10d") == 0);
	check(ctl("block", "add", "--client-regex", "^bot-") == 0);
	check(ctl("block", "add", "--client", "forgiven") == 0);
	check(ctl("block", "remove", "--client", "forgiven") == 0);
	all_are_out();
	for (int w = 0; w < workers(); w++) {
		char name[32];

		snprintf(name, sizeof(name), "mqtt/%d", w);
		broker_kill(name, SIGKILL);
	}
	broker_wait_ready();
	all_are_out();
	broker_kill("persist/0", SIGKILL);
	broker_wait_ready();
	all_are_out();
	broker_stop();
	broker_start();
	all_are_out();
	broker_kill_all();
	spoil("+{\"kind\":\"client\",\"val");
	broker_start();
	check(broker_log_has("is not whole, left out"));
	all_are_out();
	check(ctl("block", "add", "--client", "late") == 0);
	broker_stop();
	spoil("+nonsense\n");
	broker_start();
	check(broker_log_has("tbmq.conf.blocks.damaged keeps it"));
	check(broker_sh("grep -q nonsense $DIR/tbmq.conf.blocks.damaged") == 0);
	check(broker_sh("grep -q nonsense $DIR/tbmq.conf.blocks") != 0);
	all_are_out();
	is_out("late", NULL);
}
