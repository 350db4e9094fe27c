#include "tests/lib/scenario.h"

static void
listener(const char *with)
{
	broker_reload("name = \"default\"", "name = \"default\"; %s", with);
}

/* What the versions 3.1, 3.1.1 and 5 are told: 0 lets them in. */
static void
told(int v31, int v311, int v5)
{
	const int want[] = { v31, v311, v5 };

	for (int i = 0; i < 3; i++) {
		struct mq *m = mq_try((struct mq_opts){ .id = "who", .version = 3 + i });

		if (m->reason != want[i])
			fail("version %d is told 0x%02x, not 0x%02x", 3 + i, (unsigned)m->reason,
			    (unsigned)want[i]);
		if (want[i] != 0)
			mq_need_close(m);
		mq_close(m);
	}
}

static void
user_name_is_the_identifier(void)
{
	struct mq *first, *second, *third;

	listener("username_as_client_id = true;");
	first = mq_connect(.id = "a", .user = "u");
	second = mq_connect(.id = "b", .user = "v");
	third = mq_connect(.id = "c", .user = "u");
	check(mq_need(first, 14).reason == 0x8e);
	mq_need_close(first);
	mq_quiet(second);
	mq_quiet(third);
	mq_close(first);
	/* Who has none, or an empty one, can't have the session of a user. */
	told(5, 5, 0x87);
	first = mq_try((struct mq_opts){ .id = "u", .user = "" });
	check(first->reason == 0x87);
	mq_close(first);
	mq_quiet(third);
	mq_disconnect(third);
	mq_disconnect(second);
}

SCENARIO(1, 2)
{
	struct mq *before;

	broker_start();
	before = mq_connect(.id = "before", .version = 3);
	told(0, 0, 0);
	listener("mqtt_31 = false;");
	told(1, 0, 0);
	listener("mqtt_311 = false;");
	told(0, 1, 0);
	listener("mqtt_5 = false;");
	told(0, 0, 0x84);
	listener("allow_anonymous = false;");
	told(5, 5, 0x87);
	user_name_is_the_identifier();
	mq_quiet(before);
	mq_disconnect(before);
}
