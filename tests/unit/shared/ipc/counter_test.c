#include "shared/ipc/counter.h"

#include <unistd.h>

#include "shared/ipc/segment.h"
#include "tests/unit/unit.h"

static void
counts_go_along_into_the_segment_and_out_of_it(void)
{
	const struct segment *own;
	struct segment *seg;
	uint64_t size;
	int fd;

	count(CNT_bells);
	count_add(CNT_bells, 4);
	CU_ASSERT_EQUAL_FATAL(
	    segment_create(0, 1, (struct ring_caps){ 65536, 65536 }, &seg, &fd), 0);
	CU_ASSERT_EQUAL(atomic_load(&seg->counter[CNT_bells]), 5);
	count(CNT_bells);
	count_set(CNT_retained, 9);
	count_sub(CNT_retained, 2);
	CU_ASSERT_EQUAL(atomic_load(&seg->counter[CNT_bells]), 6);
	CU_ASSERT_EQUAL(atomic_load(&seg->counter[CNT_retained]), 7);
	own = seg;
	size = seg->size;
	segment_leave();
	segment_detach(&own, size);
	count(CNT_bells); /* would be a fault in the segment */
	CU_ASSERT_EQUAL(atomic_load(&counters[CNT_bells]), 7);
	CU_ASSERT_EQUAL(atomic_load(&counters[CNT_retained]), 7);
	close(fd);
}

static void
each_counter_has_a_name_of_its_own_and_help(void)
{
	for (int i = 0; i < COUNTERS; i++) {
		const struct counter_info *c = &counter_info[i];

		CU_ASSERT_TRUE_FATAL(c->name != NULL && c->unit != NULL && c->labels != NULL);
		CU_ASSERT_TRUE(c->help[0] != '\0' && c->help[strlen(c->help) - 1] == '.');
		/* Members of a family are told apart by their labels. */
		CU_ASSERT_EQUAL(strstr(c->name, "__") != NULL, c->labels[0] != '\0');
		for (int j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(c->name, counter_info[j].name);
	}
	CU_ASSERT_TRUE(counter_info[CNT_retained].gauge);
	CU_ASSERT_FALSE(counter_info[CNT_bells].gauge);
}

UNIT_MAIN("shared/ipc/counter", TEST(counts_go_along_into_the_segment_and_out_of_it),
    TEST(each_counter_has_a_name_of_its_own_and_help))
