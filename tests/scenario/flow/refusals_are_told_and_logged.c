#include "tests/lib/scenario.h"

/* The packet's properties, and whether they are there. */
static bool
has_reason_string(const struct packet *k, const char *text)
{
	size_t len = strlen(text);

	return k->body[2] == len + 3 && k->body[3] == 0x1f && k->body[4] == 0 &&
	    k->body[5] == len && memcmp(k->body + 6, text, len) == 0;
}

static struct packet
answer(struct mq *m, const char *hex, int type)
{
	struct packet k;

	mq_hex(m, hex);
	k = mq_need(m, type);
	check(k.id == 1);
	return k;
}

/* One SUBSCRIBE with "a", "a/#/b", "+": granted, and refused in two ways, of which the first is told. */
static const char three_filters[] = "82 13 0001 00 0001 61 00 0005 612f232f62 00 0001 2b 00";
static const char unsubscribe[] = "a2 0d 0001 00 0001 61 0005 612f232f62";

static void
told(void)
{
	struct mq *m = mq_connect(.id = "asks");
	struct packet k = answer(m, three_filters, 9);

	check(has_reason_string(&k, "topic filter invalid"));
	check(memcmp(k.body + k.len - 3, "\x00\x8f\xa2", 3) == 0);
	k = answer(m, unsubscribe, 11);
	check(has_reason_string(&k, "topic filter invalid"));
	check(memcmp(k.body + k.len - 2, "\x00\x8f", 2) == 0);
	check(mq_subscribe(m, "$share/g/t", 0) == 0x9e);
	k = answer(m, "82 07 0001 00 0001 62 00", 9); /* nothing refused, nothing told */
	check(k.len == 4 && k.body[2] == 0);
	check(mq_publish(m, "$SYS/x", "x", 1, false) == 0x87);
	mq_disconnect(m);
}

/* hex: a CONNECT after which no text may come. */
static void
not_told(const char *hex)
{
	struct mq *m = mq_open(0);
	struct packet k;

	m->version = 5;
	mq_hex(m, hex);
	check(mq_need(m, 2).reason == 0);
	k = answer(m, three_filters, 9);
	check(k.len == 6 && memcmp(k.body + 2, "\x00\x00\x8f\xa2", 4) == 0);
	k = answer(m, unsubscribe, 11);
	check(k.len == 5 && memcmp(k.body + 2, "\x00\x00\x8f", 3) == 0);
	mq_disconnect(m);
}

SCENARIO(1, 2)
{
	struct mq *m;

	broker_start("wildcard_available=false", "shared_available=false", "log_level=info");
	told();
	not_told("10 10 0004 4d515454 05 02 003c 02 1700 0001 70"); /* no problem information */
	not_told("10 13 0004 4d515454 05 02 003c 05 2700000018 0001 70"); /* at most 24 bytes */
	m = mq_connect(.id = "v4", .version = 4);
	check(mq_subscribe(m, "+", 0) == 0x80);
	check(mq_publish(m, "$SYS/y", "y", 2, false) == 0);
	mq_send_publish(m, "$SYS/z", "z", 1, 0, false, NULL);
	mq_quiet(m);
	mq_disconnect(m);
	wait_for(broker_log_has("subscribe: refused id=v4 filter=\"+\" reason=0xa2"));
	wait_for(broker_log_has("publish: refused id=asks topic=\"$SYS/x\""));
	wait_for(broker_log_has("publish: refused id=v4 topic=\"$SYS/y\""));
	wait_for(broker_log_has("publish: refused id=v4 topic=\"$SYS/z\""));
}
