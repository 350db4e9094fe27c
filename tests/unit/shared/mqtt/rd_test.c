#include "shared/mqtt/rd.h"

#include "tests/unit/unit.h"

static uint64_t
read_u8(struct rd *r)
{
	return rd_u8(r);
}

static uint64_t
read_u16(struct rd *r)
{
	return rd_u16(r);
}

static uint64_t
read_u32(struct rd *r)
{
	return rd_u32(r);
}

static uint64_t
read_varint(struct rd *r)
{
	return rd_varint(r);
}

static uint64_t
read_bin(struct rd *r)
{
	return rd_bin(r).len;
}

static uint64_t
read_str(struct rd *r)
{
	return rd_str(r).len;
}

static const struct {
	uint64_t (*read)(struct rd *r);
	const char *bytes;
	size_t len;
	uint64_t value;
} item[] = {
	{ read_u8, "\xfe", 1, 0xfe },
	{ read_u16, "\xfe\xdc", 2, 0xfedc },
	{ read_u32, "\xfe\xdc\xba\x98", 4, 0xfedcba98 },
	{ read_varint, "\xff\xff\xff\x7f", 4, MQTT_LEN_MAX },
	{ read_bin, "\x00\x02\xff\x00", 4, 2 },
	{ read_str, "\x00\x02\xc3\xbc", 4, 2 },
};
#define ITEMS (sizeof(item) / sizeof(item[0]))

/* Memory of just its size, so that the sanitizer sees a look beyond. */
static void
what_ends_early_is_bad_and_yields_zero(void)
{
	for (size_t i = 0; i < ITEMS; i++)
		for (size_t len = 0; len < item[i].len; len++) {
			uint8_t *p = malloc(len > 0 ? len : 1);
			struct rd r;

			memcpy(p, item[i].bytes, len);
			r = rd_of(span_of(p, len));
			CU_ASSERT_EQUAL(item[i].read(&r), 0);
			CU_ASSERT_TRUE(r.bad);
			free(p);
		}
}

static void
first_failure_is_remembered_and_all_behind_it_is_zero(void)
{
	struct rd r = rd_of(span_of("\xff\xff\x01\x01\x01\x01\x01\x01", 8));

	CU_ASSERT_EQUAL(rd_bin(&r).len, 0);
	CU_ASSERT_TRUE(r.bad);
	for (size_t i = 0; i < ITEMS; i++)
		CU_ASSERT_EQUAL(item[i].read(&r), 0);
	CU_ASSERT_EQUAL(rd_bytes(&r, 1).len, 0);
	CU_ASSERT_EQUAL(rd_rest(&r).len, 0);
	CU_ASSERT_TRUE(r.bad);
}

static void
varints_beyond_four_bytes_or_not_in_their_shortest_form_are_bad(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = { { "\x80\x80\x80\x80\x01", 5 }, { "\xff\xff\xff\xff\x7f", 5 },
		{ "\x80\x00", 2 }, { "\xff\x00", 2 }, { "\x80\x80\x00", 3 },
		{ "\xff\xff\xff\x00", 4 } };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct rd r = rd_of(span_of(wrong[i].bytes, wrong[i].len));

		CU_ASSERT_EQUAL(rd_varint(&r), 0);
		CU_ASSERT_TRUE(r.bad);
	}
}

static void
strings_are_utf8_and_binaries_are_anything(void)
{
	static const char bytes[] = "\x00\x01\xff";
	struct rd r = rd_of(span_of(bytes, 3));

	CU_ASSERT_EQUAL(rd_bin(&r).len, 1);
	CU_ASSERT_FALSE(r.bad);
	r = rd_of(span_of(bytes, 3));
	CU_ASSERT_EQUAL(rd_str(&r).len, 0);
	CU_ASSERT_TRUE(r.bad);
}

static void
each_value_is_read_as_it_stands(void)
{
	for (size_t i = 0; i < ITEMS; i++) {
		struct rd r = rd_of(span_of(item[i].bytes, item[i].len));

		CU_ASSERT_EQUAL(item[i].read(&r), item[i].value);
		CU_ASSERT_FALSE(r.bad);
		CU_ASSERT_EQUAL(rd_left(&r), 0);
	}
}

static void
the_rest_may_be_empty(void)
{
	struct rd r = rd_of(span_of(NULL, 0));

	CU_ASSERT_EQUAL(rd_left(&r), 0);
	CU_ASSERT_EQUAL(rd_rest(&r).len, 0);
	CU_ASSERT_FALSE(r.bad);
	r = rd_of(span_of("\x00\x00xy", 4));
	CU_ASSERT_EQUAL(rd_str(&r).len, 0);
	CU_ASSERT_TRUE(span_eq(rd_rest(&r), span_str("xy")));
	CU_ASSERT_FALSE(r.bad);
}

UNIT_MAIN("shared/mqtt/rd", TEST(what_ends_early_is_bad_and_yields_zero),
    TEST(first_failure_is_remembered_and_all_behind_it_is_zero),
    TEST(varints_beyond_four_bytes_or_not_in_their_shortest_form_are_bad),
    TEST(strings_are_utf8_and_binaries_are_anything), TEST(each_value_is_read_as_it_stands),
    TEST(the_rest_may_be_empty))
