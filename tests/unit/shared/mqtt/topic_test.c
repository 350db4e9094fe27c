#include "shared/mqtt/topic.h"

#include "tests/unit/unit.h"

static const struct hash_key key = { { 7, 9 } };

static void
wrong_filters_are_refused(void)
{
	static const char *const bad[] = { "", "a#", "a/#/b", "#/a", "a+", "+a", "a/b+/c", "##",
		"a/##", "$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a",
		"$share/#/a", "$share/g/a#" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(filter_is_valid(span_str(bad[i])));
	CU_ASSERT_FALSE(topic_is_valid(span_str("")));
	CU_ASSERT_FALSE(topic_is_valid(span_str("a/+")));
	CU_ASSERT_FALSE(topic_is_valid(span_str("#")));
}

static void
right_filters_pass(void)
{
	static const char *const good[] = { "a", "/", "//", "+", "#", "+/+", "/+", "a/+/b", "a/#",
		"+/#", "$SYS/#", "$share/g/a", "$share/g//a", "$share/g/+/#", "$shared/x" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_TRUE(filter_is_valid(span_str(good[i])));
}

static void
wildcards_are_seen_anywhere(void)
{
	CU_ASSERT_FALSE(filter_has_wildcard(span_str("a/b/$share")));
	CU_ASSERT_TRUE(filter_has_wildcard(span_str("a/+/b")));
	CU_ASSERT_TRUE(filter_has_wildcard(span_str("$share/g/a/#")));
}

static void
shared_filter_has_name_and_filter(void)
{
	struct span name, filter;

	CU_ASSERT_TRUE(filter_share(span_str("$share/group//a/+"), &name, &filter));
	CU_ASSERT_TRUE(span_eq(name, span_str("group")) && span_eq(filter, span_str("/a/+")));
	CU_ASSERT_FALSE(filter_share(span_str("share/group/a"), &name, &filter));
}

static void
a_filter_is_written_as_it_was_read(void)
{
	static const char *const filters[] = { "$share/group//a/+", "a/#" };
	char buf[32];

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct span name = span_of(NULL, 0), filter = span_str(filters[i]);

		filter_share(filter, &name, &filter);
		CU_ASSERT_TRUE(
		    span_eq(span_of(buf, filter_write(name, filter, buf)), span_str(filters[i])));
	}
}

static const struct {
	const char *filter, *topic;
	bool matches;
} table[] = {
	{ "a", "a", true },
	{ "a", "A", false },
	{ "a", "a/", false },
	{ "sport/#", "sport", true },
	{ "sport/#", "sport/", true },
	{ "sport/#", "sport/a/b", true },
	{ "sport/#", "sports", false },
	{ "sport/+", "sport", false },
	{ "sport/+", "sport/", true },
	{ "sport/+", "sport/a", true },
	{ "sport/+", "sport/a/b", false },
	{ "+/+", "/finance", true },
	{ "/+", "/finance", true },
	{ "+", "/finance", false },
	{ "#", "a/b", true },
	{ "#", "/", true },
	{ "#", "$SYS/a", false },
	{ "+/a", "$SYS/a", false },
	{ "$SYS/#", "$SYS/a", true },
	{ "$SYS/+", "$SYS/a", true },
	{ "a//b", "a//b", true },
	{ "a/+/b", "a//b", true },
	{ "a/b", "a//b", false },
	{ "+/+/#", "a", false },
	{ "+/+/#", "a/b", true },
	{ "+/b/#", "a/b", true },
	{ "a/#", "a/b", true },
	{ "a/+/#", "a", false },
};

static void
matching_is_by_the_table(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		CU_ASSERT_EQUAL(topic_match(span_str(table[i].filter), span_str(table[i].topic)),
		    table[i].matches);
}

static void
shapes_and_hashes_agree_with_matching(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct topic_hash t;
		struct shape s;
		uint64_t hash, first;

		topic_hash(&key, span_str(table[i].topic), &t);
		CU_ASSERT_TRUE_FATAL(
		    filter_hash(&key, span_str(table[i].filter), &s, &hash, &first));
		CU_ASSERT_EQUAL(shape_fits(s, &t) && shape_hash(s, &t) == hash, table[i].matches);
		s = shape_unpack(shape_pack(s));
		CU_ASSERT_EQUAL(shape_fits(s, &t) && shape_hash(s, &t) == hash, table[i].matches);
		CU_ASSERT_NOT_EQUAL(shape_pack(s), 0);
	}
}

static void
deep_filter_has_no_shape(void)
{
	char text[2 * TOPIC_LEVELS + 2];
	struct shape s;
	uint64_t hash, first;

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 2 ? '/' : 'a';
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(topic_levels(span_str(text)), TOPIC_LEVELS + 1);
	CU_ASSERT_FALSE(filter_hash(&key, span_str(text), &s, &hash, &first));
	CU_ASSERT_TRUE(filter_hash(&key, span_of(text, sizeof(text) - 3), &s, &hash, &first));
}

static void
another_key_gives_another_hash(void)
{
	const struct hash_key other = { { 7, 10 } };
	struct shape s;
	uint64_t a, b, first;

	CU_ASSERT_TRUE(filter_hash(&key, span_str("a/b"), &s, &a, &first));
	CU_ASSERT_TRUE(filter_hash(&other, span_str("a/b"), &s, &b, &first));
	CU_ASSERT_NOT_EQUAL(a, b);
}

UNIT_MAIN("shared/mqtt/topic", TEST(wrong_filters_are_refused), TEST(right_filters_pass),
    TEST(wildcards_are_seen_anywhere), TEST(shared_filter_has_name_and_filter),
    TEST(a_filter_is_written_as_it_was_read), TEST(matching_is_by_the_table),
    TEST(shapes_and_hashes_agree_with_matching), TEST(deep_filter_has_no_shape),
    TEST(another_key_gives_another_hash))
