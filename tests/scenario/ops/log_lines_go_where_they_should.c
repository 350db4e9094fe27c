#include <signal.h>

#include "tests/lib/scenario.h"

/* A client of this name comes; is that in the file? */
static bool
is_told(const char *file, const char *id)
{
	char cmd[200];

	mq_disconnect(mq_on_worker(0, (struct mq_opts){ .id = id }));
	snprintf(
	    cmd, sizeof(cmd), "grep -q 'info mqtt/0: conn: connected id=%s ' $DIR/%s", id, file);
	return broker_sh(cmd) == 0;
}

/* Of master and children alike, through renamed files and changed targets. */
SCENARIO(2)
{
	int pid;

	broker_start();
	check(broker_sh("mv $DIR/log/tbmq.log $DIR/log/old") == 0);
	check(kill(broker.pid, SIGUSR1) == 0);
	wait_for(broker_sh("test -e $DIR/log/tbmq.log") == 0);
	check(ctl("log-level", "info", "conn") == 0);
	wait_for(is_told("log/tbmq.log", "renamed"));
	check(broker_log_has("control: log level=info module=conn"));

	/* What was set by hand holds for a successor too, until the next reload. */
	pid = broker_pid_of("mqtt/0");
	check(ctl("worker", "restart", "0") == 0);
	wait_for(broker_pid_of("mqtt/0") != pid);
	broker_wait_ready();
	wait_for(is_told("log/tbmq.log", "successor"));
	check(ctl("reload") == 0);
	check(!is_told("log/tbmq.log", "quiet"));

	broker_conf("log_modules =", "log_modules = \"conn=loud\";");
	check(ctl("reload") == 1);
	broker_reload("log_modules =", "log_modules = \"conn=info slots=debug\";");
	broker_conf("log_file =", "log_file = \"/nonexistent/x\";");
	check(ctl("reload") == 1);
	broker_conf("log_file =", "log_file = \"other.log\";");
	check(
	    broker_sh("sed -i \"s,other.log,$DIR/other.log,\" $DIR/tbmq.conf && $CTL reload") == 0);
	wait_for(is_told("other.log", "elsewhere"));
	check(ctl("worker", "restart", "1") == 0); /* the master has modules too */
	wait_for(broker_sh("grep -q 'debug master: slots: ' $DIR/other.log") == 0);

	broker_reload("log_target =", "log_target = \"syslog\";");
	check(!is_told("other.log", "nowhere"));
	broker_reload("log_target =", "log_target = \"file\";");
	wait_for(is_told("other.log", "back"));
	check(broker_sh("grep -q 'notice master: reload: .* in force' $DIR/other.log") == 0);
}
