/*
 * hist.h - histogram of times, good to 1.6 %
 *
 * 64 buckets for each power of two: adding is a shift and an increment.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB 64u /* buckets of one power of two */

struct hist {
	uint64_t count, max;
	uint64_t bucket[59 * HIST_SUB];
};

static inline void
hist_add(struct hist *h, uint64_t v)
{
	unsigned shift = v < 2 * HIST_SUB ? 0 : 57 - (unsigned)__builtin_clzll(v);

	h->bucket[shift * HIST_SUB + (v >> shift)]++; /* v >> shift is 64 to 127 from shift 1 on */
	h->count++;
	h->max = v > h->max ? v : h->max;
}

/* Middle of the bucket below which the share of all values lies; 0 if there are none. */
static inline uint64_t
hist_quantile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)(share * (double)h->count), seen = 0;

	for (unsigned i = 0; i < sizeof(h->bucket) / sizeof(h->bucket[0]); i++) {
		unsigned shift = i < 2 * HIST_SUB ? 0 : i / HIST_SUB - 1;

		seen += h->bucket[i];
		if (seen > want) {
			uint64_t low = (uint64_t)(i - shift * HIST_SUB) << shift;

			return low + ((UINT64_C(1) << shift) >> 1);
		}
	}
	return h->max;
}

#endif
