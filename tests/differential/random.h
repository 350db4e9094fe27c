/*
 * random.h - sessions that are drawn instead of written
 *
 * A seed yields a list of operations, which several clients of all versions do at both brokers one by one. One that makes no sense when its turn
 * comes is passed over, so that any part of a list is a list again: one that ends in a difference is made shorter as long as it still does.
 */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* False: there is a difference; *what tells the operations that are needed for it, and the difference. Freed by the caller. */
bool random_run(uint64_t seed, unsigned length, char **what);

#endif
