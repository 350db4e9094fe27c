#include <signal.h>

#include "tests/lib/scenario.h"

/* Under a service manager: in the foreground, stderr is the journal's. */
static void
run(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd),
	    "rm -f $DIR/code; touch $DIR/journal\n"
	    "JOURNAL_STREAM=$(stat -c %%d:%%i $DIR/journal)\n"
	    "export JOURNAL_STREAM\n"
	    "{ $BIN/tbmqd --dir $DIR --foreground --port 0 --workers %d --set log_level=info "
	    "2>>$DIR/journal\n"
	    "echo $? >$DIR/code; } &",
	    workers());
	check(broker_sh(cmd) == 0);
	wait_for(broker_sh("$CTL status") == 0);
	broker_adopt();
	broker_wait_ready();
}

SCENARIO(1, 2)
{
	static const int sig[] = { SIGTERM, SIGINT };
	struct mq *five[2], *four;

	for (int i = 0; i < 2; i++) {
		run();
		for (int k = 0; k < 2; k++)
			five[k] =
			    mq_on_worker(k % workers(), (struct mq_opts){ .id = k ? "a" : "b" });
		four = mq_connect(.id = "four", .version = 4);
		check(kill(broker.pid, sig[i]) == 0);
		for (int k = 0; k < 2; k++) {
			check(mq_need(five[k], 14).reason == 0x8b);
			mq_need_close(five[k]);
			mq_close(five[k]);
		}
		mq_need_close(four); /* MQTT 3 has no word for it */
		mq_close(four);
		wait_for(broker_sh("grep -qx 0 $DIR/code") == 0);
		broker.runs = false;
		check(ctl("status") == 3);
	}
	check(broker_sh("grep -q '^<5>master: main: stopped' $DIR/journal") == 0);
	check(broker_sh("! grep -v '^<[0-7]>' $DIR/journal") == 0);
	check(broker_sh("grep -q '^<6>mqtt/0: conn: connected' $DIR/journal") == 0);
}
