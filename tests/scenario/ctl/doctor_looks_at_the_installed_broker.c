#include "tests/lib/scenario.h"

static bool
says(const char *line)
{
	char cmd[300];

	(void)broker_sh("$BIN/tbmqctl doctor >$DIR/out");
	snprintf(cmd, sizeof(cmd), "grep -q '^%s' $DIR/out", line);
	return broker_sh(cmd) == 0;
}

SCENARIO(1)
{
	if (machine_own() != MACHINE_WITH_USERS)
		return;
	check(says("ok       user: tbmq"));
	check(says("problem  file system: the store in /var/lib/tbmq is on tmpfs"));

	/* Before the first start, as a package makes it, and wrongly. */
	check(broker_sh("mkdir -m 750 /var/lib/tbmq") == 0);
	check(says(
	    "problem  files: /var/lib/tbmq does not belong .* -> chown -R 64999: /var/lib/tbmq"));
	check(broker_sh("chown 64999:64999 /var/lib/tbmq") == 0);
	check(says("ok       files: "));
	check(broker_sh("chown 1 " TBMQ_SYSCONFDIR "/tbmq/tbmq.conf") == 0);
	check(says("problem  files: .*tbmq.conf belongs to a user who .* -> chown root "));
	check(broker_sh("chown 0 " TBMQ_SYSCONFDIR "/tbmq/tbmq.conf") == 0);

	/* What systemd would start it with. */
	check(broker_sh("mkdir -p /run/systemd/system /etc/systemd/system/tbmq.service.d\n"
			"echo LimitNOFILE=1048576 >/etc/systemd/system/tbmq.service\n"
			"echo LimitNOFILE=600 >/etc/systemd/system/tbmq.service.d/few.conf") == 0);
	check(says("advice   descriptors: a process may have 600,.* systemctl edit tbmq.service"));

	check(broker_sh("grep -v ^tbmq: /etc/passwd >/etc/some; mv /etc/some /etc/passwd") == 0);
	check(says("problem  user: there is no user tbmq .* -> systemd-sysusers"));
	check(!says("problem  files: ")); /* nobody knows whose it has to be */
	check(broker_sh("rm " TBMQ_SYSCONFDIR "/tbmq/tbmq.conf") == 0);
	check(says("problem  configuration: "));
}
