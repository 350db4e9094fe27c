#include "worker/mqtt/admin.h"

#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/child/request.h"
#include "worker/mqtt/access.h"
#include "worker/mqtt/refused.h"
#include "worker/mqtt/subscribe.h"

#define LOOK_MAX                                                                                   \
	10000 /* connections looked at for one page: an answer with few hits is a short page, not a long stall */

static json_t *
text_of(const char *p, size_t len)
{
	json_t *j = json_stringn(p, len);

	return j != NULL ? j : json_string("");
}

/* "TLSv1.3/TLS_AES_256_GCM_SHA384", or null. */
static json_t *
tls_json(const struct ssl_st *tls)
{
	return tls != NULL ? json_sprintf("%s/%s", tls_version(tls), tls_cipher(tls)) : json_null();
}

/* What persist shows too has its name. */
static json_t *
client_json(const struct conn *c)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:i, s:i, s:b, s:o, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:b, s:I, s:o, s:b, s:o}",
	    "client_id", text_of(c->id, c->id_len), "user_name",
	    c->user != NULL ? text_of(c->user, c->user_len) : json_null(), "peer", c->peer,
	    "worker", proc_title(self.slot), "listener", conn_listener_name(c), "version",
	    (int)c->version, "keep_alive", (int)c->keep_alive, "persistent", (int)c->durable,
	    "expiry",
	    c->expiry == MQTT_EXPIRY_NEVER ? json_string("never") : json_integer(c->expiry),
	    "idle_ms", (json_int_t)(clock_ms() - c->seen_ms), "subscriptions", (json_int_t)c->nsubs,
	    "inflight_out", (json_int_t)c->tx.n, "inflight_in", (json_int_t)(c->rx.n + c->stores),
	    "waiting", (json_int_t)c->nwaiting, "output_bytes", (json_int_t)c->out.bytes, "paused",
	    c->pause != 0, "window", (json_int_t)c->window, "tls", tls_json(c->tls), "certificate",
	    c->tls != NULL && tls_has_certificate(c->tls), "authentication_method",
	    c->method != NULL ? json_string(c->method) : json_null());
}

static json_t *
subscription_json(const struct sub *s)
{
	static char text[UINT16_MAX + 16];
	struct span group = index_group(&s->node->n);

	return json_pack("{s:o, s:o, s:o, s:i, s:b, s:b, s:i, s:I, s:b}", "client_id",
	    text_of(s->conn->id, s->conn->id_len), "filter",
	    text_of(text, subscribe_filter_text(s, text)), "share",
	    group.len > 0 ? text_of((const char *)group.p, group.len) : json_null(), "qos",
	    (int)s->qos, "no_local", (int)s->no_local, "retain_as_published",
	    (int)s->retain_as_published, "retain_handling", (int)s->retain_handling,
	    "subscription_id", (json_int_t)s->id, "connected", 1);
}

static bool
is_wanted(const struct conn *c, const char *id)
{
	return c->state == CONN_OPEN && (id == NULL || span_eq(conn_id(c), span_str(id)));
}

/* The cursor is "HANDLE" for clients and "HANDLE:NTH" for subscriptions: nth of the connection. */
static void
cursor_parse(const char *after, uint32_t *handle, uint32_t *nth)
{
	char *end;

	*handle = (uint32_t)strtoul(after, &end, 10);
	*nth = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
}

static json_t *
list(const struct request *r, bool subscriptions)
{
	const char *id = request_str(r, "client_id");
	json_t *items = json_array();
	uint32_t handle, nth, looked = 0, at;
	char next[32] = "";
	struct conn *c;

	cursor_parse(r->after, &handle, &nth);
	for (at = handle; (c = conn_next(&handle)) != NULL; at = handle, nth = 0) {
		struct sub *s, *tmp;
		uint32_t i = 0;

		if (json_array_size(items) >= r->limit || ++looked > LOOK_MAX) {
			snprintf(next, sizeof(next), "%" PRIu32, at);
			break;
		}
		if (!is_wanted(c, id))
			continue;
		if (!subscriptions) {
			json_array_append_new(items, client_json(c));
			continue;
		}
		LIST_FOREACH(s, tmp, &c->subs, struct sub, link) {
			if (i++ < nth)
				continue;
			if (json_array_size(items) >= r->limit) {
				snprintf(
				    next, sizeof(next), "%" PRIu32 ":%" PRIu32, handle - 1, i - 1);
				goto out;
			}
			json_array_append_new(items, subscription_json(s));
		}
	}
out:
	return next[0] != '\0' ? json_pack("{s:b, s:o, s:s}", "ok", 1, "items", items, "next", next)
			       : json_pack("{s:b, s:o}", "ok", 1, "items", items);
}

void
admin_request(const char *text, size_t len, int fd)
{
	const char *why = "no memory";
	struct request r;
	json_t *answer;

	if (request_parse(text, len, &r, &why) != 0) {
		request_error(self.loop, fd, "%s", why);
		return;
	}
	if (strcmp(r.verb, "list") == 0 && strcmp(r.resource, "client") == 0)
		request_answer(self.loop, fd, list(&r, false));
	else if (strcmp(r.verb, "list") == 0 && strcmp(r.resource, "subscription") == 0)
		request_answer(self.loop, fd, list(&r, true));
	else if (strcmp(r.verb, "list") == 0 && strcmp(r.resource, "refused") == 0)
		request_answer(
		    self.loop, fd, refused_page(request_str(&r, "client_id"), r.after, r.limit));
	else if (strcmp(r.verb, "clear") == 0 && strcmp(r.resource, "refused") == 0)
		request_answer(self.loop, fd, refused_clear());
	else if (strcmp(r.verb, "list") == 0 && strcmp(r.resource, "acl") == 0)
		request_answer(self.loop, fd, access_list(&r));
	else if (strcmp(r.verb, "explain") == 0 && strcmp(r.resource, "acl") == 0) {
		answer = access_explain(&r, &why);
		if (answer != NULL)
			request_answer(self.loop, fd, answer);
		else
			request_error(self.loop, fd, "%s", why);
	} else
		request_error(self.loop, fd, "a worker does not answer %s %s", r.verb, r.resource);
	request_fini(&r);
}
