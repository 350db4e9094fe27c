#include "shared/ipc/interest.h"

#include <sys/mman.h>
#include <sys/wait.h>
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
	interest_group(t.own, span_str("a/+"), span_str("one"), 2, false, &g1);
	interest_group(t.own, span_str("a/+"), span_str("two"), 1, true, &g2);
	interest_group(t.own, span_str("a/+"), span_str("one"), 3, false, &g1);
	CU_ASSERT_EQUAL_FATAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 2);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(hit[i].weight, hit[i].group == g1 ? 3 : 1);
		CU_ASSERT_EQUAL(hit[i].flags, hit[i].group == g2 ? INTEREST_DURABLE : 0);
	}
	CU_ASSERT_FALSE(wants(&t, "a/b"));
	interest_group(t.own, span_str("a/+"), span_str("one"), 0, false, &g1);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 1);
	interest_group(t.own, span_str("a/+"), span_str("two"), 0, false, &g2);
	CU_ASSERT_EQUAL(interest_probe_groups(t.head, t.tables, &h, hit, 4), 0);
	table_free(&t);
}

UNIT_MAIN("shared/ipc/interest", TEST(what_is_not_wanted_is_not_sent),
    TEST(versions_change_with_what_concerns_the_topic),
    TEST(filters_without_a_place_bring_everything), TEST(a_reader_never_misses_what_stays),
    TEST(groups_have_weights_until_their_last_member_leaves))
