#include "worker/persist/store_dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/persist/admin_json.h"
#include "worker/persist/store_int.h"

/* Fills j. False: the record can't be. r is behind the version. */
typedef bool show_fn(json_t *j, struct span key, struct rd *r, bool payload);

static show_fn show_meta, show_session, show_state, show_sub, show_group, show_msg, show_entry,
    show_retained, show_will, show_rxid, show_expiry, show_kept;

static show_fn *const show[KV_TABLES] = {
	[KV_META] = show_meta,
	[KV_SESSION] = show_session,
	[KV_STATE] = show_state,
	[KV_SUB] = show_sub,
	[KV_GROUP] = show_group,
	[KV_MSG] = show_msg,
	[KV_QUEUE] = show_entry,
	[KV_RETAINED] = show_retained,
	[KV_WILL] = show_will,
	[KV_RXID] = show_rxid,
	[KV_EXPIRY] = show_expiry,
	[KV_KEPT] = show_kept,
};

static struct span text_of(struct span key);
static json_t *raw(enum kv_table t, struct span key, size_t len);
static void hex_write(struct span s, char *out);
static int hex_digit(char c);
static void set(json_t *j, const char *name, uint64_t value);
static void set_message(json_t *j, const struct msg_view *v, bool payload);

json_t *
store_dump(struct store_place *p, bool payload)
{
	struct span key, value;
	json_t *j;
	struct rd r;

	if (kv_next(p->table, span_of(p->key, p->key_len), p->key_len > 0, &key, &value) != 0)
		return NULL;
	memcpy(p->key, key.p, key.len);
	p->key_len = (uint16_t)key.len;
	key = span_of(p->key, p->key_len);
	j = json_pack("{s:s}", "table", store_table_name(p->table));
	r = rd_of(value);
	if (show[p->table] != NULL && record_is_good(p->table, &r) &&
	    show[p->table](j, key, &r, payload))
		return j;
	json_decref(j);
	return raw(p->table, key, value.len);
}

void
store_place_write(const struct store_place *p, char out[STORE_PLACE_TEXT])
{
	int n = snprintf(out, STORE_PLACE_TEXT, "%s:", store_table_name(p->table));

	hex_write(span_of(p->key, p->key_len), out + n);
}

bool
store_place_read(const char *text, struct store_place *out)
{
	const char *colon = strchr(text, ':');
	struct store_place p = { .key_len = 0 };
	char name[16];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
	if (!store_table_of(name, &p.table))
		return false;
	for (text = colon + 1; *text != '\0'; text += 2) {
		int hi = hex_digit(text[0]), lo = hi >= 0 ? hex_digit(text[1]) : -1;

		if (lo < 0 || p.key_len == KV_KEY_MAX)
			return false;
		p.key[p.key_len++] = (uint8_t)(hi << 4 | lo);
	}
	*out = p;
	return true;
}

bool
store_table_of(const char *name, enum kv_table *out)
{
	for (enum kv_table t = 0; t < KV_TABLES; t++)
		if (strcmp(store_table_name(t), name) == 0) {
			*out = t;
			return true;
		}
	return false;
}

/* --- a table each ------------------------------------------------------------------------- */

/* A number; or of a worker's ring, how far it has been applied. */
static bool
show_meta(json_t *j, struct span key, struct rd *r, bool payload)
{
	char broker[24];

	(void)payload;
	json_object_set_new(j, "name", json_text(key));
	if (rd_left(r) == 8) {
		set(j, "value", rd_u64(r));
		return true;
	}
	snprintf(broker, sizeof(broker), "%016" PRIx64, rd_u64(r));
	json_object_set_new(j, "broker", json_string(broker));
	set(j, "generation", rd_u32(r));
	set(j, "position", rd_u64(r));
	return !r->bad && rd_left(r) == 0;
}

static bool
show_session(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	struct store_session s;

	(void)payload;
	set(j, "session", rd_u32(&k));
	if (!session_read(r, &s) || k.bad)
		return false;
	json_object_set_new(j, "client_id", json_text(s.client_id));
	json_object_set_new(
	    j, "user_name", s.user_name.len > 0 ? json_text(s.user_name) : json_null());
	json_object_set_new(j, "expiry",
	    s.expiry == MQTT_EXPIRY_NEVER ? json_string("never") : json_integer(s.expiry));
	json_object_set_new(j, "connected", json_boolean(s.left_ms == 0));
	if (s.left_ms != 0)
		set(j, "left_ms", s.left_ms);
	set(j, "queue", s.queue);
	return true;
}

static bool
show_state(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	struct store_queue q;

	(void)payload;
	set(j, "queue", rd_u64(&k));
	if (!state_read(r, &q) || k.bad)
		return false;
	set(j, "entries", q.entries);
	set(j, "bytes", q.bytes);
	set(j, "next_sequence", q.next_seq);
	set(j, "sent", q.sent);
	return true;
}

static bool
show_sub(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	struct store_sub s;

	(void)payload;
	set(j, "session", rd_u32(&k));
	if (!sub_read(key, r, &s))
		return false;
	json_object_set_new(j, "filter", json_text(s.filter));
	set(j, "qos", s.options & 3);
	json_object_set_new(j, "no_local", json_boolean(s.options & 4));
	json_object_set_new(j, "retain_as_published", json_boolean(s.options & 8));
	set(j, "retain_handling", s.options >> 4 & 3);
	set(j, "subscription_id", s.id);
	return true;
}

static bool
show_group(json_t *j, struct span key, struct rd *r, bool payload)
{
	uint32_t number;
	uint64_t queue;

	(void)payload;
	json_object_set_new(j, "filter", json_text(text_of(key)));
	if (!group_read(r, &number, &queue))
		return false;
	set(j, "group", number);
	set(j, "queue", queue);
	return true;
}

/* The message, or how many entries refer to it. */
static bool
show_msg(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	struct msg_view v;
	bool refs;

	set(j, "message", rd_u64(&k));
	refs = rd_u8(&k);
	if (refs) {
		set(j, "references", rd_u32(r));
	} else {
		message_read(r, &v);
		if (!r->bad)
			set_message(j, &v, payload);
	}
	return !k.bad && !r->bad;
}

static bool
show_entry(json_t *j, struct span key, struct rd *r, bool payload)
{
	static const char *const state[] = {
		[ENTRY_QUEUED] = "queued",
		[ENTRY_SENT] = "sent",
		[ENTRY_RELEASED] = "released",
	};
	struct rd k = rd_of(key), q;
	struct store_queue of = { .id = rd_u64(&k), .next_seq = 1 };
	struct key of_key = { .len = 0 };
	uint64_t seq = rd_u64(&k);
	struct store_entry e;

	key_u64(&of_key, of.id);
	if (k.bad || (record_get(KV_STATE, &of_key, &q) && !state_read(&q, &of)) ||
	    !entry_read(&of, seq, r, &e))
		return false;
	set(j, "queue", of.id);
	set(j, "sequence", seq);
	json_object_set_new(j, "state", json_string(state[e.state]));
	set(j, "delivery_qos", e.qos);
	set(j, "size", e.size);
	if (e.group != 0)
		set(j, "group", e.group);
	if (e.expires_ms != 0)
		set(j, "expires_ms", e.expires_ms);
	if (e.msg.is_shared)
		set(j, "message", e.msg.id);
	if (e.state != ENTRY_RELEASED)
		set_message(j, &e.msg.v, payload);
	return true;
}

static bool
show_retained(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct store_retained x;

	if (!retained_read(key, r, &x))
		return false;
	set(j, "update", x.seq);
	set_message(j, &x.v, payload);
	return true;
}

static bool
show_will(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	struct store_will x = { .number = rd_u32(&k) };

	set(j, "session", x.number);
	if (!will_read(r, &x) || k.bad)
		return false;
	set(j, "delay", x.delay);
	set_message(j, &x.v, payload);
	return true;
}

static bool
show_rxid(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);

	(void)payload;
	set(j, "session", rd_u32(&k));
	set(j, "packet_id", rd_u16(&k));
	return !k.bad && rd_left(r) == 0;
}

/* What it says is a secret of whose it is. */
static bool
show_kept(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	uint8_t whose = rd_u8(&k);

	(void)payload;
	set(j, "whose", whose);
	json_object_set_new(j, "name", json_text(rd_rest(&k)));
	set(j, "bytes", rd_left(r));
	return whose != 0;
}

/* An entry of a queue, or a retained message. */
static bool
show_expiry(json_t *j, struct span key, struct rd *r, bool payload)
{
	struct rd k = rd_of(key);
	uint64_t queue;

	(void)payload;
	set(j, "second", rd_u64(&k));
	queue = rd_u64(&k);
	if (queue != 0) {
		set(j, "queue", queue);
		set(j, "sequence", rd_u64(&k));
	} else {
		json_object_set_new(j, "topic", json_text(text_of(rd_rest(&k))));
	}
	return !k.bad && rd_left(&k) == 0 && rd_left(r) == 0;
}

/* --- helpers ------------------------------------------------------------------------------ */

/* Of a longer one the key has the hash only. */
static struct span
text_of(struct span key)
{
	if (key.len > TEXT_MAX)
		for (key.len = TEXT_MAX; key.len > 1 && (key.p[key.len - 1] & 0x80) != 0;)
			key.len--;
	return key;
}

static json_t *
raw(enum kv_table t, struct span key, size_t len)
{
	char hex[2 * KV_KEY_MAX + 1];

	hex_write(key, hex);
	return json_pack(
	    "{s:s, s:s, s:I}", "table", store_table_name(t), "key", hex, "bytes", (json_int_t)len);
}

static void
hex_write(struct span s, char *out)
{
	for (size_t i = 0; i < s.len; i++)
		snprintf(out + 2 * i, 3, "%02x", s.p[i]);
	out[2 * s.len] = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
set(json_t *j, const char *name, uint64_t value)
{
	json_object_set_new(j, name, json_integer((json_int_t)value));
}

/* What the client had published. */
static void
set_message(json_t *j, const struct msg_view *v, bool payload)
{
	json_object_set_new(j, "topic", json_text(v->topic));
	set(j, "qos", v->qos);
	json_object_set_new(j, "retain", json_boolean(v->retain));
	set(j, "published_ms", v->publish_ms);
	if (v->has_expiry)
		set(j, "expiry", v->expiry);
	set(j, "bytes", v->payload.len);
	if (payload)
		json_payload(j, v->payload);
}
