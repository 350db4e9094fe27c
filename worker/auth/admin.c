#include "worker/auth/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "shared/base/log.h"
#include "shared/child/child.h"
#include "shared/child/request.h"
#include "worker/auth/keep.h"

#define SET_MAX 200

enum mode { MODE_ADD, MODE_REPLACE, MODE_CHANGE, MODES };

static const char *const mode_name[MODES] = { "add", "replace", "change" };

static json_t *
text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static const char *
type_of(const struct credential *c)
{
	return c->certificate != NULL ? "x509" : credential_is_plain(c) ? "basic" : "scram";
}

static json_t *
credential_json(const struct credential *c, bool with_secrets)
{
	json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o}", "name", c->name,
	    "type", type_of(c), "client_id", text_or_null(c->client_id), "user_name",
	    text_or_null(c->user_name), "groups", text_or_null(c->groups), "enabled",
	    (int)!c->is_disabled, "has_password", c->password != NULL, "has_scram",
	    c->scram != NULL, "certificate", text_or_null(c->certificate), "client_pattern",
	    text_or_null(c->client_pattern));

	if (with_secrets) {
		json_object_set_new(j, "password_hash", text_or_null(c->password));
		json_object_set_new(j, "scram_keys", text_or_null(c->scram));
	}
	return j;
}

static json_t *
list(const struct request *r, bool with_passwords)
{
	uint64_t pos = strtoull(r->after, NULL, 10);
	json_t *items = json_array();
	const struct credential *c;
	char next[24];

	while (json_array_size(items) < r->limit && (c = credential_next(&pos)) != NULL)
		json_array_append_new(items, credential_json(c, with_passwords));
	if (json_array_size(items) < r->limit)
		return json_pack("{s:b, s:o}", "ok", 1, "items", items);
	snprintf(next, sizeof(next), "%" PRIu64, pos);
	return json_pack("{s:b, s:o, s:s}", "ok", 1, "items", items, "next", next);
}

/* --- changes ------------------------------------------------------------------------------ */

static const char *
why(int err)
{
	switch (err) {
	case -EEXIST:
		return "another credential has its client identifier and user name, or certificate";
	case -ENOSPC:
		return "the disk is full";
	case -EAGAIN:
		return "persist/0 is not there; try again";
	default:
		return strerror(-err);
	}
}

static void
on_written(struct keep_set *s)
{
	json_t *failed = json_array();
	size_t done = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->change[i].err == 0)
			done++;
		else
			json_array_append_new(failed,
			    json_pack("{s:s, s:s}", "name", s->change[i].name, "error",
				why(s->change[i].err)));
	request_answer(self.loop, s->fd,
	    json_pack("{s:b, s:I, s:o}", "ok", 1, "done", (json_int_t)done, "failed", failed));
	keep_set_free(s);
}

/* What isn't there stays as it is; null takes it away. */
static bool
take_text(char **to, const json_t *j, const char *name)
{
	const json_t *v = json_object_get(j, name);

	if (v == NULL)
		return true;
	if (json_is_null(v))
		return credential_set(to, span_of(NULL, 0));
	return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) &&
	    credential_set(to, span_of(json_string_value(v), json_string_length(v)));
}

static const char *
parse(const json_t *j, enum mode mode, struct credential **out)
{
	const char *name = json_string_value(json_object_get(j, "name"));
	const struct credential *was = name != NULL ? credential_find(span_str(name)) : NULL;
	struct credential *c;
	const char *wrong = "no memory";

	if (mode == MODE_ADD && was != NULL)
		return "there is one of that name already";
	if (mode == MODE_CHANGE && was == NULL)
		return "there is none of that name";
	c = mode == MODE_CHANGE ? credential_dup(was) : credential_new();
	if (c != NULL) {
		const json_t *enabled = json_object_get(j, "enabled");

		wrong = "a credential has texts: name, client_id, user_name, password_hash, "
			"scram_keys, "
			"certificate, client_pattern, groups; and enabled";
		if (json_is_object(j) && take_text(&c->name, j, "name") &&
		    take_text(&c->client_id, j, "client_id") &&
		    take_text(&c->user_name, j, "user_name") &&
		    take_text(&c->password, j, "password_hash") &&
		    take_text(&c->scram, j, "scram_keys") &&
		    take_text(&c->certificate, j, "certificate") &&
		    take_text(&c->client_pattern, j, "client_pattern") &&
		    take_text(&c->groups, j, "groups") &&
		    (enabled == NULL || json_is_boolean(enabled)))
			wrong = credential_wrong(c);
		if (enabled != NULL)
			c->is_disabled = json_is_false(enabled);
	}
	if (wrong == NULL)
		*out = c;
	else
		credential_free(c);
	return wrong;
}

/* Takes s; NULL: there was no memory for it. */
static void
write_set(struct keep_set *s, int fd)
{
	if (s == NULL) {
		request_error(self.loop, fd, "no memory");
		return;
	}
	s->fd = fd;
	s->done = on_written;
	keep_write(s);
}

static void
put(const struct request *r, int fd)
{
	const json_t *all = json_object_get(r->parameters, "credentials");
	const char *text = request_str(r, "mode");
	enum mode mode = MODE_ADD;
	struct keep_set *s;
	size_t n = json_array_size(all);

	while (mode < MODES && (text == NULL || strcmp(text, mode_name[mode]) != 0))
		mode++;
	if (n == 0 || n > SET_MAX || mode == MODES) {
		request_error(self.loop, fd,
		    "put takes 1 to %d credentials, and as mode add, replace or change", SET_MAX);
		return;
	}
	s = keep_set_new(n);
	for (size_t i = 0; s != NULL && i < n; i++) {
		struct keep_change *c = &s->change[i];
		const json_t *j = json_array_get(all, i);
		const char *wrong = parse(j, mode, &c->to);

		if (wrong != NULL) {
			const char *name = json_string_value(json_object_get(j, "name"));

			request_error(self.loop, fd, "credential %s: %s",
			    name != NULL ? name : "without a name", wrong);
			keep_set_free(s);
			return;
		}
		snprintf(c->name, sizeof(c->name), "%s", c->to->name);
	}
	write_set(s, fd);
}

static void
take_out(const struct request *r, int fd)
{
	const json_t *all = json_object_get(r->parameters, "names");
	struct keep_set *s;
	size_t n = json_array_size(all);

	if (n == 0 || n > SET_MAX) {
		request_error(self.loop, fd, "remove takes 1 to %d names", SET_MAX);
		return;
	}
	s = keep_set_new(n);
	for (size_t i = 0; s != NULL && i < n; i++) {
		const char *name = json_string_value(json_array_get(all, i));

		if (name == NULL || strlen(name) > CREDENTIAL_NAME_MAX ||
		    credential_find(span_str(name)) == NULL) {
			request_error(self.loop, fd, "there is no credential %s",
			    name != NULL ? name : "without a name");
			keep_set_free(s);
			return;
		}
		snprintf(s->change[i].name, sizeof(s->change[i].name), "%s", name);
	}
	write_set(s, fd);
}

static void
show(const struct request *r, int fd)
{
	const char *name = request_str(r, "name");
	const struct credential *c = name != NULL ? credential_find(span_str(name)) : NULL;

	if (c == NULL)
		request_error(self.loop, fd, "there is no credential %s", name != NULL ? name : "");
	else
		request_answer(self.loop, fd,
		    json_pack("{s:b, s:o}", "ok", 1, "credential", credential_json(c, false)));
}

void
admin_request(const char *text, size_t len, int fd)
{
	const char *wrong;
	struct request r;

	if (request_parse(text, len, &r, &wrong) != 0) {
		request_error(self.loop, fd, "%s", wrong);
		return;
	}
	if (strcmp(r.resource, "credential") != 0)
		request_error(self.loop, fd, "auth does not answer %s %s", r.verb, r.resource);
	else if (strcmp(r.verb, "list") == 0 || strcmp(r.verb, "export") == 0)
		request_answer(self.loop, fd, list(&r, r.verb[0] == 'e'));
	else if (strcmp(r.verb, "show") == 0)
		show(&r, fd);
	else if (strcmp(r.verb, "put") == 0)
		put(&r, fd);
	else if (strcmp(r.verb, "remove") == 0)
		take_out(&r, fd);
	else
		request_error(self.loop, fd, "a credential can't be asked to %s", r.verb);
	request_fini(&r);
}
