#include "tests/lib/scenario.h"

enum { CLIENTS = 4, EACH = 30, ALLOWED = 40, MOST = 3 };

static struct mq *
client(int i, const char *user)
{
	char id[32];

	snprintf(id, sizeof(id), "%s-%d", user, i);
	return mq_on_worker(i % workers(), (struct mq_opts){ .id = id, .user = user });
}

/* By turns, so that each worker has its part of it; how many were let in. */
static int
publish(struct mq *m[CLIENTS])
{
	int passed = 0, code;

	for (int n = 0; n < EACH; n++)
		for (int i = 0; i < CLIENTS; i++) {
			code = mq_publish(m[i], "nobody", "x", 1, false);
			check(code == 0x10 || code == 0x97);
			passed += code == 0x10;
		}
	return passed;
}

static void
rate_of(const char *whose)
{
	char key[64], line[96];
	struct mq *m[CLIENTS], *other;
	int passed;

	snprintf(key, sizeof(key), "#%s_rate_action = ", whose);
	snprintf(line, sizeof(line), "%s_rate_action = \"refuse\";", whose);
	broker_conf(key, line);
	snprintf(key, sizeof(key), "#%s_publish_rate = ", whose);
	broker_reload(key, "%s_publish_rate = \"40:3600\";", whose);
	for (int i = 0; i < CLIENTS; i++)
		m[i] = client(i, "u");
	passed = publish(m);
	/* What two workers take at the same time neither has seen. */
	check(passed >= ALLOWED && passed < ALLOWED + workers());
	/* Who comes anew has no more for it. */
	mq_disconnect(m[0]);
	m[0] = client(0, "u");
	check(mq_publish(m[0], "nobody", "x", 1, false) == 0x97);
	other = client(0, "other");
	check(mq_publish(other, "nobody", "x", 1, false) == (whose[0] == 'u' ? 0x10 : 0x97));
	mq_disconnect(other);
	/* A tenth of the time, a tenth of the amount, one on whose worker nothing was used meanwhile as well. */
	clock_move(360000);
	passed = publish(m);
	check(passed >= ALLOWED / 10 && passed < ALLOWED / 10 + workers());
	for (int i = 0; i < CLIENTS; i++)
		mq_disconnect(m[i]);
	snprintf(key, sizeof(key), "%s_publish_rate = ", whose);
	broker_reload(key, "%s_publish_rate = \"none\";", whose);
}

static void
connections(void)
{
	struct mq *m[MOST], *late, *other;

	broker_reload("#user_max_connections = ", "user_max_connections = %d;", MOST);
	for (int i = 0; i < MOST; i++)
		m[i] = client(i, "c");
	for (int v = 4; v <= 5; v++) {
		late = mq_try((struct mq_opts){ .id = "late", .user = "c", .version = v });
		check(late->reason == (v == 5 ? 0x97 : 3));
		mq_close(late);
	}
	check(broker_counter("connects__refused_user_connections") == 2);
	other = client(0, "d");
	mq_disconnect(other);
	/* Who takes its own place over needs no other. */
	late = mq_try((struct mq_opts){ .id = "c-1", .user = "c" });
	check(late->reason == 0);
	mq_need_close(m[1]);
	mq_close(m[1]);
	m[1] = late;
	mq_disconnect(m[0]);
	wait_for(broker_counter("clients") == MOST - 1);
	m[0] = client(0, "c");
	/* Who is there stays. */
	broker_reload("user_max_connections = ", "user_max_connections = 1;");
	for (int i = 0; i < MOST; i++)
		mq_quiet(m[i]);
	for (int i = 0; i < MOST; i++)
		mq_disconnect(m[i]);
	broker_reload("user_max_connections = ", "user_max_connections = 0;");
}

SCENARIO(1, 4)
{
	clock_move(0);
	broker_start("hang_timeout=3600");
	rate_of("user");
	rate_of("broker");
	connections();
	check(broker_counter("limits_unshared") == 0);
}
