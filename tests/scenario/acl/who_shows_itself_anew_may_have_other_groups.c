#include "tests/lib/scenario.h"
#include "tests/lib/scram.h"

static int
subscribe(struct wire *w)
{
	struct wire_packet k;

	wire_send(w, wire_make_subscribe(5, 1, NO_PROPS, "t", 0));
	check(wire_read(w, deadline_ms(), &k) == WIRE_PACKET && k.type == SUBACK);
	return k.codes.p[0];
}

static enum wire_type
next(struct wire *w)
{
	struct wire_packet k;

	check(wire_read(w, deadline_ms(), &k) == WIRE_PACKET);
	return k.type;
}

SCENARIO(1, 2)
{
	struct scram s = { .method = "SCRAM-SHA-256", .user = "anna", .password = "secret" };
	struct mq *admin;
	struct wire *w;

	broker_start("authentication=basic, scram");
	check(
	    broker_sh(
		"echo secret | $CTL auth add anna --scram --iterations 4096 --groups a,readers && "
		"$CTL auth add admin --no-password") == 0);
	broker_rules("allow user admin all #\n"
		     "allow group readers subscribe t\n");
	admin = mq_connect(.id = "admin", .user = "admin");
	w = scram_connect(broker.port, &s, (struct wire_connect){ .id = "c" }, NULL);
	check(w != NULL && subscribe(w) == 0);
	check(mq_publish(admin, "t", "x", 1, false) == 0);
	check(next(w) == PUBLISH);
	check(broker_sh("$CTL auth change anna --groups a") == 0);
	check(scram_again(w, &s) == 0);
	check(mq_publish(admin, "t", "x", 1, false) == 0x10);
	check(subscribe(w) == 0x87);
	check(broker_sh("$CTL auth change anna --groups readers") == 0);
	check(scram_again(w, &s) == 0 && subscribe(w) == 0);
	check(mq_publish(admin, "t", "x", 1, false) == 0);
	check(next(w) == PUBLISH);
	wire_close(w);
	mq_disconnect(admin);
	broker_stop();
	wire_forget();
}
