#include "worker/mqtt/identity.h"

#include "shared/base/clock.h"
#include "tests/unit/unit.h"
#include "worker/mqtt/access.h"

struct self self;

static enum mqtt_reason ended;

void
conn_end(struct conn *c, enum counter why, enum mqtt_reason reason, const char *text)
{
	(void)c;
	(void)text;
	CU_ASSERT_EQUAL(why, CNT_ends__expired);
	ended = reason;
}

void
access_leave(struct conn *c)
{
	(void)c;
}

static struct span
value(const struct conn *c, const char *name)
{
	return identity_attribute(c->identity, span_str(name));
}

static void
nobody_has_groups_or_attributes(void)
{
	struct span groups[IDENTITY_GROUPS_MAX];
	struct conn c = { .identity = NULL };

	CU_ASSERT_EQUAL(identity_groups(&c, groups), 0);
	CU_ASSERT_EQUAL(value(&c, "a").len, 0);
	CU_ASSERT_TRUE(identity_set(&c, span_of(NULL, 0), span_of(NULL, 0), 0));
	CU_ASSERT_PTR_NULL(c.identity);
	identity_drop(&c);
}

static void
what_has_expired_is_none(void)
{
	struct conn c = { .identity = NULL };

	clock_init();
	CU_ASSERT_FALSE(identity_set(&c, span_str("g"), span_of(NULL, 0), clock_wall_ms()));
	CU_ASSERT_FALSE(identity_set(&c, span_str("g"), span_of(NULL, 0), 1));
	CU_ASSERT_PTR_NULL(c.identity);
}

static void
groups_are_what_stands_between_commas(void)
{
	struct span groups[IDENTITY_GROUPS_MAX];
	struct conn c = { .identity = NULL };
	char many[200];

	CU_ASSERT_TRUE(identity_set(&c, span_str(",a,,b c,"), span_of(NULL, 0), 0));
	CU_ASSERT_EQUAL(identity_groups(&c, groups), 2);
	CU_ASSERT_TRUE(span_eq(groups[0], span_str("a")) && span_eq(groups[1], span_str("b c")));
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 == 0 ? 'g' : ',';
	CU_ASSERT_TRUE(identity_set(&c, span_of(many, sizeof(many)), span_of(NULL, 0), 0));
	CU_ASSERT_EQUAL(identity_groups(&c, groups), IDENTITY_GROUPS_MAX);
	identity_drop(&c);
}

static void
attributes_are_found_by_their_whole_name(void)
{
	static const char text[] = "site\0rome\0empty\0\0line\0"
				   "7";
	struct conn c = { .identity = NULL };

	CU_ASSERT_TRUE(identity_set(&c, span_str("site"), span_of(text, sizeof(text)), 0));
	CU_ASSERT_TRUE(span_eq(value(&c, "site"), span_str("rome")));
	CU_ASSERT_TRUE(span_eq(value(&c, "line"), span_str("7")));
	CU_ASSERT_EQUAL(value(&c, "empty").len, 0);
	CU_ASSERT_EQUAL(value(&c, "sit").len, 0);
	CU_ASSERT_EQUAL(value(&c, "rome").len, 0);
	/* One that is cut off has what is there of it. */
	CU_ASSERT_TRUE(identity_set(&c, span_of(NULL, 0), span_of("a\0b", 3), 0));
	CU_ASSERT_TRUE(span_eq(value(&c, "a"), span_str("b")));
	CU_ASSERT_TRUE(identity_set(&c, span_of(NULL, 0), span_of("a", 1), 0));
	CU_ASSERT_EQUAL(value(&c, "a").len, 0);
	identity_drop(&c);
}

static void
who_expires_is_sent_away_then_and_not_before(void)
{
	struct conn c = { .identity = NULL };

	CU_ASSERT_EQUAL_FATAL(loop_new(&self.loop), 0);
	CU_ASSERT_TRUE(
	    identity_set(&c, span_of(NULL, 0), span_of(NULL, 0), clock_wall_ms() + 150000));
	timers_run(loop_timers(self.loop), clock_ms() + 61000); /* a look at the clock */
	CU_ASSERT_EQUAL(ended, 0);
	identity_drop(&c);
	loop_free(self.loop); /* its timers are ahead of the clock now */
	CU_ASSERT_EQUAL_FATAL(loop_new(&self.loop), 0);
	CU_ASSERT_TRUE(identity_set(&c, span_of(NULL, 0), span_of(NULL, 0), clock_wall_ms() + 20));
	for (int i = 0; i < 2000 && ended == 0; i++)
		loop_turn(self.loop, 10);
	CU_ASSERT_EQUAL(ended, MQTT_MAXIMUM_CONNECT_TIME);
	identity_drop(&c);
	loop_free(self.loop);
}

UNIT_MAIN("worker/mqtt/identity", TEST(nobody_has_groups_or_attributes),
    TEST(what_has_expired_is_none), TEST(groups_are_what_stands_between_commas),
    TEST(attributes_are_found_by_their_whole_name),
    TEST(who_expires_is_sent_away_then_and_not_before))
