#include <signal.h>

#include "tests/lib/scenario.h"

static void
holds(void)
{
	struct mq *m = mq_connect(.id = "m", .user = "bob");

	check(mq_publish(m, "gone", "x", 1, false) == 0x87);
	check(mq_publish(m, "stays", "x", 1, false) < 0x80);
	mq_disconnect(m);
}

/* Refused, with this as the reason, and nothing else is different. */
static void
is_refused(const char *command, const char *why)
{
	char text[600];

	snprintf(text, sizeof(text), "$CTL acl %s 2>&1 | grep -q '%s'", command, why);
	if (broker_sh(text) != 0)
		fail("acl %s: not \"%s\"", command, why);
	check(strcmp(ctl_text("acl", "export"), "deny user bob publish gone\n") == 0);
	check(broker_sh("test ! -e $DIR/tbmq.conf.rules.next") == 0);
	holds();
}

SCENARIO(1, 4)
{
	broker_start();
	check(ctl("acl", "add", "deny user bob publish gone") == 0);
	holds();
	for (int w = 0; w < workers(); w++) {
		char name[32];

		snprintf(name, sizeof(name), "mqtt/%d", w);
		broker_kill(name, SIGKILL);
	}
	broker_wait_ready();
	holds();
	check(ctl("reload") == 0);
	holds();
	broker_stop();
	broker_start();
	holds();
	broker_kill_all();
	broker_sh(
	    "echo 'deny all all #' >$DIR/tbmq.conf.rules.next"); /* of a change that nobody agreed to */
	broker_start();
	holds();

	is_refused("add nonsense", "tbmq.conf.rules:2: \"nonsense\": a line begins with");
	is_refused("add '# says nothing'", "a rule is one line");
	is_refused("add \"$(printf \"deny all all a\\nallow all all b\")\"", "a rule is one line");
	is_refused("add 'deny all all a/#/b' --before 1", "tbmq.conf.rules:1: the filter is not");
	is_refused("add 'deny all all a' --before 9", "there is no such line");
	is_refused("add 'deny all all a' --before 0", "lines are counted from 1");
	is_refused("remove 2", "there is no such line");
	is_refused("remove 'deny user bob publish gon'", "there is no such line");
	is_refused("load $DIR/none", "cannot read .*none: No such file");
	is_refused("load /dev/zero", "cannot read /dev/zero");
	is_refused("load $DIR/tbmq.conf", "tbmq.conf:[0-9]*: ");
	/* Who does not answer has not agreed. */
	check(kill(broker_pid_of("mqtt/0"), SIGSTOP) == 0);
	check(ctl("acl", "add", "deny all all #") == 1);
	check(kill(broker_pid_of("mqtt/0"), SIGCONT) == 0);
	check(strcmp(ctl_text("acl", "export"), "deny user bob publish gone\n") == 0);
	check(broker_sh("test ! -e $DIR/tbmq.conf.rules.next") == 0);
	holds();

	/* It can't be kept, so it isn't in force either. */
	check(broker_sh("mkdir $DIR/tbmq.conf.rules.next $DIR/tbmq.conf.rules.next/x") == 0);
	check(ctl("acl", "add", "deny all all #") == 1);
	check(broker_sh("rm -r $DIR/tbmq.conf.rules.next") == 0);
	holds();

	check(broker_sh("printf '# by hand\\n\\ndeny user bob publish gone' >$DIR/my && "
			"$CTL acl load $DIR/my") == 0);
	check(strcmp(ctl_text("acl", "export"), "# by hand\n\ndeny user bob publish gone\n") == 0);
	holds();
	broker_stop();

	/* Who keeps rules that can't be read does not start as if there were none. */
	broker_sh("echo nonsense >>$DIR/tbmq.conf.rules");
	check(
	    broker_sh("$CTL start --port 0 2>&1 | grep -q 'tbmq.conf.rules:4: \"nonsense\"'") == 0);
	broker_sh("sed -i '/nonsense/d' $DIR/tbmq.conf.rules");
	broker_start();
	holds();
}
