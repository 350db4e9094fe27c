#include "worker/persist/ends.h"

#include "tests/unit/unit.h"

#define N 2000

static uint32_t seed = 1;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static bool
is_first(const struct durable *d, const struct durable *all)
{
	for (unsigned i = 0; i < N; i++)
		if (all[i].ends_at != 0 && ends_ms(&all[i]) < ends_ms(d))
			return false;
	return true;
}

static void
the_next_to_end_is_first_whoever_comes_and_goes(void)
{
	static struct durable d[N];
	unsigned n = 0;

	CU_ASSERT_PTR_NULL(ends_first());
	for (unsigned i = 0; i < 20000; i++) {
		struct durable *x = &d[draw(N)];

		if (x->ends_at != 0) {
			ends_del(x);
			n--;
		}
		if (draw(3) > 0) {
			x->left_ms = 1 + draw(100000);
			x->expiry = draw(100);
			CU_ASSERT_EQUAL(ends_add(x), 0);
			n++;
		}
		if (n > 0)
			CU_ASSERT_TRUE(i % 16 != 0 || is_first(ends_first(), d));
	}
	for (uint64_t last = 0; n > 0; n--) {
		struct durable *x = ends_first();

		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		CU_ASSERT_TRUE(ends_ms(x) >= last);
		last = ends_ms(x);
		ends_del(x);
		ends_del(x);
	}
	CU_ASSERT_PTR_NULL(ends_first());
	ends_fini();
}

UNIT_MAIN("worker/persist/ends", TEST(the_next_to_end_is_first_whoever_comes_and_goes))
