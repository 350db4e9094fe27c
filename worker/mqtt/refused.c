#include "worker/mqtt/refused.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "shared/base/clock.h"
#include "shared/base/htab.h"
#include "shared/base/log.h"
#include "shared/net/sock.h"

#define NAME_MAX_BYTES 256 /* of an identifier or user name; longer ones are cut */
#define WHY_MAX 80

struct attempt {
	struct list link;
	uint64_t hash, number, at_ms, attempts;
	uint8_t reason;
	bool has_client, has_user;
	char peer[SOCK_TEXT_MAX], listener[32], why[WHY_MAX];
	char *client, *user; /* within text */
	char text[];
};

static struct {
	struct htab table;
	struct list all; /* the oldest first */
	uint64_t numbers;
	bool ready;
} the;

static uint64_t
hash_of(const void *entry)
{
	return ((const struct attempt *)entry)->hash;
}

/* Hashes are keyed and have 64 bits: what is equal is the same. */
static bool
eq(const void *entry, const void *key)
{
	return hash_of(entry) == *(const uint64_t *)key;
}

static void
get_ready(void)
{
	if (the.ready)
		return;
	htab_init(&the.table, hash_of);
	list_init(&the.all);
	the.ready = true;
}

static void
forget(struct attempt *a)
{
	htab_del(&the.table, a->hash, a);
	list_del(&a->link);
	free(a);
}

bool
refused_is_one(enum mqtt_reason reason)
{
	return reason == MQTT_NOT_AUTHORIZED || reason == MQTT_BAD_USER_NAME_OR_PASSWORD ||
	    reason == MQTT_BAD_AUTHENTICATION_METHOD || reason == MQTT_BANNED;
}

/* Whole characters of it. */
static struct span
cut(struct span s)
{
	if (s.len <= NAME_MAX_BYTES)
		return s;
	s.len = NAME_MAX_BYTES;
	while (s.len > 0 && (s.p[s.len] & 0xc0) == 0x80)
		s.len--;
	return s;
}

static uint64_t
hash_client(struct span client)
{
	return hash_bytes(&self.key, client);
}

static char *
put(char **to, struct span s)
{
	char *p = *to;

	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	*to = p + s.len + 1;
	return p;
}

static void
note(struct span client, struct span user, const char *peer, const char *listener,
    enum mqtt_reason reason, const char *why)
{
	/* An address is never taken for an identifier that looks like it. */
	uint64_t hash =
	    client.p != NULL ? hash_client(client) : ~hash_bytes(&self.key, sock_text_host(peer));
	struct attempt *a, *was;
	char *to;

	if (self.conf.refused_max == 0)
		return;
	get_ready();
	was = htab_find(&the.table, hash, eq, &hash);
	client = cut(client);
	user = cut(user);
	a = calloc(1, sizeof(*a) + client.len + user.len + 2);
	if (a == NULL)
		return;
	a->hash = hash;
	a->number = ++the.numbers;
	a->at_ms = clock_wall_ms();
	a->attempts = was != NULL ? was->attempts + 1 : 1;
	a->reason = (uint8_t)reason;
	a->has_client = client.p != NULL;
	a->has_user = user.p != NULL;
	snprintf(a->peer, sizeof(a->peer), "%s", peer);
	snprintf(a->listener, sizeof(a->listener), "%s", listener);
	snprintf(a->why, sizeof(a->why), "%s", why);
	to = a->text;
	a->client = put(&to, client);
	a->user = put(&to, user);
	if (was != NULL) {
		htab_replace(&the.table, hash, was, a);
		list_del(&was->link);
		free(was);
	} else if (htab_add(&the.table, hash, a) != 0) {
		free(a);
		return;
	}
	list_add_tail(&the.all, &a->link);
	refused_conf();
}

void
refused_note(const struct conn *c, enum mqtt_reason reason, const char *why)
{
	note(conn_id(c), c->user != NULL ? span_of(c->user, c->user_len) : span_of(NULL, 0),
	    c->peer, conn_listener_name(c), reason, why);
}

void
refused_note_address(
    const char *peer, const char *listener, enum mqtt_reason reason, const char *why)
{
	note(span_of(NULL, 0), span_of(NULL, 0), peer, listener, reason, why);
}

/* --- requests ----------------------------------------------------------------------------- */

static json_t *
text_json(bool is_there, const char *text)
{
	json_t *j = is_there ? json_string(text) : json_null();

	return j != NULL ? j : json_string(log_esc(span_str(text)));
}

static json_t *
attempt_json(const struct attempt *a)
{
	time_t s = (time_t)(a->at_ms / 1000);
	char at[40];
	struct tm tm;
	size_t n = strftime(at, sizeof(at), "%FT%T", gmtime_r(&s, &tm));

	snprintf(at + n, sizeof(at) - n, ".%03uZ", (unsigned)(a->at_ms % 1000));
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:i, s:s, s:s, s:I, s:s}", "at", at,
	    "client_id", text_json(a->has_client, a->client), "user_name",
	    text_json(a->has_user, a->user), "peer", a->peer, "listener", a->listener, "code",
	    (int)a->reason, "reason", mqtt_reason_text(a->reason), "why", a->why, "attempts",
	    (json_int_t)a->attempts, "worker", proc_title(self.slot));
}

/* The cursor is the number of the last. */
json_t *
refused_page(const char *client, const char *after, unsigned limit)
{
	uint64_t from = strtoull(after, NULL, 10), last = 0, hash;
	json_t *items = json_array();
	struct attempt *a, *tmp;
	char next[24] = "";

	get_ready();
	if (client != NULL) {
		hash = hash_client(span_str(client));
		a = htab_find(&the.table, hash, eq, &hash);
		if (a != NULL)
			json_array_append_new(items, attempt_json(a));
		return json_pack("{s:b, s:o}", "ok", 1, "items", items);
	}
	LIST_FOREACH(a, tmp, &the.all, struct attempt, link) {
		if (a->number <= from)
			continue;
		if (json_array_size(items) >= limit) {
			snprintf(next, sizeof(next), "%" PRIu64, last);
			break;
		}
		json_array_append_new(items, attempt_json(a));
		last = a->number;
	}
	return json_pack(
	    "{s:b, s:o, s:s*}", "ok", 1, "items", items, "next", next[0] != '\0' ? next : NULL);
}

json_t *
refused_clear(void)
{
	json_int_t n = 0;

	get_ready();
	for (; !list_is_empty(&the.all); n++)
		forget(LIST_FIRST(&the.all, struct attempt, link));
	return json_pack("{s:b, s:I}", "ok", 1, "cleared", n);
}

/* No more than there may be. */
void
refused_conf(void)
{
	get_ready();
	while (htab_count(&the.table) > self.conf.refused_max)
		forget(LIST_FIRST(&the.all, struct attempt, link));
}

void
refused_fini(void)
{
	json_decref(refused_clear());
	htab_fini(&the.table);
}
