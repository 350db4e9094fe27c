#include "tests/lib/scenario.h"

enum { MESSAGES = 1200 }; /* more than a page */

static int
lines(const char *pattern)
{
	char command[200];
	int n = -1;
	FILE *f;

	snprintf(command, sizeof(command), "grep -c '%s' $DIR/out >$DIR/n; exit 0", pattern);
	check(broker_sh(command) == 0);
	snprintf(command, sizeof(command), "%s/n", broker.dir);
	f = fopen(command, "r");
	check(f != NULL && fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

SCENARIO(2)
{
	struct mq *m;

	broker_start("queue_max_messages=0");
	m = mq_connect(.id = "sub", .expiry = 3600, .resume = true);
	check(mq_subscribe(m, "q/+", 1) == 1);
	mq_disconnect(m);
	m = mq_connect(.id = "pub", .user = "who", .password = "secret");
	for (int i = 0; i < MESSAGES; i++)
		check(mq_publish(m, "q/1", "two\nlines", 1, false) < 0x80);

	check(broker_sh("$CTL store dump --table queue >$DIR/out") == 0);
	check(
	    lines("^table=queue .*state=queued .*topic=q/1") == MESSAGES && lines("") == MESSAGES);
	check(lines("two") == 0);
	check(broker_sh("$CTL store dump --payload >$DIR/out") == 0);
	check(lines("^table=queue .* payload=\"two.nlines\"$") == MESSAGES);
	check(lines("^table=session .*client_id=sub ") == 1);
	check(lines("^table=sub .*filter=q/+ ") == 1);
	check(lines("^table=") == lines("") && lines("secret") == 0);
	check(broker_sh("$CTL --json store dump --table session >$DIR/out") == 0);
	check(lines("^{\"table\":\"session\",.*\"client_id\":\"sub\".*}$") == 1);
	mq_quiet(m);
	mq_close(m);
}
