/*
 * Until CONNACK there is AUTH and DISCONNECT, when it is asked for and with the same method; and a client that leaves before has never been there.
 */
#include "tests/lib/scenario.h"
#include "tests/lib/scram.h"

static struct scram
anna(void)
{
	return (struct scram){ .method = "SCRAM-SHA-256", .user = "anna", .password = "secret" };
}

static const struct wire_connect connect = {
	.id = "c", .will_topic = "will", .will_payload = { (const uint8_t *)"x", 1 }
};

static struct wire *
in_mid_exchange(struct scram *s, struct span *data_out)
{
	struct wire_packet k;
	struct wire *w = scram_begin(broker.port, s, connect, &k);

	check(k.type == AUTH && k.reason == 0x18 && wire_find(&k, AUTH_DATA) != NULL);
	*data_out = wire_find(&k, AUTH_DATA)->text;
	return w;
}

/* What comes to this instead of an answer. */
static int
refusal_of(struct span packet)
{
	struct scram s = anna();
	struct span data;
	struct wire *w = in_mid_exchange(&s, &data);
	struct wire_end e;

	wire_send(w, packet);
	e = wire_read_end(w, deadline_ms());
	check(e.closed && e.bad == NULL && e.last == CONNACK && e.others == 0);
	wire_close(w);
	return e.reason;
}

static void
out_of_turn(void)
{
	struct scram s = anna(), other = { .method = "SCRAM-SHA-512" };

	check(refusal_of(wire_make_publish(
		  5, 0, &(struct wire_message){ .topic = "t", .text = "x" })) == 0x82);
	check(refusal_of(wire_make(5, PINGREQ << 4, "")) == 0x82);
	check(refusal_of(wire_make_connect(5, &connect)) == 0x82);
	check(refusal_of(scram_auth(&other, 0x18, span_str("x"))) == 0x82);
	check(refusal_of(scram_auth(&s, 0x19, span_str("n,,n=anna,r=abc"))) == 0x82);
	check(refusal_of(scram_auth(&s, 0, NO_PROPS)) == 0x82);
	check(refusal_of(wire_make(5, AUTH << 4, "")) == 0x82);
	check(refusal_of(scram_auth(&s, 0x18, NO_PROPS)) == 0x87);
	check(refusal_of(scram_auth(&s, 0x18, span_str("c=biws,r=x,p=x"))) == 0x87);
}

static void
whoever_leaves_was_never_there(struct mq *sub)
{
	struct scram s = anna();
	struct span data;
	struct wire *w;

	for (int how = 0; how < 3; how++) {
		w = in_mid_exchange(&s, &data);
		if (how == 0)
			wire_send(w, wire_make(5, DISCONNECT << 4, "1p", 0x04, NO_PROPS));
		if (how == 1)
			wire_reset(w);
		else
			wire_close(w);
		wait_for(broker_counter("connections") == 1);
	}
	check(broker_sh("$CTL client show c >/dev/null 2>&1") != 0);
	mq_quiet(sub); /* no will */
}

static void
takeover_comes_with_the_last_step(void)
{
	struct scram s = anna(), again = anna();
	struct wire *old = scram_connect(broker.port, &s, connect, NULL), *w;
	struct wire_packet k;
	struct span data;

	check(old != NULL);
	w = in_mid_exchange(&again, &data);
	wire_send(old, wire_make(5, PINGREQ << 4, ""));
	check(wire_read(old, deadline_ms(), &k) == WIRE_PACKET && k.type == PINGRESP);
	/* What is sent behind the last step waits for CONNACK. */
	wire_send(w,
	    wire_bytes(5, "rr", scram_auth(&again, 0x18, scram_final(&again, data)),
		wire_make(5, PINGREQ << 4, "")));
	check(wire_read(old, deadline_ms(), &k) == WIRE_PACKET && k.type == DISCONNECT &&
	    k.reason == 0x8e);
	check(wire_read(w, deadline_ms(), &k) == WIRE_PACKET && k.type == CONNACK && k.reason == 0);
	check(wire_read(w, deadline_ms(), &k) == WIRE_PACKET && k.type == PINGRESP);
	wire_send(w, wire_make(5, DISCONNECT << 4, ""));
	wire_close(w);
	wire_close(old);
}

SCENARIO(1, 4)
{
	struct scram s = anna();
	struct wire_end e;
	struct span data;
	struct mq *sub;
	struct wire *w;

	broker_start("authentication=scram");
	check(broker_sh("echo secret | $CTL auth add anna --scram --iterations 4096") == 0);
	sub = mq_connect(.id = "sub");
	check(mq_subscribe(sub, "will", 0) == 0);
	out_of_turn();
	whoever_leaves_was_never_there(sub);
	takeover_comes_with_the_last_step();
	mq_need_publish(sub, "will", "x"); /* of the one that was taken over */
	mq_quiet(sub);
	/* And who says nothing has its time. */
	broker_reload("auth_timeout", "auth_timeout = 1;");
	w = in_mid_exchange(&s, &data);
	e = wire_read_end(w, deadline_ms());
	check(e.closed && e.last == CONNACK && e.reason == 0x87);
	wire_close(w);
	broker_stop();
	wire_forget();
}
