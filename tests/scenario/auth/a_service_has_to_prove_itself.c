/*
 * By a certificate of an authority that is trusted, for the host that is asked: or nothing is said to it.
 */
#include "tests/lib/http.h"

static int
asked_at(const char *certificate)
{
	char path[2][200];
	struct mq *m;
	int reason;

	snprintf(path[0], sizeof(path[0]), "%s/ca/%s.crt", broker.dir, certificate);
	snprintf(path[1], sizeof(path[1]), "%s/ca/%s.key", broker.dir, certificate);
	broker_reload("http_url =", "http_url = \"https://127.0.0.1:%d/by_user\";",
	    http_start(path[0], path[1]));
	m = mq_try((struct mq_opts){ .id = "c", .user = "rich", .password = "p" });
	reason = m->reason;
	if (reason == 0)
		mq_quiet(m);
	mq_close(m);
	http_end();
	return reason;
}

SCENARIO(2)
{
	struct mq *m;
	struct packet p;
	char path[2][200];

	clock_move(0);
	broker_start();
	check(broker_sh("tests/lib/ca.sh $DIR/ca") == 0);
	broker_conf("http_url =", "http_url = \"https://127.0.0.1:1\";");
	broker_reload("authentication =", "authentication = \"http\";");
	/* An authority of the tests is none of the system's. */
	check(asked_at("server") == 0x89);
	broker_reload("http_authorities =", "http_authorities = \"%s/ca/ca.crt\";", broker.dir);
	check(asked_at("other") == 0x89);
	check(asked_at("self") == 0x89);
	check(http_asked("rich") == 0);
	check(asked_at("server") == 0);
	check(http_asked("rich") == 1);
	check(broker_sh("echo nonsense >$DIR/nonsense") == 0);
	snprintf(path[0], sizeof(path[0]), "http_authorities = \"%s/nonsense\";", broker.dir);
	broker_conf("http_authorities =", path[0]);
	check(broker_sh("$CTL reload 2>&1 | grep -q 'http_authorities: has no certificate'") == 0);
	broker_reload("http_authorities =", "http_authorities = \"%s/ca/ca.crt\";", broker.dir);
	/* What a yes holds for so long ends then. */
	snprintf(path[0], sizeof(path[0]), "%s/ca/server.crt", broker.dir);
	snprintf(path[1], sizeof(path[1]), "%s/ca/server.key", broker.dir);
	broker_reload("http_url =", "http_url = \"https://127.0.0.1:%d/by_user\";",
	    http_start(path[0], path[1]));
	m = mq_connect(.id = "c", .user = "rich", .password = "p");
	clock_move(50 * 1000);
	mq_quiet(m);
	clock_move(20 * 1000);
	p = mq_need(m, 14);
	check(p.len > 0 && p.body[0] == 0xa0);
	mq_close(m);
	broker_stop();
	http_end();
}
