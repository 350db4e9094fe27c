#include "shared/mem/arena.h"

#include "tests/unit/unit.h"

static void
impossible_sizes_are_no_memory(void)
{
	struct arena a;

	arena_init(&a, 64);
	CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX));
	CU_ASSERT_PTR_NULL(arena_alloc(&a, SIZE_MAX - 15));
	CU_ASSERT_PTR_NULL(arena_dup(&a, span_of("", SIZE_MAX)));
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 1));
	arena_fini(&a);
}

static void
unused_arena_owns_nothing(void)
{
	struct arena a;

	arena_init(&a, 4096);
	CU_ASSERT_PTR_NULL(a.head);
	arena_reset(&a);
	arena_fini(&a);
	arena_fini(&a);
	CU_ASSERT_PTR_NULL(a.head);
}

static void
pieces_are_aligned_and_do_not_overlap(void)
{
	struct arena a;
	uint8_t *p[200];
	unsigned wrong = 0;

	arena_init(&a, 100); /* no multiple of 16 */
	for (unsigned i = 0; i < 200; i++) {
		p[i] = arena_alloc(&a, i);
		wrong += (uintptr_t)p[i] % 16 != 0;
		memset(p[i], (int)i, i);
	}
	for (unsigned i = 0; i < 200; i++)
		for (unsigned k = 0; k < i; k++)
			wrong += p[i][k] != i;
	CU_ASSERT_EQUAL(wrong, 0);
	arena_fini(&a);
}

static void
large_piece_leaves_the_room_of_the_block_in_use(void)
{
	struct arena a;
	char *small, *next;

	arena_init(&a, 4096);
	small = arena_alloc(&a, 16);
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 100000));
	next = arena_alloc(&a, 16);
	CU_ASSERT_PTR_EQUAL(next, small + 16);
	arena_fini(&a);
}

static void
reset_keeps_one_block_and_never_a_large_one(void)
{
	struct arena a;
	struct arena_block *block;

	arena_init(&a, 256);
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 16));
	for (unsigned i = 0; i < 100; i++)
		arena_alloc(&a, 200);
	arena_reset(&a);
	CU_ASSERT_PTR_NOT_NULL(a.head);
	block = a.head;
	CU_ASSERT_PTR_NOT_NULL(arena_alloc(&a, 256));
	CU_ASSERT_PTR_EQUAL(a.head, block); /* all of it was free again */
	arena_fini(&a);

	arena_alloc(&a, 100000);
	arena_reset(&a);
	CU_ASSERT_PTR_NULL(a.head);
	arena_fini(&a);
}

static void
dup_copies_and_ends_with_nul(void)
{
	struct arena a;
	char text[] = "id";
	char *copy, *empty;

	arena_init(&a, 64);
	copy = arena_dup(&a, span_str(text));
	text[0] = 'x';
	CU_ASSERT_STRING_EQUAL(copy, "id");
	empty = arena_dup(&a, span_of(NULL, 0));
	CU_ASSERT_STRING_EQUAL(empty, "");
	arena_fini(&a);
}

UNIT_MAIN("shared/mem/arena", TEST(impossible_sizes_are_no_memory), TEST(unused_arena_owns_nothing),
    TEST(pieces_are_aligned_and_do_not_overlap),
    TEST(large_piece_leaves_the_room_of_the_block_in_use),
    TEST(reset_keeps_one_block_and_never_a_large_one), TEST(dup_copies_and_ends_with_nul))
