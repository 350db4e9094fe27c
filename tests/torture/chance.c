#include "shared/base/hash.h"
#include "tests/lib/tool.h"
#include "tests/torture/torture.h"

uint64_t
between(uint64_t min, uint64_t max)
{
	static uint64_t drawn;

	return min + hash_mix(opt.seed * 0x9e3779b97f4a7c15 + ++drawn) % (max - min + 1);
}

uint64_t
after_ms(uint64_t min, uint64_t max)
{
	return now_ns() + between(min, max) * 1000000;
}
