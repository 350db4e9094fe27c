#include "worker/persist/retained.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/list.h"
#include "shared/base/log.h"
#include "shared/mqtt/topic.h"
#include "worker/persist/out.h"
#include "worker/persist/peer.h"
#include "worker/persist/source.h"
#include "worker/persist/store.h"
#include "worker/persist/sub.h"
#include "worker/persist/will.h"

#define LOOK_MAX 2000  /* topics looked at in a turn, for all who ask */
#define SLICE 200      /* for one of them at a time */
#define PAGE_MAX 10000 /* messages of a page, whatever was asked for */
#define BACKLOG 1000 /* messages waiting for a durable session: retained ones stay where they are */
#define RING_MAX (UINT64_C(1) << 26) /* the largest ring_size */

/*
 * The moment after which every worker knows of a subscription, and has before it in its rings all that was published
 * live of what is kept: of that, a subscriber's worker leaves out what it saw. Shared by all who ask in one turn.
 */
struct fence {
	uint32_t refs;
	/* What it waits for, one after the other; every worker */
	enum fence_step {
		FENCE_TURNS,   /* has ended its turn, and from then on sees the subscription */
		FENCE_RINGS,   /* has been read up to there */
		FENCE_ANSWERS, /* has been told of all updates that go live when they are safe, */
		FENCE_COPIES,  /* and has read that, so they went */
		FENCE_PASSED
	} step;
	uint64_t turn; /* it was looked at in: once in each, since a turn drains the rings once */
	uint64_t limit, live_later; /* as of the third step */
	struct mesh_turns turns;
	uint64_t from[SLOTS],
	    at[SLOTS];       /* positions in their rings: when all had turned, and a turn ago */
	uint32_t ups[SLOTS]; /* 0: not waited for */
	struct mesh_mark told;
};

struct get {
	struct list link;
	struct rec_retain_get rec;
	struct fence *fence; /* NULL: passed */
	uint64_t limit;      /* updates above it went live */
	uint32_t ups, count;
	uint64_t bytes; /* of these */
	uint8_t slot;
	uint16_t at_len;
	uint8_t *at; /* the topic looked at last; NULL: none yet */
	uint8_t filter[];
};

static struct {
	struct list gets;
	struct fence *fence; /* of this turn */
	uint64_t seq, turn;
	uint64_t live_later; /* batch of the last update that goes live when it is safe */
	bool is_changed;     /* what is counted of all of them */
} the;

static void count_all(void);
static void forget(const struct store_retained *r);
static bool get_go_on(struct get *g, unsigned *looked);
static void page_end(struct get *g, bool more);
static void get_free(struct get *g);
static void fence_unref(struct fence **f);
static bool fence_is_passed(struct fence *f);

int
retained_init(void)
{
	struct store_status status;
	uint64_t n;

	list_init(&the.gets);
	/* Above all of the time before: nobody makes so many updates a millisecond. */
	the.seq = clock_wall_ms() << 10;
	if (store_meta_get("retained", &n))
		count_set(CNT_retained, n);
	if (store_meta_get("retained_bytes", &n))
		count_set(CNT_retained_bytes, n);
	store_status(&status);
	if (status.opened.damaged > 0)
		count_all();
	return 0;
}

void
retained_fini(void)
{
	struct get *g, *tmp;

	if (the.gets.next == NULL)
		return;
	LIST_FOREACH(g, tmp, &the.gets, struct get, link)
		get_free(g);
	fence_unref(&the.fence);
}

/* $SYS is ours: the limits are for what clients leave. */
static bool
is_counted(struct span topic)
{
	return topic.len < 5 || memcmp(topic.p, "$SYS/", 5) != 0;
}

static size_t
size_of(const struct store_retained *r)
{
	return msg_view_size(&r->v) + r->source.len;
}

static uint64_t
now_retained(enum counter c)
{
	return atomic_load_explicit(&counters[c], memory_order_relaxed);
}

int
retained_save(void)
{
	int err = 0;

	if (!the.is_changed)
		return 0;
	err = store_meta_put("retained", now_retained(CNT_retained));
	if (err == 0)
		err = store_meta_put("retained_bytes", now_retained(CNT_retained_bytes));
	the.is_changed = err != 0;
	return err;
}

uint64_t
retained_seq(void)
{
	return the.seq;
}

enum mqtt_reason
retained_update(const struct msg_view *v, struct span source)
{
	struct store_retained now = { .v = *v, .seq = the.seq + 1, .source = source };
	size_t size = size_of(&now), old_size = 0;
	bool counted = is_counted(v->topic), replaces;
	struct store_retained old;

	replaces = store_retained_get(v->topic, &old);
	if (v->payload.len == 0) {
		the.seq++;
		if (replaces)
			forget(&old);
		return MQTT_OK;
	}
	if (replaces)
		old_size = size_of(&old);
	if (counted &&
	    ((!replaces && self.conf.retained_max_messages > 0 &&
		 now_retained(CNT_retained) >= self.conf.retained_max_messages) ||
		(self.conf.retained_max_bytes > 0 &&
		    now_retained(CNT_retained_bytes) + size >
			self.conf.retained_max_bytes + old_size))) {
		count(CNT_dropped__retained_full);
		log_every(10, LOG_WARNING, "retained: full, not kept topic=%s", log_esc(v->topic));
		return MQTT_QUOTA_EXCEEDED;
	}
	if (store_retained_put(&now, replaces ? &old : NULL) != 0) {
		count(CNT_dropped__no_memory);
		return MQTT_QUOTA_EXCEEDED;
	}
	the.seq++;
	the.is_changed |= counted;
	if (counted) {
		if (!replaces)
			count_add(CNT_retained, 1);
		count_add(CNT_retained_bytes, size - old_size);
	}
	return MQTT_OK;
}

void
retained_live_later(void)
{
	the.live_later = store_batch();
}

void
retained_clear(struct span topic)
{
	struct store_retained r;

	if (!store_retained_get(topic, &r))
		return;
	the.seq++;
	forget(&r);
}

static void
forget(const struct store_retained *r)
{
	if (is_counted(r->v.topic)) {
		count_sub(CNT_retained, 1);
		count_sub(CNT_retained_bytes, size_of(r));
		the.is_changed = true;
	}
	store_retained_del(r);
}

void
retained_expired(const struct store_retained *r)
{
	count(CNT_dropped__expired);
	forget(r);
}

/* Some of the damaged table may be there, or an older one, or none. */
static void
count_all(void)
{
	uint64_t n = 0, bytes = 0;
	struct store_retained r;
	struct span at = span_of(NULL, 0);

	while (store_retained_seek(at, true, &r)) {
		at = r.v.topic;
		n++;
		bytes += size_of(&r);
		if (n % 4096 == 0)
			mesh_beat(self.mesh);
	}
	count_set(CNT_retained, n);
	count_set(CNT_retained_bytes, bytes);
	the.is_changed = true;
}

static bool
keep_topic(uint8_t **p, size_t *len, struct span topic)
{
	uint8_t *at = *len >= topic.len && *p != NULL ? *p : realloc(*p, topic.len + 1);

	if (at == NULL)
		return false;
	memcpy(at, topic.p, topic.len);
	*p = at;
	*len = topic.len;
	return true;
}

/* --- who asks ---------------------------------------------------------------------------- */

/*
 * Bytes of the filter that every topic it matches begins with; its '#' also matches the level
 * before.
 */
static size_t
literal_prefix(struct span filter)
{
	size_t at = 0;

	for (size_t i = 0; i < filter.len; i++) {
		if (filter.p[i] == '+' || filter.p[i] == '#')
			return at;
		if (filter.p[i] == '/')
			at = i + 1;
	}
	return filter.len;
}

static struct fence *
fence_get(void)
{
	if (the.fence == NULL) {
		the.fence = calloc(1, sizeof(*the.fence));
		if (the.fence == NULL)
			return NULL;
		the.fence->refs = 1;
		mesh_turns(self.mesh, &the.fence->turns);
	}
	the.fence->refs++;
	return the.fence;
}

static void
fence_unref(struct fence **f)
{
	if (*f != NULL && --(*f)->refs == 0)
		free(*f);
	*f = NULL;
}

/* From here: what workers have published by now. False: there are none. */
static bool
rings_begin(struct fence *f)
{
	bool any = false;

	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++) {
		if (!peer_is_up(slot))
			continue;
		f->ups[slot] = peer_ups(slot);
		f->from[slot] = f->at[slot] = mesh_position(self.mesh, slot);
		any = true;
	}
	return any;
}

/* It is when a turn finds nothing more of a worker, or a whole ring has gone by. */
static bool
rings_are_read(struct fence *f)
{
	bool all = true;

	for (unsigned slot = 0; slot < SLOT_MQTT_MAX; slot++) {
		uint64_t at;

		if (f->ups[slot] == 0)
			continue;
		if (!peer_is_up(slot) || peer_ups(slot) != f->ups[slot]) {
			f->ups[slot] = 0;
			continue;
		}
		at = mesh_position(self.mesh, slot);
		if (at == f->at[slot] || at - f->from[slot] >= RING_MAX) {
			f->ups[slot] = 0;
			continue;
		}
		f->at[slot] = at;
		all = false;
	}
	return all;
}

/* On a full disk nothing becomes safe for a while: who asks then may get an update twice. */
static bool
has_been_told(const struct fence *f)
{
	return (out_is_answered(f->live_later) && will_is_sent(f->live_later)) || peer_is_full();
}

static bool
fence_is_passed(struct fence *f)
{
	if (f->turn == the.turn)
		return f->step == FENCE_PASSED;
	f->turn = the.turn;
	if (f->step == FENCE_TURNS && mesh_all_turned(self.mesh, &f->turns)) {
		f->step = FENCE_RINGS;
		if (rings_begin(f))
			return false;
	}
	if (f->step == FENCE_RINGS && rings_are_read(f)) {
		f->step = FENCE_ANSWERS;
		f->limit = the.seq;
		f->live_later = the.live_later;
	}
	if (f->step == FENCE_ANSWERS && has_been_told(f)) {
		f->step = FENCE_COPIES;
		mesh_mark(self.mesh, &f->told);
	}
	if (f->step == FENCE_COPIES && mesh_is_consumed(self.mesh, &f->told))
		f->step = FENCE_PASSED;
	return f->step == FENCE_PASSED;
}

int
retained_get(unsigned slot, struct span body)
{
	struct span filter, cursor, name, inner;
	struct rec_retain_get rec;
	struct get *g;

	if (!rec_take(&body, &rec, sizeof(rec)) || !rec_span(&body, rec.filter_len, &filter) ||
	    !rec_span(&body, rec.cursor_len, &cursor) || body.len != 0 || rec.max == 0 ||
	    rec.max_bytes == 0)
		return -EPROTO;
	if (!utf8_is_valid(filter) || !filter_is_valid(filter) ||
	    filter_share(filter, &name, &inner) ||
	    (cursor.len > 0 && cursor.len <= sizeof(g->limit)))
		return -EPROTO;
	g = calloc(1, sizeof(*g) + filter.len);
	if (g == NULL)
		goto no_memory;
	list_init(&g->link);
	g->rec = rec;
	g->rec.max = rec.max < PAGE_MAX ? rec.max : PAGE_MAX;
	g->slot = (uint8_t)slot;
	g->ups = peer_ups(slot);
	memcpy(g->filter, filter.p, filter.len);
	if (cursor.len > 0) {
		size_t len = 0;

		memcpy(&g->limit, cursor.p, sizeof(g->limit));
		cursor = span_of(cursor.p + sizeof(g->limit), cursor.len - sizeof(g->limit));
		if (!keep_topic(&g->at, &len, cursor))
			goto no_memory;
		g->at_len = (uint16_t)len;
	} else {
		g->fence = fence_get();
		if (g->fence == NULL)
			goto no_memory;
	}
	list_add_tail(&the.gets, &g->link);
	return 0;
no_memory:
	count(CNT_dropped__no_memory);
	page_end(&(struct get){ .rec = rec, .slot = (uint8_t)slot }, false);
	if (g != NULL)
		get_free(g);
	return 0;
}

static void
get_free(struct get *g)
{
	list_del(&g->link);
	fence_unref(&g->fence);
	free(g->at);
	free(g);
}

bool
retained_waits(void)
{
	struct get *g, *tmp;

	LIST_FOREACH(g, tmp, &the.gets, struct get, link)
		if (g->fence != NULL)
			return true;
	return false;
}

/* The next turn: who asked first had his share in this one, and those behind him have not. */
static void
begin_with(struct list *next)
{
	if (next == &the.gets)
		return;
	list_del(&the.gets);
	list_add_tail(next, &the.gets);
}

bool
retained_turn(void)
{
	unsigned looked = 0, rounds = 0;
	bool moved = true, soon = false;

	the.turn++;
	fence_unref(&the.fence); /* who asks from now on has a moment of his own */
	while (moved && looked < LOOK_MAX && rounds++ < LOOK_MAX) {
		struct get *g, *tmp;

		moved = false;
		LIST_FOREACH(g, tmp, &the.gets, struct get, link) {
			unsigned before = looked;

			if (g->fence != NULL) {
				if (!fence_is_passed(g->fence)) {
					soon |= g->fence->step == FENCE_RINGS;
					continue;
				}
				g->limit = g->fence->limit;
				fence_unref(&g->fence);
			}
			if (get_go_on(g, &looked))
				get_free(g);
			moved |= looked > before;
			if (looked >= LOOK_MAX) {
				begin_with(&tmp->link);
				break;
			}
		}
	}
	return soon || (moved && !list_is_empty(&the.gets));
}

void
retained_down(unsigned slot)
{
	struct get *g, *tmp;

	LIST_FOREACH(g, tmp, &the.gets, struct get, link)
		if (g->slot == slot)
			get_free(g);
}

static void
page_end(struct get *g, bool more)
{
	struct rec_retain_end rec = { .token = g->rec.token, .count = g->count };
	struct iovec iov[3] = { { &rec, sizeof(rec) }, { &g->limit, sizeof(g->limit) },
		{ g->at, g->at_len } };

	if (more)
		rec.cursor_len = (uint16_t)(sizeof(g->limit) + g->at_len);
	if (!out_is_clear(g->slot) ||
	    out_send(g->slot, REC_RETAIN_END, iov, more ? 3 : 1) == MESH_FULL)
		out_answer(g->slot, OUT_NOTHING, REC_RETAIN_END, iov, more ? 3 : 1);
}

bool
retained_next(struct span filter, struct span at, struct store_retained *out)
{
	struct span prefix = span_of(filter.p, literal_prefix(filter));
	size_t n = at.len < prefix.len ? at.len : prefix.len;
	bool above = true;

	if (prefix.len == filter.len) /* no wildcard */
		return at.p == NULL && store_retained_get(filter, out);
	/* "a/#" matches "a", which is before "a/" but not next to it. */
	if (at.p == NULL && prefix.len > 0 && filter.p[prefix.len] == '#' &&
	    store_retained_get(span_of(filter.p, prefix.len - 1), out))
		return true;
	if (at.p == NULL || (n > 0 && memcmp(at.p, prefix.p, n) < 0) ||
	    (at.len < prefix.len && memcmp(at.p, prefix.p, n) == 0)) {
		at = prefix;
		above = false;
	}
	if (!store_retained_seek(at, above, out))
		return false;
	/* Filters that begin with a wildcard leave out '$': over all of those at once. */
	if (prefix.len == 0 && out->v.topic.p[0] == '$' &&
	    !store_retained_seek(span_str("%"), false, out))
		return false;
	return out->v.topic.len >= prefix.len &&
	    (prefix.len == 0 || memcmp(out->v.topic.p, prefix.p, prefix.len) == 0);
}

/* One message of the page. */
static void
get_give(struct get *g, const struct store_retained *r, struct durable *d)
{
	struct rec_retained rec = { .token = g->rec.token };
	uint8_t granted = g->rec.options & 3, qos;
	struct msg_view v = r->v;

	qos = self.conf.upgrade_outgoing_qos || granted < v.qos ? granted : v.qos;
	if (d != NULL && qos > 0) {
		struct store_msg m;
		struct queue_item item = {
			.msg = &m,
			.subids =
			    span_of(&g->rec.subid, g->rec.subid != 0 ? sizeof(g->rec.subid) : 0),
			.qos = qos,
			.retain = true,
		};

		if (r->seq > g->rec.since)
			return;
		store_msg_init(&m, &v, 1);
		queue_add(d, &item);
		g->count++;
		g->bytes += msg_view_size(&v);
		return;
	}
	if (r->seq > g->limit)
		return;
	rec.m = rec_msg_of(&v, 0, true);
	rec.m.flags |= REC_RETAIN;
	if (out_message(g->slot, REC_RETAINED, span_of(&rec, sizeof(rec)), span_of(NULL, 0), &v) <
	    MESH_FULL) {
		g->count++;
		g->bytes += msg_view_size(&v);
	}
}

/* Goes on with a page; true: it is done, and answered. */
static bool
get_go_on(struct get *g, unsigned *looked)
{
	struct span filter = span_of(g->filter, g->rec.filter_len);
	struct durable *d = NULL;

	if (g->rec.durable) {
		const struct session *at = directory_at(g->rec.session);

		if (at == NULL || at->epoch != g->rec.epoch || at->durable == NULL ||
		    sub_find(at->durable, filter) == NULL) {
			page_end(g, false); /* it has gone, or changed its mind */
			return true;
		}
		d = at->durable;
	}
	for (unsigned n = 0; n < SLICE; n++) {
		struct store_retained r;
		size_t len = g->at_len;

		if (d != NULL &&
		    (queue_waiting(d) >= BACKLOG ||
			(self.conf.queue_max_messages > 0 &&
			    queue_waiting(d) > self.conf.queue_max_messages / 2)))
			return false;
		if (!out_is_clear(g->slot))
			return false;
		if (g->count >= g->rec.max || g->bytes >= g->rec.max_bytes) {
			page_end(g, true);
			return true;
		}
		++*looked;
		if (!retained_next(filter, span_of(g->at, g->at_len), &r)) {
			page_end(g, false);
			return true;
		}
		if (!keep_topic(&g->at, &len, r.v.topic)) {
			count(CNT_dropped__no_memory);
			page_end(g, false);
			return true;
		}
		g->at_len = (uint16_t)len;
		if (!topic_match(filter, r.v.topic))
			continue;
		if (msg_is_expired(&r.v, clock_wall_ms()))
			retained_expired(&r);
		else if (source_may_give(&r))
			get_give(g, &r, d);
	}
	return false;
}
