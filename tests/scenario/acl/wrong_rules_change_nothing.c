#include "tests/lib/scenario.h"

SCENARIO(1, 2)
{
	struct mq *m;

	broker_start();
	broker_rules("# fine\nallow all all a\n");
	m = mq_connect(.id = "m");
	check(
	    mq_publish(m, "a", "1", 1, false) < 0x80 && mq_publish(m, "b", "1", 1, false) == 0x87);

	broker_sh("printf '# x\\n\\nallow all all b\\nallow nobody all c\\n' >$DIR/acl");
	check(ctl("reload") == 1);
	check(broker_sh("$CTL reload 2>&1 | grep 'acl:4: who it is about'") == 0);
	check(broker_sh("$CTL config check 2>&1 | grep 'acl:4: who it is about'") == 0);
	check(broker_sh("$BIN/tbmqd --dir $DIR -t 2>&1 | grep 'acl:4: who it is about'") == 0);
	check(
	    mq_publish(m, "a", "1", 1, false) < 0x80 && mq_publish(m, "b", "1", 1, false) == 0x87);

	broker_sh("rm $DIR/acl");
	check(broker_sh("$CTL reload 2>&1 | grep 'cannot read .*acl: No such file'") == 0);
	check(
	    mq_publish(m, "a", "1", 1, false) < 0x80 && mq_publish(m, "b", "1", 1, false) == 0x87);

	/* A worker that is born gets the rules in force, not what is in the file. */
	mq_disconnect(m);
	broker_kill("mqtt/0", 9);
	broker_wait_ready();
	m = mq_on_worker(0, (struct mq_opts){ .id = "m" });
	check(
	    mq_publish(m, "a", "1", 1, false) < 0x80 && mq_publish(m, "b", "1", 1, false) == 0x87);

	broker_rules("allow all all b\n");
	check(
	    mq_publish(m, "a", "1", 1, false) == 0x87 && mq_publish(m, "b", "1", 1, false) < 0x80);
	broker_reload("acl_default =", "acl_default = \"allow\";");
	check(mq_publish(m, "a", "1", 1, false) < 0x80);
	broker_rules("deny all all b\n");
	check(
	    mq_publish(m, "a", "1", 1, false) < 0x80 && mq_publish(m, "b", "1", 1, false) == 0x87);
	mq_disconnect(m);
}
