#include "tests/lib/chance.h"

#include "shared/base/hash.h"

static uint64_t state, drawn;

void
chance_begin(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15);
	drawn = 0;
}

unsigned
draw(unsigned below)
{
	return (unsigned)(hash_mix(state + ++drawn) % below);
}

bool
one_in(unsigned of)
{
	return draw(of) == 0;
}
