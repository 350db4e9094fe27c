#include "shared/base/hash.h"

#include "tests/unit/unit.h"

/* The key of the vectors that come with SipHash: bytes 0 to 15. */
static const struct hash_key counting = { { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u } };

static uint64_t
hash_of_counting_bytes(const struct hash_key *key, size_t len)
{
	uint8_t bytes[256];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	return hash_bytes(key, span_of(bytes, len));
}

static void
another_key_gives_another_hash(void)
{
	static const struct hash_key a = { { 1, 0 } }, b = { { 0, 1 } };

	CU_ASSERT_NOT_EQUAL(hash_bytes(&a, span_str("x")), hash_bytes(&b, span_str("x")));
}

static void
length_counts_even_if_the_rest_is_zeros(void)
{
	static const struct hash_key k = { { 0, 0 } };

	CU_ASSERT_NOT_EQUAL(hash_bytes(&k, span_of("", 0)), hash_bytes(&k, span_of("\0", 1)));
	CU_ASSERT_NOT_EQUAL(hash_bytes(&k, span_of("\0", 1)), hash_bytes(&k, span_of("\0\0", 2)));
}

static void
empty_span_may_have_no_pointer(void)
{
	CU_ASSERT_EQUAL(hash_bytes(&counting, span_of(NULL, 0)), 0xabac0158050fc4dcu);
}

static void
unaligned_input_hashes_alike(void)
{
	uint8_t room[64];

	for (size_t at = 0; at < 8; at++) {
		memcpy(room + at, "sensor/+/temperature", 20);
		CU_ASSERT_EQUAL(hash_bytes(&counting, span_of(room + at, 20)),
		    hash_bytes(&counting, span_str("sensor/+/temperature")));
	}
}

/* Worked out with a separate implementation; those with key 0 are what CPython's hash() gives. */
static void
vectors_of_siphash_1_3_hold(void)
{
	static const struct hash_key zero = { { 0, 0 } };

	CU_ASSERT_EQUAL(hash_bytes(&zero, span_str("a")), 0x407448d2b89b1813u);
	CU_ASSERT_EQUAL(hash_bytes(&zero, span_str("tbmq/a/b")), 0x997395da36e4c06cu);
	CU_ASSERT_EQUAL(hash_bytes(&zero, span_str("sensor/+/temperature")), 0x42a8c9f17a567afdu);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&zero, 63), 0x385d3e39e5f37359u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 0), 0xabac0158050fc4dcu);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 1), 0xc9f49bf37d57ca93u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 7), 0xd3927d989bb11140u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 8), 0x369095118d299a8eu);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 9), 0x25a48eb36c063de4u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 15), 0xd320d86d2a519956u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 16), 0xcc4fdd1a7d908b66u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 63), 0x9d199062b7bbb3a8u);
	CU_ASSERT_EQUAL(hash_of_counting_bytes(&counting, 256), 0x75b3e64e167de370u);
}

static void
mixing_loses_nothing_of_small_numbers(void)
{
	bool seen[1024] = { false };
	unsigned distinct = 0;

	for (uint64_t i = 0; i < 1024; i++) {
		uint64_t top = hash_mix(i) >> 54;

		distinct += !seen[top];
		seen[top] = true;
	}
	/* 1024 balls into 1024 boxes at random fill about 647. */
	CU_ASSERT(distinct > 550);
}

UNIT_MAIN("shared/base/hash", TEST(another_key_gives_another_hash),
    TEST(length_counts_even_if_the_rest_is_zeros), TEST(empty_span_may_have_no_pointer),
    TEST(unaligned_input_hashes_alike), TEST(vectors_of_siphash_1_3_hold),
    TEST(mixing_loses_nothing_of_small_numbers))
