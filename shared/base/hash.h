/*
 * hash.h - keyed 64-bit hash (SipHash-1-3)
 *
 * The key is drawn once a start by the master and given to every child, so that all processes of
 * one broker agree and nobody outside can forge collisions.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "shared/base/span.h"

struct hash_key {
	uint64_t k[2];
};

uint64_t hash_bytes(const struct hash_key *key, struct span s);

/* Scrambles a 64-bit value (no key): for combining hashes that are keyed already. */
static inline uint64_t
hash_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

#endif
