#include "worker/persist/store.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/child/child.h"
#include "worker/persist/store_int.h"

#define RECORD_VERSION 1
#define RECORD_SOURCED 2 /* of a retained message or a will: with its source */
#define TELL_US 2000000
#define IDS 100000 /* reserved at once: at most so many are skipped after a crash */

static struct {
	uint64_t next_id, ids_end;
	uint64_t tell_us; /* when the next line about progress is due */
	char dir[PATH_MAX];
	struct kv_found opened;
} the;

static const char *const table_name[KV_ALL] = {
	[KV_META] = "meta",
	[KV_SESSION] = "session",
	[KV_STATE] = "state",
	[KV_SUB] = "sub",
	[KV_GROUP] = "group",
	[KV_MSG] = "msg",
	[KV_QUEUE] = "queue",
	[KV_RETAINED] = "retained",
	[KV_WILL] = "will",
	[KV_RXID] = "rxid",
	[KV_EXPIRY] = "expiry",
	[KV_KEPT] = "kept",
	[KV_VOLATILE] = "volatile",
};

/* A line about what takes long only. */
static void
on_progress(void *arg, const char *what, uint64_t done, uint64_t all)
{
	uint64_t now = clock_now_us();

	(void)arg;
	mesh_beat(self.mesh);
	if (now < the.tell_us)
		return;
	the.tell_us = now + TELL_US;
	log_notice("store: %s done=%" PRIu64 " of=%" PRIu64, what, done, all);
}

/* Before anything else is: who is killed now must not be taken for one that has it all. */
static int
write_now(void)
{
	struct pollfd p = { .fd = kv_fd(), .events = POLLIN };
	int err = kv_write();

	while (err == 0 && !kv_is_idle())
		err = poll(&p, 1, -1) == 1 ? kv_synced() : -errno;
	return err == -EINTR || err == -ENOSPC ? 0 : err;
}

int
store_open(const char *dir)
{
	struct kv_options o = {
		.dir = the.dir,
		.cache_size = self.conf.store_cache,
		.journal_size = self.conf.store_journal,
		.log_file_size = self.conf.store_journal / 4,
		.reserve = self.conf.store_reserve,
		.salvage = self.conf.on_damage == DAMAGE_salvage,
		.progress = on_progress,
	};
	struct kv_found found;
	uint64_t version = 0;
	bool has_all; /* the index of what expires */
	int err;

	snprintf(the.dir, sizeof(the.dir), "%s", dir);
	the.tell_us = clock_now_us() + TELL_US;
	err = kv_open(&o, &found);
	if (err != 0)
		return err;
	the.opened = found;
	the.next_id = the.ids_end = 0;
	if (store_meta_get("version", &version) && version > STORE_VERSION) {
		log_err(
		    "store: %s was written by a newer version of the broker, its format is %" PRIu64
		    " and this one knows %d. Start that, or set data_dir",
		    dir, version, STORE_VERSION);
		kv_close();
		return -EPROTO;
	}
	if (found.fresh)
		err = store_meta_put("version", version = STORE_VERSION);
	has_all = version == STORE_VERSION && found.damaged == 0 && !found.lacks_derived;
	if (err == 0)
		err = queues_open();
	if (err == 0)
		err = rxids_open();
	if (err == 0)
		err = due_open(has_all);
	if (err == 0 && !has_all)
		err = write_now();
	if (err == 0)
		err = kv_catch_up();
	if (err != 0) {
		store_close();
		return err;
	}
	if (!found.fresh)
		log_notice("store: opened dir=%s %s batches=%" PRIu64 " operations=%" PRIu64, dir,
		    found.damaged > 0 ? "with damage"
			: found.clean ? "clean"
				      : "after a crash",
		    found.batches, found.operations);
	return 0;
}

void
store_close(void)
{
	(void)queues_save();
	kv_close();
	queues_close();
	rxids_close();
}

/* --- batches ------------------------------------------------------------------------------ */

uint64_t
store_batch(void)
{
	return kv_batch();
}

uint64_t
store_safe(enum conf_durability how)
{
	static const enum kv_sync sync[] = {
		[DURABILITY_power] = KV_SYNC_POWER,
		[DURABILITY_process] = KV_SYNC_PROCESS,
		[DURABILITY_memory] = KV_SYNC_MEMORY,
	};
	uint64_t safe = kv_safe(sync[how]);

	/* One that is empty, be it because what was written went again, has nothing to wait for. */
	return safe + 1 == kv_batch() && !kv_is_changed() ? safe + 1 : safe;
}

enum conf_durability
store_strictest(void)
{
	enum conf_durability all = self.conf.durability, one;

	for (uint32_t i = 0; i < self.conf.nlisteners; i++) {
		one = conf_durability_of(&self.conf.listener[i], self.conf.durability);
		if (one < all)
			all = one;
	}
	return all;
}

int
store_write(void)
{
	uint64_t before;
	int err;

	if (!kv_is_idle())
		return -EAGAIN;
	before = kv_batch();
	err = queues_save();
	if (err == 0)
		err = kv_write();
	return err != 0 ? err : kv_batch() != before;
}

bool
store_is_full(void)
{
	return kv_is_full();
}

void
store_conf(void)
{
	kv_set_reserve(self.conf.store_reserve);
}

bool
store_is_idle(void)
{
	return kv_is_idle();
}

void
store_tell(void (*ended)(void))
{
	kv_tell(ended);
}

int
store_fd(void)
{
	return kv_fd();
}

int
store_synced(void)
{
	return kv_synced();
}

bool
store_turn(void)
{
	bool more = due_turn();

	return kv_turn() == 1 || more;
}

void
store_status(struct store_status *out)
{
	*out = (struct store_status){ .dir = the.dir, .opened = the.opened, .now = kv_numbers() };
}

const char *
store_table_name(enum kv_table t)
{
	return table_name[t];
}

/* --- keys and records --------------------------------------------------------------------- */

bool
key_take(struct key *k, struct span key)
{
	if (key.len > sizeof(k->b))
		return false;
	if (key.len > 0)
		memcpy(k->b, key.p, key.len);
	k->len = key.len;
	return true;
}

void
key_text(struct key *k, struct span text)
{
	size_t n = text.len < TEXT_MAX ? text.len : TEXT_MAX;

	if (n > 0)
		memcpy(k->b + k->len, text.p, n);
	k->len += n;
	if (text.len > TEXT_MAX) {
		SHA256(text.p, text.len, k->b + k->len);
		k->len += SHA256_DIGEST_LENGTH;
	}
}

static bool
put_as(uint8_t version, enum kv_table t, const struct key *k, size_t len, bool fresh, struct wr *w)
{
	uint8_t *p = kv_put(t, key_span(k), len + 1, fresh);

	if (p == NULL)
		return false;
	*w = wr_of(p, len + 1);
	wr_u8(w, version);
	return true;
}

bool
record_put(enum kv_table t, const struct key *k, size_t len, bool fresh, struct wr *w)
{
	return put_as(RECORD_VERSION, t, k, len, fresh, w);
}

void
record_bad(enum kv_table t)
{
	count(CNT_store_bad);
	log_every(10, LOG_ERR, "store: a record that can't be, left out table=%s", table_name[t]);
}

bool
record_is_good(enum kv_table t, struct rd *r)
{
	uint8_t version = rd_u8(r);

	if (version == RECORD_VERSION ||
	    (version == RECORD_SOURCED && (t == KV_RETAINED || t == KV_VOLATILE || t == KV_WILL)))
		return true;
	record_bad(t);
	return false;
}

bool
record_get(enum kv_table t, const struct key *k, struct rd *out)
{
	struct span value;

	if (kv_get(t, key_span(k), &value) != 0)
		return false;
	*out = rd_of(value);
	return record_is_good(t, out);
}

#define MESSAGE_RETAIN 4u
#define MESSAGE_EXPIRY 8u

size_t
message_len(const struct msg_view *v)
{
	return 1 + 8 + 4 + 2 + 4 + v->topic.len + v->props.len + v->payload.len;
}

void
message_write(struct wr *w, const struct msg_view *v)
{
	wr_u8(w,
	    (uint8_t)(v->qos | (v->retain ? MESSAGE_RETAIN : 0) |
		(v->has_expiry ? MESSAGE_EXPIRY : 0)));
	wr_u64(w, v->publish_ms);
	wr_u32(w, v->expiry);
	wr_u16(w, (uint16_t)v->topic.len);
	wr_u32(w, (uint32_t)v->props.len);
	wr_raw(w, v->topic);
	wr_raw(w, v->props);
	wr_raw(w, v->payload);
}

void
message_read(struct rd *r, struct msg_view *out)
{
	uint8_t flags = rd_u8(r);
	size_t topic_len, props_len;

	*out = (struct msg_view){ .qos = flags & 3,
		.retain = flags & MESSAGE_RETAIN,
		.has_expiry = flags & MESSAGE_EXPIRY };
	out->publish_ms = rd_u64(r);
	out->expiry = rd_u32(r);
	topic_len = rd_u16(r);
	props_len = rd_u32(r);
	out->topic = rd_bytes(r, topic_len);
	out->props = rd_bytes(r, props_len);
	out->payload = rd_rest(r);
	r->bad |= out->qos > 2 || topic_len == 0 || !topic_is_valid(out->topic);
}

/* --- marks -------------------------------------------------------------------------------- */

int
store_meta_put(const char *name, uint64_t value)
{
	struct key k = { .len = 0 };
	struct wr w;

	key_text(&k, span_str(name));
	if (!record_put(KV_META, &k, 8, false, &w))
		return -ENOMEM;
	wr_u64(&w, value);
	return 0;
}

bool
store_meta_get(const char *name, uint64_t *out)
{
	struct key k = { .len = 0 };
	uint64_t value;
	struct rd r;

	key_text(&k, span_str(name));
	if (!record_get(KV_META, &k, &r))
		return false;
	value = rd_u64(&r);
	if (r.bad) {
		record_bad(KV_META);
		return false;
	}
	*out = value;
	return true;
}

static void
position_key(struct key *k, unsigned slot)
{
	char name[32];

	snprintf(name, sizeof(name), "position/%u", slot);
	key_text(k, span_str(name));
}

int
store_position_put(unsigned slot, uint32_t gen, uint64_t position)
{
	struct key k = { .len = 0 };
	struct wr w;

	position_key(&k, slot);
	if (!record_put(KV_META, &k, 20, false, &w))
		return -ENOMEM;
	wr_u64(&w, self.birth.broker_id);
	wr_u32(&w, gen);
	wr_u64(&w, position);
	return 0;
}

uint64_t
store_position(unsigned slot, uint32_t gen)
{
	struct key k = { .len = 0 };
	uint64_t position;
	bool is_it;
	struct rd r;

	position_key(&k, slot);
	if (!record_get(KV_META, &k, &r))
		return 0;
	is_it = rd_u64(&r) == self.birth.broker_id;
	is_it &= rd_u32(&r) == gen;
	position = rd_u64(&r);
	if (r.bad)
		record_bad(KV_META);
	return is_it && !r.bad ? position : 0;
}

uint64_t
id_next(void)
{
	if (the.next_id == the.ids_end) {
		uint64_t from = 1;

		(void)store_meta_get("next_id", &from);
		if (store_meta_put("next_id", from + IDS) != 0)
			return 0;
		the.next_id = from;
		the.ids_end = from + IDS;
	}
	return the.next_id++;
}

/* --- sessions ----------------------------------------------------------------------------- */

static struct key
number_key(uint32_t number)
{
	struct key k = { .len = 0 };

	key_u32(&k, number);
	return k;
}

/* The number a key begins with. */
static uint32_t
number_of(struct span key)
{
	struct rd r = rd_of(key);

	return rd_u32(&r);
}

/* The record of the first number at or above *number, which then is one above it. Keys that are none are passed over. */
static bool
number_next(enum kv_table t, uint32_t *number, uint32_t *at_out, struct rd *out)
{
	struct key k = number_key(*number);
	struct span key, value;
	bool above = false;

	while (*number != UINT32_MAX && kv_next(t, key_span(&k), above, &key, &value) == 0) {
		if (key.len == 4 && number_of(key) != UINT32_MAX) {
			*at_out = number_of(key);
			*number = *at_out + 1;
			*out = rd_of(value);
			return true;
		}
		record_bad(t);
		if (!key_take(&k, key))
			return false;
		above = true;
	}
	return false;
}

int
store_session_put(const struct store_session *s)
{
	struct key k = number_key(s->number);
	struct wr w;

	if (!record_put(KV_SESSION, &k, 4 + 8 + 8 + 8 + 2 + s->client_id.len + 2 + s->user_name.len,
		false, &w))
		return -ENOMEM;
	wr_u32(&w, s->expiry);
	wr_u64(&w, s->queue);
	wr_u64(&w, s->left_ms);
	wr_u64(&w, s->epoch);
	wr_str(&w, s->client_id);
	wr_str(&w, s->user_name);
	must(!w.over);
	return 0;
}

bool
session_read(struct rd *r, struct store_session *out)
{
	out->expiry = rd_u32(r);
	out->queue = rd_u64(r);
	out->left_ms = rd_u64(r);
	out->epoch = rd_u64(r);
	out->client_id = rd_str(r);
	out->user_name = rd_str(r);
	return !r->bad && rd_left(r) == 0 && out->client_id.len > 0;
}

int
store_session_del(uint32_t number)
{
	struct key k = number_key(number);

	return kv_del(KV_SESSION, key_span(&k));
}

bool
store_session_next(uint32_t *number, struct store_session *out)
{
	struct store_session s;
	struct rd r;

	while (number_next(KV_SESSION, number, &s.number, &r)) {
		if (!record_is_good(KV_SESSION, &r))
			continue;
		if (session_read(&r, &s)) {
			*out = s;
			return true;
		}
		record_bad(KV_SESSION);
	}
	return false;
}

/* --- subscriptions ------------------------------------------------------------------------ */

static struct key
sub_key(uint32_t number, struct span filter)
{
	struct key k = number_key(number);

	key_text(&k, filter);
	return k;
}

int
store_sub_put(uint32_t number, const struct store_sub *s)
{
	struct key k = sub_key(number, s->filter);
	struct wr w;

	if (!record_put(KV_SUB, &k, 1 + 4 + s->filter.len, false, &w))
		return -ENOMEM;
	wr_u8(&w, s->options);
	wr_u32(&w, s->id);
	wr_raw(&w, s->filter);
	must(!w.over);
	return 0;
}

int
store_sub_del(uint32_t number, struct span filter)
{
	struct key k = sub_key(number, filter);

	return kv_del(KV_SUB, key_span(&k));
}

bool
sub_read(struct span key, struct rd *r, struct store_sub *out)
{
	struct key of;

	out->options = rd_u8(r);
	out->id = rd_u32(r);
	out->filter = rd_rest(r);
	of = sub_key(number_of(key), out->filter);
	return !r->bad && filter_is_valid(out->filter) && utf8_is_valid(out->filter) &&
	    (out->options & 3) != 3 && out->id <= MQTT_SUBID_MAX && span_eq(key_span(&of), key);
}

void
store_sub_each(uint32_t number, store_sub_fn *fn, void *arg)
{
	struct key k = number_key(number);
	struct span key, value;
	struct store_sub s;
	bool above = false;

	while (kv_next(KV_SUB, key_span(&k), above, &key, &value) == 0 && key.len >= 4 &&
	    number_of(key) == number && key_take(&k, key)) {
		struct rd r = rd_of(value);

		above = true;
		if (!record_is_good(KV_SUB, &r))
			continue;
		if (sub_read(key_span(&k), &r, &s))
			fn(arg, &s);
		else
			record_bad(KV_SUB);
	}
}

bool
group_read(struct rd *r, uint32_t *number_out, uint64_t *queue_out)
{
	*number_out = rd_u32(r);
	*queue_out = rd_u64(r);
	return !r->bad && *number_out != 0 && *queue_out != 0;
}

uint32_t
store_group_get(struct span filter, uint64_t *queue_out)
{
	struct key k = { .len = 0 };
	uint64_t next = 1, queue;
	uint32_t number;
	struct rd r;
	struct wr w;

	key_text(&k, filter);
	if (record_get(KV_GROUP, &k, &r)) {
		if (group_read(&r, &number, &queue)) {
			*queue_out = queue;
			return number;
		}
		record_bad(KV_GROUP);
	}
	(void)store_meta_get("next_group", &next);
	queue = id_next();
	if (queue == 0 || store_meta_put("next_group", next + 1) != 0 ||
	    !record_put(KV_GROUP, &k, 12, false, &w))
		return 0;
	wr_u32(&w, (uint32_t)next);
	wr_u64(&w, queue);
	*queue_out = queue;
	return (uint32_t)next;
}

int
store_group_del(struct span filter)
{
	struct key k = { .len = 0 };

	key_text(&k, filter);
	return kv_del(KV_GROUP, key_span(&k));
}

/* --- retained ----------------------------------------------------------------------------- */

/* Our own are made anew every few seconds: not worth a disk's life. */
static enum kv_table
retained_table(struct span topic)
{
	return topic.len > 5 && memcmp(topic.p, "$SYS/", 5) == 0 ? KV_VOLATILE : KV_RETAINED;
}

/* In the index of what expires. Of our own nothing does. */
static int
retained_due(struct span topic, uint64_t from_ms, uint64_t to_ms)
{
	struct key k = { .len = 0 }, what;

	if ((from_ms == 0 && to_ms == 0) || retained_table(topic) != KV_RETAINED)
		return 0;
	key_text(&k, topic);
	must(due_retained(key_span(&k), &what));
	return due_move(from_ms, to_ms, key_span(&what));
}

/* Behind the fixed part of a record, if there is one. */
static uint8_t
version_of(struct span source)
{
	return source.len > 0 ? RECORD_SOURCED : RECORD_VERSION;
}

static size_t
source_len(struct span source)
{
	return source.len > 0 ? 4 + source.len : 0;
}

static void
source_write(struct wr *w, struct span source)
{
	if (source.len == 0)
		return;
	wr_u32(w, (uint32_t)source.len);
	wr_raw(w, source);
}

/* Of a record at its beginning: the version has been read and is good. */
static bool
is_sourced(const struct rd *r)
{
	return r->p[-1] == RECORD_SOURCED;
}

static struct span
source_read(struct rd *r, bool sourced)
{
	return sourced ? rd_bytes(r, rd_u32(r)) : span_of(NULL, 0);
}

int
store_retained_put(const struct store_retained *r, const struct store_retained *old)
{
	const struct msg_view *v = &r->v;
	size_t len = 8 + source_len(r->source) + message_len(v);
	uint64_t from_ms = old != NULL ? msg_expires_ms(&old->v) : 0, to_ms = msg_expires_ms(v);
	struct key k = { .len = 0 };
	struct wr w;

	key_text(&k, v->topic);
	if (retained_due(v->topic, from_ms, to_ms) != 0)
		return -ENOMEM;
	if (!put_as(version_of(r->source), retained_table(v->topic), &k, len, false, &w)) {
		(void)retained_due(v->topic, to_ms, from_ms);
		return -ENOMEM;
	}
	wr_u64(&w, r->seq);
	source_write(&w, r->source);
	message_write(&w, v);
	must(!w.over);
	return 0;
}

/* Under another topic's key it would be found again and again by who goes on behind its topic. */
bool
retained_read(struct span key, struct rd *r, struct store_retained *out)
{
	struct key of = { .len = 0 };
	bool sourced = is_sourced(r);
	struct store_retained x;

	x.seq = rd_u64(r);
	x.source = source_read(r, sourced);
	message_read(r, &x.v);
	key_text(&of, x.v.topic);
	if (r->bad || !span_eq(key_span(&of), key)) {
		record_bad(KV_RETAINED);
		return false;
	}
	*out = x;
	return true;
}

bool
store_retained_get(struct span topic, struct store_retained *out)
{
	struct key k = { .len = 0 };
	struct rd r;

	key_text(&k, topic);
	return record_get(retained_table(topic), &k, &r) && retained_read(key_span(&k), &r, out);
}

int
store_retained_del(const struct store_retained *r)
{
	struct key k = { .len = 0 };

	key_text(&k, r->v.topic);
	(void)retained_due(r->v.topic, msg_expires_ms(&r->v), 0);
	return kv_del(retained_table(r->v.topic), key_span(&k));
}

bool
retained_at(struct span key, struct store_retained *out)
{
	struct span value;
	struct rd r;

	if (kv_get(KV_RETAINED, key, &value) != 0)
		return false;
	r = rd_of(value);
	return record_is_good(KV_RETAINED, &r) && retained_read(key, &r, out);
}

uint64_t
retained_expires_ms(struct span key, struct span value)
{
	struct rd r = rd_of(value);
	struct store_retained x;

	if (!record_is_good(KV_RETAINED, &r) || !retained_read(key, &r, &x))
		return 0;
	return msg_expires_ms(&x.v);
}

static bool
seek_in(enum kv_table t, struct span from, bool above, struct store_retained *out)
{
	struct key k = { .len = 0 };
	struct span key, value;
	struct rd r;

	/* All that begin like this, whatever their hash. */
	key_text(&k, above || from.len <= TEXT_MAX ? from : span_of(from.p, TEXT_MAX));
	while (kv_next(t, key_span(&k), above, &key, &value) == 0) {
		r = rd_of(value);
		if (record_is_good(t, &r) && retained_read(key, &r, out))
			return true;
		if (!key_take(&k, key))
			return false;
		above = true;
	}
	return false;
}

bool
store_retained_seek(struct span from, bool above, struct store_retained *out)
{
	struct store_retained own, other;
	bool has_own = seek_in(KV_VOLATILE, from, above, &own);
	bool has_other = seek_in(KV_RETAINED, from, above, &other);

	if (!has_own && !has_other)
		return false;
	*out = has_own && (!has_other || span_cmp(own.v.topic, other.v.topic) < 0) ? own : other;
	return true;
}

/* --- wills -------------------------------------------------------------------------------- */

int
store_will_put(const struct store_will *x)
{
	struct key k = number_key(x->number);
	struct wr w;

	if (!put_as(version_of(x->source), KV_WILL, &k,
		4 + 8 + 8 + 4 + 8 + 1 + source_len(x->source) + message_len(&x->v), false, &w))
		return -ENOMEM;
	wr_u32(&w, x->delay);
	wr_u64(&w, x->epoch);
	wr_u64(&w, self.birth.broker_id);
	wr_u32(&w, x->asker.gen);
	wr_u64(&w, x->asker.token);
	wr_u8(&w, x->asker.slot);
	source_write(&w, x->source);
	message_write(&w, &x->v);
	must(!w.over);
	return 0;
}

bool
will_read(struct rd *r, struct store_will *out)
{
	bool sourced = is_sourced(r), is_this_run;
	struct store_will x;

	x.delay = rd_u32(r);
	x.epoch = rd_u64(r);
	is_this_run = rd_u64(r) == self.birth.broker_id;
	x.asker.gen = rd_u32(r);
	x.asker.token = rd_u64(r);
	x.asker.slot = rd_u8(r);
	if (!is_this_run)
		x.asker.gen = 0;
	x.source = source_read(r, sourced);
	message_read(r, &x.v);
	if (r->bad) {
		record_bad(KV_WILL);
		return false;
	}
	x.number = out->number;
	*out = x;
	return true;
}

bool
store_will_get(uint32_t number, struct store_will *out)
{
	struct key k = number_key(number);
	struct rd r;

	out->number = number;
	return record_get(KV_WILL, &k, &r) && will_read(&r, out);
}

int
store_will_del(uint32_t number)
{
	struct key k = number_key(number);

	return kv_del(KV_WILL, key_span(&k));
}

bool
store_will_next(uint32_t *number, struct store_will *out)
{
	struct rd r;

	while (number_next(KV_WILL, number, &out->number, &r))
		if (record_is_good(KV_WILL, &r) && will_read(&r, out))
			return true;
	return false;
}
