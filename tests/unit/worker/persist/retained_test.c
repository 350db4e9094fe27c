#include "tests/unit/worker/persist/fake.h"

static uint8_t
retain(const char *topic, const char *payload, uint8_t qos)
{
	return store_full(NULL, 1, topic, payload, qos, STORE_RETAIN, 0, 0, NULL, NULL, NULL);
}

struct page {
	unsigned n, count;
	char text[4096]; /* "topic=payload " one after the other */
	uint8_t cursor[300];
	size_t cursor_len;
	bool end;
};

static uint32_t page_bytes = 1000000;

static int
get(const struct client *c, unsigned slot, const char *filter, uint8_t options, uint32_t max,
    struct span cursor)
{
	struct rec_retain_get rec = {
		.token = 55,
		.max = max,
		.max_bytes = page_bytes,
		.filter_len = (uint16_t)strlen(filter),
		.cursor_len = (uint16_t)cursor.len,
		.options = options,
	};

	if (c != NULL) {
		rec.session = c->session;
		rec.epoch = c->epoch;
		rec.since = c->since;
		rec.durable = 1;
	}
	return tell_parts(slot, REC_RETAIN_GET, &rec, sizeof(rec), span_str(filter), cursor);
}

static struct page
take_page(unsigned slot)
{
	struct page p = { 0 };
	const struct sent *s;
	struct rec_retain_end end;

	turn();
	while ((s = next(slot, REC_RETAINED)) != NULL) {
		struct rec_retained r;
		size_t at = strlen(p.text);

		memcpy(&r, s->body, sizeof(r));
		CU_ASSERT_TRUE(r.m.flags & REC_RETAIN);
		if (at < sizeof(p.text) - 100)
			snprintf(p.text + at, sizeof(p.text) - at, "%.*s=%.*s ", r.m.topic_len,
			    s->body + sizeof(r), (int)r.m.payload_len,
			    s->body + sizeof(r) + r.m.topic_len + r.m.props_len);
		p.n++;
	}
	s = next(slot, REC_RETAIN_END);
	if (s == NULL)
		return p;
	memcpy(&end, s->body, sizeof(end));
	p.end = true;
	p.count = end.count;
	p.cursor_len = end.cursor_len;
	memcpy(p.cursor, s->body + sizeof(end), end.cursor_len);
	return p;
}

static const char *
all(const char *filter)
{
	static struct page p;

	CU_ASSERT_EQUAL(get(NULL, 0, filter, 1, 1000, NOTHING), 0);
	p = take_page(0);
	CU_ASSERT_TRUE(p.end);
	CU_ASSERT_EQUAL(p.cursor_len, 0);
	CU_ASSERT_EQUAL(p.count, p.n);
	return p.text;
}

static void
requests_that_cannot_be_are_refused(void)
{
	struct rec_retain_get rec = { .max = 1, .max_bytes = 1, .filter_len = 5 };

	fake_start();
	CU_ASSERT_EQUAL(get(NULL, 0, "a#", 1, 10, NOTHING), -EPROTO);
	CU_ASSERT_EQUAL(get(NULL, 0, "$share/g/a", 1, 10, NOTHING), -EPROTO);
	CU_ASSERT_EQUAL(get(NULL, 0, "a", 1, 0, NOTHING), -EPROTO);
	CU_ASSERT_EQUAL(get(NULL, 0, "a", 1, 10, span_of("1234", 4)), -EPROTO);
	CU_ASSERT_EQUAL(get(NULL, 0, "a", 1, 10, span_of("12345678", 8)), -EPROTO);
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_RETAIN_GET, &rec, sizeof(rec), span_str("abc"), NOTHING), -EPROTO);
	fake_stop();
}

static void
the_newest_of_each_topic_is_kept_and_an_empty_one_removes_it(void)
{
	fake_start();
	CU_ASSERT_EQUAL(retain("a/b", "1", 1), 0);
	retain("a/b", "2", 1);
	retain("a/c", "3", 0);
	CU_ASSERT_EQUAL(counted(CNT_retained), 2);
	CU_ASSERT_STRING_EQUAL(all("a/+"), "a/b=2 a/c=3 ");
	retain("a/b", "", 1);
	retain("nothing", "", 1);
	CU_ASSERT_STRING_EQUAL(all("a/+"), "a/c=3 ");
	CU_ASSERT_EQUAL(counted(CNT_retained), 1);
	retain("a/c", "", 1);
	CU_ASSERT_EQUAL(counted(CNT_retained_bytes), 0);
	fake_stop();
}

static void
filters_find_what_they_match(void)
{
	static const char *const topics[] = { "a", "a/b", "a/b/c", "a!", "a-b/c", "b", "$SYS/x",
		"$SYS/broker/y", "ab", "/", "/a", "\xc3\xa9" };

	fake_start();
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
		retain(topics[i], "v", 0);
	CU_ASSERT_STRING_EQUAL(all("a/#"), "a=v a/b=v a/b/c=v ");
	CU_ASSERT_STRING_EQUAL(all("a/b"), "a/b=v ");
	CU_ASSERT_STRING_EQUAL(all("a"), "a=v ");
	CU_ASSERT_STRING_EQUAL(all("nothing"), "");
	CU_ASSERT_STRING_EQUAL(all("+/b/#"), "a/b=v a/b/c=v ");
	CU_ASSERT_STRING_EQUAL(
	    all("#"), "/=v /a=v a=v a!=v a-b/c=v a/b=v a/b/c=v ab=v b=v \xc3\xa9=v ");
	CU_ASSERT_STRING_EQUAL(all("+/+"), "/=v /a=v a-b/c=v a/b=v ");
	CU_ASSERT_STRING_EQUAL(all("$SYS/#"), "$SYS/broker/y=v $SYS/x=v ");
	CU_ASSERT_STRING_EQUAL(all("/#"), "/=v /a=v ");
	CU_ASSERT_EQUAL(counted(CNT_retained), 10); /* $SYS is not counted */
	fake_stop();
}

static void
nothing_is_read_before_every_worker_has_turned(void)
{
	struct page p;

	fake_start();
	retain("t", "old", 0);
	fake.unturned = true;
	get(NULL, 0, "t", 1, 10, NOTHING);
	p = take_page(0);
	CU_ASSERT_FALSE(p.end);
	retain("t", "new", 0);
	fake.unturned = false;
	/*
	 * Nor before what they had published then is read: as long as more comes, but not for ever.
	 */
	fake.moves = 1000;
	CU_ASSERT_TRUE(peer_turn());
	fake.position += 1000;
	CU_ASSERT_TRUE(peer_turn());
	CU_ASSERT_FALSE(has(0, REC_RETAIN_END));
	fake.moves = 0;
	p = take_page(0);
	CU_ASSERT_STRING_EQUAL(p.text, "t=new ");
	get(NULL, 0, "t", 1, 10, NOTHING);
	fake.moves = 1 << 20;
	p = take_page(0);
	CU_ASSERT_TRUE(p.end);
	fake_stop();
}

/* Which is when they are safe and the publisher's worker has heard of it, and then they have gone to the subscriber's. */
static void
updates_that_go_live_later_are_given_behind_that(void)
{
	struct client p = { .id = "p", .handle = 1, .expiry = 100 };
	struct client w = { .id = "w", .slot = 1, .handle = 2, .will_topic = "w" };
	struct rec_store rec = { .packet_id = 7,
		.want = STORE_QOS2 | STORE_ANSWER | STORE_RETAIN,
		.m = { .topic_len = 1, .payload_len = 1, .qos = 2, .flags = REC_RETAIN } };
	struct rec_gone gone = { .flags = GONE_WILL };
	struct page got;

	fake_start();
	join(&p);
	rec.session = p.session;
	rec.epoch = p.epoch;
	CU_ASSERT_EQUAL(
	    tell_parts(0, REC_STORE, &rec, sizeof(rec), span_str("t"), span_str("v")), 0);
	get(NULL, 1, "t", 1, 10, NOTHING);
	for (int i = 0; i < 10; i++)
		turn_once();
	CU_ASSERT_FALSE(has(0, REC_STORED) || has(1, REC_RETAIN_END));
	fake.unconsumed = true;
	turn();
	turn_once();
	CU_ASSERT_TRUE(has(0, REC_STORED));
	CU_ASSERT_FALSE(has(1, REC_RETAIN_END));
	fake.unconsumed = false;
	turn_once();
	got = take_page(1);
	CU_ASSERT_STRING_EQUAL(got.text, "t=v ");

	fake.wants[1] = true;
	join(&w);
	gone.epoch = w.epoch;
	gone.session = w.session;
	CU_ASSERT_EQUAL(tell_parts(1, REC_GONE, &gone, sizeof(gone), NOTHING, NOTHING), 0);
	get(NULL, 1, "w", 1, 10, NOTHING);
	for (int i = 0; i < 10; i++)
		turn_once();
	CU_ASSERT_FALSE(has(1, REC_FWD) || has(1, REC_RETAIN_END));
	fake_forget();
	turn();
	turn_once();
	CU_ASSERT_EQUAL_FATAL(fake.n, 2);
	CU_ASSERT_EQUAL(fake.sent[0].type, REC_FWD);
	CU_ASSERT_EQUAL(fake.sent[1].type, REC_RETAIN_END);
	fake_stop();
}

static void
who_has_died_gets_nothing_and_is_not_waited_for(void)
{
	struct page p;

	fake_start();
	retain("t", "v", 0);
	get(NULL, 0, "t", 1, 10, NOTHING);
	get(NULL, 1, "t", 1, 10, NOTHING);
	CU_ASSERT_TRUE(peer_turn());
	fake.open[0] = false;
	peer_down(NULL, 0);
	p = take_page(1);
	CU_ASSERT_TRUE(p.end);
	CU_ASSERT_EQUAL(p.n, 1);
	CU_ASSERT_FALSE(has(0, REC_RETAINED));
	fake_stop();
}

static void
pages_go_on_where_they_ended_while_topics_come_and_go(void)
{
	struct page p;
	char topic[16];
	unsigned n = 0, pages = 0;
	struct span cursor = NOTHING;

	fake_start();
	for (int i = 0; i < 1000; i++) {
		snprintf(topic, sizeof(topic), "t/%03d", i);
		retain(topic, "v", 0);
	}
	do {
		CU_ASSERT_EQUAL(get(NULL, 0, "t/+", 1, 70, cursor), 0);
		p = take_page(0);
		CU_ASSERT_TRUE(p.end);
		CU_ASSERT_TRUE(p.n <= 70);
		n += p.n;
		cursor = span_of(p.cursor, p.cursor_len);
		if (pages++ ==
		    2) { /* the topic of the cursor goes, one ahead goes, one ahead is new: it went live */
			char at[64] = "";

			memcpy(at, p.cursor + 8, p.cursor_len - 8);
			retain(at, "", 0);
			retain("t/900", "", 0);
			retain("t/9000", "new", 0);
		}
	} while (p.cursor_len > 0 && pages < 100);
	CU_ASSERT_EQUAL(n, 999);
	CU_ASSERT_EQUAL(pages, 15);
	fake_stop();
}

static void
a_sparse_filter_over_many_topics_takes_several_turns(void)
{
	struct page p;
	char topic[16];

	fake_start();
	for (int i = 0; i < 6000; i++) {
		snprintf(topic, sizeof(topic), "%05d/y", i);
		retain(topic, "v", 0);
	}
	retain("zzz/x", "found", 0);
	fake_forget();
	get(NULL, 0, "+/x", 1, 10, NOTHING);
	CU_ASSERT_TRUE(peer_turn());
	CU_ASSERT_FALSE(has(0, REC_RETAIN_END));
	p = take_page(0);
	CU_ASSERT_STRING_EQUAL(p.text, "zzz/x=found ");
	CU_ASSERT_TRUE(p.end);
	fake_stop();
}

/* The fence of the last takes some turns; those before it look at many topics in each. */
static void
who_asks_late_for_little_does_not_wait_for_those_before(void)
{
	unsigned turns = 0;
	char topic[20];

	fake_start();
	for (int i = 0; i < 5000; i++) {
		snprintf(topic, sizeof(topic), "many/%d", i);
		CU_ASSERT_EQUAL(retain(topic, "v", 0), 0);
	}
	turn();
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(get(NULL, 0, "many/+/x", 0, 1000, NOTHING), 0);
	CU_ASSERT_EQUAL(get(NULL, 1, "many/7", 0, 1000, NOTHING), 0);
	for (; turns < 10 && !has(1, REC_RETAIN_END); turns++)
		turn_once();
	CU_ASSERT_TRUE(has(1, REC_RETAIN_END));
	CU_ASSERT_FALSE(has(0, REC_RETAIN_END));
	turn();
	CU_ASSERT_TRUE(has(0, REC_RETAIN_END));
	fake_stop();
}

static void
a_durable_session_gets_qos_1_through_its_queue(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct rec_retain_get rec = { 0 };
	struct delivery d;
	struct page p;

	(void)rec;
	fake_start();
	retain("t/0", "zero", 0);
	retain("t/1", "one", 1);
	retain("t/2", "before", 2);
	join(&c);
	subscribe(&c, "t/+", 1, 0);
	/* Newer than the subscription: that goes to it live, not again. */
	store_full(
	    NULL, 1, "t/2", "after", 2, STORE_RETAIN | STORE_DURABLE, 0, 0, NULL, NULL, NULL);
	get(&c, 0, "t/+", 1, 10, NOTHING);
	p = take_page(0);
	CU_ASSERT_STRING_EQUAL(p.text, "t/0=zero ");
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "after");
	CU_ASSERT_FALSE(d.rec.m.flags & REC_RETAIN);
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "one");
	CU_ASSERT_TRUE(d.rec.m.flags & REC_RETAIN);
	CU_ASSERT_FALSE(take_delivery(&c, &d));
	/* Of an old epoch: answered, and nothing else. */
	c.epoch--;
	get(&c, 0, "t/+", 1, 10, NOTHING);
	p = take_page(0);
	CU_ASSERT_TRUE(p.end && p.n == 0);
	fake_stop();
}

static void
an_update_that_raced_with_a_subscription_reaches_it(void)
{
	struct client c = { .id = "d", .handle = 1, .expiry = 100 };
	struct delivery d;

	fake_start();
	join(&c);
	subscribe(&c, "t", 1, 0);
	retain("t", "v",
	    1); /* its worker had routed it before the subscription showed: no STORE_DURABLE */
	CU_ASSERT_TRUE(take_delivery(&c, &d));
	CU_ASSERT_STRING_EQUAL(d.payload, "v");
	fake_stop();
}

static void
over_the_limit_messages_are_not_kept(void)
{
	fake_start();
	self.conf.retained_max_messages = 2;
	CU_ASSERT_EQUAL(retain("a", "1", 1), 0);
	CU_ASSERT_EQUAL(retain("b", "1", 1), 0);
	CU_ASSERT_EQUAL(retain("c", "1", 1), MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_EQUAL(retain("a", "2", 1), 0);
	CU_ASSERT_EQUAL(retain("$SYS/a", "2", 1), 0);
	self.conf.retained_max_messages = 0;
	self.conf.retained_max_bytes = counted(CNT_retained_bytes);
	CU_ASSERT_EQUAL(retain("a", "longer than it was", 1), MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_EQUAL(retain("a", "", 1), 0);
	CU_ASSERT_EQUAL(counted(CNT_dropped__retained_full), 2);
	CU_ASSERT_STRING_EQUAL(all("+"), "b=1 ");
	fake_stop();
}

static void
damage(const char *name)
{
	char path[128], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fake.dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, 40), 1);
	byte ^= 1;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, 40), 1);
	close(fd);
}

static void
what_is_kept_is_known_to_the_byte_after_a_restart(void)
{
	uint64_t bytes;

	fake_start();
	for (int i = 0; i < 100; i++) {
		char topic[8];

		snprintf(topic, sizeof(topic), "t/%d", i % 10);
		retain(topic, &"123456789"[i % 9], 1);
		if (i % 7 == 0)
			retain(topic, "", 1);
	}
	turn();
	bytes = counted(CNT_retained_bytes);
	for (int i = 0; i < 3; i++) {
		uint64_t n = counted(CNT_retained);

		if (i == 2) { /* damage: what was counted says nothing of what is there */
			store_meta_put("retained", 12345);
			store_meta_put("retained_bytes", 12345);
		}
		fake_end();
		if (i == 2)
			damage("will.db");
		count_set(CNT_retained, 0);
		count_set(CNT_retained_bytes, 0);
		fake_restart(2 + (uint32_t)i, 1);
		CU_ASSERT_EQUAL(counted(CNT_retained), n);
		CU_ASSERT_EQUAL(counted(CNT_retained_bytes), bytes);
	}
	self.conf.retained_max_bytes = bytes;
	CU_ASSERT_EQUAL(retain("new", "1", 1), MQTT_QUOTA_EXCEEDED);
	CU_ASSERT_EQUAL(retain("t/2", "", 1), 0);
	CU_ASSERT_EQUAL(retain("t/2", "1", 1), 0);
	fake_stop();
}

static void
what_has_expired_is_not_sent_and_goes(void)
{
	fake_start();
	store_full(NULL, 1, "t/1", "v", 1, STORE_RETAIN, 0, 10, NULL, NULL, NULL);
	store_full(NULL, 1, "t/2", "v", 1, STORE_RETAIN, 0, 1000, NULL, NULL, NULL);
	CU_ASSERT_STRING_EQUAL(all("t/+"), "t/1=v t/2=v ");
	*fake.clock += 10000;
	clock_tick();
	CU_ASSERT_STRING_EQUAL(all("t/+"), "t/2=v ");
	CU_ASSERT_EQUAL(counted(CNT_retained), 1);
	pass_ms(1000000);
	CU_ASSERT_EQUAL(counted(CNT_retained), 0);
	CU_ASSERT_EQUAL(counted(CNT_retained_bytes), 0);
	fake_stop();
}

UNIT_MAIN("worker/persist/retained", TEST(requests_that_cannot_be_are_refused),
    TEST(the_newest_of_each_topic_is_kept_and_an_empty_one_removes_it),
    TEST(filters_find_what_they_match), TEST(nothing_is_read_before_every_worker_has_turned),
    TEST(updates_that_go_live_later_are_given_behind_that),
    TEST(who_has_died_gets_nothing_and_is_not_waited_for),
    TEST(pages_go_on_where_they_ended_while_topics_come_and_go),
    TEST(a_sparse_filter_over_many_topics_takes_several_turns),
    TEST(who_asks_late_for_little_does_not_wait_for_those_before),
    TEST(a_durable_session_gets_qos_1_through_its_queue),
    TEST(an_update_that_raced_with_a_subscription_reaches_it),
    TEST(over_the_limit_messages_are_not_kept),
    TEST(what_is_kept_is_known_to_the_byte_after_a_restart),
    TEST(what_has_expired_is_not_sent_and_goes))
