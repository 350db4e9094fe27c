#include "shared/mqtt/mqtt.h"

#include "tests/unit/unit.h"

/* The table of well-formed sequences in the Unicode standard (3-7), which 1.5.4 asks for; and no U+0000. */
static bool
is_well_formed(const uint8_t *p, size_t len)
{
	static const struct {
		uint8_t first, last, more, low, high; /* low to high: second byte */
	} row[] = { { 0x01, 0x7f, 0, 0, 0 }, { 0xc2, 0xdf, 1, 0x80, 0xbf },
		{ 0xe0, 0xe0, 2, 0xa0, 0xbf }, { 0xe1, 0xec, 2, 0x80, 0xbf },
		{ 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
		{ 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf },
		{ 0xf4, 0xf4, 3, 0x80, 0x8f } };

	while (len > 0) {
		size_t i = 0;

		while (i < 9 && !(p[0] >= row[i].first && p[0] <= row[i].last))
			i++;
		if (i == 9 || len <= row[i].more)
			return false;
		for (size_t k = 1; k <= row[i].more; k++)
			if (p[k] < (k == 1 ? row[i].low : 0x80) ||
			    p[k] > (k == 1 ? row[i].high : 0xbf))
				return false;
		len -= row[i].more + 1u;
		p += row[i].more + 1;
	}
	return true;
}

/* All first and second bytes, and the edges of those behind, in memory of just their size. */
static void
text_is_valid_as_the_table_of_unicode_says(void)
{
	enum { EDGES = 11 };
	static const uint8_t edge[EDGES] = { 0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
		0xc0, 0xff };

	for (size_t len = 1; len <= 4; len++) {
		uint8_t *p = malloc(len);

		for (unsigned i = 0; i<65536 * EDGES * EDGES; i += len> 2 ? 1 : EDGES * EDGES) {
			uint8_t bytes[] = { (uint8_t)(i / (EDGES * EDGES) >> 8),
				(uint8_t)(i / (EDGES * EDGES)), edge[i / EDGES % EDGES],
				edge[i % EDGES] };

			memcpy(p, bytes, len);
			if (utf8_is_valid(span_of(p, len)) != is_well_formed(p, len))
				CU_FAIL("differs from the table");
		}
		free(p);
	}
}

static void
bad_bytes_are_seen_at_each_place_of_a_long_text(void)
{
	static const struct span bad[] = { { (const uint8_t *)"\0", 1 },
		{ (const uint8_t *)"\x80", 1 }, { (const uint8_t *)"\xc0\x80", 2 },
		{ (const uint8_t *)"\xed\xa0\x80", 3 }, { (const uint8_t *)"\xf4\x90\x80\x80", 4 },
		{ (const uint8_t *)"\xff", 1 } };
	char text[40];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t at = 0; at + bad[i].len <= sizeof(text); at++) {
			memset(text, 'a', sizeof(text));
			memcpy(text + at, bad[i].p, bad[i].len);
			CU_ASSERT_FALSE(utf8_is_valid(span_of(text, sizeof(text))));
		}
}

static void
sequence_cut_off_at_the_end_is_invalid(void)
{
	static const char *const whole[] = { "aaaaaaaa\xc3\xbc", "aaaaaaaa\xe2\x82\xac",
		"aaaaaaaa\xf0\x9f\x98\x80" };

	for (size_t i = 0; i < 3; i++)
		for (size_t len = 9; len <= strlen(whole[i]); len++) {
			uint8_t *p = malloc(len);

			memcpy(p, whole[i], len);
			CU_ASSERT_EQUAL(utf8_is_valid(span_of(p, len)), len == strlen(whole[i]));
			free(p);
		}
}

/* 1.5.4: a byte order mark stays, [MQTT-1.5.4-3]; control characters and non-characters may be refused, ours aren't. */
static void
unusual_text_is_valid(void)
{
	CU_ASSERT_TRUE(utf8_is_valid(span_of(NULL, 0)));
	CU_ASSERT_TRUE(utf8_is_valid(span_str("\xef\xbb\xbf")));
	CU_ASSERT_TRUE(utf8_is_valid(span_str("\x01\x1f\x7f")));
	CU_ASSERT_TRUE(utf8_is_valid(span_str("\xef\xbf\xbf")));
	CU_ASSERT_TRUE(utf8_is_valid(span_str("\xf4\x8f\xbf\xbf")));
}

static void
numbers_without_a_name_have_words_too(void)
{
	CU_ASSERT_STRING_EQUAL(mqtt_packet_name(0), "reserved");
	CU_ASSERT_STRING_EQUAL(mqtt_packet_name(16), "reserved");
	CU_ASSERT_STRING_EQUAL(mqtt_packet_name(UINT32_MAX), "reserved");
	for (unsigned code = 0; code < 256; code++)
		CU_ASSERT_PTR_NOT_NULL(mqtt_reason_text((enum mqtt_reason)code));
	CU_ASSERT_STRING_EQUAL(mqtt_reason_text((enum mqtt_reason)0x05), "unknown reason");
	CU_ASSERT_STRING_EQUAL(mqtt_reason_text(MQTT_SESSION_TAKEN_OVER), "session taken over");
	CU_ASSERT_STRING_EQUAL(mqtt_packet_name(PKT_CONNECT), "CONNECT");
	CU_ASSERT_STRING_EQUAL(mqtt_packet_name(PKT_AUTH), "AUTH");
}

static void
refusals_have_a_return_code_of_3_1_1_or_none(void)
{
	for (unsigned code = 0x80; code < 256; code++) {
		uint8_t v3 = mqtt_connack_v3((enum mqtt_reason)code);

		CU_ASSERT_TRUE((v3 >= 1 && v3 <= 5) || v3 == 0xff);
	}
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_SUCCESS), 0);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_UNSUPPORTED_PROTOCOL_VERSION), 1);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_CLIENT_IDENTIFIER_NOT_VALID), 2);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_SERVER_BUSY), 3);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_BAD_USER_NAME_OR_PASSWORD), 4);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_NOT_AUTHORIZED), 5);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_BANNED), 5);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_MALFORMED), 0xff);
	CU_ASSERT_EQUAL(mqtt_connack_v3(MQTT_PROTOCOL_ERROR), 0xff);
}

UNIT_MAIN("shared/mqtt/mqtt", TEST(text_is_valid_as_the_table_of_unicode_says),
    TEST(bad_bytes_are_seen_at_each_place_of_a_long_text),
    TEST(sequence_cut_off_at_the_end_is_invalid), TEST(unusual_text_is_valid),
    TEST(numbers_without_a_name_have_words_too), TEST(refusals_have_a_return_code_of_3_1_1_or_none))
