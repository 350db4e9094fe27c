#include "tests/lib/scenario.h"

static bool
may(struct mq *m, const char *topic)
{
	return mq_publish(m, topic, "x", 1, false) < 0x80;
}

/* What is kept, as it is printed. */
static void
kept_is(const char *text)
{
	if (strcmp(ctl_text("acl", "export"), text) != 0)
		fail("kept is: %s", ctl_text("acl", "export"));
}

SCENARIO(1, 2, 4)
{
	struct mq *m, *admin;

	broker_start();
	m = mq_connect(.id = "m", .user = "bob");
	admin = mq_connect(.id = "admin", .user = "admin");
	check(mq_subscribe(m, "gone/#", 1) == 1 && mq_subscribe(m, "stays/#", 1) == 1);

	/* The first rule is about bob only: nobody is locked out by it. */
	check(ctl("acl", "add", "deny user bob all gone/#") == 0);
	check(!may(m, "gone/x") && may(m, "other") && may(admin, "stays/x"));
	mq_need_publish(m, "stays/x", "x");
	wait_for(broker_counter("subscriptions_ended") == 1);
	check(may(admin, "gone/y"));
	mq_quiet(m);

	/* Also where there is a file, which is not read again for a change of what is kept. */
	broker_rules("allow all all #\n");
	check(!may(m, "gone/x") && may(m, "part/x"));
	broker_sh("echo nonsense >$DIR/acl");
	check(ctl("acl", "add", "allow user bob publish gone/x", "--before", "1") == 0);
	check(may(m, "gone/x") && !may(m, "gone/y") && may(m, "part/x"));
	check(ctl("acl", "add", "group ops user bob") == 0);
	check(ctl("acl", "add", "deny group ops publish part/#") == 0);
	check(!may(m, "part/x") && may(admin, "part/x"));
	kept_is("allow user bob publish gone/x\ndeny user bob all gone/#\ngroup ops user bob\n"
		"deny group ops publish part/#\n");
	check(may(m, "gone/x"));
	check(broker_sh("$CTL acl list | grep -q 'rule=1 where=.*/tbmq.conf.rules:1 text=allow "
			"user bob publish gone/x decided=[1-9]'") == 0);
	check(broker_sh(
		  "$CTL acl list | grep -q 'where=.*/acl:1 text=allow all all # decided=[2-9]'") ==
	    0);
	check(broker_sh("$CTL explain m publish gone/y | grep -q 'by .*tbmq.conf.rules:2'") == 0);

	check(ctl("acl", "remove", "allow user bob publish gone/x") == 0);
	check(!may(m, "gone/x"));
	check(ctl("acl", "remove", "3") == 0 && ctl("acl", "remove", "2") == 0);
	kept_is("deny user bob all gone/#\n");
	check(may(m, "part/x"));

	/* With the last rule the matter is as it was. */
	check(ctl("acl", "remove", "1") == 0);
	kept_is("");
	check(may(m, "gone/x"));
	check(may(admin, "stays/z"));
	mq_need_publish(m, "stays/z", "x");
	mq_disconnect(m);
	mq_disconnect(admin);
}
