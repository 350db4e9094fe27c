#include "tests/unit/memory.h"

#include "shared/base/htab.c"
#include "shared/mqtt/index.c"

#include "tests/unit/unit.h"

#define N 3000

static const struct hash_key key = { { 3, 4 } };

/* Filters over few words, so that many match; some deeper than is hashed. */
static size_t
make_filter(unsigned *seed, char *out)
{
	static const char *const word[] = { "a", "b", "c", "", "+", "+" };
	unsigned levels = rand_r(seed) % 40 == 0 ? TOPIC_LEVELS + 3 : 1 + rand_r(seed) % 9;
	size_t n = 0;

	for (unsigned i = 0; i < levels; i++)
		n += (size_t)sprintf(out + n, "%s%s", i > 0 ? "/" : "", word[rand_r(seed) % 6]);
	if (rand_r(seed) % 4 == 0)
		n += (size_t)sprintf(out + n, "/#");
	return n;
}

static void
finds_just_what_matches(void)
{
	static struct index_node *node[N], *found[N];
	struct index *x = index_new(&key);
	struct span none = span_of(NULL, 0);
	char text[256];
	struct index_node *chain;
	unsigned seed = 42;
	uint64_t pos = 0;
	size_t n = 0, walked = 0;

	for (unsigned i = 0; i < N; i++) {
		struct span f = span_of(text, make_filter(&seed, text));

		if (f.len == 0 || index_find(x, f, none) != NULL)
			continue;
		node[n++] = index_add(x, f, none, sizeof(struct index_node));
	}
	CU_ASSERT_EQUAL(index_count(x), n);
	for (unsigned round = 0; round < 500; round++) {
		size_t want = 0, got;
		struct topic_hash t;
		struct span topic;

		do {
			size_t len = make_filter(&seed, text);

			for (size_t i = 0; i < len; i++)
				if (text[i] == '+' || text[i] == '#')
					text[i] = 'c';
			topic = span_of(text, len);
		} while (topic.len == 0);
		topic_hash(&key, topic, &t);
		got = index_match(x, topic, &t, found, N);
		for (size_t i = 0; i < n; i++)
			want += topic_match(index_filter(node[i]), topic);
		CU_ASSERT_EQUAL(got, want);
		for (size_t i = 0; i < got; i++)
			CU_ASSERT_TRUE(topic_match(index_filter(found[i]), topic));
		CU_ASSERT_EQUAL(index_match(x, topic, &t, found, 1), want);
	}
	while ((chain = index_next(x, &pos)) != NULL)
		for (; chain != NULL; chain = chain->next)
			walked++;
	CU_ASSERT_EQUAL(walked, n);
	for (size_t i = 0; i < n; i += 2)
		index_del(x, &node[i]);
	for (size_t i = 0; i < n; i++)
		if (node[i] != NULL) {
			CU_ASSERT_PTR_EQUAL(index_find(x, index_filter(node[i]), none), node[i]);
			index_del(x, &node[i]);
		}
	CU_ASSERT_EQUAL(index_count(x), 0);
	index_free(x);
}

static void
groups_of_one_filter_are_apart(void)
{
	struct index *x = index_new(&key);
	struct span f = span_str("a/+"), g = span_str("g"), h = span_str("h"),
		    none = span_of(NULL, 0);
	struct index_node *plain = index_add(x, f, none, sizeof(*plain)),
			  *in_g = index_add(x, f, g, sizeof(*in_g)), *found[4];
	struct topic_hash t;

	CU_ASSERT_PTR_EQUAL(index_find(x, f, none), plain);
	CU_ASSERT_PTR_EQUAL(index_find(x, f, g), in_g);
	CU_ASSERT_PTR_NULL(index_find(x, f, h));
	topic_hash(&key, span_str("a/b"), &t);
	CU_ASSERT_EQUAL(index_match(x, span_str("a/b"), &t, found, 4), 2);
	index_del(x, &plain);
	CU_ASSERT_PTR_NULL(plain);
	CU_ASSERT_EQUAL(index_match(x, span_str("a/b"), &t, found, 4), 1);
	CU_ASSERT_PTR_EQUAL(found[0], in_g);
	index_del(x, &in_g);
	index_free(x);
}

/* Every shape of 13 levels, which is more than have a place, and one that is too deep for any. */
static void
no_filter_is_refused_for_its_shape(void)
{
	enum { SHAPES = 1 << 13 };
	static struct index_node *node[SHAPES], *found[SHAPES + 1], *deep;
	static const char topic[] = "x/x/x/x/x/x/x/x/x/x/x/x/x";
	struct index *x = index_new(&key);
	struct span none = span_of(NULL, 0);
	struct topic_hash t;
	char text[128];

	for (unsigned i = 0; i < SHAPES; i++) {
		strcpy(text, topic);
		for (unsigned l = 0; l < 13; l++)
			if (i >> l & 1)
				text[2 * l] = '+';
		node[i] = index_add(x, span_str(text), none, sizeof(*node[i]));
		CU_ASSERT_PTR_NOT_NULL_FATAL(node[i]);
	}
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? '+' : '/';
	text[sizeof(text) - 1] = '#';
	deep = index_add(x, span_of(text, sizeof(text)), none, sizeof(*deep));
	CU_ASSERT_PTR_NOT_NULL_FATAL(deep);
	CU_ASSERT_PTR_EQUAL(index_find(x, span_of(text, sizeof(text)), none), deep);

	topic_hash(&key, span_str(topic), &t);
	CU_ASSERT_EQUAL(index_match(x, span_str(topic), &t, found, SHAPES + 1), SHAPES);
	topic_hash(&key, span_str("x/x/x/x/x/x/x/x/x/x/x/x/y"), &t);
	CU_ASSERT_EQUAL(
	    index_match(x, span_str("x/x/x/x/x/x/x/x/x/x/x/x/y"), &t, found, SHAPES), SHAPES / 2);
	for (unsigned i = 0; i < SHAPES; i++)
		index_del(x, &node[i]);
	CU_ASSERT_EQUAL(index_count(x), 1);
	index_del(x, &deep);
	index_free(x);
}

/* Filters with and without groups in any order of coming and going. */
static void
random_groups_are_found_by_name_and_by_topic(void)
{
	enum { GROUPS = 64 };
	static const char *const filter[] = { "a/+", "a/b", "a/#" };
	struct index_node *node[3][GROUPS] = { 0 }, *found[3 * GROUPS];
	struct index *x = index_new(&key);
	struct topic_hash t;
	unsigned seed = 7;

	topic_hash(&key, span_str("a/b"), &t);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned f = rand_r(&seed) % 3, g = rand_r(&seed) % GROUPS;
		char name[8];
		struct span group = span_of(name, (size_t)sprintf(name, "g%u", g));

		if (g == 0)
			group.len = 0;
		CU_ASSERT_PTR_EQUAL(index_find(x, span_str(filter[f]), group), node[f][g]);
		if (node[f][g] != NULL)
			index_del(x, &node[f][g]);
		else
			node[f][g] =
			    index_add(x, span_str(filter[f]), group, sizeof(struct index_node));
		CU_ASSERT_EQUAL(
		    index_match(x, span_str("a/b"), &t, found, 3 * GROUPS), index_count(x));
	}
	for (unsigned f = 0; f < 3; f++)
		for (unsigned g = 0; g < GROUPS; g++)
			index_del(x, &node[f][g]);
	CU_ASSERT_EQUAL(index_count(x), 0);
	index_free(x);
}

static void
filter_beyond_the_cap_is_found_once_when_its_shape_comes_into_use(void)
{
	static struct index_node *node[INDEX_SHAPES];
	struct index *x = index_new(&key);
	struct span none = span_of(NULL, 0), g = span_str("g"), f = span_str("x/x/x/x/x/x/x/+/+");
	struct index_node *beyond, *other, *in_g, *found[4];
	struct topic_hash t;
	char text[32];

	for (unsigned i = 0; i < INDEX_SHAPES; i++) {
		strcpy(text, "y/y/y/y/y/y/y/y/y");
		for (unsigned l = 0; l < 6; l++)
			if (i >> l & 1)
				text[2 * l] = '+';
		node[i] = index_add(x, span_str(text), none, sizeof(*node[i]));
	}
	beyond = index_add(x, f, none, sizeof(*beyond));
	CU_ASSERT_TRUE(beyond->in_trie);
	index_del(x, &node[3]);
	other = index_add(x, span_str("z/z/z/z/z/z/z/+/+"), none, sizeof(*other));
	in_g = index_add(x, f, g, sizeof(*in_g));
	CU_ASSERT_FALSE(in_g->in_trie);

	topic_hash(&key, span_str("x/x/x/x/x/x/x/x/x"), &t);
	CU_ASSERT_EQUAL(index_match(x, span_str("x/x/x/x/x/x/x/x/x"), &t, found, 4), 2);
	CU_ASSERT_PTR_NOT_EQUAL(found[0], found[1]);
	index_del(x, &beyond);
	CU_ASSERT_EQUAL(index_match(x, span_str("x/x/x/x/x/x/x/x/x"), &t, found, 4), 1);
	CU_ASSERT_PTR_EQUAL(found[0], in_g);
	index_del(x, &in_g);
	index_del(x, &other);
	for (unsigned i = 0; i < INDEX_SHAPES; i++)
		index_del(x, &node[i]);
	index_free(x);
}

static void
groups_of_a_filter_beyond_the_cap_are_found_each_once(void)
{
	struct index *x = index_new(&key);
	struct index_node *node[3], *found[3];
	struct topic_hash t;
	char text[2 * TOPIC_LEVELS + 5];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? 'x' : '/';
	text[0] = '+';
	text[sizeof(text) - 1] = '+';
	for (unsigned i = 0; i < 3; i++)
		node[i] =
		    index_add(x, span_of(text, sizeof(text)), span_of("gh", i), sizeof(**node));
	text[0] = 'x';
	text[sizeof(text) - 1] = 'x';
	topic_hash(&key, span_of(text, sizeof(text)), &t);
	for (unsigned left = 3; left > 0; left--) {
		CU_ASSERT_EQUAL(index_match(x, span_of(text, sizeof(text)), &t, found, 3), left);
		for (unsigned i = 1; i < left; i++)
			CU_ASSERT_PTR_NOT_EQUAL(found[i], found[i - 1]);
		index_del(x, &node[left - 1]);
	}
	CU_ASSERT_EQUAL(index_match(x, span_of(text, sizeof(text)), &t, found, 3), 0);
	index_free(x);
}

/* Each allocation of each index_add() fails once before it succeeds. A shape without memory goes into the trie instead. */
static void
memory_that_runs_out_while_adding_changes_nothing(void)
{
	enum { FILTERS = 400 };
	static struct index_node *node[FILTERS], *found[FILTERS];
	struct span topic = span_str("a/b/c/a"), group;
	struct index *x;
	struct topic_hash t;
	unsigned seed = 3;
	size_t n = 0;

	memory_fail_at = 1;
	CU_ASSERT_PTR_NULL(index_new(&key));
	x = index_new(&key);
	topic_hash(&key, topic, &t);
	while (n < FILTERS) {
		char text[256], name[8];
		struct span f = span_of(text, make_filter(&seed, text));
		size_t want = 0;

		group = span_of(name, rand_r(&seed) % 2 ? (size_t)sprintf(name, "g%zu", n % 5) : 0);
		if (f.len == 0 || index_find(x, f, group) != NULL)
			continue;
		for (size_t i = 0; i < n; i++)
			want += topic_match(index_filter(node[i]), topic);
		for (unsigned nth = 1;; nth++) {
			CU_ASSERT_EQUAL(index_match(x, topic, &t, found, FILTERS), want);
			CU_ASSERT_PTR_NULL(index_find(x, f, group));
			CU_ASSERT_EQUAL(index_count(x), n);
			memory_fail_at = nth;
			node[n] = index_add(x, f, group, sizeof(**node));
			if (memory_fail_at > 0)
				break;
			index_del(x, &node[n]);
		}
		memory_fail_at = 0;
		CU_ASSERT_PTR_EQUAL(index_find(x, f, group), node[n]);
		n++;
	}
	memory_is_gone = true;
	for (size_t i = 0; i < n; i++)
		index_del(x, &node[i]);
	memory_is_gone = false;
	CU_ASSERT_EQUAL(index_count(x), 0);
	index_free(x);
	index_free(NULL);
}

UNIT_MAIN("shared/mqtt/index", TEST(no_filter_is_refused_for_its_shape),
    TEST(finds_just_what_matches), TEST(groups_of_one_filter_are_apart),
    TEST(random_groups_are_found_by_name_and_by_topic),
    TEST(filter_beyond_the_cap_is_found_once_when_its_shape_comes_into_use),
    TEST(groups_of_a_filter_beyond_the_cap_are_found_each_once),
    TEST(memory_that_runs_out_while_adding_changes_nothing))
