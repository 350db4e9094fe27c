#include "worker/mqtt/subscribe.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "shared/base/must.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/ask.h"
#include "worker/mqtt/deliver.h"
#include "worker/mqtt/limit.h"
#include "worker/mqtt/publish.h"
#include "worker/mqtt/refused.h"

#define PAGE 100            /* retained messages fetched at once */
#define PAGE_BYTES 65536u   /* of them, or the one that goes beyond */
#define PAGES_MAX 16        /* of one client at once */
#define GET_HELD UINT64_MAX /* token of one whose SUBACK is still to come */
#define SEEN_MAX                                                                                   \
	4096 /* topics remembered for one subscription's retained messages; a client that gets more live ones may see an old one again */
#define SEEN_ALL (16 * SEEN_MAX) /* likewise for all subscriptions of a client */

struct suback {
	uint64_t serial;
	uint32_t handle;
	uint32_t n, left; /* filters; those without an answer yet */
	uint32_t subid;
	uint16_t packet_id;
	uint8_t type;
	uint8_t *kept;    /* copy of the filters that wait for room in persist's ring, or NULL */
	struct span rest; /* filters that are not asked yet */
	struct suback_filter {
		struct retain_get *get; /* to be started once acknowledged, or NULL */
		char *text;             /* while persist is asked: as persist knows it */
		uint16_t text_len;
		uint8_t reason, options;
		bool existed;
	} f[];
};

struct retain_get {
	struct list link, all; /* of the connection; of the worker */
	struct conn *conn;
	uint64_t token; /* 0: the next page is to be asked for; GET_HELD */
	uint64_t since; /* persist's, of a durable session: as it told with its SUBBED */
	uint64_t *seen; /* hashes of topics that went out live */
	uint32_t nseen, cap;
	uint32_t subid;
	uint16_t filter_len, cursor_len;
	uint16_t nth; /* the subscription's */
	uint8_t options;
	bool waits; /* in the.waiting */
	char *cursor;
	char filter[];
};

struct get_key {
	const struct conn *conn;
	struct span filter;
};

static struct {
	struct list gets;
	struct htab waiting; /* gets of which no page was asked for yet, by connection and filter */
	char *text;          /* a filter with mount point */
	size_t cap;
} the;

static enum mqtt_reason
filter_check(const struct conn *c, const struct filter *f, enum counter *what_out);
static bool
filter_parts(const struct conn *c, struct span written, struct span *filter, struct span *group);
static void
filter_add(struct conn *c, struct suback *b, uint32_t nth, const struct filter *f, uint32_t id);
static void filter_take_out(struct conn *c, struct suback *b, uint32_t nth, struct span written);
static void suback_begin(struct conn *c, uint8_t type, const struct subscribe *s, uint32_t subid);
static void suback_fill(struct conn *c, struct suback *b);
static void
filter_refused(const struct conn *c, struct suback_filter *bf, struct span text, uint8_t reason);
static void suback_send(struct conn *c, struct suback *b);
static void suback_free(struct suback *b);
static void filter_stored(struct conn *c, struct suback_filter *bf, const struct rec_subbed *r);
static bool
ask_persist(struct conn *c, struct suback *b, uint32_t nth, unsigned type, const struct sub *s);
static enum mesh_sent to_persist(struct conn *c, unsigned type, const struct iovec *iov, int n);
static bool sub_record(const struct sub *s, struct rec_sub *rec, struct iovec iov[2]);
static struct retain_get *get_new(struct conn *c, struct span filter, const struct sub *s);
static struct retain_get *get_waiting(const struct conn *c, struct span filter);
static struct sub *get_sub(const struct retain_get *g, struct span filter);
static void get_start(struct retain_get *g);
static bool has_page_room(struct conn *c);
static void get_page(struct retain_get *g);
static void get_free(struct retain_get *g);

static struct list *
all_gets(void)
{
	if (the.gets.next == NULL)
		list_init(&the.gets);
	return &the.gets;
}

static uint64_t
key_hash(const struct get_key *k)
{
	return hash_bytes(&self.key, k->filter) ^ k->conn->serial;
}

static struct get_key
key_of(const struct retain_get *g)
{
	return (struct get_key){ g->conn, span_of(g->filter, g->filter_len) };
}

static uint64_t
get_hash(const void *entry)
{
	struct get_key k = key_of(entry);

	return key_hash(&k);
}

static bool
get_eq(const void *entry, const void *key)
{
	const struct get_key a = key_of(entry), *b = key;

	return a.conn == b->conn && span_eq(a.filter, b->filter);
}

static struct htab *
all_waiting(void)
{
	if (the.waiting.hash_of == NULL)
		htab_init(&the.waiting, get_hash);
	return &the.waiting;
}

void
on_subscribe(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed SUBSCRIBE";
	struct subscribe s;
	enum mqtt_reason reason = subscribe_decode(body, c->version, &s, &why);
	uint32_t id = 0;

	(void)flags;
	if (!conn_decoded(c, reason, why))
		return;
	if (!conn_users_fit(c, &s.props))
		return;
	if (c->version == MQTT_5 && props_has(&s.props, PROP_SUBSCRIPTION_ID)) {
		id = s.props.subscription_id;
		if (!c->terms->subscription_id_available) {
			conn_end(c, CNT_ends__subscription_id,
			    MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
			    "subscription identifiers are not available");
			return;
		}
	}
	suback_begin(c, PKT_SUBACK, &s, id);
}

void
on_unsubscribe(struct conn *c, struct span body, uint8_t flags)
{
	const char *why = "malformed UNSUBSCRIBE";
	struct subscribe s;
	enum mqtt_reason reason = unsubscribe_decode(body, c->version, &s, &why);

	(void)flags;
	if (!conn_decoded(c, reason, why))
		return;
	if (!conn_users_fit(c, &s.props))
		return;
	suback_begin(c, PKT_UNSUBACK, &s, 0);
}

/* Retained messages that are under way for it find it gone. */
void
subscribe_end(struct sub *s)
{
	struct conn *c = s->conn;
	struct iovec iov[2];
	struct rec_sub rec;

	if (c->durable && sub_record(s, &rec, iov) && to_persist(c, REC_UNSUB, iov, 2) >= MESH_FULL)
		log_every(10, LOG_WARNING, "subscribe: the store was not told of an end id=%s",
		    conn_name(c));
	sub_del(s);
}

void
subscribe_drop(struct conn *c)
{
	struct suback *b = c->partly;
	struct retain_get *g, *gtmp;
	struct sub *s, *stmp;

	c->partly = NULL;
	if (b != NULL && --b->left == 0)
		suback_free(b);
	LIST_FOREACH(g, gtmp, &c->gets, struct retain_get, link)
		get_free(g);
	LIST_FOREACH(s, stmp, &c->subs, struct sub, link)
		sub_del(s);
}

/* Persist's filter has the mount point of the listener it came by; through another one it can't be what this client meant. */
bool
subscribe_resume(struct conn *c, struct span stored, uint8_t options, uint32_t id)
{
	struct span group = span_of(NULL, 0), filter = stored;
	struct sub *s;

	if (!filter_is_valid(stored))
		return true;
	filter_share(stored, &group, &filter);
	if (filter.len <= c->mount_len ||
	    (c->mount_len > 0 && memcmp(filter.p, c->mount, c->mount_len) != 0))
		return true;
	s = sub_find(c, filter, group);
	if (s == NULL)
		s = sub_add(c, filter, group);
	if (s == NULL)
		return false;
	s->qos = options & 3;
	s->no_local = options & 4;
	s->retain_as_published = options & 8;
	s->retain_handling = options >> 4 & 3;
	s->id = id;
	sub_count(s, true); /* conn->durable comes with the grant, behind this */
	return true;
}

void
subscribe_answer(const struct rec_subbed *r, bool unsub)
{
	struct ask *a = ask_find(r->token, unsub ? ASK_UNSUB : ASK_SUB);
	struct suback *b;
	struct conn *c;
	uint32_t nth;

	if (a == NULL)
		return;
	c = ask_conn(a);
	b = a->suback;
	nth = a->nth;
	ask_del(a);
	if (c != NULL && !unsub)
		filter_stored(c, &b->f[nth], r);
	else if (unsub && r->reason >= 0x80)
		b->f[nth].reason = r->reason;
	if (--b->left == 0)
		suback_send(c, b);
}

void
subscribe_retained(uint64_t token, const struct msg_view *v)
{
	struct ask *a = ask_find(token, ASK_RETAINED);
	struct span filter, group;
	struct retain_get *g;
	uint64_t hash;
	struct sub *s;

	if (a == NULL || a->get == NULL || a->get->conn->state != CONN_OPEN)
		return;
	g = a->get;
	hash = hash_bytes(&self.key, v->topic);
	for (uint32_t i = 0; i < g->nseen; i++)
		if (g->seen[i] == hash)
			return;
	if (!filter_parts(g->conn, span_of(g->filter, g->filter_len), &filter, &group))
		return;
	s = get_sub(g, filter);
	if (s != NULL)
		deliver_retained(g->conn, s, v);
}

void
subscribe_retained_end(uint64_t token, struct span cursor)
{
	struct ask *a = ask_find(token, ASK_RETAINED);
	struct retain_get *g;
	struct conn *c;

	if (a == NULL)
		return;
	g = a->get;
	ask_del(a);
	if (g == NULL)
		return;
	c = g->conn;
	g->token = 0;
	c->pages--;
	if (c->state != CONN_OPEN)
		return; /* subscribe_drop() is about to come */
	free(g->cursor);
	g->cursor = NULL;
	g->cursor_len = 0;
	if (cursor.len == 0 || (g->cursor = malloc(cursor.len)) == NULL) {
		get_free(g);
		subscribe_more(c);
		return;
	}
	memcpy(g->cursor, cursor.p, cursor.len);
	g->cursor_len = (uint16_t)cursor.len;
	subscribe_more(c);
}

void
subscribe_more(struct conn *c)
{
	struct suback *b = c->partly;
	struct retain_get *g, *tmp;

	if (b != NULL && !(c->pause & PAUSE_PEER)) {
		c->partly = NULL;
		suback_fill(c, b);
	}
	LIST_FOREACH(g, tmp, &c->gets, struct retain_get, link) {
		if (c->state != CONN_OPEN || (c->pause & PAUSE_PEER) || !has_page_room(c))
			return;
		if (g->token == 0)
			get_page(g);
	}
}

void
subscribe_saw(struct span topic)
{
	struct retain_get *g, *tmp;

	if (list_is_empty(all_gets()))
		return;
	LIST_FOREACH(g, tmp, &the.gets, struct retain_get, all) {
		struct span filter, group;

		if (!filter_parts(g->conn, span_of(g->filter, g->filter_len), &filter, &group) ||
		    !topic_match(filter, topic) || g->conn->nseen >= SEEN_ALL)
			continue;
		if (g->nseen == g->cap) {
			uint32_t cap = g->cap ? g->cap * 2 : 8;
			uint64_t *seen =
			    cap <= SEEN_MAX ? realloc(g->seen, cap * sizeof(*seen)) : NULL;

			if (seen == NULL)
				continue;
			g->seen = seen;
			g->cap = cap;
		}
		g->seen[g->nseen++] = hash_bytes(&self.key, topic);
		g->conn->nseen++;
	}
}

uint8_t
subscribe_options(const struct sub *s)
{
	return (uint8_t)(s->qos | s->no_local << 2 | s->retain_as_published << 3 |
	    s->retain_handling << 4);
}

/* skip: bytes of the filter that are left out, the mount point's. */
static size_t
write_text(const struct sub *s, size_t skip, char *buf)
{
	struct span filter = index_filter(&s->node->n);

	return filter_write(
	    index_group(&s->node->n), span_of(filter.p + skip, filter.len - skip), buf);
}

size_t
subscribe_filter_text(const struct sub *s, char *buf)
{
	return write_text(s, s->conn->mount_len, buf);
}

size_t
subscribe_stored_text(const struct sub *s, char *buf)
{
	return write_text(s, 0, buf);
}

void
subscribe_fini(void)
{
	free(the.text);
	htab_fini(all_waiting());
}

/* --- filters ----------------------------------------------------------------------------- */

static enum mqtt_reason
filter_check(const struct conn *c, const struct filter *f, enum counter *what_out)
{
	struct span name, inner;

	*what_out = CNT_subscribes__refused_filter;
	if (!filter_is_valid(f->filter) || f->filter.len + c->mount_len > UINT16_MAX)
		return MQTT_TOPIC_FILTER_INVALID;
	if (f->filter.len > c->terms->max_topic_length ||
	    topic_levels(f->filter) > c->terms->max_topic_levels)
		return MQTT_TOPIC_FILTER_INVALID;
	*what_out = CNT_subscribes__refused_shared;
	if (filter_share(f->filter, &name, &inner) && !c->terms->shared_available)
		return MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
	*what_out = CNT_subscribes__refused_wildcard;
	if (filter_has_wildcard(f->filter) && !c->terms->wildcard_available)
		return MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
	*what_out = CNT_subscribes;
	return MQTT_OK;
}

/* As they are in the index: without $share/NAME/, with the mount point. Borrowed until the next call. */
static bool
filter_parts(const struct conn *c, struct span written, struct span *filter, struct span *group)
{
	*group = span_of(NULL, 0);
	*filter = written;
	if (!filter_is_valid(written))
		return false;
	filter_share(written, group, filter);
	if (c->mount_len == 0)
		return true;
	if (the.cap < c->mount_len + filter->len) {
		char *text = realloc(the.text, c->mount_len + filter->len);

		if (text == NULL)
			return false;
		the.text = text;
		the.cap = c->mount_len + filter->len;
	}
	memcpy(the.text, c->mount, c->mount_len);
	memcpy(the.text + c->mount_len, filter->p, filter->len);
	*filter = span_of(the.text, c->mount_len + filter->len);
	return true;
}

static void
suback_begin(struct conn *c, uint8_t type, const struct subscribe *s, uint32_t subid)
{
	struct suback *b = calloc(1, sizeof(*b) + s->count * sizeof(b->f[0]));

	if (b == NULL) {
		conn_end(
		    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for the subscriptions");
		return;
	}
	*b = (struct suback){ .serial = c->serial,
		.handle = c->handle,
		.packet_id = s->id,
		.subid = subid,
		.type = type,
		.rest = s->rest,
		.left = 1 };
	suback_fill(c, b);
}

/*
 * Filter by filter. A packet can have more of them than persist's ring and what may wait for it take, which is for all clients of this process:
 * as soon as one has to wait, those behind it stay here.
 */
static void
suback_fill(struct conn *c, struct suback *b)
{
	while (c->state == CONN_OPEN && !(c->pause & PAUSE_PEER) && b->rest.len > 0) {
		struct span filter;
		struct filter f;

		if (b->type == PKT_SUBACK) {
			must(subscribe_next(&b->rest, c->version, &f));
			filter_add(c, b, b->n++, &f, b->subid);
		} else {
			must(unsubscribe_next(&b->rest, &filter));
			filter_take_out(c, b, b->n++, filter);
		}
	}
	if (c->state == CONN_OPEN && b->rest.len > 0) {
		if (b->kept == NULL && (b->kept = malloc(b->rest.len)) != NULL) {
			memcpy(b->kept, b->rest.p, b->rest.len);
			b->rest.p = b->kept;
		}
		if (b->kept != NULL) {
			c->partly = b;
			return;
		}
		conn_end(
		    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for the subscriptions");
	}
	if (--b->left == 0)
		suback_send(c, b);
}

static void
filter_take_out(struct conn *c, struct suback *b, uint32_t nth, struct span written)
{
	struct span filter, group;
	struct retain_get *g;
	struct sub *sub;

	if (!filter_parts(c, written, &filter, &group)) {
		b->f[nth].reason = MQTT_TOPIC_FILTER_INVALID;
		return;
	}
	sub = sub_find(c, filter, group);
	b->f[nth].reason = sub != NULL ? MQTT_SUCCESS : MQTT_NO_SUBSCRIPTION_EXISTED;
	if (sub == NULL)
		return;
	count(CNT_unsubscribes);
	if (c->durable)
		ask_persist(c, b, nth, REC_UNSUB, sub);
	sub_del(sub);
	g = get_waiting(c, written);
	if (g != NULL)
		get_free(g);
}

static void
filter_add(struct conn *c, struct suback *b, uint32_t nth, const struct filter *f, uint32_t id)
{
	enum counter what;
	enum mqtt_reason reason = filter_check(c, f, &what);
	struct suback_filter *bf = &b->f[nth];
	struct span filter, group;
	bool parts = reason == MQTT_OK && filter_parts(c, f->filter, &filter, &group), checked;
	struct sub *s = NULL;

	if (parts && limit_refuses(c)) {
		parts = false;
		reason = MQTT_QUOTA_EXCEEDED;
		what = CNT_subscribes__refused_rate;
	}
	if (parts && !access_subscribe(c, filter, &checked)) {
		count(CNT_subscribes__refused_acl);
		bf->reason = MQTT_NOT_AUTHORIZED;
		bf->options = f->qos; /* what MQTT 3.1 takes for granted */
		return;
	}
	if (parts) {
		s = sub_find(c, filter, group);
		bf->existed = s != NULL;
		if (s == NULL && c->terms->max_subscriptions > 0 &&
		    c->nsubs >= c->terms->max_subscriptions)
			what = CNT_subscribes__refused_limit;
		else if (s == NULL)
			s = sub_add(c, filter, group);
	}
	if (reason == MQTT_OK && s == NULL) {
		reason = MQTT_QUOTA_EXCEEDED;
		if (what == CNT_subscribes)
			what = CNT_subscribes__refused_no_memory;
	}
	count(what);
	if (reason != MQTT_OK) {
		filter_refused(c, bf, f->filter, (uint8_t)reason);
		return;
	}
	limit_subscribed(c);
	s->qos =
	    f->qos <= c->terms->max_qos ? f->qos : (uint8_t)c->terms->max_qos; /* [MQTT-3.2.2-10] */
	s->checked = checked;
	s->no_local = f->no_local;
	s->retain_as_published = f->retain_as_published;
	s->retain_handling = f->retain_handling;
	s->id = id;
	sub_count(s, c->durable);
	bf->reason = s->qos; /* granted QoS: 0x00 to 0x02 */
	bf->options = subscribe_options(s);
	if (group.len == 0 && c->terms->retain_available &&
	    (f->retain_handling == 0 || (f->retain_handling == 1 && !bf->existed)))
		bf->get = get_new(c, f->filter, s);
	if (c->durable && !ask_persist(c, b, nth, REC_SUB, s)) {
		count(CNT_subscribes__refused_no_memory);
		filter_stored(c, bf, &(struct rec_subbed){ .reason = MQTT_UNSPECIFIED_ERROR });
	}
}

static void
filter_refused(const struct conn *c, struct suback_filter *bf, struct span text, uint8_t reason)
{
	bf->reason = reason;
	if (refused_is_one(reason))
		refused_note(c, reason, "SUBSCRIBE");
	log_info("subscribe: refused id=%s filter=\"%s\" reason=0x%02x", conn_name(c),
	    log_esc(text), reason);
}

/* Persist's word on a durable session's filter; what it refuses it has counted. */
static void
filter_stored(struct conn *c, struct suback_filter *bf, const struct rec_subbed *r)
{
	struct span filter, group;
	struct sub *s;

	if (r->reason >= 0x80) {
		group = span_of(NULL, 0);
		filter = span_of(bf->text, bf->text_len);
		filter_refused(c, bf, filter, r->reason);
		if (bf->text != NULL)
			filter_share(filter, &group, &filter);
		s = !bf->existed && bf->text != NULL ? sub_find(c, filter, group) : NULL;
		if (s != NULL)
			sub_del(s);
	}
	if (bf->get != NULL &&
	    (r->reason >= 0x80 || ((r->flags & SUBBED_EXISTED) && (bf->options >> 4 & 3) == 1))) {
		get_free(bf->get); /* [MQTT-3.3.1-10] */
		bf->get = NULL;
	}
	if (bf->get != NULL)
		bf->get->since = r->since;
}

/* Who asks more than persist answers is not read until there is room. */
static enum mesh_sent
to_persist(struct conn *c, unsigned type, const struct iovec *iov, int n)
{
	enum mesh_sent sent = mesh_send(self.mesh, SLOT_PERSIST, type, iov, n);

	if (sent == MESH_WAITS || sent == MESH_FULL)
		publish_hold(c, PUBLISH_STORE);
	return sent;
}

/* iov: the record and its filter, until the next call. False: the filter is too long for one. */
static bool
sub_record(const struct sub *s, struct rec_sub *rec, struct iovec iov[2])
{
	static char text[SUBSCRIBE_TEXT_MAX];
	size_t len = subscribe_stored_text(s, text);

	*rec = (struct rec_sub){
		.epoch = s->conn->epoch,
		.session = s->conn->session,
		.subid = s->id,
		.filter_len = (uint16_t)len,
		.options = subscribe_options(s),
	};
	iov[0] = (struct iovec){ rec, sizeof(*rec) };
	iov[1] = (struct iovec){ text, len };
	return len <= UINT16_MAX;
}

static bool
ask_persist(struct conn *c, struct suback *b, uint32_t nth, unsigned type, const struct sub *s)
{
	struct suback_filter *bf = &b->f[nth];
	struct iovec iov[2];
	struct rec_sub rec;
	struct ask *a;

	if (!sub_record(s, &rec, iov))
		return false;
	bf->text = malloc(rec.filter_len);
	if (bf->text == NULL)
		return false;
	memcpy(bf->text, iov[1].iov_base, rec.filter_len);
	bf->text_len = rec.filter_len;
	a = ask_new(type == REC_SUB ? ASK_SUB : ASK_UNSUB, c, &rec.token);
	if (a == NULL)
		return false;
	a->suback = b;
	a->nth = nth;
	if (to_persist(c, type, iov, 2) >= MESH_FULL) {
		ask_del(a);
		return false;
	}
	b->left++;
	return true;
}

static uint8_t
reason_for(const struct conn *c, const struct suback *b, uint32_t nth)
{
	if (c->version == MQTT_5 || b->f[nth].reason < 0x80)
		return b->f[nth].reason;
	/* MQTT 3.1 has no code for a refusal: it looks granted and brings nothing. */
	return c->version == MQTT_3_1 ? b->f[nth].options & 3 : 0x80;
}

/* Takes b. The connection may have ended meanwhile. */
static void
suback_send(struct conn *c, struct suback *b)
{
	struct conn *there = conn_find(b->handle, b->serial);
	uint8_t *packet, *reasons, props[CONN_REASON_MAX], first = MQTT_SUCCESS;
	size_t room = b->n + CONN_REASON_MAX + 16, len;
	struct span codes;

	if (there == NULL || there->state != CONN_OPEN)
		goto out;
	c = there;
	packet = malloc(room + b->n);
	if (packet == NULL) {
		conn_end(
		    c, CNT_ends__memory, MQTT_QUOTA_EXCEEDED, "no memory for an acknowledgement");
		goto out;
	}
	reasons = packet + room;
	for (uint32_t i = 0; i < b->n; i++)
		reasons[i] = reason_for(c, b, i);
	/* One text for all filters: what the first that is refused is refused for. */
	for (uint32_t i = 0; i < b->n && first < 0x80; i++)
		first = reasons[i];
	codes = span_of(reasons, c->version == MQTT_5 || b->type == PKT_SUBACK ? b->n : 0);
	len = suback_encode(b->type, b->packet_id, c->version, codes,
	    conn_reason_props(c, first, props), packet, room);
	if (len > c->max_packet) /* [MQTT-3.9.2-1], [MQTT-3.11.2-1] */
		len = suback_encode(
		    b->type, b->packet_id, c->version, codes, span_of(NULL, 0), packet, room);
	conn_send(c, packet, len);
	free(packet);
	for (uint32_t i = 0; i < b->n && c->state == CONN_OPEN; i++)
		if (b->f[i].get != NULL)
			get_start(b->f[i].get);
out:
	suback_free(b);
}

static void
suback_free(struct suback *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		free(b->f[i].text);
	free(b->kept);
	free(b);
}

/* --- retained messages ------------------------------------------------------------------- */

/* From here on live messages are watched; get_start() starts it. NULL: no memory, the subscription does without. */
static struct retain_get *
get_new(struct conn *c, struct span filter, const struct sub *s)
{
	struct retain_get *g = calloc(1, sizeof(*g) + filter.len);

	if (g == NULL) {
		count(CNT_dropped__no_memory);
		return NULL;
	}
	g->conn = c;
	g->options = subscribe_options(s);
	g->subid = s->id;
	g->nth = s->nth;
	g->filter_len = (uint16_t)filter.len;
	memcpy(g->filter, filter.p, filter.len);
	list_add_tail(&c->gets, &g->link);
	list_add_tail(all_gets(), &g->all);
	g->token = GET_HELD;
	return g;
}

static struct retain_get *
get_waiting(const struct conn *c, struct span filter)
{
	struct get_key k = { c, filter };

	return htab_find(all_waiting(), key_hash(&k), get_eq, &k);
}

/* filter: its own, as in the index. NULL: it has been unsubscribed meanwhile, perhaps subscribed again, which asks anew. */
static struct sub *
get_sub(const struct retain_get *g, struct span filter)
{
	struct sub *s = sub_find(g->conn, filter, span_of(NULL, 0));

	return s != NULL && s->nth == g->nth ? s : NULL;
}

/*
 * Its SUBACK is sent. One that was asked for before by the same filter and could not begin yet, since the client does not read, is not needed
 * any more: this one brings all of it. So a client has one for each of its subscriptions and those under way, however often it subscribes.
 */
static void
get_start(struct retain_get *g)
{
	struct get_key k = key_of(g);
	struct retain_get *before = get_waiting(g->conn, k.filter);

	if (before != NULL)
		get_free(before);
	g->waits = htab_add(all_waiting(), key_hash(&k), g) == 0;
	if (g->waits) {
		get_page(g);
		return;
	}
	count(CNT_dropped__no_memory);
	get_free(g);
}

static void
waits_no_more(struct retain_get *g)
{
	if (g->waits)
		htab_del(all_waiting(), get_hash(g), g);
	g->waits = false;
}

static uint32_t
page_bytes(void)
{
	uint64_t half = self.conf.output_max_bytes / 2;

	return half < PAGE_BYTES ? (uint32_t)half : PAGE_BYTES;
}

/* What a page brings is not dropped for a slow reader: it is asked for when there is room. */
static bool
has_page_room(struct conn *c)
{
	if (!limit_lets_out(c)) {
		limit_pump_later(c);
		return false;
	}
	return c->pages < PAGES_MAX && c->nwaiting == 0 &&
	    c->out.bytes + (c->pages + 1) * (uint64_t)page_bytes() <= self.conf.output_max_bytes;
}

/* Without room for the question, or for what it brings, it is asked when there is: publish_hold(), subscribe_more(). */
static void
get_page(struct retain_get *g)
{
	struct conn *c = g->conn;
	struct span filter, group;
	enum mesh_sent sent;
	struct rec_retain_get rec = {
		.epoch = c->epoch,
		.since = g->since,
		.session = c->session,
		.subid = g->subid,
		.max = PAGE,
		.max_bytes = page_bytes(),
		.cursor_len = g->cursor_len,
		.options = g->options,
		.durable = c->durable,
	};
	struct iovec iov[3] = { { &rec, sizeof(rec) } };
	struct ask *a;

	g->token = 0;
	if (!filter_parts(c, span_of(g->filter, g->filter_len), &filter, &group) ||
	    get_sub(g, filter) == NULL) {
		get_free(g);
		return;
	}
	if (!has_page_room(c))
		return;
	rec.filter_len = (uint16_t)filter.len;
	iov[1] = (struct iovec){ (void *)filter.p, filter.len };
	iov[2] = (struct iovec){ g->cursor, g->cursor_len };
	a = ask_new(ASK_RETAINED, c, &rec.token);
	if (a == NULL) {
		count(CNT_dropped__no_memory);
		get_free(g);
		return;
	}
	sent = to_persist(c, REC_RETAIN_GET, iov, 3);
	if (sent >= MESH_FULL) {
		ask_del(a);
		if (sent == MESH_NO_PEER) {
			count(CNT_dropped__peer_gone);
			get_free(g);
		}
		return;
	}
	waits_no_more(g);
	a->get = g;
	g->token = rec.token;
	c->pages++;
}

static void
get_free(struct retain_get *g)
{
	struct ask *a = ask_find(g->token, ASK_RETAINED);

	if (a != NULL) {
		a->get = NULL; /* what still comes is ignored */
		g->conn->pages--;
	}
	waits_no_more(g);
	g->conn->nseen -= g->nseen;
	list_del(&g->link);
	list_del(&g->all);
	free(g->seen);
	free(g->cursor);
	free(g);
}
