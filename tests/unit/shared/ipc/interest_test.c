#include "shared/ipc/interest.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define MANY 60000

static const struct hash_key key = { { 5, 6 } };

struct table {
	struct interest_head *head;
	void *tables;
	struct interest *own;
};

static struct table
table_new(void)
{
	struct table t;

	t.head =
	    mmap(NULL, sizeof(*t.head), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t.tables = mmap(NULL, interest_size(), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_TRUE_FATAL(t.head != MAP_FAILED && t.tables != MAP_FAILED);
	t.own = interest_new(t.head, t.tables, &key);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.own);
	return t;
}

static void
table_free(struct table *t)
{
	interest_free(t->own);
	munmap(t->head, sizeof(*t->head));
	munmap(t->tables, interest_size());
}

static bool
wants(const struct table *t, const char *topic)
{
	struct topic_hash h;

	topic_hash(&key, span_str(topic), &h);
	return interest_probe(t->head, t->tables, &h);
}

static uint64_t
version(const struct table *t, const char *topic)
{
	struct topic_hash h;

	topic_hash(&key, span_str(topic), &h);
	return interest_version(t->head, &h);
}

static void
what_is_not_wanted_is_not_sent(void)
{
	struct table t = table_new();

	CU_ASSERT_FALSE(wants(&t, "a/b"));
	interest_add(t.own, span_str("a/+"));
	CU_ASSERT_TRUE(wants(&t, "a/b"));
	CU_ASSERT_FALSE(wants(&t, "a/b/c"));
	CU_ASSERT_FALSE(wants(&t, "$SYS/b"));
	interest_del(t.own, span_str("a/+"));
	CU_ASSERT_FALSE(wants(&t, "a/b"));
	table_free(&t);
}

static void
versions_change_with_what_concerns_the_topic(void)
{
	struct table t = table_new();
	uint64_t a = version(&t, "a/x"), b = version(&t, "b/x");

	interest_add(t.own, span_str("a/+"));
	CU_ASSERT_NOT_EQUAL(version(&t, "a/x"), a);
	CU_ASSERT_EQUAL(version(&t, "b/x"), b);
	interest_add(t.own, span_str("+/x"));
	CU_ASSERT_NOT_EQUAL(version(&t, "b/x"), b);
	interest_del(t.own, span_str("a/+"));
	interest_del(t.own, span_str("+/x"));
	table_free(&t);
}

static void
filters_without_a_place_bring_everything(void)
{
	struct table t = table_new();
	char deep[2 * TOPIC_LEVELS + 8] = "a", text[64];

	for (int i = 0; i <= TOPIC_LEVELS; i++)
		strcat(deep, "/b");
	interest_add(t.own, span_str(deep));
	CU_ASSERT_TRUE(wants(&t, "anything"));
	interest_del(t.own, span_str(deep));
	CU_ASSERT_FALSE(wants(&t, "anything"));
	/* More shapes of one depth than there is room for. */
	for (unsigned s = 0; s < INTEREST_SHAPES + 5; s++) {
		text[0] = '\0';
		for (unsigned l = 0; l < 8; l++)
			strcat(strcat(text, l > 0 ? "/" : ""), s >> l & 1 ? "+" : "x");
		interest_add(t.own, span_str(text));
	}
	CU_ASSERT_TRUE(wants(&t, "anything"));
	for (unsigned s = 0; s < INTEREST_SHAPES + 5; s++) {
		text[0] = '\0';
		for (unsigned l = 0; l < 8; l++)
			strcat(strcat(text, l > 0 ? "/" : ""), s >> l & 1 ? "+" : "x");
		interest_del(t.own, span_str(text));
	}
	CU_ASSERT_FALSE(wants(&t, "anything"));
	table_free(&t);
}

/* While the owner grows and cleans its table, a reader in another process never misses what is there. */
static void
a_reader_never_misses_what_stays(void)
{
	struct table t = table_new();
	char text[64];
	int status;
	pid_t pid;

	interest_add(t.own, span_str("always/+/here"));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 300000; i++) {
			snprintf(text, sizeof(text), "always/%d/here", i);
			if (!wants(&t, text))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "dev/%d/state", i);
		interest_add(t.own, span_str(text));
		interest_step(t.own);
		if (i >= 5000) {
			snprintf(text, sizeof(text), "dev/%d/state", i - 5000);
			if (i % 2)
				interest_del(t.own, span_str(text));
		}
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	while (interest_step(t.own))
		;
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "dev/%d/state", i);
		CU_ASSERT_EQUAL_FATAL(wants(&t, text), i % 2 == 0 || i >= MANY - 5000);
	}
	CU_ASSERT_EQUAL(atomic_load(&t.head->fallback), 0);
	table_free(&t);
}

static void
groups_have_weights_until_their_last_member_leaves(void)
{
	struct table t = table_new();
	struct interest_hit hit[4];
	struct topic_hash h;
	uint64_t g1, g2;

	topic_hash(&key, span_str("a/b"), &h);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 0);
	interest_group(t.own, span_str("a/+"), span_str("one"), 2, 1, &g1);
	interest_group(t.own, span_str("a/+"), span_str("two"), 1, 0, &g2);
	interest_group(t.own, span_str("a/+"), span_str("one"), 3, 1, &g1);
	CU_ASSERT_EQUAL_FATAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 2);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(hit[i].weight, hit[i].group == g1 ? 3 : 1);
		CU_ASSERT_EQUAL(hit[i].clean, hit[i].group == g2 ? 0 : 1);
	}
	CU_ASSERT_FALSE(wants(&t, "a/b"));
	interest_group(t.own, span_str("a/+"), span_str("one"), 0, 0, &g1);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 1);
	interest_group(t.own, span_str("a/+"), span_str("two"), 0, 0, &g2);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 0);
	table_free(&t);
}

/* A group that came when no shape had a place is the same group when there is one again. */
static void
a_group_without_a_shape_is_changed_and_removed_like_others(void)
{
	struct table t = table_new();
	struct span filter = span_str("x/x/x/x/x/x/x/+"), name = span_str("g");
	struct interest_hit hit[4];
	struct topic_hash h;
	char text[64];
	uint64_t g;

	for (int pass = 0; pass < 2; pass++) {
		for (unsigned s = 0; s < INTEREST_SHAPES; s++) {
			text[0] = '\0';
			for (unsigned l = 0; l < 8; l++)
				strcat(strcat(text, l > 0 ? "/" : ""), s >> l & 1 ? "+" : "x");
			if (pass == 0)
				interest_add(t.own, span_str(text));
			else
				interest_del(t.own, span_str(text));
		}
		interest_group(t.own, filter, name, 2 + (uint32_t)pass, 0, &g);
		topic_hash(&key, span_str("x/x/x/x/x/x/x/9"), &h);
		CU_ASSERT_EQUAL_FATAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 1);
		CU_ASSERT_EQUAL(hit[0].weight, 2 + (uint32_t)pass);
	}
	interest_group(t.own, filter, name, 0, 0, &g);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 0);
	CU_ASSERT_EQUAL(atomic_load(&t.head->ngroups), 0);
	table_free(&t);
}

/* They are offered every message: whoever makes many of them must not keep a message from the groups it is for. */
static void
groups_without_a_shape_leave_room_for_those_that_match(void)
{
	enum { ROOM = 4 };
	struct table t = table_new();
	struct interest_hit hit[ROOM];
	char deep[2 * TOPIC_LEVELS + 4] = "", name[16];
	struct topic_hash h;
	uint64_t g, wanted;

	for (int l = 0; l <= TOPIC_LEVELS; l++)
		strcat(deep, "d/");
	for (int i = 0; i < 2 * ROOM; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		interest_group(t.own, span_str(deep), span_str(name), 1, 0, &g);
	}
	interest_group(t.own, span_str("a/+"), span_str("g"), 7, 0, &wanted);
	topic_hash(&key, span_str("a/b"), &h);
	CU_ASSERT_EQUAL_FATAL(interest_probe_groups(t.head, t.tables, &h, hit, ROOM), ROOM);
	CU_ASSERT_EQUAL(hit[0].group, wanted);
	table_free(&t);
}

static void
many_groups_of_one_filter_are_all_seen_up_to_the_limit(void)
{
	enum { GROUPS = 6000 };
	static struct interest_hit hit[GROUPS + 1];
	struct table t = table_new();
	struct topic_hash h;
	char name[16];
	uint64_t g;

	topic_hash(&key, span_str("s/1"), &h);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < GROUPS; i++) {
			snprintf(name, sizeof(name), "g%d", i);
			interest_group(t.own, span_str("s/+"), span_str(name), pass == 0, 0, &g);
		}
		CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, GROUPS + 1),
		    pass == 0 ? GROUPS : 0);
	}
	for (int i = 0; i < INTEREST_GROUP_SLOTS; i++) { /* twice what there is room for */
		char filter[16];

		snprintf(filter, sizeof(filter), "f/%d", i);
		interest_group(t.own, span_str(filter), span_str("g"), 1, 0, &g);
	}
	CU_ASSERT_EQUAL(atomic_load(&t.head->ngroups), INTEREST_GROUP_SLOTS / 2);
	topic_hash(&key, span_str("f/7"), &h);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 1);
	table_free(&t);
}

/* A hostile or half-written segment: nothing is read outside of it, and where it can't tell the answer is yes. */
static void
a_table_of_garbage_is_read_without_a_fault(void)
{
	struct table t = table_new();
	struct interest_hit hit[8];
	unsigned seed = 3, yes = 0;
	time_t until = time(NULL) + 20;
	struct topic_hash h;
	int status;
	pid_t pid = fork();

	if (pid == 0) { /* the owner scribbles */
		uint64_t *word = (uint64_t *)(void *)t.head;

		for (;;) {
			for (size_t i = 0; i < sizeof(*t.head) / 8;
			     i += 1 + (unsigned)rand_r(&seed) % 64)
				word[i] =
				    (uint64_t)rand_r(&seed) << 32 ^ (uint64_t)rand_r(&seed) << 3;
			word = (uint64_t *)(void *)t.tables;
			for (size_t i = 0; i < 4096; i++)
				word[(size_t)rand_r(&seed) % (1 << 20)] = (uint64_t)rand_r(&seed);
			word = (uint64_t *)(void *)t.head;
		}
	}
	for (int i = 0; i < 3000 || (yes == 0 && time(NULL) < until); i++) {
		char text[64];

		snprintf(text, sizeof(text), "a/%d/b", i);
		topic_hash(&key, span_str(text), &h);
		yes += interest_probe(t.head, t.tables, &h);
		CU_ASSERT_TRUE_FATAL(interest_probe_groups(t.head, t.tables, &h, hit, 8) <= 8);
		(void)interest_version(t.head, &h);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE(yes > 0);
	table_free(&t);
}

/* An owner that was killed while it switched tables stops nobody. */
static void
an_area_that_cannot_be_means_interest(void)
{
	struct table t = table_new();

	CU_ASSERT_FALSE(wants(&t, "a"));
	interest_add(t.own, span_str("b"));
	atomic_store(&t.head->cur, (INTEREST_CLASS_MAX + 1) << 1);
	CU_ASSERT_TRUE(wants(&t, "a"));
	atomic_store(&t.head->cur, (INTEREST_CLASS_MIN - 1) << 1);
	CU_ASSERT_TRUE(wants(&t, "a"));
	table_free(&t);
}

/* As a rebuild does, only faster: the other area is filled, shown, and the first cleared. What was in both is never missed. */
static void
an_area_that_is_cleared_under_a_reader_is_noticed(void)
{
	struct table t = table_new();
	_Atomic uint64_t *area[2] = { t.tables,
		(void *)((uint8_t *)t.tables + (UINT64_C(8) << INTEREST_CLASS_MAX)) };
	const uint64_t mask = (1u << INTEREST_CLASS_MIN) - 1;
	struct topic_hash h;
	struct shape shape;
	uint64_t hash, first;
	unsigned missed = 0;
	pid_t pid;

	topic_hash(&key, span_str("a/b"), &h);
	CU_ASSERT_TRUE_FATAL(filter_hash(&key, span_str("a/b"), &shape, &hash, &first));
	interest_add(t.own, span_str("a/b"));
	pid = fork();
	if (pid == 0)
		for (uint64_t n = 2;; n++) {
			atomic_store(&area[n & 1][hash & mask], hash);
			atomic_store(&t.head->cur, n << 16 | INTEREST_CLASS_MIN << 1 | (n & 1));
			atomic_store(&area[~n & 1][hash & mask], 0);
		}
	while ((atomic_load(&t.head->cur) >> 16) < 1000)
		sched_yield();
	for (int i = 0; i < 2000000; i++)
		missed += !interest_probe(t.head, t.tables, &h);
	CU_ASSERT_EQUAL(missed, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	table_free(&t);
}

static void
a_million_filters_take_what_two_tables_take(void)
{
	struct table t = table_new();
	unsigned char *in_core;
	uint64_t pages = 0;
	char text[64];

	for (int i = 0; i < 1000000; i++) {
		snprintf(text, sizeof(text), "dev/%d/state", i);
		interest_add(t.own, span_str(text));
		interest_step(t.own);
	}
	while (interest_step(t.own))
		;
	CU_ASSERT_EQUAL(atomic_load(&t.head->fallback), 0);
	in_core = malloc(interest_size() / 4096 + 1);
	CU_ASSERT_EQUAL_FATAL(mincore(t.tables, interest_size(), in_core), 0);
	for (size_t i = 0; i < interest_size() / 4096; i++)
		pages += in_core[i] & 1;
	CU_ASSERT_TRUE(pages * 4096 <= UINT64_C(25) << 20);
	free(in_core);
	table_free(&t);
}

UNIT_MAIN("shared/ipc/interest", TEST(what_is_not_wanted_is_not_sent),
    TEST(versions_change_with_what_concerns_the_topic),
    TEST(filters_without_a_place_bring_everything), TEST(a_reader_never_misses_what_stays),
    TEST(groups_have_weights_until_their_last_member_leaves),
    TEST(a_group_without_a_shape_is_changed_and_removed_like_others),
    TEST(groups_without_a_shape_leave_room_for_those_that_match),
    TEST(many_groups_of_one_filter_are_all_seen_up_to_the_limit),
    TEST(a_table_of_garbage_is_read_without_a_fault), TEST(an_area_that_cannot_be_means_interest),
    TEST(an_area_that_is_cleared_under_a_reader_is_noticed),
    TEST(a_million_filters_take_what_two_tables_take))
