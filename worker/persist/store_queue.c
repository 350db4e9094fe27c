/*
 * Queues and the messages in them.
 *
 * KV_QUEUE, by queue and sequence number, holds entries; KV_STATE, by queue, what is known of it as a whole; KV_MSG messages that several entries refer to,
 * and how many do. A queue's state goes with the batch that changed it, so counts are right after a crash without reading entries.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "shared/child/child.h"
#include "worker/persist/store_int.h"

#define SHARED_FROM 512 /* bytes that copies for all would take beyond one */

/* Entries on disk are read so many at once: each alone would be a search in a tree. */
#define AHEAD 64
#define AHEAD_BYTES 32768
#define AHEAD_ALL (UINT64_C(32) << 20) /* of all queues; beyond it they are read one by one */

#define SEQ_MAX (UINT64_C(1) << 62) /* nobody counts so far from 1 */

#define ENTRY_RETAIN 1u
#define ENTRY_SHARED 2u
#define ENTRY_DONE 4u /* RELEASED */
#define ENTRY_EXPIRES 8u
#define ENTRY_GROUP 16u
#define ENTRY_SUBIDS 32u
#define ENTRY_AGAIN 64u

static int queue_save(struct store_queue *q);
static void ahead_drop(struct store_queue *q);

struct ahead {
	uint32_t n, at; /* at: the first that was not asked for */
	uint32_t len, cap;
	struct {
		uint64_t seq;
		uint32_t start, len;
	} entry[AHEAD];
	uint8_t value[];
};

static struct {
	struct list dirty;
	struct htab open; /* by id */
	uint64_t ahead_bytes;
	uint64_t safe; /* all batches up to it were when last asked */
} the;

static uint64_t
queue_hash(const void *entry)
{
	return hash_mix(((const struct store_queue *)entry)->id);
}

static bool
queue_eq(const void *entry, const void *id)
{
	return ((const struct store_queue *)entry)->id == *(const uint64_t *)id;
}

int
queues_open(void)
{
	list_init(&the.dirty);
	the.safe = 0;
	htab_init(&the.open, queue_hash);
	return 0;
}

void
queues_close(void)
{
	if (the.dirty.next == NULL)
		return;
	while (!list_is_empty(&the.dirty))
		list_del(the.dirty.next);
	htab_fini(&the.open);
}

struct store_queue *
queue_at(uint64_t id)
{
	return htab_find(&the.open, hash_mix(id), queue_eq, &id);
}

static bool
is_safe(uint64_t batch)
{
	uint64_t safe;

	if (batch <= the.safe)
		return true;
	safe = store_safe(store_strictest());
	/* The one that is open counts as safe as long as nothing is in it: not to be remembered. */
	the.safe = safe < store_batch() ? safe : safe - 1;
	return batch <= safe;
}

static struct key
queue_key(uint64_t id)
{
	struct key k = { .len = 0 };

	key_u64(&k, id);
	return k;
}

static struct key
entry_key(uint64_t id, uint64_t seq)
{
	struct key k = queue_key(id);

	key_u64(&k, seq);
	return k;
}

/* --- messages ----------------------------------------------------------------------------- */

void
store_msg_init(struct store_msg *m, const struct msg_view *v, size_t receivers)
{
	*m = (struct store_msg){
		.v = *v,
		.is_shared = receivers > 1 && (receivers - 1) * message_len(v) > SHARED_FROM,
	};
}

static struct key
msg_key(uint64_t id, bool refs)
{
	struct key k = queue_key(id);

	k.b[k.len++] = refs;
	return k;
}

static uint32_t
refs_get(uint64_t id)
{
	struct key k = msg_key(id, true);
	uint32_t refs;
	struct rd r;

	if (!record_get(KV_MSG, &k, &r))
		return 0;
	refs = rd_u32(&r);
	if (r.bad)
		record_bad(KV_MSG);
	return refs;
}

static bool
refs_put(uint64_t id, uint32_t refs, bool fresh)
{
	struct key k = msg_key(id, true);
	struct wr w;

	if (!record_put(KV_MSG, &k, 4, fresh, &w))
		return false;
	wr_u32(&w, refs);
	return true;
}

/* Stores the copy that entries refer to. */
static bool
msg_share(struct store_msg *m)
{
	uint64_t id = id_next();
	struct key k = msg_key(id, false);
	struct wr w;

	if (id == 0 || !record_put(KV_MSG, &k, message_len(&m->v), true, &w))
		return false;
	message_write(&w, &m->v);
	must(!w.over);
	if (!refs_put(id, 0, true)) { /* store_msg_fini() must find room for them */
		kv_del(KV_MSG, key_span(&k));
		return false;
	}
	m->id = id;
	m->is_new = true;
	return true;
}

static void
msg_del(uint64_t id)
{
	struct key body = msg_key(id, false), refs = msg_key(id, true);

	kv_del(KV_MSG, key_span(&body));
	kv_del(KV_MSG, key_span(&refs));
}

void
store_msg_fini(struct store_msg *m)
{
	if (m->refs > 0 &&
	    !refs_put(m->id, m->is_new ? m->refs : refs_get(m->id) + m->refs, m->is_new)) {
		count(CNT_dropped__no_memory);
		log_every(10, LOG_ERR, "store: no memory to count the references of a message");
	} else if (m->refs == 0 && m->is_new) {
		msg_del(m->id);
	}
	m->refs = 0;
	m->is_new = false;
}

/* Counted too high it stays for ever, which is better than to be missed. */
static void
message_unref(uint64_t id)
{
	uint32_t refs = refs_get(id);

	if (refs <= 1)
		msg_del(id);
	else if (!refs_put(id, refs - 1, false))
		log_every(10, LOG_ERR, "store: no memory to count the references of a message");
}

/* --- queues ------------------------------------------------------------------------------- */

uint64_t
store_queue_id(void)
{
	return id_next();
}

static void
queue_touch(struct store_queue *q)
{
	if (q->is_dirty)
		return;
	q->is_dirty = true;
	list_add_tail(&the.dirty, &q->dirty);
}

bool
state_read(struct rd *r, struct store_queue *out)
{
	out->next_seq = rd_u64(r);
	out->sent = rd_u64(r);
	out->entries = rd_u64(r);
	out->bytes = rd_u64(r);
	out->doubtful = rd_left(r) > 0 ? rd_u64(r) : out->sent; /* younger than the others */
	if (out->doubtful >= out->next_seq)                     /* what comes now is new */
		out->doubtful = out->next_seq - 1;
	return !r->bad && out->next_seq != 0 && out->next_seq <= SEQ_MAX && out->sent <= SEQ_MAX;
}

int
store_queue_open(uint64_t id, struct store_queue **out)
{
	struct key k = queue_key(id);
	struct store_queue *q = calloc(1, sizeof(*q));
	struct rd r;

	if (q == NULL)
		return -ENOMEM;
	*q = (struct store_queue){ .id = id, .next_seq = 1, .first = 1 };
	list_init(&q->dirty);
	if (htab_add(&the.open, queue_hash(q), q) != 0) {
		free(q);
		return -ENOMEM;
	}
	if (record_get(KV_STATE, &k, &r)) {
		struct store_queue was = *q;

		if (!state_read(&r, q)) {
			record_bad(KV_STATE);
			*q = was;
			list_init(&q->dirty);
		}
		q->lease = q->lease_safe = q->sent;
	}
	*out = q;
	return 0;
}

void
store_queue_close(struct store_queue **q)
{
	if (*q == NULL)
		return;
	if ((*q)->is_dirty) {
		(void)queue_save(*q);
		list_del(&(*q)->dirty);
	}
	ahead_drop(*q);
	htab_del(&the.open, queue_hash(*q), *q);
	free(*q);
	*q = NULL;
}

void
store_queue_del(struct store_queue **q)
{
	struct key k;

	if (*q == NULL)
		return;
	k = queue_key((*q)->id);
	kv_del(KV_STATE, key_span(&k));
	(*q)->is_dirty = false;
	list_del(&(*q)->dirty);
	store_queue_close(q);
}

static int
queue_save(struct store_queue *q)
{
	struct key k = queue_key(q->id);
	struct wr w;

	if (!record_put(KV_STATE, &k, 40, false, &w))
		return -ENOMEM;
	wr_u64(&w, q->next_seq);
	wr_u64(&w, q->sent);
	wr_u64(&w, q->entries);
	wr_u64(&w, q->bytes);
	wr_u64(&w, q->lease > q->doubtful ? q->lease : q->doubtful);
	return 0;
}

int
queues_save(void)
{
	if (the.dirty.next == NULL)
		return 0; /* not opened */
	while (!list_is_empty(&the.dirty)) {
		struct store_queue *q = container_of(the.dirty.next, struct store_queue, dirty);
		int err = queue_save(q);

		if (err != 0)
			return err;
		q->is_dirty = false;
		list_del(&q->dirty);
	}
	return 0;
}

bool
store_queue_next(uint64_t *id)
{
	struct key k = queue_key(*id);
	struct span key, value;
	bool above = false;
	struct rd r;

	while (kv_next(KV_STATE, key_span(&k), above, &key, &value) == 0) {
		r = rd_of(key);
		*id = rd_u64(&r);
		if (!r.bad && rd_left(&r) == 0 && *id != UINT64_MAX)
			return true;
		record_bad(KV_STATE);
		if (!key_take(&k, key))
			return false;
		above = true;
	}
	return false;
}

/* --- entries ------------------------------------------------------------------------------ */

int
store_entry_add(struct store_queue *q, const struct store_entry *e, struct store_msg *m)
{
	struct key k = entry_key(q->id, e->seq);
	uint8_t flags = 0;
	size_t len = 1 + 1 + 4;
	struct wr w;

	must(e->seq >= q->next_seq && e->subids.len / 4 <= UINT16_MAX);
	if (m->is_shared && m->id == 0 && !msg_share(m))
		return -ENOMEM;
	if (m->is_shared && !m->is_new && m->refs == 0 && !refs_put(m->id, refs_get(m->id), false))
		return -ENOMEM; /* as in msg_share() */
	if (e->expires_ms != 0 && due_put(e->expires_ms, key_span(&k), true) != 0)
		return -ENOMEM;
	flags |= e->retain ? ENTRY_RETAIN : 0;
	flags |= m->is_shared ? ENTRY_SHARED : 0;
	flags |= m->again ? ENTRY_AGAIN : 0;
	if (e->expires_ms != 0) {
		flags |= ENTRY_EXPIRES;
		len += 8;
	}
	if (e->group != 0) {
		flags |= ENTRY_GROUP;
		len += 4;
	}
	if (e->subids.len > 0) {
		flags |= ENTRY_SUBIDS;
		len += 2 + e->subids.len;
	}
	len += m->is_shared ? 8 : message_len(&m->v);
	if (!record_put(KV_QUEUE, &k, len, true, &w)) {
		if (e->expires_ms != 0)
			due_del(e->expires_ms, key_span(&k));
		return -ENOMEM;
	}
	wr_u8(&w, flags);
	wr_u8(&w, e->qos);
	wr_u32(&w, e->size);
	if (flags & ENTRY_EXPIRES)
		wr_u64(&w, e->expires_ms);
	if (flags & ENTRY_GROUP)
		wr_u32(&w, e->group);
	if (flags & ENTRY_SUBIDS) {
		wr_u16(&w, (uint16_t)(e->subids.len / 4));
		wr_raw(&w, e->subids);
	}
	if (m->is_shared) {
		wr_u64(&w, m->id);
		m->refs++;
	} else {
		message_write(&w, &m->v);
	}
	must(!w.over && w.p == w.end);

	if (q->entries++ == 0)
		q->first = e->seq;
	q->bytes += e->size;
	q->next_seq = e->seq + 1;
	if (is_safe(q->batch))
		q->fresh = e->seq;
	q->batch = store_batch();
	queue_touch(q);
	return 0;
}

/* The message of an entry; false: it isn't there, which has been counted. */
static bool
entry_message(struct rd *r, bool shared, struct store_msg *out)
{
	struct msg_view v;
	struct key k;

	*out = (struct store_msg){ .is_shared = shared };
	if (shared) {
		out->id = rd_u64(r);
		k = msg_key(out->id, false);
		if (r->bad || !record_get(KV_MSG, &k, r)) {
			r->bad = true;
			return false;
		}
	}
	message_read(r, &v);
	out->v = v;
	return !r->bad;
}

bool
entry_read(const struct store_queue *q, uint64_t seq, struct rd *r, struct store_entry *out)
{
	struct store_entry e = { .seq = seq };
	uint8_t flags = rd_u8(r);

	e.qos = rd_u8(r);
	e.size = rd_u32(r);
	e.retain = flags & ENTRY_RETAIN;
	if (flags & ENTRY_EXPIRES)
		e.expires_ms = rd_u64(r);
	if (flags & ENTRY_GROUP)
		e.group = rd_u32(r);
	if (flags & ENTRY_SUBIDS) {
		size_t n = rd_u16(r);

		e.subids = rd_bytes(r, n * 4);
	}
	if (flags & ENTRY_DONE)
		e.state = ENTRY_RELEASED;
	else
		e.state = seq <= q->sent ? ENTRY_SENT : ENTRY_QUEUED;
	if (r->bad || e.qos > 2 ||
	    (!(flags & ENTRY_DONE) && !entry_message(r, flags & ENTRY_SHARED, &e.msg))) {
		record_bad(KV_QUEUE);
		return false;
	}
	e.msg.again = (flags & ENTRY_AGAIN) || (seq > q->sent && seq <= q->doubtful);
	*out = e;
	return true;
}

bool
store_entry_get(struct store_queue *q, uint64_t seq, struct store_entry *out)
{
	struct key k = entry_key(q->id, seq);
	struct rd r;

	return seq < q->next_seq && seq >= q->first && record_get(KV_QUEUE, &k, &r) &&
	    entry_read(q, seq, &r, out);
}

static void
ahead_drop(struct store_queue *q)
{
	if (q->ahead == NULL)
		return;
	the.ahead_bytes -= sizeof(*q->ahead) + q->ahead->cap;
	free(q->ahead);
	q->ahead = NULL;
}

/* The first entry above `after`, if it was read ahead. */
static bool
ahead_next(struct store_queue *q, uint64_t after, uint64_t *seq_out, struct span *value_out)
{
	struct ahead *a = q->ahead;

	if (a == NULL)
		return false;
	/* It is a run without gaps; what has been deleted of it had been given out. */
	if (after != q->given || a->at == a->n) {
		ahead_drop(q);
		return false;
	}
	*seq_out = a->entry[a->at].seq;
	*value_out = span_of(a->value + a->entry[a->at].start, a->entry[a->at].len);
	a->at++;
	return true;
}

static void
ahead_read(struct store_queue *q, uint64_t after)
{
	size_t size = sizeof(struct ahead) + AHEAD_BYTES;
	struct key last = entry_key(q->id, after);
	struct span key, value;
	struct ahead *a;

	if (the.ahead_bytes + size > AHEAD_ALL || (a = malloc(size)) == NULL)
		return;
	the.ahead_bytes += size;
	a->cap = AHEAD_BYTES;
	a->n = a->at = a->len = 0;
	while (a->n < AHEAD && kv_next(KV_QUEUE, key_span(&last), true, &key, &value) == 0) {
		struct rd r = rd_of(key);
		uint64_t seq;

		if (rd_u64(&r) != q->id || key.len != last.len || value.len > a->cap - a->len)
			break;
		seq = rd_u64(&r);
		memcpy(a->value + a->len, value.p, value.len);
		a->entry[a->n].seq = seq;
		a->entry[a->n].start = a->len;
		a->entry[a->n++].len = (uint32_t)value.len;
		a->len += (uint32_t)value.len;
		last = entry_key(q->id, seq);
	}
	q->ahead = a;
}

/* The first record above `after`, wherever it is. */
static bool
record_next(struct store_queue *q, uint64_t after, uint64_t *seq_out, struct span *value_out)
{
	struct key next = entry_key(q->id, after + 1), last = entry_key(q->id, after);
	struct span key;
	struct rd r;

	if (ahead_next(q, after, seq_out, value_out))
		return true;
	/* Mostly it is just the next number, and new. */
	if (kv_peek(KV_QUEUE, key_span(&next), value_out) == 0) {
		*seq_out = after + 1;
		return true;
	}
	if (after == q->given) { /* they are asked for one after the other */
		ahead_read(q, after);
		if (ahead_next(q, after, seq_out, value_out))
			return true;
	}
	while (kv_next(KV_QUEUE, key_span(&last), true, &key, value_out) == 0) {
		r = rd_of(key);
		if (rd_u64(&r) != q->id)
			return false;
		*seq_out = rd_u64(&r);
		if (key.len == last.len)
			return true;
		record_bad(KV_QUEUE);
		if (kv_del(KV_QUEUE, key) != 0)
			return false;
	}
	return false;
}

bool
store_entry_next(struct store_queue *q, uint64_t after, struct store_entry *out)
{
	bool from_start = after < q->first;

	if (from_start)
		after = q->first - 1;
	while (q->entries > 0 && after < q->next_seq - 1) {
		struct span value;
		uint64_t seq;
		struct rd r;

		if (!record_next(q, after, &seq, &value) || seq <= after || seq >= q->next_seq)
			return false;
		q->given = seq;
		if (from_start)
			q->first = seq; /* whoever asks from the start learns where that is */
		r = rd_of(value);
		if (record_is_good(KV_QUEUE, &r) && entry_read(q, seq, &r, out))
			return true;
		/* It would be counted, and in the way, for ever. */
		(void)store_entry_del(
		    q, &(struct store_entry){ .seq = seq, .state = ENTRY_RELEASED });
		after = seq;
	}
	return false;
}

void
store_queue_sent(struct store_queue *q, uint64_t seq)
{
	if (seq <= q->sent)
		return;
	q->sent = seq;
	if (q->lease < seq)
		q->lease = seq;
	if (q->next_seq <= seq)
		q->next_seq = seq + 1;
	queue_touch(q);
}

void
store_queue_lease(struct store_queue *q, uint64_t upto)
{
	uint64_t was = q->lease;

	if (upto <= was)
		return;
	q->lease = upto;
	if (queue_save(q) != 0) { /* at once: a batch without changes counts as safe */
		q->lease = was;
		return;
	}
	if (is_safe(q->leased))
		q->lease_safe = was;
	q->leased = store_batch();
	q->lease_fresh = q->next_seq;
}

bool
store_queue_may_send(struct store_queue *q, uint64_t seq)
{
	if (seq <= q->lease_safe)
		return true;
	if (seq > q->lease)
		return false;
	/* No batch brings this one to the disk that doesn't bring the lease there. */
	if (seq >= q->lease_fresh)
		return true;
	if (!is_safe(q->leased))
		return false;
	q->lease_safe = q->lease;
	return true;
}

void
store_queue_rest(struct store_queue *q)
{
	ahead_drop(q);
	if (q->lease == q->sent)
		return;
	q->lease = q->sent;
	if (q->lease_safe > q->lease)
		q->lease_safe = q->lease;
	queue_touch(q);
}

void
store_entry_sent(struct store_queue *q, const struct store_entry *e)
{
	struct key k = entry_key(q->id, e->seq);

	if (e->state == ENTRY_QUEUED && e->expires_ms != 0)
		due_del(e->expires_ms, key_span(&k));
	store_queue_sent(q, e->seq);
}

void
store_queue_not_sent(struct store_queue *q, uint64_t seq)
{
	struct store_entry e = { .seq = seq };

	if (seq >= q->sent)
		return;
	while (store_entry_next(q, e.seq, &e) && e.seq <= q->sent) {
		struct key k = entry_key(q->id, e.seq);

		/* Without memory for that it is looked at when it is to be sent. */
		if (e.state == ENTRY_SENT && e.expires_ms != 0)
			(void)due_put(e.expires_ms, key_span(&k), true);
	}
	q->sent = seq;
	queue_touch(q);
}

/* What has been handed out no longer expires. */
uint64_t
entry_expires_ms(struct span key, struct span value)
{
	struct rd k = rd_of(key), r = rd_of(value);
	uint64_t id = rd_u64(&k), seq = rd_u64(&k), ms;
	const struct store_queue *q = queue_at(id);
	uint64_t sent = q != NULL ? q->sent : 0;
	struct key state = queue_key(id);

	if (!record_is_good(KV_QUEUE, &r) || !(rd_u8(&r) & ENTRY_EXPIRES))
		return 0;
	(void)rd_bytes(&r, 1 + 4);
	ms = rd_u64(&r);
	if (k.bad || rd_left(&k) != 0 || r.bad)
		return 0;
	if (q == NULL && record_get(KV_STATE, &state, &r)) {
		(void)rd_u64(&r);
		sent = rd_u64(&r);
	}
	return seq > sent ? ms : 0;
}

bool
store_entry_is_safe(const struct store_queue *q, uint64_t seq)
{
	return seq < q->fresh || is_safe(q->batch);
}

int
store_entry_release(struct store_queue *q, const struct store_entry *e)
{
	struct key k = entry_key(q->id, e->seq);
	uint8_t flags = ENTRY_DONE | (e->group != 0 ? ENTRY_GROUP : 0);
	uint64_t shared = e->msg.is_shared ? e->msg.id : 0;
	uint32_t size = e->size, group = e->group;
	struct wr w;

	if (!record_put(KV_QUEUE, &k, 1 + 1 + 4 + (group != 0 ? 4 : 0), false, &w))
		return -ENOMEM;
	wr_u8(&w, flags);
	wr_u8(&w, 2);
	wr_u32(&w, size);
	if (group != 0)
		wr_u32(&w, group);
	if (shared != 0)
		message_unref(shared);
	return 0;
}

int
store_entry_del(struct store_queue *q, const struct store_entry *e)
{
	struct key k = entry_key(q->id, e->seq);
	uint64_t shared = e->msg.is_shared && e->state != ENTRY_RELEASED ? e->msg.id : 0,
		 seq = e->seq, expires_ms = e->state == ENTRY_QUEUED ? e->expires_ms : 0;
	uint32_t size = e->size;
	int err = kv_del(KV_QUEUE, key_span(&k));

	if (err != 0)
		return err;
	if (expires_ms != 0)
		due_del(expires_ms, key_span(&k));
	if (shared != 0)
		message_unref(shared);
	q->entries -= q->entries > 0;
	q->bytes -= q->bytes >= size ? size : q->bytes;
	if (q->entries == 0)
		q->bytes = 0;
	if (seq == q->first)
		q->first++;
	if (seq > q->given) /* and not out of what was read ahead */
		ahead_drop(q);
	queue_touch(q);
	return 0;
}
