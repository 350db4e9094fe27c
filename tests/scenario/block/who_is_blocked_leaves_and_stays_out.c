#include "tests/lib/scenario.h"

#define FROM "127.0.0.2"

static const struct row {
	const char *option, *value, *id, *user, *from;
} rows[] = {
	{ "--client", "bad", "bad", NULL, NULL },
	{ "--user", "mallory", "m", "mallory", NULL },
	{ "--address", FROM, "a", NULL, FROM },
	{ "--address", "127.0.0.2/31", "a", NULL, FROM },
	{ "--client-regex", "^bot-[0-9]+$", "bot-77", NULL, NULL },
	{ "--user-regex", "ory$", "m", "mallory", NULL },
};

static struct mq *
connect_as(const struct row *r, int version)
{
	return mq_try(
	    (struct mq_opts){ .id = r->id, .user = r->user, .from = r->from, .version = version });
}

static void
is_refused(const struct row *r)
{
	bool by_address = strcmp(r->option, "--address") == 0;

	for (int version = 3; version <= 5; version++) {
		struct mq *m = connect_as(r, version);

		check(m->reason == (by_address ? -1 : version == 5 ? 0x8a : 5));
		mq_close(m);
	}
}

static void
blocks(const struct row *r)
{
	long ended = broker_counter("ends__blocked");
	struct mq *m[2], *good = mq_connect(.id = "bot-", .user = "malloryx", .from = "127.0.0.9");

	m[0] = mq_connect(.id = r->id, .user = r->user, .from = r->from);
	m[1] = mq_connect(.id = "other", .user = "other", .version = 4);
	check(ctl("block", "add", r->option, r->value, "--reason", "a test") == 0);
	check(mq_need(m[0], 14).reason == 0x98);
	mq_need_close(m[0]);
	mq_close(m[0]);
	wait_for(broker_counter("ends__blocked") == ended + 1);
	is_refused(r);
	mq_quiet(good);
	mq_quiet(m[1]);
	check(ctl("block", "remove", r->option, r->value) == 0);
	check(ctl("block", "remove", r->option, r->value) == 1);
	wait_for((m[0] = connect_as(r, 5))->reason == 0);
	mq_disconnect(m[0]);
	mq_disconnect(m[1]);
	mq_disconnect(good);
}

SCENARIO(1, 4)
{
	broker_start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		blocks(&rows[i]);
	check(broker_counter("refused__blocked") == 6);
	check(broker_counter("connects__refused_blocked") == 12);
	check(ctl("block", "add", "--client", "x", "--for", "soon") == 2);
	check(ctl("block", "add", "--client", "x", "--user", "y") == 2);
	check(ctl("block", "add", "--for", "10m") == 2);
	check(ctl("block", "add", "--address", "300.1.1.1") == 1);
	check(ctl("block", "add", "--client-regex", "(") == 1);
	check(strcmp(ctl_text("block", "list"), "") == 0);
}
