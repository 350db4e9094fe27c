#include "tests/lib/scenario.h"

#define RULES                                                                                      \
	"allow user admin all #\n"                                                                 \
	"deny all receive plant/secret/#\n"                                                        \
	"allow all subscribe plant/#\n"                                                            \
	"allow all subscribe $SYS/#\n"

static void
refused(int version, int code)
{
	struct mq *m = mq_connect(.version = version, .id = "refused");

	check(mq_subscribe(m, "other", 1) == code);
	check(mq_subscribe(m, "#", 1) == code);
	check(mq_subscribe(m, "$share/g/other", 1) == code);
	check(mq_subscribe(m, "plant/x", 1) == 1);
	mq_disconnect(m);
}

/* Live, retained, from a queue and by a group: what is denied within the filter does not come. */
static void
filtered(struct mq *pub, struct mq *m, const char *filter)
{
	check(mq_publish(pub, "plant/secret/k", "kept", 1, true) == 0);
	check(mq_publish(pub, "plant/k", "kept", 1, true) == 0);
	check(mq_subscribe(m, filter, 2) == 2);
	if (filter[0] != '$')
		mq_need_publish(m, "plant/k", "kept");
	for (int qos = 0; qos <= 2; qos++) {
		if (qos == 0)
			mq_send_publish(pub, "plant/secret/a", "no", 2, 0, false, NULL);
		else
			check(mq_publish(pub, "plant/secret/a", "no", qos, false) < 0x80);
		if (qos == 0)
			mq_send_publish(pub, "plant/a", "yes", 3, 0, false, NULL);
		else
			check(mq_publish(pub, "plant/a", "yes", qos, false) == 0);
		mq_need_publish(m, "plant/a", "yes");
	}
	mq_quiet(m);
	mq_disconnect(m);
}

SCENARIO(1, 2)
{
	struct mq *pub, *m;

	broker_start();
	broker_rules(RULES);
	pub = mq_connect(.id = "pub", .user = "admin");
	refused(5, 0x87);
	refused(4, 0x80);
	refused(3, 1); /* has no code for it: it looks granted and brings nothing */
	wait_for(broker_counter("subscribes__refused_acl") == 9);

	filtered(pub, mq_connect(.id = "c1"), "plant/#");
	filtered(pub, mq_connect(.id = "c2", .version = 4), "plant/+/#");
	filtered(pub, mq_connect(.id = "d1", .expiry = 100), "plant/#");
	filtered(pub, mq_connect(.id = "g1"), "$share/g/plant/#");
	filtered(pub, mq_connect(.id = "g2", .expiry = 100), "$share/h/plant/#");
	wait_for(broker_counter("dropped__acl") > 0);

	/* Two filters, one of which is not denied anything. */
	m = mq_connect(.id = "two");
	check(mq_subscribe(m, "plant/#", 0) == 0);
	mq_need_publish(m, "plant/k", "kept");
	check(mq_subscribe(m, "plant/a", 1) == 1);
	check(mq_publish(pub, "plant/a", "1", 1, false) == 0);
	mq_need_publish(m, "plant/a", "1");
	check(mq_publish(pub, "plant/secret/x", "2", 1, false) < 0x80);
	mq_quiet(m);
	mq_disconnect(m);
	mq_disconnect(pub);
}
