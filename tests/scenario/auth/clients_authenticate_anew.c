/*
 * A client that came with a method may show itself anew at any time, and goes on with all else meanwhile.
 */
#include "tests/lib/scenario.h"
#include "tests/lib/scram.h"

static struct scram
user(const char *password)
{
	return (struct scram){ .method = "SCRAM-SHA-256", .user = "anna", .password = password };
}

static struct wire *
connected(const char *id)
{
	struct scram s = user("secret");
	struct wire *w = scram_connect(broker.port, &s,
	    (struct wire_connect){
		.id = id, .will_topic = "will", .will_payload = { (const uint8_t *)"x", 1 } },
	    NULL);

	check(w != NULL);
	return w;
}

static struct wire_packet
need(struct wire *w, enum wire_type type)
{
	struct wire_packet k;

	if (wire_read(w, deadline_ms(), &k) != WIRE_PACKET || k.bad != NULL || k.type != type)
		fail("%s did not come", wire_type_name[type]);
	return k;
}

static struct span
begun(struct wire *w, struct scram *s)
{
	struct wire_packet k;

	wire_send(w, scram_auth(s, 0x19, scram_first(s)));
	k = need(w, AUTH);
	check(k.reason == 0x18 && wire_find(&k, AUTH_DATA) != NULL);
	return wire_find(&k, AUTH_DATA)->text;
}

/* It is disconnected, and its will is published. */
static int
end_of(struct wire *w, struct mq *sub)
{
	struct wire_end e = wire_read_end(w, deadline_ms());

	check(e.closed && e.bad == NULL && e.last == DISCONNECT && e.others == 0);
	wire_close(w);
	mq_need_publish(sub, "will", "x");
	return e.reason;
}

static int
end_by(struct span packet, bool in_exchange, struct mq *sub)
{
	struct scram s = user("secret");
	struct wire *w = connected("c");

	if (in_exchange)
		begun(w, &s);
	wire_send(w, packet);
	return end_of(w, sub);
}

static void
all_else_goes_on(void)
{
	struct scram s = user("secret");
	struct wire *w = connected("c");
	struct wire_packet k;
	struct span data;

	wire_send(w, wire_make_subscribe(5, 1, NO_PROPS, "t", 1));
	need(w, SUBACK);
	for (int i = 0; i < 3; i++) {
		data = begun(w, &s);
		wire_send(w,
		    wire_make_publish(
			5, 7, &(struct wire_message){ .topic = "t", .text = "x", .qos = 1 }));
		/* Message and acknowledgement, in whatever order. */
		for (int n = 0; n < 2; n++) {
			check(wire_read(w, deadline_ms(), &k) == WIRE_PACKET && k.bad == NULL);
			check(k.type == PUBLISH || k.type == PUBACK);
			if (k.type == PUBLISH)
				wire_send(w, wire_make_ack(5, PUBACK, k.id, 0));
		}
		wire_send(w, scram_auth(&s, 0x18, scram_final(&s, data)));
		k = need(w, AUTH);
		check(k.reason == 0 && scram_is_server(&s, wire_find(&k, AUTH_DATA)->text));
	}
	wire_send(w, wire_make(5, DISCONNECT << 4, ""));
	wire_close(w);
}

SCENARIO(1, 4)
{
	struct scram s = user("secret"), wrong = user("wrong"), other = user("x");
	struct scram sha512 = { .method = "SCRAM-SHA-512", .user = "anna", .password = "secret" };
	struct mq *sub;
	struct wire *w;

	other.user = "other";
	broker_start();
	broker_reload("authentication", "authentication = \"scram\";");
	check(broker_sh("echo secret | $CTL auth add anna --scram --iterations 4096") == 0);
	check(broker_sh("echo x | $CTL auth add other --scram --iterations 4096") == 0);
	sub = mq_connect(.id = "sub");
	check(mq_subscribe(sub, "will", 0) == 0);
	all_else_goes_on();
	/* Another password, another user, another method; a second beginning, an end that was not asked for. */
	w = connected("c");
	check(scram_again(w, &wrong) == 0x87);
	check(broker_counter("ends__auth") == 1);
	mq_need_publish(sub, "will", "x");
	wire_close(w);
	w = connected("c");
	check(scram_again(w, &other) == 0x87);
	mq_need_publish(sub, "will", "x");
	wire_close(w);
	check(end_by(scram_auth(&sha512, 0x19, scram_first(&sha512)), false, sub) == 0x82);
	check(end_by(scram_auth(&sha512, 0x18, span_str("x")), true, sub) == 0x82);
	check(end_by(scram_auth(&s, 0x19, scram_first(&s)), true, sub) == 0x82);
	check(end_by(scram_auth(&s, 0x18, span_str("x")), false, sub) == 0x82);
	check(end_by(scram_auth(&s, 0, NO_PROPS), true, sub) == 0x82);
	check(end_by(scram_auth(&s, 0x19, span_str("n,,n=anna")), false, sub) == 0x87);
	/* A new password is needed from the next time on. */
	w = connected("c");
	check(scram_again(w, &s) == 0);
	check(broker_sh("echo wrong | $CTL auth passwd anna --scram --iterations 4096") == 0);
	check(scram_again(w, &wrong) == 0);
	check(scram_again(w, &s) == 0x87);
	mq_need_publish(sub, "will", "x");
	wire_close(w);
	check(broker_sh("echo secret | $CTL auth passwd anna --scram --iterations 4096") == 0);
	/* Who begins has to end it in time; who does not begin is left in peace. */
	broker_reload("auth_timeout", "auth_timeout = 1;");
	w = connected("c");
	begun(w, &s);
	check(end_of(w, sub) == 0x87);
	/* Where it is no longer to be had. */
	w = connected("c");
	broker_reload("authentication", "authentication = \"basic\";");
	wire_send(w, wire_make(5, PINGREQ << 4, ""));
	need(w, PINGRESP);
	check(scram_again(w, &s) == 0x87);
	wire_close(w);
	mq_disconnect(sub);
	broker_stop();
	wire_forget();
}
