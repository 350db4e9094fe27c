#include "tests/unit/memory.h"

#include "shared/base/htab.c"
#include "shared/mqtt/trie.c"

#include "tests/unit/unit.h"

#define N 600

static const struct hash_key key = { { 5, 6 } };

struct hits {
	unsigned n, count[N];
};

static void
hit(void *arg, uint64_t id)
{
	struct hits *h = arg;

	h->n++;
	h->count[id]++;
}

static struct hits
match(const struct trie *t, const char *topic, size_t len)
{
	struct hits h = { 0 };
	struct topic_hash th;

	topic_hash(&key, span_of(topic, len), &th);
	trie_match(t, span_of(topic, len), &th, hit, &h);
	return h;
}

static unsigned
matches(const struct trie *t, const char *topic)
{
	return match(t, topic, strlen(topic)).n;
}

static void
add(struct trie *t, const char *filter)
{
	CU_ASSERT_EQUAL(trie_add(t, span_str(filter), 0), 0);
}

static void
del(struct trie *t, const char *filter)
{
	trie_del(t, span_str(filter));
}

/* Few words, so that filters share beginnings; empty levels and '$' among them. */
static size_t
make_filter(unsigned *seed, char *out)
{
	static const char *const word[] = { "a", "ab", "", "+", "+", "$x", "a" };
	unsigned levels = rand_r(seed) % 30 == 0 ? 40 : 1 + rand_r(seed) % 7;
	size_t n = 0;

	if (rand_r(seed) % 200 == 0)
		return (size_t)sprintf(out, "#");
	for (unsigned i = 0; i < levels; i++)
		n += (size_t)sprintf(out + n, "%s%s", i > 0 ? "/" : "", word[rand_r(seed) % 7]);
	if (rand_r(seed) % 3 == 0)
		n += (size_t)sprintf(out + n, "/#");
	return n;
}

static void
nothing_is_found_before_it_is_added_and_after_it_is_deleted(void)
{
	struct trie *t = trie_new(&key);

	CU_ASSERT_EQUAL(matches(t, "a/b"), 0);
	add(t, "a/b");
	CU_ASSERT_EQUAL(matches(t, "a/b"), 1);
	del(t, "a/b");
	CU_ASSERT_EQUAL(matches(t, "a/b"), 0);
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
	trie_free(NULL);
}

static void
part_of_a_filter_is_no_filter(void)
{
	struct trie *t = trie_new(&key);

	add(t, "a/bc/d");
	CU_ASSERT_EQUAL(matches(t, "a"), 0);
	CU_ASSERT_EQUAL(matches(t, "a/b"), 0);
	CU_ASSERT_EQUAL(matches(t, "a/bc"), 0);
	CU_ASSERT_EQUAL(matches(t, "a/bc/"), 0);
	CU_ASSERT_EQUAL(matches(t, "a/bc/d/"), 0);
	CU_ASSERT_EQUAL(matches(t, "/a/bc/d"), 0);
	CU_ASSERT_EQUAL(matches(t, "a/bc/d"), 1);
	del(t, "a/bc/d");
	trie_free(t);
}

static void
wildcards_in_front_pass_over_dollar_topics(void)
{
	struct trie *t = trie_new(&key);

	add(t, "#");
	add(t, "+/a");
	add(t, "+/#");
	CU_ASSERT_EQUAL(matches(t, "$SYS/a"), 0);
	CU_ASSERT_EQUAL(matches(t, "SYS/a"), 3);
	add(t, "$SYS/#");
	add(t, "$SYS/+");
	add(t, "$SYS/a");
	CU_ASSERT_EQUAL(matches(t, "$SYS/a"), 3);
	CU_ASSERT_EQUAL(matches(t, "$SYS"), 1);
	del(t, "$SYS/#");
	del(t, "$SYS/+");
	del(t, "$SYS/a");
	del(t, "+/#");
	del(t, "+/a");
	del(t, "#");
	trie_free(t);
}

static void
empty_levels_are_levels(void)
{
	struct trie *t = trie_new(&key);

	add(t, "/");
	add(t, "/+");
	add(t, "//#");
	add(t, "+/+/");
	CU_ASSERT_EQUAL(matches(t, "/"), 3); /* "//#" has it as its parent level */
	CU_ASSERT_EQUAL(matches(t, "//"), 2);
	CU_ASSERT_EQUAL(matches(t, "///"), 1);
	CU_ASSERT_EQUAL(matches(t, "/a"), 1);
	CU_ASSERT_EQUAL(matches(t, "a"), 0);
	del(t, "/");
	del(t, "+/+/");
	del(t, "/+");
	del(t, "//#");
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

static void
added_twice_is_found_once_until_deleted_twice(void)
{
	struct trie *t = trie_new(&key);

	add(t, "a/+");
	add(t, "a/+");
	CU_ASSERT_EQUAL(matches(t, "a/b"), 1);
	del(t, "a/+");
	CU_ASSERT_EQUAL(matches(t, "a/b"), 1);
	del(t, "a/+");
	CU_ASSERT_EQUAL(matches(t, "a/b"), 0);
	trie_free(t);
}

/* Filters that part from one long filter at each of its levels come and go. */
static void
what_filters_had_split_grows_together_when_they_go(void)
{
	struct trie *t = trie_new(&key);
	char text[256];

	add(t, "0/1/2/3/4/5/6/7/8/9");
	CU_ASSERT_EQUAL(trie_nodes(t), 1);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t len = 1; len < 19; len += 2) {
			sprintf(text, "%.*s/%s", (int)len, "0/1/2/3/4/5/6/7/8/9",
			    round == 0 ? "+" : "x");
			add(t, text);
			CU_ASSERT_EQUAL(trie_nodes(t), 3);
			del(t, text);
			CU_ASSERT_EQUAL(trie_nodes(t), 1);
		}
		add(t, "0/1");
		CU_ASSERT_EQUAL(trie_nodes(t), 2);
		del(t, "0/1");
	}
	CU_ASSERT_EQUAL(matches(t, "0/1/2/3/4/5/6/7/8/9"), 1);
	del(t, "0/1/2/3/4/5/6/7/8/9");
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

static void
the_longest_filters_cost_a_node_and_no_stack(void)
{
	static char slashes[UINT16_MAX], pluses[UINT16_MAX], words[UINT16_MAX];
	struct trie *t = trie_new(&key);

	memset(slashes, '/', sizeof(slashes)); /* 65,536 levels */
	for (size_t i = 0; i < sizeof(pluses); i++) {
		pluses[i] = i % 2 == 0 ? '+' : '/';
		words[i] = i % 2 == 0 ? 'w' : '/';
	}
	CU_ASSERT_EQUAL(trie_add(t, span_of(slashes, sizeof(slashes)), 0), 0);
	CU_ASSERT_EQUAL(trie_add(t, span_of(pluses, sizeof(pluses)), 1), 0);
	CU_ASSERT_EQUAL(trie_nodes(t), 2);
	CU_ASSERT_EQUAL(match(t, slashes, sizeof(slashes)).n, 1);
	CU_ASSERT_EQUAL(match(t, slashes, sizeof(slashes) - 1).n, 0);
	CU_ASSERT_EQUAL(match(t, words, sizeof(words)).n, 1);
	CU_ASSERT_EQUAL(match(t, words, sizeof(words) - 2).n, 0);
	CU_ASSERT_EQUAL(match(t, slashes, sizeof(slashes) / 2).n, 1);
	trie_del(t, span_of(slashes, sizeof(slashes)));
	trie_del(t, span_of(pluses, sizeof(pluses)));
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

/* Filters come, go and come again; all along each topic finds what topic_match() says, each once. */
static void
random_filters_are_found_as_if_matched_one_by_one(void)
{
	static char filter[N][256];
	size_t len[N], there = 0;
	struct trie *t = trie_new(&key);
	bool in[N] = { false };
	unsigned seed = 42;

	for (unsigned i = 0; i < N; i++)
		len[i] = make_filter(&seed, filter[i]);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned k = rand_r(&seed) % N;
		bool grows = round / 2500 % 2 == 0; /* waves, the last of which leaves few */

		if (in[k] && (!grows || rand_r(&seed) % 4 == 0)) {
			trie_del(t, span_of(filter[k], len[k]));
			in[k] = false;
			there--;
		} else if (!in[k] && len[k] > 0 && (grows || rand_r(&seed) % 4 == 0)) {
			bool twin = false;

			for (unsigned i = 0; i < N; i++)
				twin |= in[i] &&
				    span_eq(span_of(filter[i], len[i]), span_of(filter[k], len[k]));
			if (!twin) {
				CU_ASSERT_EQUAL(trie_add(t, span_of(filter[k], len[k]), k), 0);
				in[k] = true;
				there++;
			}
		}
		CU_ASSERT_TRUE(trie_nodes(t) <= 2 * there);
		if (round % 10 == 0) {
			char topic[256];
			size_t n;
			struct hits h;

			do
				n = make_filter(&seed, topic);
			while (n == 0);
			for (size_t i = 0; i < n; i++)
				if (topic[i] == '+' || topic[i] == '#')
					topic[i] = 'a';
			h = match(t, topic, n);
			for (unsigned i = 0; i < N; i++)
				CU_ASSERT_EQUAL(h.count[i],
				    in[i] &&
					topic_match(span_of(filter[i], len[i]), span_of(topic, n)));
		}
	}
	for (unsigned i = 0; i < N; i++)
		if (in[i])
			trie_del(t, span_of(filter[i], len[i]));
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

static struct hits
match_everything(const struct trie *t, char (*topic)[256], const size_t *len)
{
	struct hits all = { 0 };

	for (unsigned i = 0; i < 20; i++) {
		struct hits h = match(t, topic[i], len[i]);

		all.n += h.n;
		for (unsigned k = 0; k < N; k++)
			all.count[k] += h.count[k] << i % 16;
	}
	return all;
}

/* Each allocation of each trie_add() fails once before it succeeds. */
static void
memory_that_runs_out_while_adding_changes_nothing(void)
{
	static char filter[N][256], topic[20][256];
	size_t len[N], topic_len[20];
	struct hits before, after;
	unsigned seed = 11, failed = 0;
	struct trie *t;

	memory_fail_at = 1;
	CU_ASSERT_PTR_NULL(trie_new(&key));
	t = trie_new(&key);
	for (unsigned i = 0; i < 20; i++)
		do {
			topic_len[i] = make_filter(&seed, topic[i]);
			for (size_t k = 0; k < topic_len[i]; k++)
				if (topic[i][k] == '+' || topic[i][k] == '#')
					topic[i][k] = 'a';
		} while (topic_len[i] == 0);
	for (unsigned i = 0; i < N; i++) {
		size_t nodes = trie_nodes(t);

		do
			len[i] = make_filter(&seed, filter[i]);
		while (len[i] == 0);
		before = match_everything(t, topic, topic_len);
		for (unsigned nth = 1;; nth++) {
			memory_fail_at = nth;
			if (trie_add(t, span_of(filter[i], len[i]), i) == 0)
				break;
			failed++;
			CU_ASSERT_EQUAL(trie_nodes(t), nodes);
			after = match_everything(t, topic, topic_len);
			CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);
		}
		memory_fail_at = 0;
	}
	CU_ASSERT_TRUE(failed > N);
	for (unsigned i = 0; i < N; i++)
		trie_del(t, span_of(filter[i], len[i]));
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

/* Filters that are there several times have one name, that of the last who added it. */
static bool
is_found(const struct hits *h, char (*filter)[256], const size_t *len, unsigned k)
{
	unsigned found = 0;

	for (unsigned i = 0; i < N; i++)
		if (span_eq(span_of(filter[i], len[i]), span_of(filter[k], len[k])))
			found += h->count[i];
	return found == 1;
}

static void
deleting_needs_no_memory(void)
{
	static char filter[N][256];
	struct trie *t = trie_new(&key);
	size_t len[N];
	unsigned seed = 12;

	for (unsigned i = 0; i < N; i++) {
		do
			len[i] = make_filter(&seed, filter[i]);
		while (len[i] == 0);
		CU_ASSERT_EQUAL(trie_add(t, span_of(filter[i], len[i]), i), 0);
	}
	memory_is_gone = true;
	for (unsigned i = 0; i < N; i++) {
		struct hits h;

		trie_del(t, span_of(filter[i], len[i]));
		h = match(t, "a/ab/a", 6);
		for (unsigned k = i + 1; k < N; k++)
			if (topic_match(span_of(filter[k], len[k]), span_str("a/ab/a")))
				CU_ASSERT_TRUE(is_found(&h, filter, len, k));
	}
	memory_is_gone = false;
	CU_ASSERT_EQUAL(trie_nodes(t), 0);
	trie_free(t);
}

UNIT_MAIN("shared/mqtt/trie", TEST(nothing_is_found_before_it_is_added_and_after_it_is_deleted),
    TEST(part_of_a_filter_is_no_filter), TEST(wildcards_in_front_pass_over_dollar_topics),
    TEST(empty_levels_are_levels), TEST(added_twice_is_found_once_until_deleted_twice),
    TEST(what_filters_had_split_grows_together_when_they_go),
    TEST(the_longest_filters_cost_a_node_and_no_stack),
    TEST(random_filters_are_found_as_if_matched_one_by_one),
    TEST(memory_that_runs_out_while_adding_changes_nothing), TEST(deleting_needs_no_memory))
