#include "tests/lib/scenario.h"

static void
says(const char *what, const char *const *wants)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd), "$CTL explain %s >$DIR/out", what);
	check(broker_sh(cmd) == 0);
	for (; *wants != NULL; wants++) {
		snprintf(
		    cmd, sizeof(cmd), "grep -qF '%s' $DIR/out || { cat $DIR/out; false; }", *wants);
		if (broker_sh(cmd) != 0)
			fail("explain %s does not say %s", what, *wants);
	}
}
#define says(what, ...) says(what, (const char *[]){ __VA_ARGS__, NULL })

static void
decided(const char *row, int n)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "$CTL acl list | grep -q '%s.* decided=%d$'", row, n);
	wait_for(broker_sh(cmd) == 0);
}

SCENARIO(1, 2, 4)
{
	struct mq *m, *other, *away;

	broker_start();
	check(broker_sh("$CTL acl list | grep -q .") == 1);
	says("nobody publish a", "there are no access rules", "true");
	broker_rules("# who decides\n"
		     "deny client ~^c1 receive a/secret\n"
		     "allow user ann all a/#\n"
		     "allow cert box publish b\n"
		     "allow group ops publish c\n"
		     "allow all subscribe ~^z\n");
	m = mq_on_worker(0, (struct mq_opts){ .id = "c1", .user = "ann" });
	other = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "c2", .user = "bob" });
	away = mq_connect(.id = "away", .user = "ann", .expiry = 100);
	mq_disconnect(away);
	wait_for(broker_counter("clients") == 2);

	says("c1 publish a/x", "allowed          true", "acl:3", "allow user ann all a/#",
	    "connected        true", "first rule that matches");
	says("c1 subscribe a/#", "allowed          true", "checked          true", "acl:3", "acl:2",
	    "deny client ~^c1 receive a/secret", "denies some");
	says("c1 subscribe '$share/g/a/secret'", "allowed          true", "acl:3", "acl:2");
	says("c1 receive a/secret", "allowed          false", "acl:2");
	says("c2 publish a/x", "allowed          false", "default", "no rule matches");
	says("c2 subscribe a/x", "allowed          false", "default", "no rule covers");
	says("c2 subscribe 'z/#'", "allowed          true", "regular expression", "acl:6");
	says("away publish a/x", "connected        false", "user_name        ann", "acl:3");
	says("new publish a/x --user ann", "allowed          true", "acl:3");
	says("new publish b --cert box", "allowed          true", "acl:4");
	says("new publish c --groups x,ops", "allowed          true", "acl:5");
	says("new publish c", "allowed          false");
	check(broker_sh("$CTL explain c1 read a") == 1 &&
	    broker_sh("$CTL explain c1 publish '#'") == 1);
	check(broker_sh("$CTL explain c1 publish") == 2);

	/* Only what clients have asked for counts, whatever worker they are at. */
	decided("acl:3", 0);
	for (int i = 0; i < 3; i++) {
		check(mq_publish(m, "a/x", "1", 1, false) < 0x80);
		check(mq_publish(other, "a/x", "1", 1, false) == 0x87);
	}
	decided("rule=1 where=.*acl:2", 0);
	decided("rule=2 where=.*acl:3", 3);
	decided("rule=- where=default text=deny", 3);
	broker_reload("max_topic_levels", "max_topic_levels = 60;");
	decided("acl:3", 3);
	mq_disconnect(m);
	mq_disconnect(other);
}
