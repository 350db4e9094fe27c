#include "tests/lib/scenario.h"

static bool
has_line(int pid, const char *line)
{
	char path[64], text[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	check(f != NULL);
	while (!found && fgets(text, sizeof(text), f) != NULL)
		found = strncmp(text, line, strlen(line)) == 0;
	fclose(f);
	return found;
}

static void
is_nobody_else(const char *title)
{
	int pid = broker_pid_of(title);

	check(has_line(pid, "Uid:\t64999\t64999\t64999\t64999\n"));
	check(has_line(pid, "Gid:\t64999\t64999\t64999\t64999\n"));
	check(has_line(pid, "Groups:\t\n") || has_line(pid, "Groups:\t \n"));
	check(has_line(pid, "CapPrm:\t0000000000000000\n"));
	check(has_line(pid, "NoNewPrivs:\t1\n"));
}

SCENARIO(2)
{
	enum machine machine = machine_own();
	struct mq *m;

	if (machine == MACHINE_NONE) {
		check(broker_sh("$BIN/tbmqctl start 2>&1 | grep 'use --dir DIR'") == 0);
		return;
	}
	if (machine == MACHINE_OF_ROOT) {
		/* Where nobody can become tbmq it is said, and nothing is left running. */
		check(broker_sh("$CTL start 2>&1 | grep 'to user .tbmq'") == 0);
		check(broker_sh("mkdir /var/lib/tbmq; $CTL start 2>&1 | grep 'log says more: /'") ==
		    0);
		check(broker_sh("grep 'cannot become user .tbmq' /var/log/tbmq/tbmq.log") == 0);
		check(ctl("status") == 3);
		broker_start("user=");
		broker_stop();
		return;
	}
	broker_start();
	check(broker_sh("$CTL status --json | grep -F '\"" TBMQ_SYSCONFDIR "/tbmq/tbmq.conf\"'") ==
	    0);
	check(has_line(broker.pid, "Uid:\t0\t0\t0\t0\n"));
	is_nobody_else("mqtt/0");
	is_nobody_else("mqtt/1");
	is_nobody_else("persist/0");
	check(broker_sh("test $(stat -c %u /var/lib/tbmq) = 64999") == 0);
	m = mq_connect(.id = "m");
	check(mq_publish(m, "t", "x", 1, true) < 0x80);
	mq_disconnect(m);
	broker_stop();
	check(
	    broker_sh(
		"sed -i /tbmq/d /etc/passwd; $CTL start 2>&1 | grep 'create it, or set user in'") ==
	    0);

	/* A private instance is its caller's, root included. */
	broker.installed = false;
	broker_start();
	check(has_line(broker_pid_of("mqtt/0"), "Uid:\t0\t0\t0\t0\n"));
}
