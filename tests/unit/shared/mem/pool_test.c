#include "shared/mem/pool.h"

#include "tests/unit/unit.h"

static void
putting_null_is_fine(void)
{
	struct pool p;

	pool_init(&p, 64, 4);
	pool_put(&p, NULL);
	CU_ASSERT_EQUAL(p.used, 0);
	CU_ASSERT_EQUAL(p.nfree, 0);
	pool_fini(&p);
}

static void
chunks_smaller_than_a_pointer_are_fine(void)
{
	struct pool p;

	pool_init(&p, 1, 4);
	pool_put(&p, pool_get(&p));
	CU_ASSERT_EQUAL(p.used, 0);
	pool_fini(&p);
}

static void
no_more_than_keep_are_kept(void)
{
	struct pool p;
	void *chunk[10];

	pool_init(&p, 64, 3);
	for (int i = 0; i < 10; i++)
		memset(chunk[i] = pool_get(&p), i, 64);
	CU_ASSERT_EQUAL(p.used, 10);
	for (int i = 0; i < 10; i++)
		pool_put(&p, chunk[i]);
	CU_ASSERT_EQUAL(p.used, 0);
	CU_ASSERT(p.nfree <= 3);
	pool_fini(&p);
	CU_ASSERT_EQUAL(p.nfree, 0);
}

static void
what_came_back_is_used_again(void)
{
#ifndef __SANITIZE_ADDRESS__ /* there the pool keeps nothing, so that late uses are found */
	struct pool p;
	void *a, *b;

	pool_init(&p, 64, 3);
	a = pool_get(&p);
	b = pool_get(&p);
	pool_put(&p, a);
	CU_ASSERT_EQUAL(p.nfree, 1);
	CU_ASSERT_PTR_EQUAL(pool_get(&p), a);
	pool_put(&p, a);
	pool_put(&p, b);
	pool_fini(&p);
#endif
}

UNIT_MAIN("shared/mem/pool", TEST(putting_null_is_fine),
    TEST(chunks_smaller_than_a_pointer_are_fine), TEST(no_more_than_keep_are_kept),
    TEST(what_came_back_is_used_again))
