#include "tests/lib/scenario.h"

#define LAX "allow all all #\n"
#define STRICT "allow user admin all #\nallow all all open/#\n"

static struct mq *
with_will(int version, const char *id, const char *topic)
{
	return mq_try((struct mq_opts){ .version = version,
	    .id = id,
	    .will_topic = topic,
	    .will_payload = id,
	    .will_qos = 1,
	    .expiry = version == 5 ? 100 : 0 });
}

SCENARIO(1, 2)
{
	struct mq *sub, *stays, *goes, *dies, *m;

	broker_start();
	broker_rules(STRICT);
	sub = mq_connect(.id = "sub", .user = "admin");
	check(mq_subscribe(sub, "#", 1) == 1);
	m = with_will(5, "five", "closed/x");
	check(m->reason == 0x87);
	mq_close(m);
	m = with_will(4, "four", "closed/x");
	check(m->reason == 5);
	mq_close(m);
	check(broker_counter("connects__refused_will_acl") == 2);

	/* Of those who are connected when the rules change. */
	broker_rules(LAX);
	stays = with_will(5, "stays", "open/x");
	goes = with_will(5, "goes", "closed/x");
	dies = with_will(4, "dies", "closed/y");
	check(stays->reason == 0 && goes->reason == 0 && dies->reason == 0);
	broker_rules(STRICT);
	wait_for(broker_counter("wills_ended") == 2);

	/* Nor is it known to a persist that begins anew. */
	broker_kill("persist/0", 9);
	broker_wait_ready();
	mq_quiet(goes);
	mq_close(goes);
	mq_close(dies);
	mq_close(stays);
	mq_need_publish(sub, "open/x", "stays");
	wait_for(broker_counter("clients") == 1);
	mq_quiet(sub);
	mq_disconnect(sub);
}
