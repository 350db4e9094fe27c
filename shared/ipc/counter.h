/*
 * counter.h - counters by reason, in the process's own segment, from counters.def
 *
 * A count is a plain add to our own memory; everyone else reads it at no cost to us.
 */
#ifndef IPC_COUNTER_H
#define IPC_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum counter {
#define N(name, unit, labels, help) CNT_##name,
#define G(name, unit, labels, help) CNT_##name,
#include "shared/ipc/counters.def"
#undef N
#undef G
	COUNTERS
};

struct counter_info {
	const char *name, *unit, *labels, *help;
	bool gauge;
};

extern const struct counter_info counter_info[COUNTERS];

/* Set by segment_create() to the segment's array; before that, to one of the process's own. */
extern _Atomic uint64_t *counters;
void counters_leave(void); /* the segment goes: count in private memory from now on */

static inline void
count_add(enum counter c, uint64_t n)
{
	/* One writer: a load and a store, no locked instruction. */
	atomic_store_explicit(&counters[c],
	    atomic_load_explicit(&counters[c], memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void
count(enum counter c)
{
	count_add(c, 1);
}

static inline void
count_sub(enum counter c, uint64_t n)
{
	count_add(c, -n);
}

static inline void
count_set(enum counter c, uint64_t n)
{
	atomic_store_explicit(&counters[c], n, memory_order_relaxed);
}

#endif
