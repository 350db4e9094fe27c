#include "shared/mqtt/packet.h"
#include "shared/mqtt/rd.h"

#include "tests/unit/unit.h"

/* Memory of just `room` bytes, so that the sanitizer sees a write beyond. */
static uint8_t *
exact(size_t room)
{
	return memset(malloc(room > 0 ? room : 1), 0xee, room > 0 ? room : 1);
}

static void
write_u8(struct wr *w)
{
	wr_u8(w, 0x12);
}

static void
write_u16(struct wr *w)
{
	wr_u16(w, 0x1234);
}

static void
write_u32(struct wr *w)
{
	wr_u32(w, 0x12345678);
}

static void
write_u64(struct wr *w)
{
	wr_u64(w, 0x123456789abcdef0);
}

static void
write_varint(struct wr *w)
{
	wr_varint(w, MQTT_LEN_MAX);
}

static void
write_str(struct wr *w)
{
	wr_str(w, span_str("abc"));
}

static void
write_raw(struct wr *w)
{
	wr_raw(w, span_str("abc"));
}

static void
write_prop_u8(struct wr *w)
{
	wr_prop_num(w, PROP_MAX_QOS, 1);
}

static void
write_prop_u16(struct wr *w)
{
	wr_prop_num(w, PROP_TOPIC_ALIAS, 0x1234);
}

static void
write_prop_u32(struct wr *w)
{
	wr_prop_num(w, PROP_SESSION_EXPIRY, 0x12345678);
}

static void
write_prop_varint(struct wr *w)
{
	wr_prop_num(w, PROP_SUBSCRIPTION_ID, 300);
}

static void
write_prop_str(struct wr *w)
{
	wr_prop_str(w, PROP_REASON_STRING, span_str("why"));
}

static void
write_prop_user(struct wr *w)
{
	wr_prop_user(w, span_str("n"), span_str("v"));
}

static const struct {
	void (*write)(struct wr *w);
	const char *bytes;
	size_t len;
} item[] = {
	{ write_u8, "\x12", 1 },
	{ write_u16, "\x12\x34", 2 },
	{ write_u32, "\x12\x34\x56\x78", 4 },
	{ write_u64, "\x12\x34\x56\x78\x9a\xbc\xde\xf0", 8 },
	{ write_varint, "\xff\xff\xff\x7f", 4 },
	{ write_str,
	    "\x00\x03"
	    "abc",
	    5 },
	{ write_raw, "abc", 3 },
	{ write_prop_u8, "\x24\x01", 2 },
	{ write_prop_u16, "\x23\x12\x34", 3 },
	{ write_prop_u32, "\x11\x12\x34\x56\x78", 5 },
	{ write_prop_varint, "\x0b\xac\x02", 3 },
	{ write_prop_str, "\x1f\x00\x03why", 6 },
	{ write_prop_user, "\x26\x00\x01n\x00\x01v", 7 },
};
#define ITEMS (sizeof(item) / sizeof(item[0]))

static void
what_does_not_fit_leaves_no_part_of_it(void)
{
	for (size_t i = 0; i < ITEMS; i++)
		for (size_t room = 0; room < item[i].len; room++) {
			uint8_t *p = exact(room);
			struct wr w = wr_of(p, room);

			item[i].write(&w);
			CU_ASSERT_TRUE(w.over);
			CU_ASSERT_PTR_EQUAL(w.p, p);
			free(p);
		}
}

static void
once_over_nothing_more_is_written(void)
{
	for (size_t i = 0; i < ITEMS; i++) {
		uint8_t buf[16];
		struct wr w = wr_of(buf, sizeof(buf));

		memset(buf, 0xee, sizeof(buf));
		w.over = true;
		item[i].write(&w);
		CU_ASSERT_TRUE(w.over);
		CU_ASSERT_PTR_EQUAL(w.p, buf);
		CU_ASSERT_EQUAL(buf[0], 0xee);
	}
}

static void
what_just_fits_is_written(void)
{
	for (size_t i = 0; i < ITEMS; i++) {
		uint8_t *p = exact(item[i].len);
		struct wr w = wr_of(p, item[i].len);

		item[i].write(&w);
		CU_ASSERT_FALSE(w.over);
		CU_ASSERT_PTR_EQUAL(w.p, w.end);
		CU_ASSERT_EQUAL(memcmp(p, item[i].bytes, item[i].len), 0);
		free(p);
	}
}

static void
varint_above_the_maximum_is_not_written(void)
{
	static const uint32_t above[] = { MQTT_LEN_MAX + 1, UINT32_MAX };

	for (size_t i = 0; i < 2; i++)
		for (size_t room = 4; room <= 6; room++) {
			uint8_t *p = exact(room);
			struct wr w = wr_of(p, room);

			wr_varint(&w, above[i]);
			CU_ASSERT_TRUE(w.over);
			CU_ASSERT_PTR_EQUAL(w.p, p);
			w = wr_of(p, room);
			wr_prop_num(&w, PROP_SUBSCRIPTION_ID, above[i]);
			CU_ASSERT_TRUE(w.over);
			CU_ASSERT_PTR_EQUAL(w.p, p);
			free(p);
		}
}

static void
string_longer_than_its_length_can_say_is_not_written(void)
{
	static uint8_t text[UINT16_MAX + 1], buf[UINT16_MAX + 16];
	struct wr w = wr_of(buf, sizeof(buf));

	wr_str(&w, span_of(text, sizeof(text)));
	CU_ASSERT_TRUE(w.over);
	CU_ASSERT_PTR_EQUAL(w.p, buf);
	w = wr_of(buf, sizeof(buf));
	wr_str(&w, span_of(text, UINT16_MAX));
	CU_ASSERT_FALSE(w.over);
	CU_ASSERT_EQUAL(w.p - buf, UINT16_MAX + 2);
}

static void
empty_things_take_no_room_but_their_length(void)
{
	uint8_t buf[2];
	struct wr w = wr_of(buf, 0);

	wr_raw(&w, span_of(NULL, 0));
	CU_ASSERT_FALSE(w.over);
	w = wr_of(buf, 2);
	wr_str(&w, span_of(NULL, 0));
	CU_ASSERT_FALSE(w.over);
	CU_ASSERT_EQUAL(memcmp(buf, "\0\0", 2), 0);
}

static void
varints_of_each_length_are_read_back(void)
{
	static const struct {
		uint32_t v;
		unsigned len;
	} edge[] = { { 0, 1 }, { 1, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 }, { 16384, 3 },
		{ 2097151, 3 }, { 2097152, 4 }, { MQTT_LEN_MAX, 4 } };

	for (size_t i = 0; i < sizeof(edge) / sizeof(edge[0]); i++) {
		uint8_t buf[4];
		struct wr w = wr_of(buf, sizeof(buf));
		struct rd r;

		CU_ASSERT_EQUAL(varint_len(edge[i].v), edge[i].len);
		wr_varint(&w, edge[i].v);
		CU_ASSERT_EQUAL(w.p - buf, edge[i].len);
		r = rd_of(span_of(buf, edge[i].len));
		CU_ASSERT_EQUAL(rd_varint(&r), edge[i].v);
		CU_ASSERT_FALSE(r.bad);
		CU_ASSERT_EQUAL(rd_left(&r), 0);
	}
}

UNIT_MAIN("shared/mqtt/wr", TEST(what_does_not_fit_leaves_no_part_of_it),
    TEST(once_over_nothing_more_is_written), TEST(varint_above_the_maximum_is_not_written),
    TEST(string_longer_than_its_length_can_say_is_not_written), TEST(what_just_fits_is_written),
    TEST(empty_things_take_no_room_but_their_length), TEST(varints_of_each_length_are_read_back))
