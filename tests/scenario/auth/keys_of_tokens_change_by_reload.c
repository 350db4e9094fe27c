/*
 * Whoever is connected stays, whatever signed for it; a file that can't be used changes nothing and is told by its name.
 */
#include "tests/lib/scenario.h"

#define CLIENTS 20

static char token[2][1024];

static void
make(int i, const char *secret)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof(command), "tests/lib/token.sh HS256 %s/%s '{\"sub\":\"x\"}'",
	    broker.dir, secret);
	f = popen(command, "r");
	check(f != NULL && fgets(token[i], sizeof(token[i]), f) != NULL && pclose(f) == 0);
}

static int
comes_in(int i)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "c", .user = "x", .password = token[i] });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1, 4)
{
	struct mq *m[CLIENTS];
	char path[160], id[16];

	check(broker_sh("cd $DIR && printf 'a secret of more than 32 bytes, I hope' >one; printf "
			"'another of more than 32 bytes, I hope' >two; cp one secret") == 0);
	snprintf(path, sizeof(path), "jwt_secret_file=%s/secret", broker.dir);
	broker_start(path, "authentication=jwt");
	make(0, "one");
	make(1, "two");
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		m[i] = mq_connect(.id = id, .user = "x", .password = token[0]);
		check(mq_subscribe(m[i], "t", 0) == 0);
	}
	for (int round = 0; round < 10; round++) {
		const char *now = round % 2 == 0 ? "two" : "one";
		char command[64];

		for (int i = 0; i < CLIENTS; i++)
			mq_send_publish(m[i], "u", "x", 1, 0, false, NULL);
		snprintf(command, sizeof(command), "cp $DIR/%s $DIR/secret", now);
		check(broker_sh(command) == 0 && ctl("reload") == 0);
		check(comes_in(round % 2) == 0x86);
		check(comes_in(1 - round % 2) == 0);
	}
	/* Too short, and not there. */
	check(broker_sh(
		  "echo short >$DIR/secret; printf 'authentication = \"jwt\"; jwt_secret_file = "
		  "\"%s\";' $DIR/secret >$DIR/other.conf; $CTL config check $DIR/other.conf "
		  ">$DIR/said 2>&1") == 1);
	check(broker_sh("grep -q 'jwt_secret_file: .*less than 32 bytes' $DIR/said") == 0);
	check(broker_sh("$CTL reload >$DIR/said 2>&1") == 1);
	check(broker_sh("grep -q 'jwt_secret_file: .*less than 32 bytes' $DIR/said") == 0);
	check(broker_sh("rm $DIR/secret; $CTL reload >$DIR/said 2>&1") == 1);
	check(broker_sh("grep -q 'jwt_secret_file: cannot read .*/secret' $DIR/said") == 0);
	check(comes_in(0) == 0 && comes_in(1) == 0x86);
	mq_send_publish(m[0], "t", "x", 1, 0, false, NULL);
	for (int i = 0; i < CLIENTS; i++) {
		mq_need_publish(m[i], "t", "x");
		mq_disconnect(m[i]);
	}
	check(broker_sh("! grep -r 'of more than 32' $DIR/log") == 0);
	broker_stop();
}
