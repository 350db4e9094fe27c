#include "tests/unit/worker/persist/fake.h"

#include "worker/persist/store_dump.h"

static char text[65536]; /* of the last record */

/* Whether the table has a record with all of this in it; each as a line of JSON. */
static bool
has_record(const char *table, bool payload, const char *const *parts)
{
	struct store_place p = { .key_len = 0 };
	json_t *j;

	CU_ASSERT_TRUE_FATAL(store_table_of(table, &p.table));
	while ((j = store_dump(&p, payload)) != NULL) {
		char *s = json_dumps(j, JSON_COMPACT);
		bool is_it = true;

		snprintf(text, sizeof(text), "%s", s);
		free(s);
		json_decref(j);
		for (size_t i = 0; parts[i] != NULL; i++)
			is_it &= strstr(text, parts[i]) != NULL;
		if (is_it)
			return true;
	}
	return false;
}
#define HAS(table, ...) has_record(table, false, (const char *const[]){ __VA_ARGS__, NULL })
#define HAS_PAYLOAD(table, ...) has_record(table, true, (const char *const[]){ __VA_ARGS__, NULL })

static void
what_is_no_place_is_refused(void)
{
	static char longer[2 * KV_KEY_MAX + 16] = "queue:";
	struct store_place p;

	CU_ASSERT_FALSE(store_place_read("", &p));
	CU_ASSERT_FALSE(store_place_read("queue", &p));
	CU_ASSERT_FALSE(store_place_read("users:00", &p));
	CU_ASSERT_FALSE(store_place_read("a-table-that-has-a-long-name:00", &p));
	CU_ASSERT_FALSE(store_place_read("volatile:00", &p));
	CU_ASSERT_FALSE(store_place_read("queue:0", &p));
	CU_ASSERT_FALSE(store_place_read("queue:0g", &p));
	CU_ASSERT_FALSE(store_place_read("queue:AA", &p));
	memset(longer + 6, '0', 2 * KV_KEY_MAX);
	CU_ASSERT_TRUE(store_place_read(longer, &p));
	memset(longer + 6, '0', 2 * KV_KEY_MAX + 2);
	CU_ASSERT_FALSE(store_place_read(longer, &p));
}

static void
a_place_is_what_was_written(void)
{
	struct store_place p = { .table = KV_RXID, .key_len = KV_KEY_MAX }, q;
	char out[STORE_PLACE_TEXT];

	for (unsigned i = 0; i < KV_KEY_MAX; i++)
		p.key[i] = (uint8_t)(i * 7);
	store_place_write(&p, out);
	CU_ASSERT_TRUE(store_place_read(out, &q));
	CU_ASSERT_TRUE(q.table == p.table && q.key_len == p.key_len);
	CU_ASSERT_EQUAL(memcmp(p.key, q.key, KV_KEY_MAX), 0);
	p.key_len = 0;
	store_place_write(&p, out);
	CU_ASSERT_STRING_EQUAL(out, "rxid:");
	CU_ASSERT_TRUE(store_place_read(out, &q) && q.key_len == 0);
}

static void
a_record_that_cannot_be_is_shown_as_it_is(void)
{
	static const uint8_t key[] = { 0, 0, 0, 1, 0xff };
	uint8_t *p;

	fake_start();
	for (enum kv_table t = 0; t < KV_TABLES; t++) {
		p = kv_put(t, span_of(key, sizeof(key)), 3, true);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		memcpy(p, "\x01\xff\xff", 3);
		CU_ASSERT_TRUE(HAS(store_table_name(t), "\"key\":\"00000001ff\"", "\"bytes\":3}"));
		/* Of another version. */
		p[0] = 9;
		CU_ASSERT_TRUE(HAS(store_table_name(t), "\"key\":\"00000001ff\"", "\"bytes\":3}"));
		kv_del(t, span_of(key, sizeof(key)));
		CU_ASSERT_FALSE(HAS(store_table_name(t), "\"key\":\"00000001ff\""));
	}
	fake_stop();
}

static void
each_record_is_decoded(void)
{
	struct client c = { .id = "d\n1", .handle = 1, .expiry = 100 };
	struct client e = {
		.id = "e", .handle = 2, .expiry = UINT32_MAX, .will_topic = "w/1", .will_delay = 9
	};
	struct client pub = { .id = "p", .handle = 3, .expiry = 10 };
	char big[600];

	fake_start();
	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	join(&c);
	join(&e);
	join(&pub);
	subscribe(&c, "a/+", 2 | 8 | 1 << 4, 3);
	subscribe(&e, "a/+", 1 | 4, 0);
	subscribe(&e, "$share/g/s", 1, 0);
	leave(&c, 0, 0);
	CU_ASSERT_TRUE(HAS("meta", "\"name\":\"version\"", "\"value\":"));
	CU_ASSERT_TRUE(HAS("session", "\"client_id\":\"d\\n1\"", "\"expiry\":100",
	    "\"connected\":false", "\"left_ms\":", "\"queue\":", "\"user_name\":null"));
	CU_ASSERT_TRUE(HAS("session", "\"client_id\":\"e\"", "\"expiry\":\"never\"",
	    "\"connected\":true,\"queue\":"));
	CU_ASSERT_TRUE(HAS("sub", "\"filter\":\"a/+\"", "\"qos\":2", "\"no_local\":false",
	    "\"retain_as_published\":true", "\"retain_handling\":1", "\"subscription_id\":3"));
	CU_ASSERT_TRUE(HAS("sub", "\"filter\":\"$share/g/s\"", "\"qos\":1"));
	CU_ASSERT_TRUE(HAS("group", "\"filter\":", "\"group\":1", "\"queue\":"));
	CU_ASSERT_TRUE(HAS("will", "\"topic\":\"w/1\"", "\"delay\":9", "\"bytes\":3"));
	/* One receiver: the entry has it all. Two: what is large is shared. */
	CU_ASSERT_EQUAL(store("a/1", big, 1), 0);
	CU_ASSERT_TRUE(HAS("queue", "\"sequence\":1,", "\"state\":\"queued\"",
	    "\"message\":", "\"topic\":\"a/1\"", "\"bytes\":599"));
	CU_ASSERT_TRUE(HAS("queue", "\"state\":\"sent\"", "\"delivery_qos\":1"));
	CU_ASSERT_FALSE(HAS("queue", "bbbb"));
	CU_ASSERT_TRUE(HAS_PAYLOAD("queue", "\"payload\":\"bbbb"));
	CU_ASSERT_TRUE(HAS("msg", "\"topic\":\"a/1\"", "\"bytes\":599"));
	CU_ASSERT_TRUE(HAS("msg", "\"references\":2"));
	CU_ASSERT_TRUE(HAS("state", "\"entries\":1", "\"next_sequence\":2"));
	store_full(
	    &pub, 0, "r", "\x01\xff", 2, STORE_RETAIN | STORE_QOS2, 77, 500, NULL, NULL, NULL);
	CU_ASSERT_TRUE(HAS("retained", "\"topic\":\"r\"", "\"qos\":2", "\"expiry\":500",
	    "\"update\":", "\"bytes\":2}"));
	CU_ASSERT_TRUE(HAS_PAYLOAD("retained", "\"payload_base64\":\"Af8=\""));
	CU_ASSERT_EQUAL(store_kept_put(PROC_AUTH, span_str("anna"), span_str("hidden")), 0);
	CU_ASSERT_TRUE(HAS("kept", "\"whose\":1", "\"name\":\"anna\"", "\"bytes\":6"));
	CU_ASSERT_FALSE(HAS_PAYLOAD("kept", "hidden"));
	CU_ASSERT_TRUE(HAS("rxid", "\"packet_id\":77"));
	CU_ASSERT_TRUE(HAS("expiry", "\"second\":", "\"topic\":\"r\""));
	store_full(NULL, 1, "a/1", "x", 1, STORE_DURABLE, 0, 500, NULL, NULL, NULL);
	CU_ASSERT_TRUE(HAS("expiry", "\"second\":", "\"queue\":", "\"sequence\":2"));
	fake_stop();
}

UNIT_MAIN("worker/persist/store_dump", TEST(what_is_no_place_is_refused),
    TEST(a_place_is_what_was_written), TEST(a_record_that_cannot_be_is_shown_as_it_is),
    TEST(each_record_is_decoded))
