/*
 * memory.h - memory that runs out on purpose
 *
 * A test that includes this and then the .c file under test, in place of its header, sees that module's allocations fail: the one whose number
 * is in memory_fail_at (1: the next), or, while memory_is_gone, all of them.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdlib.h>

static unsigned memory_fail_at;
static bool memory_is_gone;

static inline bool
memory_fails(void)
{
	return memory_is_gone || (memory_fail_at > 0 && --memory_fail_at == 0);
}

#define malloc(len) (memory_fails() ? NULL : malloc(len))
#define calloc(n, len) (memory_fails() ? NULL : calloc(n, len))
#define realloc(p, len) (memory_fails() ? NULL : realloc(p, len))

#endif
