#include "tests/lib/scenario.h"

static int
port_of(const char *name)
{
	char want[80], *text = ctl_text("status"), *at;
	int port = 0;

	snprintf(want, sizeof(want), "listener %s: tcp 127.0.0.1 port ", name);
	at = strstr(text, want);
	check(at != NULL && sscanf(at + strlen(want), "%d", &port) == 1);
	return port;
}

SCENARIO(1, 2)
{
	struct mq *all, *in, *other, *pub;
	int port;

	broker_start();
	broker_reload(");", ", { name = \"second\"; port = 0; mount_point = \"m/\"; } );");
	port = port_of("second");
	all = mq_connect(.id = "all");
	check(mq_subscribe(all, "#", 1) == 1);
	pub = mq_connect(.id = "pub");

	/* What is published there has the mount point in front, wills and retained messages too. */
	in = mq_connect(.id = "in", .port = port, .will_topic = "will", .will_payload = "gone",
	    .will_qos = 1);
	check(mq_publish(in, "t", "1", 1, false) == 0);
	mq_need_publish(all, "m/t", "1");
	check(mq_publish(in, "kept", "2", 1, true) == 0);
	mq_need_publish(all, "m/kept", "2");
	other = mq_connect(.id = "other", .port = port, .expiry = 100);
	check(mq_subscribe(other, "#", 1) == 1);
	mq_need_publish(other, "kept", "2");
	mq_close(in);
	mq_need_publish(all, "m/will", "gone");
	mq_need_publish(other, "will", "gone");

	/* $SYS is nobody's, below no mount point; what is beside it can't be seen. */
	check(mq_publish(other, "$SYS/x", "no", 1, false) == 0x87);
	check(mq_publish(pub, "outside", "3", 1, false) == 0);
	mq_need_publish(all, "outside", "3");
	mq_quiet(other);
	mq_disconnect(other);

	/* A session that comes back by the other door. */
	other = mq_connect(.id = "back", .expiry = 100);
	check(mq_subscribe(other, "topic/+", 1) == 1);
	mq_disconnect(other);
	check(mq_publish(pub, "topic/1", "queued", 1, false) == 0);
	mq_need_publish(all, "topic/1", "queued");
	other = mq_connect(.id = "back", .resume = true, .expiry = 100, .port = port);
	check(other->present == 1);
	mq_quiet(other);
	check(mq_publish(pub, "topic/1", "live", 1, false) == 0);
	mq_need_publish(all, "topic/1", "live");
	mq_quiet(other);
	wait_for(broker_counter("dropped__mount_point") == 2);
	mq_disconnect(other);
	other = mq_connect(.id = "back", .resume = true, .expiry = 100);
	check(other->present == 1);
	check(mq_publish(pub, "topic/1", "seen", 1, false) == 0);
	mq_need_publish(other, "topic/1", "seen");
	mq_disconnect(other);
	mq_disconnect(all);
	mq_disconnect(pub);
}
