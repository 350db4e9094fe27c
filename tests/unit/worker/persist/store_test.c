#include <poll.h>
#include <sys/wait.h>

#include "tests/unit/worker/persist/fake.h"
#include "worker/persist/kv.h"

static struct msg_view
message(const char *topic, const char *payload)
{
	return (struct msg_view){ .topic = span_str(topic), .payload = span_str(payload) };
}

static void
add(struct store_queue *q, uint64_t seq, struct store_msg *m, struct span subids)
{
	struct store_entry e = { .seq = seq, .subids = subids, .size = 10, .qos = 1 };

	CU_ASSERT_EQUAL_FATAL(store_entry_add(q, &e, m), 0);
}

static void
until_safe(void)
{
	while (store_safe(DURABILITY_power) < store_batch()) {
		if (store_write() == -EAGAIN)
			usleep(1000);
		(void)store_synced();
	}
}

/* What fn writes is safe, and then the process is killed. */
static void
killed_after(void (*fn)(void))
{
	int status = 1;
	pid_t pid;

	fake_end();
	pid = fork();
	if (pid == 0) {
		CU_ASSERT_EQUAL_FATAL(store_open(fake.dir), 0);
		fn();
		until_safe();
		_exit(CU_get_number_of_failures() != 0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	fake_restart(2, 1);
}

static void
an_entry_that_is_not_there_is_not_found(void)
{
	struct store_queue *q = NULL;
	struct store_entry e;

	fake_start();
	CU_ASSERT_EQUAL(store_queue_open(store_queue_id(), &q), 0);
	CU_ASSERT_FALSE(store_entry_next(q, 0, &e));
	CU_ASSERT_FALSE(store_entry_next(q, UINT64_MAX, &e));
	CU_ASSERT_FALSE(store_entry_get(q, 1, &e));
	store_queue_close(&q);
	CU_ASSERT_PTR_NULL(q);
	store_queue_close(&q);
	fake_stop();
}

/* Against a plain array of what should be there. */
static void
a_queue_is_what_was_added_and_not_deleted(void)
{
	enum { N = 20000 };
	static bool there[N + 1];
	const uint32_t ids[2] = { 3, 4 };
	struct msg_view v = message("t", "x");
	struct store_queue *q = NULL;
	struct store_entry e;
	uint64_t seq = 0, at;
	unsigned left = 0, seed = 7;

	memset(there, 0, sizeof(there));
	fake_start();
	CU_ASSERT_EQUAL_FATAL(store_queue_open(store_queue_id(), &q), 0);
	for (int i = 0; i < 60000; i++) {
		struct store_msg m;

		seed = seed * 1103515245 + 12345;
		store_msg_init(&m, &v, 1);
		if (seq < N && seed >> 16 & 1) {
			seq += 1 + (seed >> 20 & 1);
			if (seq > N)
				break;
			add(q, seq, &m, span_of(ids, seq % 3 * sizeof(ids[0])));
			there[seq] = true;
			left++;
		} else if (seq > 0) {
			at = (seed >> 10) % (seq + 1);
			if (store_entry_get(q, at, &e) != there[at] ||
			    (there[at] && store_entry_del(q, &e) != 0))
				CU_FAIL("deleted wrongly");
			left -= there[at];
			there[at] = false;
		}
		store_msg_fini(&m);
		if (i % 100 == 0)
			(void)store_write();
	}
	CU_ASSERT_EQUAL(q->entries, left);
	CU_ASSERT_EQUAL(q->bytes, left * 10u);
	at = 0;
	for (uint64_t s = 1; s <= N; s++) {
		uint32_t id = 0;

		if (store_entry_get(q, s, &e) != there[s])
			CU_FAIL("found wrongly");
		if (!there[s])
			continue;
		if (!store_entry_next(q, at, &e) || e.seq != s ||
		    e.subids.len != s % 3 * sizeof(ids[0]) || !span_eq(e.msg.v.payload, v.payload))
			CU_FAIL("next is wrong");
		if (e.subids.len > 0)
			memcpy(&id, e.subids.p, sizeof(id));
		CU_ASSERT_EQUAL(id, s % 3 != 0 ? 3 : 0);
		at = s;
		left--;
	}
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_FALSE(store_entry_next(q, at, &e));
	store_queue_close(&q);
	fake_stop();
}

/* More than the journal keeps: most of it has moved to the trees when it is read, some at once. */
static void
queues_on_disk_are_read_in_order_while_they_shrink(void)
{
	enum { N = 8000, QUEUES = 3 };
	static char payload[1000];
	struct msg_view v = message("t", "");
	struct store_queue *q[QUEUES];
	uint64_t at[QUEUES] = { 0 };
	struct store_entry e;
	unsigned seed = 5;

	fake_start();
	fake_end();
	self.conf.store_journal = 4 << 20;
	fake_restart(2, 1);
	v.payload = span_of(payload, sizeof(payload));
	for (int i = 0; i < QUEUES; i++)
		CU_ASSERT_EQUAL_FATAL(store_queue_open(store_queue_id(), &q[i]), 0);
	for (uint64_t s = 1; s <= N; s++)
		for (int i = 0; i < QUEUES; i++) {
			struct store_msg m;

			memset(payload, (int)(s % 251), sizeof(payload));
			store_msg_init(&m, &v, 1);
			add(q[i], s, &m, span_of(NULL, 0));
			store_msg_fini(&m);
			if (s % 50 == 0)
				turn();
		}
	for (int i = 0; i < 60000 && kv_numbers().moves == 0;
	     i++) { /* the keeper's thread does that */
		turn();
		poll(NULL, 0, 1);
	}
	CU_ASSERT_TRUE(kv_numbers().moves > 0);
	while (at[0] < N || at[1] < N || at[2] < N) {
		int i = rand_r(&seed) % QUEUES;

		for (int k = rand_r(&seed) % 200; k > 0 && at[i] < N; k--) {
			CU_ASSERT_TRUE_FATAL(store_entry_next(q[i], at[i], &e));
			CU_ASSERT_EQUAL_FATAL(e.seq, at[i] + 1);
			CU_ASSERT_EQUAL_FATAL(e.msg.v.payload.len, sizeof(payload));
			CU_ASSERT_EQUAL_FATAL(e.msg.v.payload.p[999], e.seq % 251);
			at[i] = e.seq;
			/* The one just given, or one that was given before. */
			if (rand_r(&seed) % 2 ||
			    store_entry_get(q[i], 1 + rand_r(&seed) % at[i], &e)) {
				CU_ASSERT_EQUAL(store_entry_del(q[i], &e), 0);
			}
		}
		if (rand_r(&seed) % 8 == 0)
			store_queue_rest(q[i]);
		if (rand_r(&seed) % 4 == 0)
			turn();
	}
	for (int i = 0; i < QUEUES; i++) {
		uint64_t left = q[i]->entries;

		/* From the start again: just those that were not deleted. */
		for (uint64_t s = 0; store_entry_next(q[i], s, &e); left--) {
			CU_ASSERT_TRUE_FATAL(e.seq > s);
			s = e.seq;
		}
		CU_ASSERT_EQUAL(left, 0);
		store_queue_close(&q[i]);
	}
	fake_stop();
}

static uint64_t shared_queue[3];

static void
share_one(void)
{
	static char payload[2000];
	struct msg_view v = message("t", "");
	struct store_msg m;

	memset(payload, 'x', sizeof(payload));
	v.payload = span_of(payload, sizeof(payload));
	store_msg_init(&m, &v, 3);
	for (int i = 0; i < 3; i++) {
		struct store_queue *q;

		CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[i], &q), 0);
		add(q, 1, &m, span_of(NULL, 0));
		store_queue_close(&q);
	}
	store_msg_fini(&m);
}

/* The copy is there as long as one refers to it, over restarts, and not longer. */
static void
a_shared_message_lives_as_long_as_its_last_entry(void)
{
	struct store_entry e;
	struct store_queue *q;
	uint64_t id = 0;

	fake_start();
	for (int i = 0; i < 3; i++)
		shared_queue[i] = store_queue_id();
	killed_after(share_one);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[i], &q), 0);
		CU_ASSERT_EQUAL(q->entries, 1);
		CU_ASSERT_TRUE_FATAL(store_entry_next(q, 0, &e));
		CU_ASSERT_TRUE(e.msg.is_shared);
		CU_ASSERT_TRUE(id == 0 || e.msg.id == id);
		id = e.msg.id;
		CU_ASSERT_EQUAL(e.msg.v.payload.len, 2000);
		CU_ASSERT_EQUAL(store_entry_del(q, &e), 0);
		store_queue_del(&q);
	}
	/* Nothing is left that could be found by that id. */
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	CU_ASSERT_EQUAL(q->entries, 0);
	store_queue_close(&q);
	fake_stop();
}

static void
four_states(void)
{
	struct msg_view v = message("a/b", "hello");
	struct store_queue *q;
	struct store_entry e;
	struct store_msg m;

	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	store_msg_init(&m, &v, 1);
	for (uint64_t s = 1; s <= 4; s++)
		CU_ASSERT_EQUAL_FATAL(
		    store_entry_add(q, &(struct store_entry){ .seq = s, .qos = 2 }, &m), 0);
	store_msg_fini(&m);
	store_queue_sent(q, 2);
	CU_ASSERT_TRUE(store_entry_get(q, 1, &e));
	CU_ASSERT_EQUAL(store_entry_release(q, &e), 0);
	CU_ASSERT_TRUE(store_entry_get(q, 3, &e));
	CU_ASSERT_EQUAL(store_entry_del(q, &e), 0);
	store_queue_close(&q);
}

static void
states_outlive_a_kill(void)
{
	struct store_entry e;
	struct store_queue *q;

	fake_start();
	shared_queue[0] = store_queue_id();
	killed_after(four_states);
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	CU_ASSERT_EQUAL(q->next_seq, 5);
	CU_ASSERT_EQUAL(q->entries, 3);
	CU_ASSERT_TRUE(store_entry_get(q, 1, &e) && e.state == ENTRY_RELEASED);
	CU_ASSERT_TRUE(store_entry_get(q, 2, &e) && e.state == ENTRY_SENT);
	CU_ASSERT_TRUE(span_eq(e.msg.v.payload, span_str("hello")));
	CU_ASSERT_FALSE(store_entry_get(q, 3, &e));
	CU_ASSERT_TRUE(store_entry_get(q, 4, &e) && e.state == ENTRY_QUEUED);
	store_queue_close(&q);
	fake_stop();
}

static void
ten_less_six(void)
{
	struct msg_view v = message("a/b", "hello");
	struct store_queue *q;
	struct store_entry e;
	struct store_msg m;

	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	store_msg_init(&m, &v, 1);
	for (uint64_t s = 1; s <= 10; s++)
		CU_ASSERT_EQUAL_FATAL(
		    store_entry_add(q, &(struct store_entry){ .seq = s, .qos = 1 }, &m), 0);
	store_msg_fini(&m);
	for (uint64_t s = 1; s <= 6; s++) {
		CU_ASSERT_TRUE_FATAL(store_entry_get(q, s, &e));
		CU_ASSERT_EQUAL(store_entry_del(q, &e), 0);
	}
}

/* Who takes entries from the start must not walk over all that were there before, each time. */
static void
where_a_queue_begins_is_learned_once_after_a_kill(void)
{
	struct store_entry e;
	struct store_queue *q;

	fake_start();
	shared_queue[0] = store_queue_id();
	killed_after(ten_less_six);
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	CU_ASSERT_TRUE(store_entry_next(q, 0, &e));
	CU_ASSERT_EQUAL(e.seq, 7);
	CU_ASSERT_EQUAL(q->first, 7);
	CU_ASSERT_EQUAL(store_entry_del(q, &e), 0);
	CU_ASSERT_EQUAL(q->first, 8);
	store_queue_close(&q);
	fake_stop();
}

/* Number seq of the queue, as it comes to be handed out. */
static bool
is_again(struct store_queue *q, uint64_t seq)
{
	struct store_entry e;

	CU_ASSERT_TRUE_FATAL(store_entry_get(q, seq, &e));
	CU_ASSERT_EQUAL(e.state, ENTRY_QUEUED);
	return e.msg.again;
}

static void
leased(void)
{
	struct msg_view v = message("a/b", "hello");
	struct store_queue *q;
	struct store_msg m;

	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	store_msg_init(&m, &v, 1);
	for (uint64_t s = 1; s <= 4; s++)
		CU_ASSERT_EQUAL_FATAL(
		    store_entry_add(q, &(struct store_entry){ .seq = s, .qos = 1 }, &m), 0);
	CU_ASSERT_FALSE(store_queue_may_send(q, 1));
	until_safe();
	store_queue_lease(q, 2);
	CU_ASSERT_FALSE(
	    store_queue_may_send(q, 1)); /* it is on disk, that it may be sent not yet */
	until_safe();
	CU_ASSERT_TRUE(store_queue_may_send(q, 2));
	CU_ASSERT_FALSE(store_queue_may_send(q, 3));
	store_queue_lease(q, 6);
	CU_ASSERT_TRUE(store_queue_may_send(q, 2));
	CU_ASSERT_FALSE(store_queue_may_send(q, 3));
	m.again = true;
	CU_ASSERT_EQUAL_FATAL(
	    store_entry_add(q, &(struct store_entry){ .seq = 5, .qos = 1 }, &m), 0);
	CU_ASSERT_TRUE(store_queue_may_send(q, 5)); /* they come to the disk together */
	until_safe();
	CU_ASSERT_TRUE(store_entry_is_safe(q, 5)); /* asked while nothing is in the batch */
	CU_ASSERT_EQUAL_FATAL(
	    store_entry_add(q, &(struct store_entry){ .seq = 6, .qos = 2 }, &m), 0);
	CU_ASSERT_FALSE(store_entry_is_safe(q, 6));
	store_msg_fini(&m);
	until_safe();
}

static void
rested(void)
{
	struct store_queue *q;

	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[1], &q), 0);
	store_queue_lease(q, 100);
	until_safe();
	store_queue_rest(q);
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[2], &q), 0);
	store_queue_lease(q, 100);
}

static void
what_may_have_been_handed_out_is_known_after_a_kill(void)
{
	struct msg_view v = message("a/b", "later");
	struct store_queue *q;
	struct store_msg m;

	fake_start();
	shared_queue[0] = store_queue_id();
	shared_queue[1] = store_queue_id();
	shared_queue[2] = store_queue_id();
	killed_after(leased);
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	for (uint64_t s = 1; s <= 5; s++)
		CU_ASSERT_TRUE(is_again(q, s));
	store_msg_init(&m, &v, 1);
	CU_ASSERT_EQUAL_FATAL(
	    store_entry_add(q, &(struct store_entry){ .seq = 7, .qos = 1 }, &m), 0);
	CU_ASSERT_FALSE(is_again(q, 7));
	store_queue_close(&q);
	/* Kept for who opens it again: nobody has been handed anything meanwhile. */
	CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[0], &q), 0);
	CU_ASSERT_TRUE(is_again(q, 4));
	CU_ASSERT_TRUE(is_again(q, 5)); /* by itself */
	store_queue_close(&q);

	killed_after(rested);
	for (int i = 1; i <= 2; i++) { /* the other lease was for nothing that there was */
		CU_ASSERT_EQUAL_FATAL(store_queue_open(shared_queue[i], &q), 0);
		CU_ASSERT_EQUAL_FATAL(
		    store_entry_add(q, &(struct store_entry){ .seq = 1, .qos = 1 }, &m), 0);
		CU_ASSERT_FALSE(is_again(q, 1));
		store_queue_close(&q);
	}
	store_msg_fini(&m);
	fake_stop();
}

static void
retained_topics_are_in_byte_order(void)
{
	static const char *const topics[] = { "b", "a/b", "a", "a!", "\xc3\xa9", "$SYS/x", "a/b/c",
		"/", "$SYZ", "$", "\x01" };
	static const char *const sorted[] = { "\x01", "$", "$SYS/x", "$SYZ", "/", "a", "a!", "a/b",
		"a/b/c", "b", "\xc3\xa9" };
	enum { N = sizeof(topics) / sizeof(topics[0]) };
	struct store_retained r;
	struct span at = span_of(NULL, 0);
	struct msg_view v;

	fake_start();
	for (uint64_t i = 0; i < N; i++) {
		v = message(topics[i], "x");
		CU_ASSERT_EQUAL(
		    store_retained_put(&(struct store_retained){ .v = v, .seq = i }, NULL), 0);
	}
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_TRUE_FATAL(store_retained_seek(at, true, &r));
		CU_ASSERT_TRUE(span_eq(r.v.topic, span_str(sorted[i])));
		at = r.v.topic;
	}
	CU_ASSERT_FALSE(store_retained_seek(at, true, &r));
	CU_ASSERT_TRUE(store_retained_seek(span_str("a/"), false, &r));
	CU_ASSERT_TRUE(span_eq(r.v.topic, span_str("a/b")));
	CU_ASSERT_TRUE(store_retained_seek(span_str("a/b"), false, &r));
	CU_ASSERT_TRUE(span_eq(r.v.topic, span_str("a/b")));
	CU_ASSERT_EQUAL(store_retained_del(&r), 0);
	CU_ASSERT_FALSE(store_retained_get(span_str("a/b"), &r));
	v = message("a", "new");
	store_retained_put(&(struct store_retained){ .v = v, .seq = 77 }, NULL);
	CU_ASSERT_TRUE(store_retained_get(span_str("a"), &r));
	CU_ASSERT_EQUAL(r.seq, 77);
	CU_ASSERT_EQUAL(r.v.payload.len, 3);
	fake_stop();
}

/* Who published it stays with it, and one of before, which has nothing of that, can still be read. */
static void
retained_messages_keep_their_source(void)
{
	static char who[70000];
	struct store_retained r = { .v = message("a", "x"), .seq = 5 }, got;
	struct span value;

	fake_start();
	memset(who, 'w', sizeof(who));
	CU_ASSERT_EQUAL(store_retained_put(&r, NULL), 0);
	CU_ASSERT_TRUE_FATAL(store_retained_get(span_str("a"), &got));
	CU_ASSERT_EQUAL(got.source.len, 0);
	CU_ASSERT_EQUAL(kv_get(KV_RETAINED, span_str("a"), &value), 0);
	CU_ASSERT_EQUAL(value.p[0], 1);
	r.source = span_of(who, sizeof(who));
	CU_ASSERT_EQUAL(store_retained_put(&r, &got), 0);
	CU_ASSERT_TRUE_FATAL(store_retained_get(span_str("a"), &got));
	CU_ASSERT_TRUE(span_eq(got.source, r.source));
	CU_ASSERT_TRUE(span_eq(got.v.payload, span_str("x")) && got.seq == 5);
	CU_ASSERT_EQUAL(kv_get(KV_RETAINED, span_str("a"), &value), 0);
	CU_ASSERT_EQUAL(value.p[0], 2);
	fake_stop();
}

/* A length beyond the record, and a version that nobody knows. */
static void
sources_that_cannot_be_are_left_out(void)
{
	struct store_retained r = { .v = message("a", "x"), .seq = 5, .source = span_str("who") },
			      got;
	uint8_t bytes[100], *p;
	struct span value;

	fake_start();
	CU_ASSERT_EQUAL(store_retained_put(&r, NULL), 0);
	CU_ASSERT_EQUAL(kv_get(KV_RETAINED, span_str("a"), &value), 0);
	CU_ASSERT_TRUE_FATAL(value.len < sizeof(bytes));
	memcpy(bytes, value.p, value.len);
	bytes[9] = 0xff;
	p = kv_put(KV_RETAINED, span_str("a"), value.len, false);
	memcpy(p, bytes, value.len);
	CU_ASSERT_FALSE(store_retained_get(span_str("a"), &got));
	bytes[9] = 0;
	bytes[0] = 3;
	p = kv_put(KV_RETAINED, span_str("a"), value.len, false);
	memcpy(p, bytes, value.len);
	CU_ASSERT_FALSE(store_retained_get(span_str("a"), &got));
	bytes[0] = 2;
	p = kv_put(KV_RETAINED, span_str("a"), value.len, false);
	memcpy(p, bytes, value.len);
	CU_ASSERT_TRUE(store_retained_get(span_str("a"), &got));
	fake_stop();
}

/* A key holds so much of a topic and a hash of the rest. */
static void
long_topics_are_told_apart(void)
{
	static char a[5000], b[5000];
	struct store_retained r;
	struct msg_view v;

	memset(a, 'x', sizeof(a) - 1);
	memset(b, 'x', sizeof(b) - 1);
	b[4000] = 'y';
	fake_start();
	v = message(a, "1");
	CU_ASSERT_EQUAL(store_retained_put(&(struct store_retained){ .v = v, .seq = 1 }, NULL), 0);
	v = message(b, "2");
	CU_ASSERT_EQUAL(store_retained_put(&(struct store_retained){ .v = v, .seq = 2 }, NULL), 0);
	CU_ASSERT_TRUE(store_retained_get(span_str(a), &r) && r.seq == 1);
	CU_ASSERT_TRUE(store_retained_get(span_str(b), &r) && r.seq == 2);
	/* From what both begin with. */
	CU_ASSERT_TRUE(store_retained_seek(span_of(a, 3000), false, &r));
	CU_ASSERT_TRUE(store_retained_seek(r.v.topic, true, &r));
	CU_ASSERT_FALSE(store_retained_seek(r.v.topic, true, &r));
	fake_stop();
}

static void
wills_and_ids_belong_to_their_session(void)
{
	struct store_will w, x = { .v = message("w", "x"), .epoch = 7, .number = 1, .delay = 5 };
	uint32_t at = 0;

	fake_start();
	CU_ASSERT_FALSE(store_will_get(1, &w));
	CU_ASSERT_EQUAL(store_will_del(1), 0);
	CU_ASSERT_EQUAL(store_will_put(&x), 0);
	x.delay = 6;
	x.asker = (struct store_asker){ .token = 3, .gen = 2, .slot = 1 };
	CU_ASSERT_EQUAL(store_will_put(&x), 0);
	CU_ASSERT_TRUE(store_will_get(1, &w));
	CU_ASSERT_EQUAL(w.delay, 6);
	CU_ASSERT_EQUAL(w.epoch, 7);
	CU_ASSERT_TRUE(w.asker.token == 3 && w.asker.gen == 2 && w.asker.slot == 1);
	/* Another run of the broker has other workers. */
	self.birth.broker_id++;
	CU_ASSERT_TRUE(store_will_get(1, &w) && w.asker.gen == 0);
	CU_ASSERT_FALSE(store_will_get(2, &w));
	CU_ASSERT_TRUE(store_will_next(&at, &w));
	CU_ASSERT_TRUE(w.number == 1 && at == 2);
	CU_ASSERT_FALSE(store_will_next(&at, &w));
	store_will_del(1);
	CU_ASSERT_FALSE(store_will_get(1, &w));

	CU_ASSERT_FALSE(store_rxid_del(1, 3));
	for (unsigned i = 65535; i > 0; i -= 5)
		CU_ASSERT_EQUAL_FATAL(store_rxid_add(1, (uint16_t)i), 0);
	CU_ASSERT_EQUAL(store_rxid_add(1, 65535), -EEXIST);
	CU_ASSERT_EQUAL(store_rxid_count(1), 13107);
	CU_ASSERT_TRUE(store_rxid_has(1, 5));
	CU_ASSERT_FALSE(store_rxid_has(1, 6));
	CU_ASSERT_FALSE(store_rxid_has(2, 5));
	CU_ASSERT_TRUE(store_rxid_del(1, 5));
	CU_ASSERT_FALSE(store_rxid_has(1, 5));
	fake_end(); /* closed and opened again */
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(store_rxid_count(1), 13106);
	CU_ASSERT_TRUE(store_rxid_has(1, 10));
	store_rxid_drop(1);
	store_rxid_drop(1);
	CU_ASSERT_EQUAL(store_rxid_count(1), 0);
	fake_stop();
}

static void
count_sub_of(void *arg, const struct store_sub *s)
{
	unsigned *n = arg;

	CU_ASSERT_TRUE(s->id == 7 && s->options == 2);
	++*n;
}

static void
sessions_come_back_with_their_subscriptions(void)
{
	struct store_session s = { .client_id = span_str("client"),
		.user_name = span_str(""),
		.queue = 9,
		.left_ms = 5,
		.number = 77,
		.expiry = 3600 };
	struct store_session got;
	uint32_t at = 0;
	unsigned n = 0;

	fake_start();
	CU_ASSERT_EQUAL(store_session_put(&s), 0);
	for (int i = 0; i < 1000; i++) {
		char filter[32];

		snprintf(filter, sizeof(filter), "a/%d/+/#", i);
		CU_ASSERT_EQUAL(
		    store_sub_put(77, &(struct store_sub){ span_str(filter), 7, 2 }), 0);
	}
	store_sub_put(78, &(struct store_sub){ span_str("other"), 7, 2 });
	CU_ASSERT_EQUAL(store_sub_del(77, span_str("a/5/+/#")), 0);
	fake_end();
	CU_ASSERT_EQUAL_FATAL(store_open(fake.dir), 0);
	CU_ASSERT_TRUE_FATAL(store_session_next(&at, &got));
	CU_ASSERT_TRUE(span_eq(got.client_id, s.client_id) && got.user_name.len == 0);
	CU_ASSERT_TRUE(
	    got.queue == 9 && got.left_ms == 5 && got.number == 77 && got.expiry == 3600);
	CU_ASSERT_EQUAL(at, 78);
	CU_ASSERT_FALSE(store_session_next(&at, &got));
	store_sub_each(77, count_sub_of, &n);
	CU_ASSERT_EQUAL(n, 999);
	store_session_del(77);
	at = 0;
	CU_ASSERT_FALSE(store_session_next(&at, &got));
	store_close();
	fake_restart(3, 2);
	fake_stop();
}

static void
a_group_keeps_its_number(void)
{
	uint64_t queue = 0, again = 0, other = 0;
	uint32_t n;

	fake_start();
	n = store_group_get(span_str("$share/g/a"), &queue);
	CU_ASSERT_TRUE(n != 0 && queue != 0);
	CU_ASSERT_TRUE(store_group_get(span_str("$share/h/a"), &other) != n && other != queue);
	fake_end();
	fake_restart(2, 1);
	CU_ASSERT_EQUAL(store_group_get(span_str("$share/g/a"), &again), n);
	CU_ASSERT_EQUAL(again, queue);
	CU_ASSERT_EQUAL(store_group_del(span_str("$share/g/a")), 0);
	CU_ASSERT_NOT_EQUAL(store_group_get(span_str("$share/g/a"), &again), n);
	fake_stop();
}

static void
a_store_of_a_newer_version_is_refused_and_left_as_it_is(void)
{
	fake_start();
	CU_ASSERT_EQUAL(store_meta_put("version", 1000), 0);
	turn();
	fake_end();
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(store_open(fake.dir), -EPROTO);
	fake_clean();
}

static void
write_kept(void)
{
	CU_ASSERT_EQUAL(store_kept_put(PROC_AUTH, span_str("b"), span_str("second")), 0);
	CU_ASSERT_EQUAL(store_kept_put(PROC_AUTH, span_str("a"), span_str("first")), 0);
	CU_ASSERT_EQUAL(store_kept_put(PROC_AUTH, span_str("gone"), span_str("x")), 0);
	CU_ASSERT_EQUAL(store_kept_del(PROC_AUTH, span_str("gone")), 0);
	CU_ASSERT_EQUAL(store_kept_put(PROC_AUTH, span_str("b"), span_of(NULL, 0)), 0);
}

static void
what_others_keep_is_there_after_a_crash_in_order(void)
{
	struct span name, value;

	fake_start();
	CU_ASSERT_FALSE(store_kept_get(PROC_AUTH, span_str("a"), &value));
	CU_ASSERT_FALSE(store_kept_next(PROC_AUTH, span_of(NULL, 0), &name, &value));
	killed_after(write_kept);
	CU_ASSERT_TRUE(store_kept_get(PROC_AUTH, span_str("a"), &value));
	CU_ASSERT_TRUE(span_eq(value, span_str("first")));
	CU_ASSERT_FALSE(store_kept_get(PROC_AUTH, span_str("gone"), &value));
	CU_ASSERT_TRUE(store_kept_next(PROC_AUTH, span_of(NULL, 0), &name, &value));
	CU_ASSERT_TRUE(span_eq(name, span_str("a")));
	CU_ASSERT_TRUE(store_kept_next(PROC_AUTH, name, &name, &value));
	CU_ASSERT_TRUE(span_eq(name, span_str("b")));
	CU_ASSERT_EQUAL(value.len, 0);
	CU_ASSERT_FALSE(store_kept_next(PROC_AUTH, name, &name, &value));
	fake_stop();
}

UNIT_MAIN("worker/persist/store", TEST(what_others_keep_is_there_after_a_crash_in_order),
    TEST(a_store_of_a_newer_version_is_refused_and_left_as_it_is),
    TEST(an_entry_that_is_not_there_is_not_found), TEST(a_queue_is_what_was_added_and_not_deleted),
    TEST(queues_on_disk_are_read_in_order_while_they_shrink),
    TEST(a_shared_message_lives_as_long_as_its_last_entry), TEST(states_outlive_a_kill),
    TEST(where_a_queue_begins_is_learned_once_after_a_kill),
    TEST(what_may_have_been_handed_out_is_known_after_a_kill),
    TEST(retained_topics_are_in_byte_order), TEST(retained_messages_keep_their_source),
    TEST(sources_that_cannot_be_are_left_out), TEST(long_topics_are_told_apart),
    TEST(wills_and_ids_belong_to_their_session), TEST(sessions_come_back_with_their_subscriptions),
    TEST(a_group_keeps_its_number))
