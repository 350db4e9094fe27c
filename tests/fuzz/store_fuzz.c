/*
 * Tables of the store as damage or a stranger may have left them: records one after the other, each u8 table, u8 length of the key, u16 length of the
 * value, key, value. The store opens on them and is walked as persist walks it. What can be read is written anew and must be read as the same, every walk
 * comes to its end, and an emptied queue is empty.
 *
 * In place of Berkeley DB there is memory that lends no longer than kv.h says.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/base/must.h"
#include "shared/child/child.h"
#include "tests/fuzz/quiet.h"
#include "worker/persist/kv_int.h"
#include "worker/persist/store_int.h"

#define NAMES 4 /* slots and sessions whose records have fixed keys */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct self self;

struct buf {
	uint8_t *p;
	size_t len;
};

static struct {
	struct buf key[KV_ALL], value[KV_ALL]; /* lent */
	uint64_t made;
	uint32_t records;
} kv;

/* --- what store calls -------------------------------------------------------------------- */

void
mesh_beat(struct mesh *m)
{
	(void)m;
}

int
kv_open(const struct kv_options *o, struct kv_found *found_out)
{
	(void)o;
	memset(found_out, 0, sizeof(*found_out));
	return 0;
}

void
kv_close(void)
{
}

static void
take_back(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .len = 0 };
}

/* A copy of just its size: the last is gone, as a page may be. */
static struct span
lend(struct buf *b, struct span s)
{
	uint8_t *p = malloc(s.len > 0 ? s.len : 1);

	must(p != NULL);
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	take_back(b);
	*b = (struct buf){ p, s.len };
	return span_of(p, s.len);
}

static void
changed(enum kv_table t, struct span key)
{
	if (span_eq(span_of(kv.key[t].p, kv.key[t].len), key)) {
		take_back(&kv.key[t]);
		take_back(&kv.value[t]);
	}
}

uint8_t *
kv_put(enum kv_table t, struct span key, size_t len, bool fresh)
{
	bool added;
	struct kv_node *n = pending_set(t, key, len, &added);

	(void)fresh;
	must(n != NULL);
	changed(t, key);
	kv.records += added;
	return kv_node_value(n);
}

int
kv_del(enum kv_table t, struct span key)
{
	struct kv_node *n = pending_find(t, key);

	if (n == NULL)
		return 0;
	pending_drop(n);
	kv.records--;
	changed(t, key);
	return 0;
}

int
kv_get(enum kv_table t, struct span key, struct span *value_out)
{
	struct kv_node *n = pending_find(t, key);

	if (n == NULL)
		return -ENOENT;
	lend(&kv.key[t], key);
	*value_out = lend(&kv.value[t], span_of(kv_node_value(n), n->len));
	return 0;
}

int
kv_peek(enum kv_table t, struct span key, struct span *value_out)
{
	return kv_get(t, key, value_out) == 0 ? 0 : -EAGAIN;
}

int
kv_next(enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out)
{
	struct kv_node *n = pending_next(t, key, above);

	if (n == NULL)
		return -ENOENT;
	*key_out = lend(&kv.key[t], kv_node_span(n));
	*value_out = lend(&kv.value[t], span_of(kv_node_value(n), n->len));
	return 0;
}

int
kv_next_within(enum kv_table t, struct span key, bool above, unsigned most, struct span *key_out,
    struct span *value_out)
{
	(void)most;
	return kv_next(t, key, above, key_out, value_out);
}

int
kv_recent(
    enum kv_table t, struct span key, bool above, struct span *key_out, struct span *value_out)
{
	return kv_next(t, key, above, key_out, value_out);
}

bool
kv_is_laden(void)
{
	return false;
}

uint64_t
kv_moved(void)
{
	return kv.made;
}

uint64_t
kv_batch(void)
{
	return kv.made + 1;
}

uint64_t
kv_safe(enum kv_sync how)
{
	(void)how;
	return kv.made;
}

bool
kv_is_changed(void)
{
	return true;
}

bool
kv_is_idle(void)
{
	return true;
}

int
kv_write(void)
{
	kv.made++;
	return 0;
}

bool
kv_is_full(void)
{
	return false;
}

int
kv_catch_up(void)
{
	return 0;
}

void
kv_set_reserve(uint64_t bytes)
{
	(void)bytes;
}

void
kv_tell(void (*ended)(void))
{
	(void)ended;
}

int
kv_fd(void)
{
	return -1;
}

int
kv_synced(void)
{
	return 0;
}

int
kv_turn(void)
{
	return 0;
}

struct kv_numbers
kv_numbers(void)
{
	return (struct kv_numbers){ .pending_keys = pending_keys() };
}

/* --- the input --------------------------------------------------------------------------- */

static void
load(struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t table = rd_u8(&r), key_len = rd_u8(&r);
		uint16_t len = rd_u16(&r);
		struct span key = rd_bytes(&r, key_len), value = rd_bytes(&r, len);
		uint8_t *p;

		if (r.bad)
			return;
		if (key.len == 0)
			continue;
		p = kv_put(table % KV_TABLES, key, value.len, false);
		if (value.len > 0)
			memcpy(p, value.p, value.len);
	}
}

/* --- copies of what was read, and whether it is the same ---------------------------------- */

static struct span
keep(struct span s)
{
	uint8_t *p = malloc(s.len > 0 ? s.len : 1);

	must(p != NULL);
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	return span_of(p, s.len);
}

static void
drop(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

static struct msg_view
keep_message(const struct msg_view *v)
{
	struct msg_view copy = *v;

	copy.topic = keep(v->topic);
	copy.props = keep(v->props);
	copy.payload = keep(v->payload);
	return copy;
}

static void
drop_message(const struct msg_view *v)
{
	drop(v->topic);
	drop(v->props);
	drop(v->payload);
}

static bool
is_message(const struct msg_view *a, const struct msg_view *b)
{
	return span_eq(a->topic, b->topic) && span_eq(a->props, b->props) &&
	    span_eq(a->payload, b->payload) && a->publish_ms == b->publish_ms &&
	    a->expiry == b->expiry && a->qos == b->qos && a->retain == b->retain &&
	    a->has_expiry == b->has_expiry;
}

/* --- walks ------------------------------------------------------------------------------- */

static void
on_sub(void *arg, const struct store_sub *s)
{
	struct span filter = keep(s->filter);
	uint64_t queue, again;
	uint32_t number;

	(void)arg;
	number = store_group_get(filter, &queue);
	must(number == 0 || (store_group_get(filter, &again) == number && again == queue));
	must(store_group_del(filter) == 0);
	drop(filter);
}

static void
again_sub(void *arg, const struct store_sub *s)
{
	++*(unsigned *)arg;
	must((s->options & 3) != 3 && s->filter.len > 0);
}

static void
walk_subs(uint32_t number)
{
	const struct store_sub one = { .filter = span_str("a/+"), .id = 7, .options = 2 };
	unsigned before = 0, after = 0, gone = 0;

	store_sub_each(number, on_sub, NULL);
	must(store_sub_del(number, one.filter) == 0);
	store_sub_each(number, again_sub, &before);
	must(store_sub_put(number, &one) == 0);
	store_sub_each(number, again_sub, &after);
	must(store_sub_del(number, one.filter) == 0);
	store_sub_each(number, again_sub, &gone);
	must(after == before + 1 && gone == before);
}

static void
walk_sessions(void)
{
	uint32_t number = 0, at;
	struct store_session s, again;

	while (store_session_next(&number, &s)) {
		at = s.number;
		must(number == at + 1);
		s.client_id = keep(s.client_id);
		s.user_name = keep(s.user_name);
		must(store_session_put(&s) == 0 && store_session_next(&at, &again));
		must(span_eq(again.client_id, s.client_id) &&
		    span_eq(again.user_name, s.user_name) && again.queue == s.queue &&
		    again.left_ms == s.left_ms && again.number == s.number &&
		    again.expiry == s.expiry);
		walk_subs(s.number);
		drop(s.client_id);
		drop(s.user_name);
	}
}

static void
walk_wills(void)
{
	struct store_will w, again;
	uint32_t number = 0;

	while (store_will_next(&number, &w)) {
		must(number == w.number + 1);
		w.v = keep_message(&w.v);
		must(store_will_put(&w) == 0);
		must(store_will_get(w.number, &again));
		must(
		    is_message(&again.v, &w.v) && again.delay == w.delay && again.epoch == w.epoch);
		must(store_will_del(w.number) == 0 && !store_will_get(w.number, &again));
		drop_message(&w.v);
	}
	number = 0;
	must(!store_will_next(&number, &w));
}

static void
walk_retained(void)
{
	struct store_retained r, again;
	struct span at = span_of(NULL, 0);
	uint32_t n = 0, most = kv.records;

	while (store_retained_seek(at, true, &r)) {
		must(n++ < most);
		r.v = keep_message(&r.v);
		again = r;
		r.source = keep(r.source);
		must(store_retained_put(&r, &again) == 0);
		must(store_retained_get(r.v.topic, &again));
		must(is_message(&again.v, &r.v) && again.seq == r.seq &&
		    span_eq(again.source, r.source));
		drop(at);
		at = keep(r.v.topic);
		drop(r.source);
		drop_message(&r.v);
	}
	drop(at);
}

static void
walk_rxids(void)
{
	for (uint32_t number = 0; number < NAMES; number++) {
		size_t n = store_rxid_count(number);
		bool had = store_rxid_has(number, 1);

		must((store_rxid_add(number, 1) == -EEXIST) == had && store_rxid_has(number, 1));
		must(store_rxid_count(number) == n + !had);
		store_rxid_drop(number);
		must(store_rxid_count(number) == 0 && !store_rxid_has(number, 1));
	}
}

static void
walk_marks(void)
{
	for (unsigned slot = 0; slot < NAMES; slot++) {
		uint64_t at = store_position(slot, 1);

		must(store_position_put(slot, 1, at + 1) == 0);
		must(store_position(slot, 1) == at + 1 && store_position(slot, 2) == 0);
	}
}

/* Into another queue and back. */
static void
copy_entry(struct store_queue *to, const struct store_entry *e)
{
	struct store_entry copy = *e, again;
	struct store_msg m = e->msg;
	bool shared = m.is_shared;

	copy.seq = to->next_seq;
	copy.subids = keep(e->subids);
	must(store_entry_add(to, &copy, &m) == 0);
	store_msg_fini(&m);
	must(store_entry_get(to, copy.seq, &again));
	must(again.qos == copy.qos && again.retain == copy.retain && again.size == copy.size &&
	    again.group == copy.group && again.expires_ms == copy.expires_ms &&
	    again.msg.is_shared == shared && span_eq(again.subids, copy.subids));
	drop(copy.subids);
}

/* The message is compared by itself: an entry lends it only until the next is read. */
static void
copy_message(struct store_queue *to, const struct store_entry *e)
{
	struct msg_view v = keep_message(&e->msg.v);
	struct store_entry again, copy = { .seq = to->next_seq, .qos = e->qos };
	struct store_msg m;

	store_msg_init(&m, &v, 1 + e->seq % 2 * 1000);
	must(store_entry_add(to, &copy, &m) == 0);
	store_msg_fini(&m);
	must(store_entry_get(to, copy.seq, &again) && is_message(&again.msg.v, &v));
	must(store_entry_release(to, &again) == 0 && store_entry_get(to, copy.seq, &again));
	must(again.state == ENTRY_RELEASED && store_entry_del(to, &again) == 0);
	drop_message(&v);
}

/* Of the queues that are open, and what is retained: all has its time. */
static void
walk_due(void)
{
	uint32_t n = 0, most = 2 * kv.records + 10;
	struct store_due due;
	int err;

	while (store_turn())
		must(n++ < most);
	while ((err = store_due(UINT64_MAX, &due)) != 0) {
		must(n++ < most);
		if (err == -EAGAIN)
			continue;
		if (due.queue == NULL)
			must(store_retained_del(&due.retained) == 0);
		else
			must(store_entry_del(due.queue, &due.entry) == 0);
	}
	must(store_due_ms() == UINT64_MAX);
}

static void
walk_queue(uint64_t id, struct store_queue *to)
{
	struct store_queue *q;
	struct store_entry e;
	uint64_t after = 0;
	uint32_t n = 0, most = kv.records;

	must(store_queue_open(id, &q) == 0);
	while (store_entry_next(q, after, &e)) {
		must(e.seq > after && e.seq < q->next_seq && n++ < most);
		after = e.seq;
		if (e.state != ENTRY_RELEASED) {
			copy_entry(to, &e);
			must(store_entry_get(q, after, &e));
			copy_message(to, &e);
		}
		must(store_entry_get(q, after, &e));
		if (after % 3 == 0)
			must(store_entry_del(q, &e) == 0 && !store_entry_get(q, after, &e));
	}
	store_queue_rest(q);
	walk_due();
	after = 0;
	while (store_entry_next(q, after, &e)) {
		after = e.seq;
		must(store_entry_del(q, &e) == 0);
	}
	must(!store_entry_next(q, 0, &e));
	store_queue_del(&q);
}

static void
walk_queues(void)
{
	uint64_t copies = store_queue_id(), last = 0;
	struct store_queue *to;
	uint32_t n = 0, most = kv.records;

	if (copies == 0)
		return; /* as if memory had run out */
	must(store_queue_open(copies, &to) == 0);
	for (uint64_t id = 0; store_queue_next(&id); id++) {
		must(id >= last && n++ <= most);
		last = id;
		if (id != copies)
			walk_queue(id, to);
	}
	store_queue_close(&to);
	must(store_write() == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	be_quiet();
	conf_defaults(&self.conf);
	memset(&kv, 0, sizeof(kv));
	pending_init();
	load(rd_of(span_of(data, size)));
	if (store_open("") == 0) {
		walk_marks();
		walk_sessions();
		walk_wills();
		walk_retained();
		walk_rxids();
		walk_queues();
		walk_due();
		store_close();
		must(store_open("") == 0);
		store_close();
	}
	for (enum kv_table t = 0; t < KV_ALL; t++) {
		take_back(&kv.key[t]);
		take_back(&kv.value[t]);
	}
	pending_fini();
	return 0;
}
