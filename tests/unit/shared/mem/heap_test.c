#include "shared/mem/heap.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

#define MANY (8u << 20)

static void
what_is_allocated_shows(void)
{
	uint64_t before = heap_bytes(), during;
	void *p = malloc(MANY);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	during = heap_bytes();
	free(p);
	if (before == 0) { /* an allocator that doesn't say */
		CU_ASSERT_EQUAL(during, 0);
		return;
	}
	CU_ASSERT_TRUE(during >= before + MANY);
	CU_ASSERT_TRUE(heap_bytes() < during);
}

UNIT_MAIN("shared/mem/heap", TEST(what_is_allocated_shows))
