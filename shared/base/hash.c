#include "shared/base/hash.h"

#include <endian.h>

/*
 * SipHash with one round a word and three at the end: enough against forged collisions in tables,
 * where the hash itself is never shown to anyone, at about half the cost of SipHash-2-4.
 */
struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotl(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline struct sip
sip_round(struct sip s)
{
	s.a += s.b;
	s.c += s.d;
	s.b = rotl(s.b, 13) ^ s.a;
	s.d = rotl(s.d, 16) ^ s.c;
	s.a = rotl(s.a, 32);
	s.c += s.b;
	s.a += s.d;
	s.b = rotl(s.b, 17) ^ s.c;
	s.d = rotl(s.d, 21) ^ s.a;
	s.c = rotl(s.c, 32);
	return s;
}

static inline struct sip
sip_word(struct sip s, uint64_t word)
{
	s.d ^= word;
	s = sip_round(s);
	s.a ^= word;
	return s;
}

uint64_t
hash_bytes(const struct hash_key *key, struct span in)
{
	/* The specification's constants: "somepseudorandomlygeneratedbytes". */
	struct sip s = {
		.a = key->k[0] ^ 0x736f6d6570736575u,
		.b = key->k[1] ^ 0x646f72616e646f6du,
		.c = key->k[0] ^ 0x6c7967656e657261u,
		.d = key->k[1] ^ 0x7465646279746573u,
	};
	const uint8_t *p = in.p;
	size_t left = in.len;
	uint64_t word;

	for (; left >= 8; p += 8, left -= 8) {
		memcpy(&word, p, 8);
		s = sip_word(s, le64toh(word));
	}
	word = 0;
	if (left > 0)
		memcpy(&word, p, left);
	s = sip_word(s, le64toh(word) | (uint64_t)in.len << 56);

	s.c ^= 0xff;
	s = sip_round(sip_round(sip_round(s)));
	return s.a ^ s.b ^ s.c ^ s.d;
}
