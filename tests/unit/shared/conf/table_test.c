#include "shared/conf/table.h"

#include <errno.h>

#include "tests/unit/unit.h"

static struct conf conf;
static char why[256];

static const struct conf_key *
key(const char *name)
{
	const struct conf_key *k = conf_key_find(conf_keys, conf_nkeys, name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	return k;
}

static bool
takes(const char *name, const char *text)
{
	why[0] = '\0';
	return conf_set(&conf, key(name), text, 0, why) == 0;
}

static void
values_out_of_bounds_are_refused_with_the_bound(void)
{
	conf_defaults(&conf);
	CU_ASSERT_EQUAL(conf_set(&conf, key("inflight_max"), NULL, 0, why), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "0 is less than 1");
	CU_ASSERT_EQUAL(conf_set(&conf, key("inflight_max"), NULL, 65536, why), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "65536 is more than 65535");
	CU_ASSERT_EQUAL(
	    conf_set(&conf, key("inflight_max"), NULL, (UINT64_C(1) << 32) + 7, why), -EINVAL);
	CU_ASSERT_EQUAL(conf_set(&conf, key("retain_available"), NULL, 2, why), -EINVAL);
	CU_ASSERT_EQUAL(conf_set(&conf, key("user"), NULL, 5, why), -EINVAL);
	CU_ASSERT_EQUAL(conf_set(&conf, key("queue_drop"), NULL, 0, why), -EINVAL);
	CU_ASSERT_EQUAL(conf.inflight_max, 100); /* as it was */
	CU_ASSERT_EQUAL(conf_set(&conf, key("inflight_max"), NULL, 1, why), 0);
	CU_ASSERT_EQUAL(conf_set(&conf, key("inflight_max"), NULL, 65535, why), 0);
	CU_ASSERT_EQUAL(conf.inflight_max, 65535);
}

static void
texts_that_are_no_number_are_refused(void)
{
	static const char *const bad[] = { "", " ", "x", "-1", " -1", "+1", "1x", "0x10", "1e3",
		"18446744073709551616", " -18446744073709551615", "1 1", "KiB", "1kib", "1 KiBs",
		"18014398509481984 KiB", "10m", "never", "auto" };

	conf_defaults(&conf);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(takes("queue_max_bytes", bad[i]));
		if (why[0] == '\0')
			printf("\n    \"%s\" ", bad[i]);
	}
	CU_ASSERT_EQUAL(conf.queue_max_bytes, 67108864);
	CU_ASSERT_FALSE(takes("inflight_max", "1 KiB")); /* the units of sizes are theirs */
	CU_ASSERT_FALSE(takes("inflight_max", "auto"));
	CU_ASSERT_FALSE(takes("session_expiry_max", "1 KiB"));
	CU_ASSERT_FALSE(takes("session_expiry_max", "4294967296"));
	CU_ASSERT_FALSE(takes("session_expiry_max", "49711d")); /* would wrap around in 32 bits */
	CU_ASSERT_FALSE(takes("hang_timeout", "never"));        /* only what has no upper bound */
	CU_ASSERT_FALSE(takes("retain_available", "yes"));
	CU_ASSERT_FALSE(takes("queue_drop", "Oldest"));
	CU_ASSERT_FALSE(takes("queue_drop", ""));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "oldest, newest, reject"));
}

static void
strings_with_a_wrong_length_or_control_characters_are_refused(void)
{
	char text[300];

	conf_defaults(&conf);
	memset(text, 'u', sizeof(text));
	text[33] = '\0';
	CU_ASSERT_FALSE(takes("user", text));
	CU_ASSERT_STRING_EQUAL(why, "33 characters; must have 0 to 32");
	text[32] = '\0';
	CU_ASSERT_TRUE(takes("user", text));
	CU_ASSERT_FALSE(takes("user", "a\nb"));
	CU_ASSERT_FALSE(takes("user", "a\x7f"));
	CU_ASSERT_STRING_EQUAL(conf.user.s, text);
	CU_ASSERT_TRUE(takes("user", ""));
	for (size_t i = 0; i < sizeof(conf.user.s); i++)
		CU_ASSERT_EQUAL(conf.user.s[i], 0); /* nothing of the old stays behind the end */
	memset(text, 'd', sizeof(text));
	text[256] = '\0';
	CU_ASSERT_FALSE(takes("data_dir", text));
	text[255] = '\0';
	CU_ASSERT_TRUE(takes("data_dir", text));
	CU_ASSERT_EQUAL(strlen(conf.data_dir.s), 255);
}

static void
units_multiply(void)
{
	static const struct {
		const char *key, *text;
		uint64_t value;
	} good[] = {
		{ "queue_max_bytes", "0", 0 },
		{ "queue_max_bytes", "7", 7 },
		{ "queue_max_bytes", "3KiB", 3072 },
		{ "queue_max_bytes", "3 MiB", 3145728 },
		{ "queue_max_bytes", "2 GiB", 2147483648 },
		{ "session_expiry_max", "90", 90 },
		{ "session_expiry_max", "90s", 90 },
		{ "session_expiry_max", "2 m", 120 },
		{ "session_expiry_max", "2h", 7200 },
		{ "session_expiry_max", "2d", 172800 },
		{ "session_expiry_max", "never", UINT32_MAX },
		{ "workers", "auto", 0 },
		{ "workers", "3", 3 },
		{ "retain_available", "false", 0 },
		{ "retain_available", "true", 1 },
		{ "shared_policy", "local", SHARE_local },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(takes(good[i].key, good[i].text));
		CU_ASSERT_EQUAL(conf_get(&conf, key(good[i].key)), good[i].value);
	}
}

static void
no_name_is_suggested_that_is_far_away(void)
{
	char far[200];

	memset(far, 'x', sizeof(far));
	far[sizeof(far) - 1] = '\0';
	CU_ASSERT_PTR_NULL(conf_suggest(conf_keys, conf_nkeys, far));
	CU_ASSERT_PTR_NULL(conf_suggest(conf_keys, conf_nkeys, "zzzzzzzzzzzz"));
	CU_ASSERT_PTR_NULL(conf_suggest(conf_keys, 0, "user"));
	CU_ASSERT_STRING_EQUAL(conf_suggest(conf_keys, conf_nkeys, "worker"), "workers");
	CU_ASSERT_STRING_EQUAL(
	    conf_suggest(conf_keys, conf_nkeys, "max_paket_sise"), "max_packet_size");
	CU_ASSERT_STRING_EQUAL(
	    conf_suggest(conf_listener_keys, conf_nlistener_keys, "adress"), "address");
	CU_ASSERT_PTR_NULL(conf_key_find(conf_keys, conf_nkeys, ""));
	CU_ASSERT_PTR_NULL(conf_key_find(conf_keys, conf_nkeys, "Workers"));
}

/* A text that a key is shown as gives the same value when it is read. */
static void
values_are_shown_as_they_are_written(void)
{
	static const uint64_t sizes[] = { 0, 1, 1023, 1024, 1025, 65536, 1048576, 1073741824,
		2147483647, 2147483648, 1099511627776, 3 * UINT64_C(1073741824) + 1 };
	const struct conf_key *k = key("queue_max_bytes");
	char text[600];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *end;

		CU_ASSERT_EQUAL_FATAL(conf_set(&conf, k, NULL, sizes[i], why), 0);
		conf_value_text(&conf, k, text, sizeof(text));
		if (text[0] == '"') {
			text[strlen(text) - 1] = '\0';
			CU_ASSERT_EQUAL(conf_set(&conf, k, text + 1, 0, why), 0);
			CU_ASSERT_EQUAL(conf.queue_max_bytes, sizes[i]);
		} else {
			CU_ASSERT_EQUAL(strtoull(text, &end, 10), sizes[i]);
			CU_ASSERT_STRING_EQUAL(end, sizes[i] > INT32_MAX ? "L" : "");
		}
	}
	CU_ASSERT_TRUE(takes("data_dir", "a \"b\" \\c"));
	conf_value_text(&conf, key("data_dir"), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "\"a \\\"b\\\" \\\\c\"");
	memset(text, '"', 255);
	text[255] = '\0';
	CU_ASSERT_TRUE(takes("data_dir", text));
	conf_value_text(&conf, key("data_dir"), text, sizeof(text));
	CU_ASSERT_EQUAL(strlen(text), 512);
	conf_value_text(&conf, key("data_dir"), text, 20); /* cut, but ended */
	CU_ASSERT_TRUE(strlen(text) < 20);
	CU_ASSERT_TRUE(takes("session_expiry_max", "never") && takes("workers", "auto"));
	conf_value_text(&conf, key("session_expiry_max"), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "\"never\"");
	conf_value_text(&conf, key("workers"), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "\"auto\"");
}

static void
each_key_is_there_once_with_a_default_within_its_bounds(void)
{
	conf_defaults(&conf);
	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];

		CU_ASSERT_PTR_EQUAL(conf_key_find(conf_keys, conf_nkeys, k->name), k);
		CU_ASSERT_TRUE(k->help[0] != '\0');
		if (k->type == CONF_STRING) {
			CU_ASSERT_TRUE(strlen(k->text) <= k->max && k->max < CONF_STRING_MAX);
		} else if (k->type == CONF_RATE || k->type == CONF_BYTE_RATE) {
			CU_ASSERT_STRING_EQUAL(k->text, "none");
			CU_ASSERT_EQUAL(conf_get_rate(&conf, k)->n, 0);
			CU_ASSERT_TRUE(takes(k->name, "1:1"));
			CU_ASSERT_FALSE(takes(k->name, "default")); /* what would that be? */
			CU_ASSERT_EQUAL(conf_set(&conf, k, NULL, 10, why), -EINVAL);
			CU_ASSERT_STRING_EQUAL(why, "must be a string");
			CU_ASSERT_EQUAL(takes(k->name, "1 KiB:1"), k->type == CONF_BYTE_RATE);
		} else {
			CU_ASSERT_EQUAL(conf_get(&conf, k), k->def);
			if (k->type >= CONF_LOG_TARGET) {
				CU_ASSERT_PTR_NOT_NULL(conf_choice(k->type, (unsigned)k->def));
			} else {
				CU_ASSERT_TRUE(k->def >= k->min && k->def <= k->max);
			}
		}
	}
	CU_ASSERT_STRING_EQUAL(conf_choice(CONF_DROP, DROP_reject), "reject");
	CU_ASSERT_PTR_NULL(conf_choice(CONF_DROP, DROP_reject + 1));
	CU_ASSERT_PTR_NULL(conf_choice(CONF_DROP, UINT32_MAX));
	CU_ASSERT_STRING_EQUAL(conf_choice(CONF_LOG_LEVEL, LOG_LEVEL_debug), "debug");
	CU_ASSERT_STRING_EQUAL(conf_choice(CONF_SHARE, SHARE_local), "local");
}

UNIT_MAIN("shared/conf/table", TEST(values_out_of_bounds_are_refused_with_the_bound),
    TEST(texts_that_are_no_number_are_refused),
    TEST(strings_with_a_wrong_length_or_control_characters_are_refused), TEST(units_multiply),
    TEST(no_name_is_suggested_that_is_far_away), TEST(values_are_shown_as_they_are_written),
    TEST(each_key_is_there_once_with_a_default_within_its_bounds))
