#include "shared/ipc/counter.h"

static _Atomic uint64_t own[COUNTERS];

_Atomic uint64_t *counters = own;

void
counters_leave(void)
{
	for (int i = 0; i < COUNTERS; i++)
		atomic_store_explicit(&own[i],
		    atomic_load_explicit(&counters[i], memory_order_relaxed), memory_order_relaxed);
	counters = own;
}

const struct counter_info counter_info[COUNTERS] = {
#define N(n, u, l, h) [CNT_##n] = { .name = #n, .unit = (u), .labels = (l), .help = (h) },
#define G(n, u, l, h)                                                                              \
	[CNT_##n] = { .name = #n, .unit = (u), .labels = (l), .help = (h), .gauge = true },
#include "shared/ipc/counters.def"
#undef N
#undef G
};
