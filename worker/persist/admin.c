#include "worker/persist/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "worker/persist/admin_json.h"
#include "worker/persist/admin_store.h"
#include "worker/persist/retained.h"
#include "worker/persist/session.h"
#include "worker/persist/sub.h"

#define LOOK_MAX 10000 /* entries looked at for one page */

static admin_fn client_list, client_show, client_kick, client_clear, subscription_list,
    retained_list, retained_show, retained_clear_all;

static const struct {
	const char *verb, *resource;
	admin_fn *fn;
} answers[] = {
	{ "list", "client", client_list },
	{ "show", "client", client_show },
	{ "kick", "client", client_kick },
	{ "clear-session", "client", client_clear },
	{ "list", "subscription", subscription_list },
	{ "list", "retained", retained_list },
	{ "show", "retained", retained_show },
	{ "clear", "retained", retained_clear_all },
	{ "status", "store", admin_store_status },
	{ "backup", "store", admin_store_backup },
	{ "verify", "store", admin_store_verify },
	{ "compact", "store", admin_store_compact },
	{ "job", "store", admin_store_job },
	{ "dump", "store", admin_store_dump },
};

void
admin_request(const char *text, size_t len, int fd)
{
	const char *why = NULL;
	struct request r;
	json_t *answer;

	if (request_parse(text, len, &r, &why) != 0) {
		request_error(self.loop, fd, "%s", why);
		return;
	}
	answer = admin_answer(&r, &why);
	if (answer != NULL)
		request_answer(self.loop, fd, answer);
	else
		request_error(self.loop, fd, "%s", why != NULL ? why : "no memory");
	request_fini(&r);
}

json_t *
admin_answer(const struct request *r, const char **why_out)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(answers[i].verb, r->verb) == 0 &&
		    strcmp(answers[i].resource, r->resource) == 0)
			return answers[i].fn(r, why_out);
	*why_out = "persist does not know this request: see tbmqctl help";
	return NULL;
}

/* --- helpers ----------------------------------------------------------------------------- */

static struct session *
session_named(const struct request *r, const char **why)
{
	const char *id = request_str(r, "client_id");
	struct session *s = id != NULL ? directory_find(span_str(id)) : NULL;

	if (s == NULL)
		*why = id == NULL ? "client_id is missing"
				  : "no such client: `tbmqctl client list` shows them";
	return s;
}

static bool
span_has(struct span s, const char *part)
{
	return memmem(s.p, s.len, part, strlen(part)) != NULL;
}

/* --- clients ----------------------------------------------------------------------------- */

static json_t *
client_json(const struct session *s)
{
	const struct durable *d = s->durable;
	bool connected = s->state != SESSION_OFFLINE;
	const char *listener =
	    s->listener < self.conf.nlisteners ? self.conf.listener[s->listener].name.s : "";
	json_t *j = json_pack("{s:o, s:b, s:o, s:b, s:b}", "client_id", json_text(session_id(s)),
	    "connected", (int)connected, "user_name",
	    s->user != NULL ? json_text(span_str(s->user)) : json_null(), "persistent",
	    (int)(d != NULL), "will", (int)s->has_will);

	if (j == NULL)
		return NULL;
	if (connected) {
		json_object_set_new(j, "version", json_integer(s->version));
		json_object_set_new(j, "worker", json_string(proc_title(s->slot)));
		json_object_set_new(j, "listener", json_string(listener));
		json_object_set_new(j, "keep_alive", json_integer(s->keep_alive));
		json_object_set_new(j, "connected_at", json_integer(s->connected_s));
	}
	if (d != NULL) {
		json_object_set_new(j, "expiry",
		    d->expiry == MQTT_EXPIRY_NEVER ? json_string("never")
						   : json_integer(d->expiry));
		json_object_set_new(j, "subscriptions", json_integer(d->nsubs));
		json_object_set_new(j, "queued", json_integer((json_int_t)queue_entries(d)));
		json_object_set_new(j, "queued_bytes",
		    json_integer(d->queue != NULL ? (json_int_t)d->queue->bytes : 0));
		json_object_set_new(j, "inflight", json_integer(queue_under_way(d)));
	}
	return j;
}

static json_t *
client_list(const struct request *r, const char **why)
{
	const json_t *connected = json_object_get(r->parameters, "connected");
	const char *prefix = request_str(r, "prefix"), *part = request_str(r, "filter"),
		   *worker = request_str(r, "worker");
	int slot = worker != NULL ? proc_slot_of(worker) : -1;
	uint32_t number = (uint32_t)strtoul(r->after, NULL, 10), looked = 0;
	json_t *items;
	char next[16];

	if (worker != NULL && (slot < 0 || slot >= SLOT_MQTT_MAX)) {
		*why = "worker: a name as \"mqtt/0\" is expected";
		return NULL;
	}
	items = json_array();
	while (json_array_size(items) < r->limit && looked < LOOK_MAX) {
		uint32_t before = number;
		struct session *s = directory_next(&number, LOOK_MAX - looked);

		looked += number - before < LOOK_MAX ? number - before : LOOK_MAX;
		if (s == NULL) {
			if (number >= directory_end())
				return json_page(items, NULL);
			break;
		}
		if (json_is_boolean(connected) &&
		    json_is_true(connected) != (s->state != SESSION_OFFLINE))
			continue;
		if (slot >= 0 && (s->state == SESSION_OFFLINE || s->slot != slot))
			continue;
		if (prefix != NULL &&
		    (s->id_len < strlen(prefix) || memcmp(s->id, prefix, strlen(prefix)) != 0))
			continue;
		if (part != NULL && !span_has(session_id(s), part))
			continue;
		json_array_append_new(items, client_json(s));
	}
	snprintf(next, sizeof(next), "%" PRIu32, number);
	return json_page(items, number < directory_end() ? next : NULL);
}

static json_t *
client_show(const struct request *r, const char **why)
{
	const struct session *s = session_named(r, why);
	json_t *j = s != NULL ? client_json(s) : NULL;

	return j != NULL ? json_pack("{s:b, s:o}", "ok", 1, "client", j) : NULL;
}

static json_t *
client_kick(const struct request *r, const char **why)
{
	struct session *s = session_named(r, why);

	if (s == NULL)
		return NULL;
	if (s->state == SESSION_OFFLINE) {
		*why = "this client is not connected";
		return NULL;
	}
	session_kick(s, MQTT_ADMINISTRATIVE_ACTION);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *
client_clear(const struct request *r, const char **why)
{
	struct session *s = session_named(r, why);

	if (s == NULL)
		return NULL;
	session_clear(s);
	return json_pack("{s:b}", "ok", 1);
}

/* --- subscriptions ----------------------------------------------------------------------- */

/* The same as a worker's, of a connected client. */
static json_t *
subscription_json(const struct sub *s)
{
	static char text[SUB_TEXT_MAX];
	struct span filter = sub_text(s, text), group, inner;

	return json_pack("{s:o, s:o, s:o, s:i, s:b, s:b, s:i, s:I, s:b}", "client_id",
	    json_text(session_id(s->durable->session)), "filter", json_text(filter), "share",
	    filter_share(filter, &group, &inner) ? json_text(group) : json_null(), "qos",
	    (int)SUB_QOS(s), "no_local", SUB_NO_LOCAL(s) != 0, "retain_as_published",
	    SUB_AS_PUBLISHED(s) != 0, "retain_handling", (int)s->handling, "subscription_id",
	    (json_int_t)s->id, "connected", 0);
}

/* Those of a client that is connected are its worker's to list. */
static uint32_t
listed_subs(const struct session *s)
{
	return s->durable != NULL && s->state == SESSION_OFFLINE ? s->durable->nsubs : 0;
}

/* The cursor is "NUMBER:NTH": the session, and how many of its subscriptions are done. */
static json_t *
subscription_list(const struct request *r, const char **why)
{
	bool one = request_str(r, "client_id") != NULL;
	struct session *s = one ? session_named(r, why) : NULL;
	uint32_t number, nth, looked = 0;
	json_t *items;
	char next[32], *end;

	if (one && s == NULL)
		return NULL;
	items = json_array();
	number = (uint32_t)strtoul(r->after, &end, 10);
	nth = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
	if (one)
		number = s->number;
	while (looked < LOOK_MAX) {
		uint32_t before = number;

		s = directory_next(&number, LOOK_MAX - looked);
		looked += number - before < LOOK_MAX ? number - before : LOOK_MAX;
		if (s == NULL)
			break;
		for (uint32_t i = nth; i < listed_subs(s); i++) {
			if (json_array_size(items) >= r->limit) {
				snprintf(next, sizeof(next), "%" PRIu32 ":%" PRIu32, s->number, i);
				return json_page(items, next);
			}
			looked++;
			json_array_append_new(items,
			    subscription_json(subs_at(&s->durable->subs, s->durable->nsubs, i)));
		}
		if (one)
			return json_page(items, NULL);
		nth = 0;
	}
	snprintf(next, sizeof(next), "%" PRIu32, number);
	return json_page(items, number < directory_end() ? next : NULL);
}

/* --- retained messages ------------------------------------------------------------------- */

static json_t *
retained_json(const struct store_retained *x, bool whole)
{
	const struct msg_view v = x->v;
	json_t *j;

	j = json_pack("{s:o, s:i, s:I, s:I}", "topic", json_text(v.topic), "qos", (int)v.qos,
	    "bytes", (json_int_t)v.payload.len, "published_ms", (json_int_t)v.publish_ms);
	if (v.has_expiry)
		json_object_set_new(j, "expires_in",
		    json_integer(msg_expiry_left(v.publish_ms, v.expiry, clock_wall_ms())));
	if (!whole)
		return j;
	json_payload(j, v.payload);
	return j;
}

static bool
filter_of(const struct request *r, struct span *out, const char **why)
{
	const char *filter = request_str(r, "filter");
	struct span name, inner;

	*out = span_str(filter != NULL ? filter : "#");
	if (utf8_is_valid(*out) && filter_is_valid(*out) && !filter_share(*out, &name, &inner))
		return true;
	*why = "filter: not a valid topic filter";
	return false;
}

/* The cursor is the topic looked at last. */
static json_t *
retained_list(const struct request *r, const char **why)
{
	struct store_retained x;
	struct span filter, at;
	json_t *items;

	if (!filter_of(r, &filter, why))
		return NULL;
	at = r->after[0] != '\0' ? span_str(r->after) : span_of(NULL, 0);
	items = json_array();
	for (unsigned looked = 0; retained_next(filter, at, &x); looked++) {
		if (json_array_size(items) >= r->limit || looked >= LOOK_MAX) {
			json_t *j = json_pack(
			    "{s:b, s:o, s:o}", "ok", 1, "items", items, "next", json_text(at));

			return j;
		}
		if (topic_match(filter, x.v.topic))
			json_array_append_new(items, retained_json(&x, false));
		at = x.v.topic;
	}
	return json_page(items, NULL);
}

static json_t *
retained_show(const struct request *r, const char **why)
{
	const char *topic = request_str(r, "topic");
	struct store_retained x;
	json_t *j;

	if (topic == NULL || topic[0] == '\0') {
		*why = "topic is missing";
		return NULL;
	}
	if (!store_retained_get(span_str(topic), &x)) {
		*why = "no retained message on this topic";
		return NULL;
	}
	j = retained_json(&x, true);
	return j != NULL ? json_pack("{s:b, s:o}", "ok", 1, "retained", j) : NULL;
}

static json_t *
retained_clear_all(const struct request *r, const char **why)
{
	static uint8_t last[UINT16_MAX];
	struct store_retained x;
	struct span filter, at;
	unsigned cleared = 0;

	if (request_str(r, "filter") == NULL) {
		*why = "filter is missing: \"#\" clears all";
		return NULL;
	}
	if (!filter_of(r, &filter, why))
		return NULL;
	at = r->after[0] != '\0' ? span_str(r->after) : span_of(NULL, 0);
	for (unsigned looked = 0; retained_next(filter, at, &x); looked++) {
		if (cleared >= REQUEST_LIMIT_MAX || looked >= LOOK_MAX)
			return json_pack("{s:b, s:i, s:o}", "ok", 1, "cleared", (int)cleared,
			    "next", json_text(at));
		memcpy(last, x.v.topic.p, x.v.topic.len); /* the topic goes with its message */
		at = span_of(last, x.v.topic.len);
		if (!topic_match(filter, at))
			continue;
		retained_clear(at);
		cleared++;
	}
	return json_pack("{s:b, s:i}", "ok", 1, "cleared", (int)cleared);
}
