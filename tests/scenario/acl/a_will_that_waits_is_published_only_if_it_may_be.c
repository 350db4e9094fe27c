#include "tests/lib/scenario.h"

#define LAX "allow all all #\n"
#define STRICT                                                                                     \
	"group some client grouped\n"                                                              \
	"group some client also\n"                                                                 \
	"allow user admin all #\n"                                                                 \
	"allow group some publish closed/#\n"                                                      \
	"allow all all open/#\n"

static void
leaves(const char *id, const char *topic, bool retain)
{
	struct mq *m = mq_try((struct mq_opts){ .id = id,
	    .will_topic = topic,
	    .will_payload = id,
	    .will_qos = 1,
	    .will_retain = retain,
	    .will_delay = 60,
	    .expiry = 1000 });

	check(m->reason == 0);
	mq_close(m);
	wait_for(broker_counter("clients") == 1);
}

/* What is known of a client when it has gone is what its worker has said: also whose group it was in. */
SCENARIO(1, 2)
{
	struct mq *sub, *late;

	clock_move(0);
	broker_start();
	broker_rules(LAX);
	sub = mq_connect(.id = "sub", .user = "admin");
	check(mq_subscribe(sub, "#", 1) == 1);
	leaves("free", "open/x", false);
	leaves("bound", "closed/x", false);
	leaves("kept", "closed/y", true);
	leaves("grouped", "closed/z", true);
	broker_rules(STRICT);
	leaves("also", "closed/also", false);
	/* They are on disk, too. */
	broker_kill("persist/0", 9);
	broker_wait_ready();
	clock_move(61000);
	for (int i = 0; i < 3; i++) {
		struct packet p = mq_need(sub, 3);

		check(strcmp(p.topic, "open/x") == 0 || strcmp(p.topic, "closed/z") == 0 ||
		    strcmp(p.topic, "closed/also") == 0);
		mq_ack(sub, 4, p.id, 0);
	}
	wait_for(broker_counter("wills_pending") == 0);
	mq_quiet(sub);
	check(broker_counter("wills_ended") == 2);

	/* Retained, it is given as long as the one who left it might have published it. */
	late = mq_connect(.id = "late", .user = "admin");
	check(mq_subscribe(late, "closed/#", 1) == 1);
	mq_need_publish(late, "closed/z", "grouped");
	mq_quiet(late);
	broker_rules("allow user admin all #\n");
	check(mq_subscribe(late, "closed/#", 1) == 1);
	mq_quiet(late);
	mq_disconnect(late);
	mq_disconnect(sub);
}
