/*
 * The store in this process's memory. Ids of messages are their addresses: they never come from
 * outside.
 */
#include "worker/persist/store.h"

#include <errno.h>
#include <stdlib.h>

#include "shared/base/hash.h"
#include "shared/base/htab.h"
#include "shared/base/must.h"

#define CHUNK_ENTRIES 32 /* keeps the array of chunks short; a chunk of one is no great waste */
#define SKIP_LEVELS 20   /* a million topics and some */

struct entry {
	uint64_t seq, msg, group, expires_ms;
	uint32_t *subids;
	uint32_t size;
	uint16_t nsubids;
	uint8_t qos, state;
	bool retain;
};

struct chunk {
	uint32_t n;
	uint32_t cap;
	struct entry at[];
};

/* Chunks in order, none empty; the first is at[first]. Deleting from the front moves nothing. */
struct store_queue {
	struct chunk **at;
	uint32_t first, n, cap;
};

struct node { /* of the skip list of retained messages */
	struct msg *msg;
	uint64_t seq;
	uint32_t levels;
	struct node *next[];
};

struct will {
	struct msg *msg;
	uint32_t number, delay;
};

struct rxids { /* sorted */
	uint32_t number, n, cap;
	uint16_t *id;
};

static struct {
	struct node *head;
	struct htab wills, rxids;
	uint64_t random;
	bool is_open;
} the;

static struct msg *
msg_of(uint64_t id)
{
	return (struct msg *)(uintptr_t)id;
}

static uint64_t
number_hash(uint32_t number)
{
	return hash_mix(number + UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t
will_hash(const void *entry)
{
	return number_hash(((const struct will *)entry)->number);
}

static bool
will_eq(const void *entry, const void *key)
{
	return ((const struct will *)entry)->number == *(const uint32_t *)key;
}

static uint64_t
rxids_hash(const void *entry)
{
	return number_hash(((const struct rxids *)entry)->number);
}

static bool
rxids_eq(const void *entry, const void *key)
{
	return ((const struct rxids *)entry)->number == *(const uint32_t *)key;
}

int
store_open(const char *dir)
{
	(void)dir;
	the.head = calloc(1, sizeof(*the.head) + SKIP_LEVELS * sizeof(struct node *));
	if (the.head == NULL)
		return -ENOMEM;
	the.head->levels = SKIP_LEVELS;
	the.random = UINT64_C(0x2545f4914f6cdd1d);
	htab_init(&the.wills, will_hash);
	htab_init(&the.rxids, rxids_hash);
	the.is_open = true;
	return 0;
}

void
store_close(void)
{
	struct node *n, *next;
	struct rxids *r;
	struct will *w;
	uint64_t pos;

	if (!the.is_open)
		return;
	for (n = the.head; n != NULL; n = next) {
		next = n->next[0];
		msg_unref(&n->msg);
		free(n);
	}
	for (pos = 0; (w = htab_next(&the.wills, &pos)) != NULL; pos = 0)
		store_will_del(w->number);
	for (pos = 0; (r = htab_next(&the.rxids, &pos)) != NULL; pos = 0)
		store_rxid_drop(r->number);
	htab_fini(&the.wills);
	htab_fini(&the.rxids);
	the.is_open = false;
}

int
store_commit(void)
{
	return 0;
}

bool
store_is_durable(void)
{
	return false;
}

int
store_meta_put(const char *name, uint64_t value)
{
	(void)name;
	(void)value;
	return 0;
}

bool
store_meta_get(const char *name, uint64_t *out)
{
	(void)name;
	(void)out;
	return false;
}

int
store_session_put(const struct store_session *s)
{
	(void)s;
	return 0;
}

int
store_session_del(uint32_t number)
{
	(void)number;
	return 0;
}

bool
store_session_next(uint64_t *pos, struct store_session *out)
{
	(void)pos;
	(void)out;
	return false;
}

int
store_sub_put(uint32_t number, struct span filter, uint8_t options, uint32_t subid)
{
	(void)number;
	(void)filter;
	(void)options;
	(void)subid;
	return 0;
}

int
store_sub_del(uint32_t number, struct span filter)
{
	(void)number;
	(void)filter;
	return 0;
}

/* --- messages ---------------------------------------------------------------------------- */

int
store_msg_new(const struct msg_view *v, uint64_t *id_out)
{
	struct msg *m = msg_new(v);

	if (m == NULL)
		return -ENOMEM;
	*id_out = (uint64_t)(uintptr_t)m;
	return 0;
}

void
store_msg_ref(uint64_t id)
{
	msg_ref(msg_of(id));
}

void
store_msg_unref(uint64_t id)
{
	struct msg *m = msg_of(id);

	msg_unref(&m);
}

const struct msg *
store_msg_get(uint64_t id)
{
	return msg_of(id);
}

/* --- queues ------------------------------------------------------------------------------ */

int
store_queue_open(uint64_t id, struct store_queue **out)
{
	struct store_queue *q = calloc(1, sizeof(*q));

	(void)id;
	if (q == NULL)
		return -ENOMEM;
	*out = q;
	return 0;
}

void
store_queue_close(struct store_queue **q)
{
	struct store_queue *x = *q;

	*q = NULL;
	if (x == NULL)
		return;
	for (uint32_t i = 0; i < x->n; i++) {
		struct chunk *c = x->at[x->first + i];

		for (uint32_t j = 0; j < c->n; j++) {
			store_msg_unref(c->at[j].msg);
			free(c->at[j].subids);
		}
		free(c);
	}
	free(x->at);
	free(x);
}

/* Room for one more chunk at the end of the array. */
static int
queue_room(struct store_queue *q)
{
	struct chunk **at;
	uint32_t cap;

	if (q->first + q->n < q->cap)
		return 0;
	if (q->first > q->cap / 2) {
		memmove(q->at, q->at + q->first, q->n * sizeof(struct chunk *));
		q->first = 0;
		return 0;
	}
	cap = q->cap ? q->cap * 2 : 4;
	at = realloc(q->at, cap * sizeof(struct chunk *));
	if (at == NULL)
		return -ENOMEM;
	q->at = at;
	q->cap = cap;
	return 0;
}

/* The last chunk, with room for an entry. The first chunk of a queue starts small. */
static struct chunk *
queue_tail(struct store_queue *q)
{
	struct chunk *c = q->n > 0 ? q->at[q->first + q->n - 1] : NULL;
	uint32_t cap = q->n == 0 ? 4 : CHUNK_ENTRIES;

	if (c != NULL && c->n < c->cap)
		return c;
	if (c != NULL && c->cap < CHUNK_ENTRIES) {
		struct chunk *more = realloc(c, sizeof(*c) + CHUNK_ENTRIES * sizeof(c->at[0]));

		if (more == NULL)
			return NULL;
		more->cap = CHUNK_ENTRIES;
		q->at[q->first + q->n - 1] = more;
		return more;
	}
	if (queue_room(q) != 0)
		return NULL;
	c = malloc(sizeof(*c) + cap * sizeof(c->at[0]));
	if (c == NULL)
		return NULL;
	c->n = 0;
	c->cap = cap;
	q->at[q->first + q->n++] = c;
	return c;
}

int
store_entry_add(struct store_queue *q, const struct store_entry *e)
{
	struct chunk *c = queue_tail(q);
	uint32_t *subids = NULL;

	if (c == NULL)
		return -ENOMEM;
	must(c->n == 0 || c->at[c->n - 1].seq < e->seq);
	if (e->nsubids > 0) {
		subids = malloc(e->nsubids * sizeof(*subids));
		if (subids == NULL) {
			if (c->n == 0) { /* no chunk may be empty */
				q->n--;
				free(c);
			}
			return -ENOMEM;
		}
		memcpy(subids, e->subids, e->nsubids * sizeof(*subids));
	}
	c->at[c->n++] = (struct entry){
		.seq = e->seq,
		.msg = e->msg,
		.group = e->group,
		.expires_ms = e->expires_ms,
		.subids = subids,
		.size = e->size,
		.nsubids = e->nsubids,
		.qos = e->qos,
		.state = e->state,
		.retain = e->retain,
	};
	return 0;
}

/* The first entry at or above seq: its chunk's place and its own. False: none. */
static bool
queue_seek(const struct store_queue *q, uint64_t seq, uint32_t *chunk_out, uint32_t *at_out)
{
	uint32_t lo = 0, hi = q->n; /* chunks whose last entry is below seq are before lo */
	const struct chunk *c;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		c = q->at[q->first + mid];
		if (c->at[c->n - 1].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == q->n)
		return false;
	*chunk_out = lo;
	c = q->at[q->first + lo];
	for (lo = 0, hi = c->n; lo < hi;) {
		uint32_t mid = (lo + hi) / 2;

		if (c->at[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at_out = lo;
	return true;
}

static struct entry *
queue_find(struct store_queue *q, uint64_t seq)
{
	uint32_t chunk, at;
	struct entry *e;

	if (!queue_seek(q, seq, &chunk, &at))
		return NULL;
	e = &q->at[q->first + chunk]->at[at];
	return e->seq == seq ? e : NULL;
}

static void
entry_out(const struct entry *e, struct store_entry *out)
{
	*out = (struct store_entry){
		.seq = e->seq,
		.msg = e->msg,
		.group = e->group,
		.expires_ms = e->expires_ms,
		.subids = e->subids,
		.size = e->size,
		.nsubids = e->nsubids,
		.qos = e->qos,
		.state = e->state,
		.retain = e->retain,
	};
}

bool
store_entry_get(struct store_queue *q, uint64_t seq, struct store_entry *out)
{
	const struct entry *e = queue_find(q, seq);

	if (e == NULL)
		return false;
	entry_out(e, out);
	return true;
}

bool
store_entry_next(struct store_queue *q, uint64_t after, struct store_entry *out)
{
	uint32_t chunk, at;

	if (after == UINT64_MAX || !queue_seek(q, after + 1, &chunk, &at))
		return false;
	entry_out(&q->at[q->first + chunk]->at[at], out);
	return true;
}

int
store_entry_state(struct store_queue *q, uint64_t seq, enum entry_state state)
{
	struct entry *e = queue_find(q, seq);

	if (e == NULL)
		return -ENOENT;
	e->state = (uint8_t)state;
	return 0;
}

int
store_entry_del(struct store_queue *q, uint64_t seq)
{
	uint32_t chunk, at;
	struct chunk *c;

	if (!queue_seek(q, seq, &chunk, &at))
		return -ENOENT;
	c = q->at[q->first + chunk];
	if (c->at[at].seq != seq)
		return -ENOENT;
	store_msg_unref(c->at[at].msg);
	free(c->at[at].subids);
	memmove(&c->at[at], &c->at[at + 1], (--c->n - at) * sizeof(c->at[0]));
	if (c->n > 0)
		return 0;
	free(c);
	if (chunk == 0)
		q->first++;
	else
		memmove(&q->at[q->first + chunk], &q->at[q->first + chunk + 1],
		    (q->n - chunk - 1) * sizeof(struct chunk *));
	if (--q->n == 0) {
		free(q->at);
		*q = (struct store_queue){ 0 };
	}
	return 0;
}

/* --- retained ---------------------------------------------------------------------------- */

static struct span
node_topic(const struct node *n)
{
	return span_of(n->msg->data, n->msg->topic_len);
}

/*
 * The last node below topic at each level, into prev if that isn't NULL; gives the one that
 * follows.
 */
static struct node *
skip_seek(struct span topic, struct node **prev)
{
	struct node *n = the.head;

	for (int l = SKIP_LEVELS - 1; l >= 0; l--) {
		while (n->next[l] != NULL && span_cmp(node_topic(n->next[l]), topic) < 0)
			n = n->next[l];
		if (prev != NULL)
			prev[l] = n;
	}
	return n->next[0];
}

static uint32_t
random_levels(void)
{
	the.random ^= the.random << 13;
	the.random ^= the.random >> 7;
	the.random ^= the.random << 17;
	/* Each level has half of the one below. */
	return (uint32_t)__builtin_ctzll(the.random | UINT64_C(1) << (SKIP_LEVELS - 1)) + 1;
}

int
store_retained_put(struct span topic, uint64_t msg, uint64_t seq)
{
	struct node *prev[SKIP_LEVELS], *n = skip_seek(topic, prev);
	uint32_t levels;

	must(span_eq(topic, span_of(msg_of(msg)->data, msg_of(msg)->topic_len)));
	if (n == NULL || !span_eq(node_topic(n), topic)) {
		levels = random_levels();
		n = malloc(sizeof(*n) + levels * sizeof(struct node *));
		if (n == NULL)
			return -ENOMEM;
		n->msg = NULL;
		n->levels = levels;
		for (uint32_t l = 0; l < levels; l++) {
			n->next[l] = prev[l]->next[l];
			prev[l]->next[l] = n;
		}
	}
	msg_unref(&n->msg);
	n->msg = msg_ref(msg_of(msg));
	n->seq = seq;
	return 0;
}

static void
retained_out(const struct node *n, struct store_retained *out)
{
	*out = (struct store_retained){ node_topic(n), (uint64_t)(uintptr_t)n->msg, n->seq };
}

bool
store_retained_get(struct span topic, struct store_retained *out)
{
	const struct node *n = skip_seek(topic, NULL);

	if (n == NULL || !span_eq(node_topic(n), topic))
		return false;
	retained_out(n, out);
	return true;
}

bool
store_retained_del(struct span topic)
{
	struct node *prev[SKIP_LEVELS], *n = skip_seek(topic, prev);

	if (n == NULL || !span_eq(node_topic(n), topic))
		return false;
	for (uint32_t l = 0; l < n->levels; l++)
		prev[l]->next[l] = n->next[l];
	msg_unref(&n->msg);
	free(n);
	return true;
}

bool
store_retained_seek(struct span from, bool above, struct store_retained *out)
{
	const struct node *n = skip_seek(from, NULL);

	if (n != NULL && above && span_eq(node_topic(n), from))
		n = n->next[0];
	if (n == NULL)
		return false;
	retained_out(n, out);
	return true;
}

/* --- wills ------------------------------------------------------------------------------- */

int
store_will_put(uint32_t number, const struct msg_view *v, uint32_t delay)
{
	struct will *w = htab_find(&the.wills, number_hash(number), will_eq, &number);
	struct msg *m = msg_new(v);

	if (m == NULL)
		return -ENOMEM;
	if (w == NULL) {
		w = malloc(sizeof(*w));
		if (w == NULL) {
			msg_unref(&m);
			return -ENOMEM;
		}
		*w = (struct will){ .number = number };
		if (htab_add(&the.wills, number_hash(number), w) != 0) {
			msg_unref(&m);
			free(w);
			return -ENOMEM;
		}
	}
	msg_unref(&w->msg);
	w->msg = m;
	w->delay = delay;
	return 0;
}

const struct msg *
store_will_get(uint32_t number, uint32_t *delay_out)
{
	const struct will *w = htab_find(&the.wills, number_hash(number), will_eq, &number);

	if (w == NULL)
		return NULL;
	if (delay_out != NULL)
		*delay_out = w->delay;
	return w->msg;
}

void
store_will_del(uint32_t number)
{
	struct will *w = htab_find(&the.wills, number_hash(number), will_eq, &number);

	if (w == NULL)
		return;
	htab_del(&the.wills, number_hash(number), w);
	msg_unref(&w->msg);
	free(w);
}

/* --- QoS 2 ids --------------------------------------------------------------------------- */

static struct rxids *
rxids_find(uint32_t number)
{
	return htab_find(&the.rxids, number_hash(number), rxids_eq, &number);
}

static uint32_t
rxids_seek(const struct rxids *r, uint16_t id)
{
	uint32_t lo = 0, hi = r->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (r->id[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int
store_rxid_add(uint32_t number, uint16_t id)
{
	struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return -ENOMEM;
		r->number = number;
		if (htab_add(&the.rxids, number_hash(number), r) != 0) {
			free(r);
			return -ENOMEM;
		}
	}
	at = rxids_seek(r, id);
	if (at < r->n && r->id[at] == id)
		return -EEXIST;
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 4;
		uint16_t *ids = realloc(r->id, cap * sizeof(*ids));

		if (ids == NULL)
			return -ENOMEM;
		r->id = ids;
		r->cap = cap;
	}
	memmove(&r->id[at + 1], &r->id[at], (r->n++ - at) * sizeof(r->id[0]));
	r->id[at] = id;
	return 0;
}

bool
store_rxid_has(uint32_t number, uint16_t id)
{
	const struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL)
		return false;
	at = rxids_seek(r, id);
	return at < r->n && r->id[at] == id;
}

bool
store_rxid_del(uint32_t number, uint16_t id)
{
	struct rxids *r = rxids_find(number);
	uint32_t at;

	if (r == NULL)
		return false;
	at = rxids_seek(r, id);
	if (at == r->n || r->id[at] != id)
		return false;
	memmove(&r->id[at], &r->id[at + 1], (--r->n - at) * sizeof(r->id[0]));
	if (r->n == 0)
		store_rxid_drop(number);
	return true;
}

size_t
store_rxid_count(uint32_t number)
{
	const struct rxids *r = rxids_find(number);

	return r != NULL ? r->n : 0;
}

void
store_rxid_drop(uint32_t number)
{
	struct rxids *r = rxids_find(number);

	if (r == NULL)
		return;
	htab_del(&the.rxids, number_hash(number), r);
	free(r->id);
	free(r);
}
