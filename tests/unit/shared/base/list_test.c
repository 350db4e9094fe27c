#include "shared/base/list.h"

#include "tests/unit/unit.h"

struct item {
	int n;
	struct list link;
};

static void
deleting_twice_is_harmless(void)
{
	struct list head;
	struct item a = { .n = 1 };

	list_init(&head);
	list_add(&head, &a.link);
	list_del(&a.link);
	list_del(&a.link);
	CU_ASSERT_TRUE(list_is_empty(&head));
	CU_ASSERT_TRUE(list_is_empty(&a.link));
}

static void
empty_list_is_not_walked(void)
{
	struct list head;
	struct item *it, *tmp;
	int met = 0;

	list_init(&head);
	LIST_FOREACH(it, tmp, &head, struct item, link)
		met++;
	CU_ASSERT_EQUAL(met, 0);
}

static void
order_is_kept_and_the_current_may_be_deleted(void)
{
	struct list head;
	struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };
	struct item *it, *tmp;
	int seen = 0;

	list_init(&head);
	list_add_tail(&head, &b.link);
	list_add_tail(&head, &c.link);
	list_add(&head, &a.link);
	CU_ASSERT_PTR_EQUAL(LIST_FIRST(&head, struct item, link), &a);
	LIST_FOREACH(it, tmp, &head, struct item, link) {
		seen = seen * 10 + it->n;
		list_del(&it->link);
	}
	CU_ASSERT_EQUAL(seen, 123);
	CU_ASSERT_TRUE(list_is_empty(&head));
}

UNIT_MAIN("shared/base/list", TEST(deleting_twice_is_harmless), TEST(empty_list_is_not_walked),
    TEST(order_is_kept_and_the_current_may_be_deleted))
