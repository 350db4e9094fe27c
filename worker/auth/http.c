#include "worker/auth/http.h"

#include <errno.h>
#include <jansson.h>
#include <strings.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "shared/conf/pairs.h"
#include "worker/auth/found.h"
#include "worker/auth/text.h"

#define ANSWER_MAX 65536 /* bytes; groups and attributes have an eighth of it at most */
#define EXPIRES_MAX 1e9  /* seconds, which is never */

static struct {
	struct fetch_terms *terms, *next;
	struct list waiting; /* logins without a fetch, in the order they came */
	unsigned under_way, n;
	struct found found; /* of the last answer */
} the;

static enum verdict begin(struct login *l);
static void begin_next(void);
static void on_answer(void *arg, const struct fetch_answer *a);

void
http_init(void)
{
	list_init(&the.waiting);
}

int
http_prepare(const struct conf *next, const struct auth_files *files, char why[256])
{
	http_withdraw();
	the.next = fetch_terms_new(files->file[AUTH_FILE_HTTP_HEADERS],
	    next->http_method == HTTP_METHOD_GET    ? NULL
		: next->http_body == HTTP_BODY_json ? "application/json"
						    : "application/x-www-form-urlencoded",
	    files->file[AUTH_FILE_HTTP_AUTHORITIES]);
	if (the.next != NULL)
		return 0;
	snprintf(why, 256, "no memory for what goes with HTTP requests");
	return -ENOMEM;
}

/* Requests under way go on with what they have begun with. */
void
http_commit(void)
{
	fetch_terms_unref(&the.terms);
	the.terms = the.next;
	the.next = NULL;
	begin_next(); /* http_parallel may be more */
}

void
http_withdraw(void)
{
	fetch_terms_unref(&the.next);
}

void
http_fini(void)
{
	fetch_terms_unref(&the.terms);
	http_withdraw();
}

/* --- questions ---------------------------------------------------------------------------- */

static enum verdict
http_ask(struct login *l)
{
	l->http.fetch = NULL;
	if (the.under_way < self.conf.http_parallel && list_is_empty(&the.waiting))
		return begin(l);
	list_add_tail(&the.waiting, &l->http.link);
	count_set(CNT_http_waiting, ++the.n);
	return VERDICT_LATER;
}

static void
leave_queue(struct login *l)
{
	list_del(&l->http.link);
	count_set(CNT_http_waiting, --the.n);
}

static void
begin_next(void)
{
	while (the.under_way < self.conf.http_parallel && !list_is_empty(&the.waiting)) {
		struct login *l = container_of(the.waiting.next, struct login, http.link);
		enum verdict v;

		leave_queue(l);
		v = begin(l);
		if (v != VERDICT_LATER)
			login_verdict(l, v);
	}
}

static void
add_fields(struct text *t, const struct login *l, enum text_form form)
{
	struct span rest = span_str(self.conf.http_fields.s), name, pattern;
	bool is_json = form == TEXT_JSON, is_first = true;

	while (pairs_next(&rest, &name, &pattern) == 1) {
		struct text value = { 0 };

		/* First all of it, then as it has to be written: what the pattern has besides, too. */
		text_add_pattern(&value, pattern, l, TEXT_PLAIN);
		text_add(t,
		    span_str(is_json   ? is_first ? "\"" : ",\""
			    : is_first ? ""
				       : "&"),
		    TEXT_PLAIN);
		text_add(t, name, form);
		text_add(t, span_str(is_json ? "\":\"" : "="), TEXT_PLAIN);
		text_add(t, span_of(value.p, value.len), form);
		text_add(t, span_str(is_json ? "\"" : ""), TEXT_PLAIN);
		t->no_memory |= value.no_memory;
		text_free(&value);
		is_first = false;
	}
}

static void
write_request(const struct login *l, struct text *url, struct text *body)
{
	bool is_get = self.conf.http_method == HTTP_METHOD_GET;
	bool is_json = self.conf.http_body == HTTP_BODY_json;

	text_add_pattern(url, span_str(self.conf.http_url.s), l, TEXT_URL);
	if (is_get && self.conf.http_fields.s[0] != '\0') {
		text_add(url, span_str(strchr(self.conf.http_url.s, '?') != NULL ? "&" : "?"),
		    TEXT_PLAIN);
		add_fields(url, l, TEXT_FORM);
	}
	if (is_get)
		return;
	text_add(body, span_str(is_json ? "{" : ""), TEXT_PLAIN);
	add_fields(body, l, is_json ? TEXT_JSON : TEXT_FORM);
	text_add(body, span_str(is_json ? "}" : ""), TEXT_PLAIN);
}

static enum verdict
begin(struct login *l)
{
	struct text url = { 0 }, *body = &l->http.body;
	enum verdict v = VERDICT_LATER;

	*body = (struct text){ 0 };
	write_request(l, &url, body);
	if (url.no_memory || body->no_memory) {
		v = VERDICT_BUSY;
	} else if (url.is_bad || body->is_bad) {
		log_info("http: refused client=%s: what it shows can't be said in a request",
		    log_esc(l->client_id));
		v = VERDICT_DENY;
	} else {
		l->http.fetch = fetch_begin(
		    &(struct fetch_ask){
			.url = url.p,
			.is_post = self.conf.http_method == HTTP_METHOD_POST,
			.body = span_of(body->p, body->len),
			.timeout_ms = self.conf.http_timeout * 1000,
			.max = ANSWER_MAX,
			.terms = the.terms,
		    },
		    on_answer, l);
		if (l->http.fetch == NULL)
			v = VERDICT_BUSY;
	}
	text_free(&url);
	if (v == VERDICT_LATER)
		the.under_way++;
	else
		text_free(body);
	return v;
}

/* --- answers ------------------------------------------------------------------------------ */

static void
ended(struct login *l)
{
	l->http.fetch = NULL;
	text_free(&l->http.body);
	the.under_way--;
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	struct login *l = arg;
	enum verdict v = http_verdict(l, a);

	ended(l);
	login_verdict(l, v);
	begin_next();
}

static void
http_take_back(struct login *l)
{
	if (l->http.fetch == NULL) {
		leave_queue(l);
		return;
	}
	fetch_cancel(l->http.fetch);
	ended(l);
	begin_next();
}

static enum verdict
unavailable(const char *why, long status)
{
	count(CNT_http_logins__unavailable);
	log_every(10, LOG_WARNING, "http: no answer from the service: status=%ld %s", status, why);
	return self.conf.http_unavailable == HTTP_UNAVAILABLE_busy ? VERDICT_BUSY
	    : self.conf.http_unavailable == HTTP_UNAVAILABLE_deny  ? VERDICT_DENY
								   : VERDICT_UNKNOWN;
}

/* What comes with a yes; what is wrong with it, or NULL. */
static const char *
take_found(struct login *l, const json_t *j)
{
	const json_t *expires = json_object_get(j, "expires"), *value;
	json_t *attributes = json_object_get(j, "attributes");
	double seconds = json_number_value(expires);
	const char *name;

	the.found.groups_len = the.found.attributes_len = the.found.ngroups = 0;
	if (!found_groups(&the.found, json_object_get(j, "groups")))
		return "its groups can't be kept";
	if (attributes != NULL && !json_is_object(attributes))
		return "its attributes are no object";
	json_object_foreach(attributes, name, value)
		if (!found_attribute(&the.found, name, value))
			return "its attributes can't be kept";
	if (expires != NULL && !json_is_null(expires) && !(json_is_number(expires) && seconds > 0))
		return "its time can't be one";
	found_tell(&the.found, l);
	l->found.expires_ms = expires != NULL && seconds > 0 && seconds < EXPIRES_MAX
	    ? clock_wall_ms() + (uint64_t)(seconds * 1000)
	    : 0;
	return NULL;
}

static enum verdict
say_result(struct login *l, const json_t *j, long status)
{
	const json_t *result = json_object_get(j, "result");
	const char *said = json_string_value(result), *wrong = NULL;

	if (result != NULL && said == NULL)
		return unavailable("its result can't be one", status);
	if (said == NULL || strcmp(said, "allow") == 0) {
		wrong = take_found(l, j);
		if (wrong != NULL)
			return unavailable(wrong, status);
	} else if (strcmp(said, "deny") != 0 && strcmp(said, "ignore") != 0) {
		return unavailable("its result is neither allow, deny nor ignore", status);
	}
	count(CNT_http_logins__answered);
	return wrong == NULL && (said == NULL || said[0] == 'a') ? VERDICT_ALLOW
	    : said[0] == 'd'                                     ? VERDICT_DENY
								 : VERDICT_UNKNOWN;
}

/* By its type, or by what it looks like: a no that is said in the wrong way must not be a yes. */
static bool
is_json(const struct fetch_answer *a)
{
	size_t i = 0;

	while (i < a->body.len && memchr(" \t\r\n", a->body.p[i], 4) != NULL)
		i++;
	return i < a->body.len &&
	    (a->body.p[i] == '{' || strncasecmp(a->type, "application/json", 16) == 0);
}

enum verdict
http_verdict(struct login *l, const struct fetch_answer *a)
{
	enum verdict v;
	json_error_t bad;
	json_t *j;

	l->found = (struct login_found){ 0 };
	if (a->status == 0)
		return unavailable(a->why, 0);
	if (a->status >= 400 && a->status <= 499) {
		count(CNT_http_logins__answered);
		return self.conf.http_denied == HTTP_DENIED_deny ? VERDICT_DENY : VERDICT_UNKNOWN;
	}
	if (a->status < 200 || a->status > 299)
		return unavailable("which means nothing here", a->status);
	if (!is_json(a)) {
		count(CNT_http_logins__answered);
		return VERDICT_ALLOW;
	}
	j = json_loadb((const char *)a->body.p, a->body.len, JSON_REJECT_DUPLICATES, &bad);
	v = json_is_object(j) ? say_result(l, j, a->status)
			      : unavailable("what it says is no object of JSON", a->status);
	json_decref(j);
	return v;
}

const struct provider http = { .ask = http_ask, .take_back = http_take_back };
