/*
 * What expires, by the second it is due in.
 *
 * Keys of KV_EXPIRY are that second, a queue and the number of an entry in it, or 0 for the queue and the key of a retained message. A key is there
 * as long as its entry waits, or the message is its topic's. One whose reason is gone costs a look when it is due.
 *
 * The table is derived (kv.h), so at the start it gets again what the journal had. A store that was written before there was an index, or is
 * damaged, is gone through for all that expires, in slices beside everything else: its version is one less until that is in the trees.
 */
#include <errno.h>

#include "shared/base/log.h"
#include "shared/base/must.h"
#include "worker/persist/store_int.h"

#define LOOKS 1000 /* records looked at in a turn */
#define GONE 10000 /* and deleted ones passed over, which is quicker */

enum step { STEP_QUEUES, STEP_RETAINED, STEP_MOVE, STEP_DONE };

static struct {
	uint64_t second; /* nothing is due before; UINT64_MAX: nothing will be */
	struct key at;   /* the index has been looked at up to here */
	enum step step;  /* of going through all */
	struct key done; /* in this step's table */
	uint64_t batch;  /* that has the last of what was found */
} the;

static int again(enum kv_table t, struct span key, struct span value);
static int again_recent(enum kv_table t);
static int again_some(enum kv_table t);
static bool is_due(uint64_t second, struct store_due *out);
static void begin_at(uint64_t second);

/* The first that begins when it is over. */
static uint64_t
second_of(uint64_t ms)
{
	return ms / 1000 + (ms % 1000 != 0);
}

static struct key
due_key(uint64_t second, struct span what)
{
	struct key k = { .len = 0 };

	must(what.len <= sizeof(k.b) - sizeof(second));
	key_u64(&k, second);
	if (what.len > 0)
		memcpy(k.b + k.len, what.p, what.len);
	k.len += what.len;
	return k;
}

int
due_open(bool has_all)
{
	int err;

	begin_at(0);
	the.done.len = 0;
	the.step = has_all ? STEP_DONE : STEP_QUEUES;
	if (!has_all) {
		log_notice("store: messages that expire are looked for, in the background");
		return store_meta_put("version", STORE_VERSION - 1);
	}
	err = again_recent(KV_QUEUE);
	return err == 0 ? again_recent(KV_RETAINED) : err;
}

int
due_put(uint64_t expires_ms, struct span what, bool fresh)
{
	struct key k = due_key(second_of(expires_ms), what);
	struct wr w;

	if (!record_put(KV_EXPIRY, &k, 0, fresh, &w))
		return -ENOMEM;
	if (span_cmp(key_span(&k), key_span(&the.at)) <= 0)
		begin_at(second_of(expires_ms));
	return 0;
}

bool
due_retained(struct span key, struct key *what_out)
{
	struct key k = { .len = 0 };

	if (key.len > TEXT_MAX + SHA256_DIGEST_LENGTH)
		return false;
	key_u64(&k, 0);
	memcpy(k.b + k.len, key.p, key.len);
	k.len += key.len;
	*what_out = k;
	return true;
}

int
due_move(uint64_t from_ms, uint64_t to_ms, struct span what)
{
	if (from_ms != 0 && to_ms != 0 && second_of(from_ms) == second_of(to_ms))
		return 0;
	if (to_ms != 0 && due_put(to_ms, what, true) != 0)
		return -ENOMEM;
	if (from_ms != 0)
		due_del(from_ms, what);
	return 0;
}

void
due_del(uint64_t expires_ms, struct span what)
{
	struct key k = due_key(second_of(expires_ms), what);

	(void)kv_del(KV_EXPIRY, key_span(&k)); /* else it is one whose reason is gone */
}

/* --- what is due -------------------------------------------------------------------------- */

uint64_t
store_due_ms(void)
{
	return the.second <= UINT64_MAX / 1000 ? the.second * 1000 : UINT64_MAX;
}

int
store_due(uint64_t now_ms, struct store_due *out)
{
	struct span key, value;

	for (unsigned n = 0; n < LOOKS; n++) {
		int err = kv_next_within(KV_EXPIRY, key_span(&the.at), true, GONE, &key, &value);
		uint64_t second;
		struct rd r;

		if (err == -ENOENT)
			begin_at(UINT64_MAX);
		if (err != 0 && err != -EAGAIN)
			return 0;
		r = rd_of(key);
		second = rd_u64(&r);
		if (second > now_ms / 1000) {
			begin_at(second);
			return 0;
		}
		if (key.len > sizeof(the.at.b)) {
			record_bad(KV_EXPIRY);
			begin_at(second + 1);
			continue;
		}
		the.second = second;
		memcpy(the.at.b, key.p, key.len);
		the.at.len = key.len;
		if (err == -EAGAIN)
			return err;
		if (is_due(second, out))
			return 1;
		(void)kv_del(KV_EXPIRY, key_span(&the.at));
	}
	return -EAGAIN;
}

/* Whether what was come to still has its reason. */
static bool
is_due(uint64_t second, struct store_due *out)
{
	struct rd r = rd_of(key_span(&the.at));
	uint64_t queue, seq;

	(void)rd_u64(&r);
	queue = rd_u64(&r);
	if (queue == 0) {
		out->queue = NULL;
		return retained_at(rd_rest(&r), &out->retained) && out->retained.v.has_expiry &&
		    second_of(msg_expires_ms(&out->retained.v)) == second;
	}
	seq = rd_u64(&r);
	out->queue = queue_at(queue);
	return out->queue != NULL && store_entry_get(out->queue, seq, &out->entry) &&
	    out->entry.state == ENTRY_QUEUED && out->entry.expires_ms != 0 &&
	    second_of(out->entry.expires_ms) == second;
}

/* Deleted keys before it have no meaning for who asks next. */
static void
begin_at(uint64_t second)
{
	the.second = second;
	the.at = due_key(second, span_of(NULL, 0));
}

/* --- putting it together again ------------------------------------------------------------ */

bool
due_turn(void)
{
	int err = 0;

	switch (the.step) {
	case STEP_QUEUES:
		err = again_some(KV_QUEUE);
		break;
	case STEP_RETAINED:
		err = again_some(KV_RETAINED);
		break;
	case STEP_MOVE:
		if (kv_moved() < the.batch || store_meta_put("version", STORE_VERSION) != 0)
			return false;
		log_notice("store: all messages that expire are known");
		the.step = STEP_DONE;
		return false;
	case STEP_DONE:
		return false;
	}
	if (err == -ENOENT) {
		the.step++;
		the.done.len = 0;
		the.batch = kv_batch();
	}
	return err == 0 || err == -ENOENT;
}

/* 0: there may be more; -ENOENT: there isn't; -EAGAIN: later. */
static int
again_some(enum kv_table t)
{
	struct span key, value;
	int err = 0;

	/* A batch is what makes a move begin. */
	if (kv_is_laden())
		return store_meta_put("version", STORE_VERSION - 1) == 0 ? -EAGAIN : -ENOMEM;
	for (unsigned n = 0; n < LOOKS && err == 0; n++) {
		err = kv_next_within(t, key_span(&the.done), the.done.len > 0, GONE, &key, &value);
		if (err != 0 && err != -EAGAIN)
			return err;
		if (key.len > sizeof(the.done.b))
			return -EPROTO;
		memcpy(the.done.b, key.p, key.len);
		the.done.len = key.len;
		if (err == -EAGAIN)
			return 0;
		err = again(t, key, value);
	}
	return err;
}

/* What the journal had of a table. */
static int
again_recent(enum kv_table t)
{
	struct key at = { .len = 0 };
	struct span key, value;
	int err = 0;

	while (err == 0 && kv_recent(t, key_span(&at), at.len > 0, &key, &value) == 0) {
		if (key.len > sizeof(at.b))
			return -EPROTO;
		memcpy(at.b, key.p, key.len);
		at.len = key.len;
		err = again(t, key, value);
	}
	return err;
}

static int
again(enum kv_table t, struct span key, struct span value)
{
	uint64_t ms;
	struct key k;

	if (t == KV_QUEUE) {
		ms = entry_expires_ms(key, value);
		return ms != 0 ? due_put(ms, key, false) : 0;
	}
	ms = retained_expires_ms(key, value);
	if (ms == 0 || !due_retained(key, &k))
		return 0;
	return due_put(ms, key_span(&k), false);
}
