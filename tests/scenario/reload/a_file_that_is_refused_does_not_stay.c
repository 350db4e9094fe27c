#include "tests/lib/scenario.h"

static void
write_file(const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/next.conf", broker.dir);
	f = fopen(path, "w");
	check(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* `config apply` of a file that is well-formed but can't be served: the one in force is still there for the next start. */
SCENARIO(1)
{
	char text[300];
	struct mq *m;

	broker_start();
	check(broker_sh("chmod 640 $DIR/tbmq.conf && cp $DIR/tbmq.conf $DIR/before") == 0);
	m = mq_connect(.id = "m");
	snprintf(text, sizeof(text),
	    "listeners = ( { name = \"default\"; port = 0; }, { name = \"taken\"; port = %d; } );",
	    broker.port);
	write_file(text);
	check(broker_sh("$CTL config apply $DIR/next.conf --confirm 60 2>&1 |"
			" grep -q 'address is in use'") == 0);
	check(
	    broker_sh(
		"cmp $DIR/tbmq.conf $DIR/before && ls $DIR/tbmq.conf* | wc -l | grep -qx 1") == 0);
	check(ctl("config", "confirm") == 1);
	check(ctl("config", "rollback") == 1);
	write_file("inflight_max = 7; listeners = ( { name = \"default\"; port = 0; } );");
	check(ctl("config", "apply") == 2);
	for (int i = 0; i < 4; i++) {
		static const char *const bad[] = { "0", "soon", "5x", "86401" };
		char path[200];

		snprintf(path, sizeof(path), "%s/next.conf", broker.dir);
		check(ctl("config", "apply", path, "--confirm", bad[i]) == 2);
	}
	check(broker_sh("cmp $DIR/tbmq.conf $DIR/before") == 0);
	check(broker_sh("$CTL config apply $DIR/next.conf") == 0);
	check(
	    broker_sh("cmp $DIR/tbmq.conf $DIR/next.conf && cmp $DIR/tbmq.conf.previous $DIR/before"
		      " && stat -c %a $DIR/tbmq.conf | grep -qx 640") == 0);
	mq_quiet(m);
	mq_disconnect(m);
}
