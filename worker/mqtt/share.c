#include "worker/mqtt/share.h"

#include "shared/base/clock.h"
#include "shared/child/child.h"

struct others {
	uint64_t taken;
	uint32_t uses, workers; /* workers: with at least one use */
	uint32_t at_s;          /* the last of them */
};

size_t
share_place(uint64_t hash, unsigned probe)
{
	return (size_t)(hash + probe) & (SEGMENT_SHARES - 1);
}

static void
add(_Atomic uint64_t *to, uint64_t n)
{
	/* One writer, as with counters. */
	atomic_store_explicit(
	    to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Who reads meanwhile finds nobody's, or what is ours. */
static void
row_begin(struct seg_share *row, uint64_t hash)
{
	atomic_store_explicit(&row->hash, 0, memory_order_release);
	atomic_thread_fence(memory_order_release);
	for (unsigned k = 0; k < LIMITS; k++)
		atomic_store_explicit(&row->taken[k], 0, memory_order_relaxed);
	atomic_store_explicit(&row->at_s, 0, memory_order_relaxed);
	atomic_store_explicit(&row->hash, hash, memory_order_release);
}

struct share
share_open(enum share_kind kind, uint64_t hash)
{
	struct seg_share *table = mesh_segment(self.mesh)->share[kind], *row = NULL;
	struct share s = { .hash = hash != 0 ? hash : 1, .kind = kind };

	for (unsigned i = 0; i < SHARE_PROBES; i++) {
		struct seg_share *r = &table[share_place(s.hash, i)];

		if (atomic_load_explicit(&r->hash, memory_order_relaxed) == s.hash) {
			s.row = r;
			return s;
		}
		if (row == NULL && atomic_load_explicit(&r->uses, memory_order_relaxed) == 0)
			row = r;
	}
	s.row = row;
	if (row == NULL)
		return s;
	row_begin(row, s.hash);
	return s;
}

struct share
share_take(enum share_kind kind, uint64_t hash, size_t place)
{
	struct seg_share *row = &mesh_segment(self.mesh)->share[kind][place];

	row_begin(row, hash);
	atomic_store(&row->uses, 1);
	return (struct share){ .hash = hash, .row = row, .kind = kind };
}

void
share_leave(const struct share *s)
{
	atomic_store_explicit(&s->row->hash, 0, memory_order_release);
	atomic_store(&s->row->uses, 0);
}

struct share
share_of_broker(void)
{
	return (struct share){ .row = &mesh_segment(self.mesh)->broker };
}

void
share_use(const struct share *s, int n)
{
	if (s->row != NULL) /* sequentially consistent: two that come at once see each other */
		atomic_store(&s->row->uses, atomic_load(&s->row->uses) + (uint32_t)n);
}

static const struct seg_share *
find(const struct segment *seg, const struct share *s)
{
	if (s->hash == 0)
		return &seg->broker;
	for (unsigned i = 0; i < SHARE_PROBES; i++) {
		const struct seg_share *r = &seg->share[s->kind][share_place(s->hash, i)];

		if (atomic_load_explicit(&r->hash, memory_order_acquire) == s->hash)
			return r;
	}
	return NULL;
}

static struct others
look(const struct share *s, enum limit_kind kind)
{
	struct others o = { 0 };

	for (unsigned w = 0; w < SLOT_MQTT_MAX; w++) {
		const struct segment *seg = w != self.slot ? mesh_peer(self.mesh, w) : NULL;
		const struct seg_share *r = seg != NULL ? find(seg, s) : NULL;
		uint32_t uses, at_s;

		if (r == NULL)
			continue;
		at_s = atomic_load_explicit(&r->at_s, memory_order_relaxed);
		o.at_s = at_s > o.at_s ? at_s : o.at_s;
		uses = atomic_load(&r->uses);
		o.taken += atomic_load_explicit(&r->taken[kind], memory_order_relaxed);
		o.uses += uses;
		o.workers += uses > 0;
	}
	return o;
}

uint32_t
share_uses(const struct share *s)
{
	return look(s, LIMIT_PUBLISH).uses;
}

void
quota_begin(struct quota *q, const struct share *s, enum limit_kind kind)
{
	*q = (struct quota){ .bucket.at_ms = clock_ms(), .seen = look(s, kind).taken };
}

void
quota_join(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind)
{
	struct others o = look(s, kind);
	uint64_t at = o.at_s * UINT64_C(1000), room;

	*q = (struct quota){ .bucket.at_ms = at < clock_ms() ? at : clock_ms(), .seen = o.taken };
	room = bucket_room(&q->bucket, r, q->bucket.at_ms);
	bucket_take(&q->bucket, r, o.taken < room ? o.taken : room);
	atomic_store_explicit(&s->row->taken[kind], 0, memory_order_relaxed);
}

uint64_t
quota_wait_ms(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind)
{
	uint64_t now = clock_ms(), room;
	struct others o;

	if (q->left > 0 && now - q->looked_ms < SHARE_LOOK_MS)
		return 0;
	if (now == q->looked_ms && bucket_room(&q->bucket, r, now) == 0)
		return bucket_wait_ms(&q->bucket, r, now);
	o = look(s, kind);
	if (o.taken > q->seen) /* else nobody has taken anything, or one that had is gone */
		bucket_take(&q->bucket, r, o.taken - q->seen);
	q->seen = o.taken;
	q->looked_ms = now;
	room = bucket_room(&q->bucket, r, now);
	q->left = room / (o.workers + 1) + (room % (o.workers + 1) != 0);
	return q->left > 0 ? 0 : bucket_wait_ms(&q->bucket, r, now);
}

void
quota_take(struct quota *q, const struct rate *r, const struct share *s, enum limit_kind kind,
    uint64_t amount)
{
	bucket_take(&q->bucket, r, amount);
	q->left -= amount < q->left ? amount : q->left;
	if (s->row == NULL)
		return;
	add(&s->row->taken[kind], amount);
	atomic_store_explicit(&s->row->at_s, (uint32_t)(clock_ms() / 1000), memory_order_relaxed);
}
