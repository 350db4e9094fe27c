/*
 * heap.h - how much memory this process has from malloc()
 *
 * Runs in: any process.
 */
#ifndef MEM_HEAP_H
#define MEM_HEAP_H

#include <stdint.h>

uint64_t heap_bytes(void); /* allocated and not freed; some µs. 0: the allocator doesn't say */

#endif
