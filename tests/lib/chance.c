#include "tests/lib/chance.h"

#include "shared/base/hash.h"
#include "tests/lib/tool.h"

static uint64_t state, drawn;

void
chance_begin(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15);
	drawn = 0;
}

uint64_t
between(uint64_t min, uint64_t max)
{
	return min + hash_mix(state + ++drawn) % (max - min + 1);
}

uint64_t
after_ms(uint64_t min, uint64_t max)
{
	return now_ns() + between(min, max) * 1000000;
}

unsigned
draw(unsigned below)
{
	return (unsigned)between(0, below - 1);
}

bool
one_in(unsigned of)
{
	return draw(of) == 0;
}
