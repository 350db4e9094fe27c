#include "tests/lib/scenario.h"

static void
denied_to(int version, struct mq *sub)
{
	struct mq *pub = mq_connect(.version = version, .id = "p", .user = "ann");
	bool v5 = version == 5;

	check(mq_publish(pub, "no/x", "1", 1, false) == (v5 ? 0x87 : 0));
	check(mq_publish(pub, "no/x", "2", 2, true) == (v5 ? 0x87 : 0));
	mq_send_publish(pub, "no/x", "3", 1, 0, false, NULL);
	check(mq_publish(pub, "dev/other/up", "4", 1, false) == (v5 ? 0x87 : 0));
	check(mq_publish(pub, "dev/ann/up", "yes", 2, false) == 0);
	mq_need_publish(sub, "dev/ann/up", "yes");
	mq_quiet(sub);
	mq_disconnect(pub);
}

SCENARIO(1, 2)
{
	struct mq *sub, *pub;

	broker_start();
	broker_reload("log_level =", "log_level = \"info\";");
	broker_rules("allow user admin all #\n"
		     "deny all publish no/#\n"
		     "allow all publish dev/%u/up\n"
		     "allow all publish open\n");
	sub = mq_connect(.id = "s", .user = "admin");
	check(mq_subscribe(sub, "#", 2) == 2);
	for (int version = 3; version <= 5; version++)
		denied_to(version, sub);
	wait_for(broker_counter("publish_refused__acl") == 12);
	check(
	    broker_log_has("access: denied id=p publish=\"no/x\" by=") && broker_log_has("acl:2"));
	check(broker_log_has("publish=\"dev/other/up\" by=default"));

	check(strstr(ctl_text("refused", "list", "--client", "p"), "code=135") != NULL);

	/* An alias is the topic that it stands for. */
	pub = mq_connect(.id = "p", .user = "ann");
	mq_send_publish(pub, "no/x", "5", 1, 1, false, "230001");
	check(mq_need(pub, 4).reason == 0x87);
	mq_send_publish(pub, "", "6", 1, 1, false, "230001");
	check(mq_need(pub, 4).reason == 0x87);
	mq_send_publish(pub, "open", "7", 1, 1, false, "230001");
	mq_send_publish(pub, "", "8", 1, 1, false, "230001");
	mq_need_publish(sub, "open", "7");
	mq_need_publish(sub, "open", "8");

	/* Nothing was retained, either. */
	check(mq_subscribe(sub, "no/x", 1) == 1);
	mq_quiet(sub);
	mq_disconnect(pub);
	mq_disconnect(sub);
}
