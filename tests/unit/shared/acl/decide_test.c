#include "shared/mqtt/topic.h"
#include "tests/unit/shared/acl/lib.h"

#define MODEL_MAX 6

/* --- what a client chooses --------------------------------------------------------------- */

static void
a_value_that_is_a_wildcard_or_two_levels_matches_nothing(void)
{
	static const char *const bad[] = { "+", "#", "a/b", "a+", "x#", "/", "" };
	struct rules r = rules_of("allow all all dev/%c/x\n"
				  "allow all all dev/%u/x\n"
				  "allow all all pre-%u-post/#\n"
				  "allow all all %{cn}/%c\n");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct acl_who who = who_of(bad[i], bad[i], bad[i]);
		char topic[64];

		snprintf(topic, sizeof(topic), "dev/%s/x", bad[i]);
		CU_ASSERT_FALSE(decide(&r, who, ACL_SUBSCRIBE, topic).allowed);
		CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "dev/a/x").allowed);
		CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "dev/a/b/x").allowed);
		CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "dev//x").allowed);
		snprintf(topic, sizeof(topic), "pre-%s-post", bad[i]);
		CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, topic).allowed);
		CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "pre-a/b-post").allowed);
	}
	rules_free(&r);
}

static void
a_value_does_not_get_at_topics_of_the_broker(void)
{
	struct rules r = rules_of("allow all all %u/#\nallow all all x/%u\n");
	struct acl_who who = who_of("c", "$SYS", NULL);

	CU_ASSERT_FALSE(decide(&r, who, ACL_RECEIVE, "$SYS/uptime").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_SUBSCRIBE, "$SYS/#").allowed);
	CU_ASSERT_TRUE(decide(&r, who, ACL_RECEIVE, "x/$SYS").allowed);
	rules_free(&r);
}

static void
who_has_no_name_is_nobody_of_that_name(void)
{
	struct rules r = rules_of("allow user \"\\\"\" all a\n"
				  "allow user ~.* all u\n"
				  "allow cert ~^ all c\n"
				  "allow anonymous all n\n");

	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "u").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("c", "", NULL), ACL_PUBLISH, "u").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("c", "x", NULL), ACL_PUBLISH, "c").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("c", "x", NULL), ACL_PUBLISH, "n").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", "x", NULL), ACL_PUBLISH, "u").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", "", NULL), ACL_PUBLISH, "n").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", "\"", NULL), ACL_PUBLISH, "a").allowed);
	rules_free(&r);
}

static void
placeholders_stand_within_levels(void)
{
	struct rules r = rules_of("allow all publish a/%c-%u/100%%/%{cn}/#\n");
	struct acl_who who = who_of("id", "me", "box.example");

	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "a/id-me/100%/box.example").allowed);
	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "a/id-me/100%/box.example/x").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/id-me/100%/box.exampl").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/id-m/100%/box.example").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/id-mee/100%/box.example").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/%c-%u/100%/%{cn}").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("id", "me", NULL), ACL_PUBLISH, "a/id-me/100%/").allowed);
	rules_free(&r);
}

static struct span
attribute(const void *arg, struct span name)
{
	(void)arg;
	return span_eq(name, span_str("site")) ? span_str("rome")
	    : span_eq(name, span_str("wild"))  ? span_str("a/b")
					       : span_of(NULL, 0);
}

static void
attributes_stand_for_themselves_where_they_are_known(void)
{
	struct rules r = rules_of("allow all publish at/%{site}-%c/%{site}/#\n"
				  "allow all publish %{none}/x\nallow all publish %{wild}\n"
				  "allow all subscribe in/%{site}/#\n");
	struct acl_who who = who_of("id", NULL, NULL);

	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "at/rome-id/rome").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "at/-id/").allowed);
	who.attribute = attribute;
	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "at/rome-id/rome").allowed);
	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "at/rome-id/rome/x").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "at/rome-i/rome").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "at/rom-id/rome").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "/x").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "none/x").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/b").allowed);
	CU_ASSERT_TRUE(decide(&r, who, ACL_SUBSCRIBE, "in/rome/+").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_SUBSCRIBE, "in/+/x").allowed);
	rules_free(&r);
}

/* --- regular expressions ----------------------------------------------------------------- */

static void
a_regex_that_gives_up_never_allows_and_always_denies(void)
{
	static char hard[4000];
	struct rules r = rules_of("allow all publish ~^(a+)+$\n"),
		     d = rules_of("deny all publish ~^(a+)+$\nallow all publish #\n"),
		     w = rules_of("deny user ~^(a+)+$ publish x\nallow user ~^(a+)+$ publish y\n"
				  "allow all publish x\n");

	memset(hard, 'a', sizeof(hard) - 2);
	hard[sizeof(hard) - 2] = '!';
	(void)acl_errors();
	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, hard).allowed);
	CU_ASSERT_TRUE(acl_errors() > 0);
	CU_ASSERT_FALSE(decide(&d, who_of("c", NULL, NULL), ACL_PUBLISH, hard).allowed);
	CU_ASSERT_TRUE(acl_errors() > 0);
	CU_ASSERT_EQUAL(acl_errors(), 0);
	CU_ASSERT_TRUE(decide(&d, who_of("c", NULL, NULL), ACL_PUBLISH, "b").allowed);
	CU_ASSERT_FALSE(decide(&w, who_of("c", hard, NULL), ACL_PUBLISH, "x").allowed);
	CU_ASSERT_FALSE(decide(&w, who_of("c", hard, NULL), ACL_PUBLISH, "y").allowed);
	CU_ASSERT_TRUE(decide(&w, who_of("c", "b", NULL), ACL_PUBLISH, "x").allowed);
	CU_ASSERT_TRUE(decide(&w, who_of("c", "aa", NULL), ACL_PUBLISH, "y").allowed);
	rules_free(&r);
	rules_free(&d);
	rules_free(&w);
}

static void
a_line_break_hides_nothing_from_a_regex(void)
{
	struct rules r = rules_of("deny all publish ~^secret/.*$\nallow all publish ~^open$\n"
				  "allow all publish secret/#\n");

	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "secret/\nx").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "open\n").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", NULL, NULL), ACL_PUBLISH, "open").allowed);
	rules_free(&r);
}

static void
regexes_and_filters_have_one_order(void)
{
	struct rules r = rules_of("allow all publish ~^a/1$\n"
				  "deny all publish a/+\n"
				  "allow all publish ~^a/2$\n"
				  "allow all publish ~^b\n"
				  "deny all publish b/#\n");
	struct acl_who who = who_of("c", NULL, NULL);

	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "a/1").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a/2").allowed);
	CU_ASSERT_EQUAL(decide(&r, who, ACL_PUBLISH, "a/2").rule, 1);
	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "b/x").allowed);
	CU_ASSERT_EQUAL(decide(&r, who, ACL_PUBLISH, "b/x").rule, 3);
	rules_free(&r);
}

/* What a regular expression says of a filter with wildcards is a guess: messages tell. */
static void
subscriptions_by_regex_are_checked(void)
{
	struct rules r = rules_of("deny all subscribe ~secret\nallow all subscribe ~^a/\n"
				  "allow all subscribe b/#\n");
	struct acl_who who = who_of("c", NULL, NULL);
	struct acl_verdict v = decide(&r, who, ACL_SUBSCRIBE, "a/#");

	CU_ASSERT_TRUE(v.allowed && v.checked && v.rule == 1);
	v = decide(&r, who, ACL_SUBSCRIBE, "a/x");
	CU_ASSERT_TRUE(v.allowed && !v.checked);
	v = decide(&r, who, ACL_SUBSCRIBE, "b/+");
	CU_ASSERT_TRUE(v.allowed && v.checked && v.rule == 2 && v.because == 0);
	v = decide(&r, who, ACL_SUBSCRIBE, "b/x");
	CU_ASSERT_TRUE(v.allowed && !v.checked);
	CU_ASSERT_FALSE(decide(&r, who, ACL_SUBSCRIBE, "a/secret/#").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_SUBSCRIBE, "#").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_RECEIVE, "b/secret").allowed);
	rules_free(&r);
}

/* --- who ---------------------------------------------------------------------------------- */

static void
groups_come_from_the_rules_and_from_outside(void)
{
	struct rules r = rules_of("group ops user alice, \"bob b\", ~^op-\n"
				  "group ops client c7\n"
				  "group ops cert box\n"
				  "allow group ops publish a\n"
				  "allow group others publish b\n");
	struct span others = span_str("others");
	struct acl_who who = who_of("c", "zoe", NULL);

	CU_ASSERT_TRUE(decide(&r, who_of("c", "alice", NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", "bob b", NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", "op-1", NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c7", NULL, NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_TRUE(decide(&r, who_of("c", NULL, "box"), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a").allowed);
	CU_ASSERT_FALSE(decide(&r, who_of("alice", "bob", NULL), ACL_PUBLISH, "a").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "b").allowed);
	who.groups = &others;
	who.ngroups = 1;
	CU_ASSERT_TRUE(decide(&r, who, ACL_PUBLISH, "b").allowed);
	CU_ASSERT_FALSE(decide(&r, who, ACL_PUBLISH, "a").allowed);
	rules_free(&r);
}

static void
the_same_to_the_rules_share_what_was_found(void)
{
	struct rules r = rules_of("allow user x publish a\nallow all publish b/%c\n");
	struct acl_who a = who_of("1", "p", "cn"), b = who_of("2", "q", NULL),
		       x = who_of("3", "x", NULL);
	struct acl_bound *ba = acl_bind(r.set, &a), *bb = acl_bind(r.set, &b),
			 *bx = acl_bind(r.set, &x);

	CU_ASSERT_PTR_EQUAL(ba, bb);
	CU_ASSERT_PTR_NOT_EQUAL(ba, bx);
	CU_ASSERT_TRUE(acl_decide(ba, &a, ACL_PUBLISH, span_str("b/1")).allowed);
	CU_ASSERT_FALSE(acl_decide(bb, &b, ACL_PUBLISH, span_str("b/1")).allowed);
	acl_unbind(&ba);
	CU_ASSERT_TRUE(acl_decide(bb, &b, ACL_PUBLISH, span_str("b/2")).allowed);
	acl_unbind(&bb);
	acl_unbind(&bx);
	rules_free(&r);
}

static void
who_is_bound_keeps_rules_that_are_no_longer_in_force(void)
{
	struct rules r = rules_of("allow all publish a\n");
	struct acl_who who = who_of("c", NULL, NULL);
	struct acl_bound *b = acl_bind(r.set, &who);

	acl_set_unref(&r.set);
	CU_ASSERT_TRUE(acl_decide(b, &who, ACL_PUBLISH, span_str("a")).allowed);
	acl_unbind(&b);
	free(r.bytes);
}

/* --- order --------------------------------------------------------------------------------- */

static void
the_first_rule_wins_whosever_it_is(void)
{
	struct rules r = rules_of("deny user bob publish a/b\n"
				  "allow all publish a/+\n"
				  "deny client c publish a/#\n"
				  "allow all publish #\n");

	CU_ASSERT_EQUAL(decide(&r, who_of("c", "bob", NULL), ACL_PUBLISH, "a/b").rule, 0);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", "eve", NULL), ACL_PUBLISH, "a/b").rule, 1);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", "eve", NULL), ACL_PUBLISH, "a/b/c").rule, 2);
	CU_ASSERT_EQUAL(decide(&r, who_of("d", "eve", NULL), ACL_PUBLISH, "a/b/c").rule, 3);
	CU_ASSERT_EQUAL(decide(&r, who_of("d", "eve", NULL), ACL_PUBLISH, "$SYS/b").rule, ACL_NONE);
	rules_free(&r);
}

static void
what_the_first_image_does_not_decide_the_next_may(void)
{
	struct rules a = rules_of("deny all all a/#\n"), b = rules_of("allow all all +/x\n");
	struct acl_who who = who_of("c", NULL, NULL);
	struct acl_image *image[2];
	struct acl_set *set;
	struct acl_bound *bound;
	struct acl_verdict v;

	CU_ASSERT_EQUAL(acl_image_new(span_of(a.bytes, a.len), &image[0]), 0);
	CU_ASSERT_EQUAL(acl_image_new(span_of(b.bytes, b.len), &image[1]), 0);
	set = acl_set_new(image, 2, false);
	bound = acl_bind(set, &who);
	v = acl_decide(bound, &who, ACL_PUBLISH, span_str("a/x"));
	CU_ASSERT_TRUE(!v.allowed && v.image == 0 && v.rule == 0);
	v = acl_decide(bound, &who, ACL_PUBLISH, span_str("b/x"));
	CU_ASSERT_TRUE(v.allowed && v.image == 1 && v.rule == 0);
	v = acl_decide(bound, &who, ACL_PUBLISH, span_str("b/y"));
	CU_ASSERT_TRUE(!v.allowed && v.rule == ACL_NONE);
	v = acl_decide(bound, &who, ACL_SUBSCRIBE, span_str("+/x"));
	CU_ASSERT_TRUE(v.allowed && v.checked && v.image == 1 && v.because_image == 0);
	CU_ASSERT_FALSE(acl_decide(bound, &who, ACL_SUBSCRIBE, span_str("a/x")).allowed);
	acl_unbind(&bound);
	acl_set_unref(&set);
	rules_free(&a);
	rules_free(&b);
}

/* --- all against a model ------------------------------------------------------------------- */

struct model {
	bool allow, applies;
	unsigned actions;
	char filter[32];
};

static char universe[800][24];
static unsigned ntopics;

/* The empty topic is none, but a filter may be about it, and a rule that is about the same is one too many, not one too few. */
static void
make_universe(void)
{
	static const char *const level[] = { "a", "b", "c", "" },
				 *const first[] = { "a", "b", "c", "", "$a" };

	for (unsigned i = 0; i < 5; i++)
		for (unsigned n = 1; n <= 4; n++)
			for (unsigned k = 0; k < 1u << 2 * (n - 1); k++) {
				char *t = universe[ntopics];
				int len = snprintf(t, 24, "%s", first[i]);

				for (unsigned l = 0; l + 1 < n; l++)
					len += snprintf(t + len, 24 - (size_t)len, "/%s",
					    level[k >> 2 * l & 3]);
				ntopics++;
			}
}

static unsigned
draw(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

static void
draw_filter(unsigned *seed, char *out)
{
	static const char *const level[] = { "a", "b", "+", "+", "" };
	unsigned n = draw(seed, 4);
	bool hash = draw(seed, 3) == 0 || n == 0;
	int len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		len += sprintf(out + len, "%s%s", i > 0 ? "/" : "",
		    i == 0 && draw(seed, 6) == 0 ? "$a" : level[draw(seed, 5)]);
	if (hash)
		len += sprintf(out + len, "%s#", n > 0 ? "/" : "");
	if (len == 0)
		strcpy(out, "a");
}

static bool
matches(const char *filter, const char *topic)
{
	return topic_match(span_str(filter), span_str(topic));
}

static bool
covers(const char *rule, const char *filter)
{
	for (unsigned i = 0; i < ntopics; i++)
		if (matches(filter, universe[i]) && !matches(rule, universe[i]))
			return false;
	return true;
}

static bool
overlaps(const char *rule, const char *filter)
{
	for (unsigned i = 0; i < ntopics; i++)
		if (matches(filter, universe[i]) && matches(rule, universe[i]))
			return true;
	return false;
}

static unsigned
model_make(unsigned *seed, struct model m[MODEL_MAX], char *text)
{
	static const struct {
		const char *word;
		unsigned actions;
	} action[] = { { "publish", 1 }, { "subscribe", 6 }, { "receive", 4 }, { "all", 7 },
		{ "publish,receive", 5 } };
	static const struct {
		const char *word;
		bool applies;
	} who[] = { { "all", true }, { "user u", true }, { "client c", true }, { "user v", false },
		{ "anonymous", false }, { "group g", true }, { "user ~^u", true },
		{ "client ~x", false } };
	unsigned n = 1 + draw(seed, MODEL_MAX);

	text += sprintf(text, "group g user u\n");
	for (unsigned i = 0; i < n; i++) {
		unsigned w = draw(seed, 8), a = draw(seed, 5);

		m[i] = (struct model){ .allow = draw(seed, 2),
			.applies = who[w].applies,
			.actions = action[a].actions };
		draw_filter(seed, m[i].filter);
		text += sprintf(text, "%s %s %s %s\n", m[i].allow ? "allow" : "deny", who[w].word,
		    action[a].word, m[i].filter);
	}
	return n;
}

static uint32_t
model_topic(const struct model *m, unsigned n, enum acl_action a, const char *topic)
{
	for (unsigned i = 0; i < n; i++)
		if (m[i].applies && (m[i].actions & 1u << a) && matches(m[i].filter, topic))
			return i;
	return ACL_NONE;
}

static struct acl_verdict
model_filter(const struct model *m, unsigned n, const char *filter, bool allow)
{
	struct acl_verdict v = { .allowed = allow, .rule = ACL_NONE, .because = ACL_NONE };

	for (unsigned i = 0; i < n; i++) {
		if (!m[i].applies)
			continue;
		if ((m[i].actions & 1u << ACL_SUBSCRIBE) && covers(m[i].filter, filter)) {
			v.allowed = m[i].allow;
			v.rule = i;
			break;
		}
		if (!m[i].allow && (m[i].actions & 1u << ACL_RECEIVE) && !v.checked &&
		    overlaps(m[i].filter, filter)) {
			v.checked = true;
			v.because = i;
		}
	}
	if (!v.allowed) {
		v.checked = false;
		v.because = ACL_NONE;
	}
	return v;
}

static void
decisions_are_those_of_the_model(void)
{
	struct acl_who who = who_of("c", "u", NULL);
	unsigned seed = 1;

	make_universe();
	for (unsigned round = 0; round < 4000; round++) {
		struct model m[MODEL_MAX];
		char text[1024], filter[32];
		unsigned n = model_make(&seed, m, text);
		bool allow = draw(&seed, 2);
		struct rules r = rules_in(ACL_TBMQ, text, allow);

		for (unsigned i = 0; i < 8; i++) {
			const char *topic = universe[draw(&seed, ntopics)];
			enum acl_action a = draw(&seed, 2) ? ACL_PUBLISH : ACL_RECEIVE;
			uint32_t rule = model_topic(m, n, a, topic);
			struct acl_verdict v = decide(&r, who, a, topic), w;

			CU_ASSERT_EQUAL(v.rule, rule);
			CU_ASSERT_EQUAL(v.allowed, rule == ACL_NONE ? allow : m[rule].allow);
			draw_filter(&seed, filter);
			v = decide(&r, who, ACL_SUBSCRIBE, filter);
			w = model_filter(m, n, filter, allow);
			if (v.allowed != w.allowed || v.rule != w.rule || v.checked != w.checked ||
			    v.because != w.because) {
				fprintf(stderr, "filter %s default %d\n%s", filter, allow, text);
				fprintf(stderr, "%d %u %d %u, model %d %u %d %u\n", v.allowed,
				    v.rule, v.checked, v.because, w.allowed, w.rule, w.checked,
				    w.because);
				CU_FAIL_FATAL("not what the model says");
			}
		}
		rules_free(&r);
	}
}

/* Whatever the rules, a message on a subscription that is not checked may be received. */
static void
what_is_not_checked_may_be_received(void)
{
	struct acl_who who = who_of("c", "u", NULL);
	unsigned seed = 77;

	for (unsigned round = 0; round < 1000; round++) {
		struct model m[MODEL_MAX];
		char text[1024], filter[32];
		struct rules r;

		model_make(&seed, m, text);
		r = rules_of(text);
		draw_filter(&seed, filter);
		if (decide(&r, who, ACL_SUBSCRIBE, filter).allowed &&
		    !decide(&r, who, ACL_SUBSCRIBE, filter).checked)
			for (unsigned i = 0; i < ntopics; i++)
				CU_ASSERT_TRUE(!matches(filter, universe[i]) ||
				    decide(&r, who, ACL_RECEIVE, universe[i]).allowed);
		rules_free(&r);
	}
}

static void
a_filter_with_too_many_parts_to_look_at_is_checked(void)
{
	size_t room = 200000 * 24, len = 0;
	char *text = malloc(room);
	struct acl_verdict v;
	struct rules r;

	must(text != NULL);
	for (unsigned i = 0; i < 100000; i++)
		len += (size_t)snprintf(text + len, room - len, "deny all receive a/%u/x\n", i);
	snprintf(text + len, room - len, "allow all all #\n");
	r = rules_of(text);
	v = decide(&r, who_of("c", NULL, NULL), ACL_SUBSCRIBE, "a/+/y");
	CU_ASSERT_TRUE(v.allowed && v.checked);
	v = decide(&r, who_of("c", NULL, NULL), ACL_SUBSCRIBE, "b/+/y");
	CU_ASSERT_TRUE(v.allowed && !v.checked);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", NULL, NULL), ACL_RECEIVE, "a/99999/x").rule, 99999);
	CU_ASSERT_EQUAL(decide(&r, who_of("c", NULL, NULL), ACL_RECEIVE, "a/7/y").rule, 100000);
	rules_free(&r);
	free(text);
}

/* --- mosquitto ----------------------------------------------------------------------------- */

static void
mosquittos_rules_of_a_user_come_before_patterns(void)
{
	struct rules r = rules_in(ACL_MOSQUITTO,
	    "# who has no name\n"
	    "topic read news/#\n"
	    "\n"
	    "user alice a\n"
	    "topic readwrite own/#\n"
	    "topic deny own/secret\n"
	    "topic read both\n"
	    "user bob\n"
	    "topic readwrite plain/with blank\n"
	    "topic write both\n"
	    "pattern write dev/%c/%u/up\n"
	    "pattern deny own/%c\n"
	    "pattern read own/#\n",
	    false);
	struct acl_who none = who_of("c1", NULL, NULL), alice = who_of("c1", "alice a", NULL),
		       bob = who_of("c2", "bob", NULL);

	CU_ASSERT_TRUE(decide(&r, none, ACL_RECEIVE, "news/x").allowed);
	CU_ASSERT_FALSE(decide(&r, none, ACL_PUBLISH, "news/x").allowed);
	CU_ASSERT_FALSE(decide(&r, alice, ACL_RECEIVE, "news/x").allowed);
	CU_ASSERT_TRUE(decide(&r, alice, ACL_PUBLISH, "own/x").allowed);
	CU_ASSERT_FALSE(decide(&r, alice, ACL_PUBLISH, "own/secret").allowed);
	CU_ASSERT_TRUE(decide(&r, alice, ACL_PUBLISH, "own/c1").allowed);
	CU_ASSERT_TRUE(decide(&r, bob, ACL_PUBLISH, "plain/with blank").allowed);
	CU_ASSERT_TRUE(decide(&r, bob, ACL_PUBLISH, "dev/c2/bob/up").allowed);
	CU_ASSERT_FALSE(decide(&r, none, ACL_PUBLISH, "dev/c1//up").allowed);
	CU_ASSERT_FALSE(decide(&r, bob, ACL_RECEIVE, "own/c2").allowed);
	CU_ASSERT_TRUE(decide(&r, bob, ACL_RECEIVE, "own/c1").allowed);
	CU_ASSERT_TRUE(decide(&r, bob, ACL_PUBLISH, "both").allowed);
	CU_ASSERT_FALSE(decide(&r, bob, ACL_RECEIVE, "both").allowed);
	CU_ASSERT_FALSE(decide(&r, none, ACL_RECEIVE, "$SYS/x").allowed);
	rules_free(&r);
}

static void
mosquitto_accepts_every_subscription_and_checks_messages(void)
{
	struct rules r = rules_in(ACL_MOSQUITTO,
	    "user alice\ntopic read a/#\ntopic deny a/secret\ntopic read b/#\n", false);
	struct acl_who alice = who_of("c", "alice", NULL);
	struct acl_verdict v = decide(&r, alice, ACL_SUBSCRIBE, "zzz/#");

	CU_ASSERT_TRUE(v.allowed && v.checked);
	v = decide(&r, alice, ACL_SUBSCRIBE, "a/#");
	CU_ASSERT_TRUE(v.allowed && v.checked);
	v = decide(&r, alice, ACL_SUBSCRIBE, "b/+");
	CU_ASSERT_TRUE(v.allowed && !v.checked);
	rules_free(&r);
}

UNIT_MAIN("shared/acl/decide", TEST(a_value_that_is_a_wildcard_or_two_levels_matches_nothing),
    TEST(a_value_does_not_get_at_topics_of_the_broker),
    TEST(who_has_no_name_is_nobody_of_that_name), TEST(placeholders_stand_within_levels),
    TEST(attributes_stand_for_themselves_where_they_are_known),
    TEST(a_regex_that_gives_up_never_allows_and_always_denies),
    TEST(a_line_break_hides_nothing_from_a_regex), TEST(regexes_and_filters_have_one_order),
    TEST(subscriptions_by_regex_are_checked), TEST(groups_come_from_the_rules_and_from_outside),
    TEST(the_same_to_the_rules_share_what_was_found),
    TEST(who_is_bound_keeps_rules_that_are_no_longer_in_force),
    TEST(the_first_rule_wins_whosever_it_is),
    TEST(what_the_first_image_does_not_decide_the_next_may), TEST(decisions_are_those_of_the_model),
    TEST(what_is_not_checked_may_be_received),
    TEST(a_filter_with_too_many_parts_to_look_at_is_checked),
    TEST(mosquittos_rules_of_a_user_come_before_patterns),
    TEST(mosquitto_accepts_every_subscription_and_checks_messages))
