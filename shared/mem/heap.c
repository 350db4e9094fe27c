#include "shared/mem/heap.h"

#include <stddef.h>

/* jemalloc's; sanitizer builds are linked without it. */
int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

uint64_t
heap_bytes(void)
{
	uint64_t epoch = 1;
	size_t bytes, len = sizeof(bytes);

	/* Its numbers stand still until the epoch is written. */
	if (mallctl == NULL || mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0 ||
	    mallctl("stats.allocated", &bytes, &len, NULL, 0) != 0)
		return 0;
	return bytes;
}
