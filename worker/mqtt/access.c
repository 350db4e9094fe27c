#include "worker/mqtt/access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/acl/who.h"
#include "shared/base/log.h"
#include "shared/conf/rules.h"
#include "shared/net/tls.h"
#include "worker/mqtt/connect.h"
#include "worker/mqtt/identity.h"
#include "worker/mqtt/refused.h"
#include "worker/mqtt/subscribe.h"

#define REVIEW_MAX 1000   /* clients and subscriptions looked at again in a turn */
#define NAME_SIZE 1024    /* of a certificate's common name */
#define PAGE_BYTES 262144 /* of rules in an answer, or the one that goes beyond */
#define LOOK_MAX 10000    /* clients looked at for one answer */

/* The rules of a configuration; no set: it has none. */
struct rules {
	struct acl_set *set;
	uint64_t *decided[ACL_IMAGES]; /* by rule: how often */
	uint64_t by_default[2];        /* [allow] */
};

static struct {
	struct rules_given given;
	struct rules now, next;
	/* Who is looked at again: the next one, and one whose subscriptions are not all done. */
	bool reviews;
	uint32_t at;
	uint64_t serial;
	uint32_t handle, left;
	uint64_t ended;  /* subscriptions, since this review began */
	uint8_t *source; /* who the last publisher of a retained message was */
	size_t source_room;
} the;

static int build(const struct conf *c, struct rules *out);
static void rules_free(struct rules *r);
static bool is_bound(struct conn *c);
static_assert(IDENTITY_GROUPS_MAX <= ACL_WHO_GROUPS, "who.h has to know as many");

static bool decide(struct conn *c, enum acl_action a, struct span topic, struct acl_verdict *out);
static void review_will(struct conn *c);
static void review_sub(struct conn *c, struct sub *s);

void
access_rules(unsigned from, int fd)
{
	rules_give(&the.given, from, fd);
}

int
access_start(void)
{
	int err = build(&self.conf, &the.now);

	if (err != 0)
		log_err("access: the rules can't be used: %s", strerror(-err));
	return err;
}

int
access_check(const struct conf *next, char why[256])
{
	int err;

	access_withdraw();
	err = build(next, &the.next);
	if (err != 0)
		snprintf(why, 256, "the access rules can't be used: %s", strerror(-err));
	return err;
}

/* Are they, and what holds without one, what they were? Then nothing has to be looked at again, and counts go on. */
static bool
are_same(const struct acl_set *a, const struct acl_set *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->allow != b->allow || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (!acl_image_eq(a->image[i], b->image[i]))
			return false;
	return true;
}

/* Of rules that stay as they were. */
static void
keep_counts(struct rules *from, struct rules *to)
{
	for (unsigned i = 0; from->set != NULL && i < from->set->n; i++)
		for (unsigned j = 0; to->set != NULL && j < to->set->n; j++)
			if (acl_image_eq(from->set->image[i], to->set->image[j])) {
				uint64_t *fresh = to->decided[j];

				to->decided[j] = from->decided[i];
				from->decided[i] = fresh;
			}
}

void
access_commit(void)
{
	if (are_same(the.now.set, the.next.set)) {
		rules_free(&the.next);
		return;
	}
	keep_counts(&the.now, &the.next);
	rules_free(&the.now);
	the.now = the.next;
	the.next = (struct rules){ 0 };
	the.reviews = true;
	the.at = 0;
	the.serial = 0;
	the.left = 0;
	the.ended = 0;
}

void
access_withdraw(void)
{
	rules_free(&the.next);
}

void
access_fini(void)
{
	rules_drop(&the.given);
	rules_free(&the.now);
	rules_free(&the.next);
	free(the.source);
	the.source = NULL;
	the.source_room = 0;
}

void
access_leave(struct conn *c)
{
	acl_unbind(&c->acl);
}

static int
build(const struct conf *c, struct rules *out)
{
	struct rules r = { 0 };
	int err = rules_map(c, &the.given, &r.set);

	for (unsigned i = 0; r.set != NULL && i < r.set->n; i++) {
		r.decided[i] = calloc(acl_image_rules(r.set->image[i]) + 1, sizeof(uint64_t));
		if (r.decided[i] == NULL)
			err = -ENOMEM;
	}
	if (err == 0)
		*out = r;
	else
		rules_free(&r);
	return err;
}

static void
rules_free(struct rules *r)
{
	acl_set_unref(&r->set);
	for (unsigned i = 0; i < ACL_IMAGES; i++)
		free(r->decided[i]);
	*r = (struct rules){ 0 };
}

/* --- deciding ---------------------------------------------------------------------------- */

static struct acl_who
who_is(const struct conn *c)
{
	return (struct acl_who){
		.client = conn_id(c),
		.user = span_of(c->user, c->user != NULL ? c->user_len : 0),
		.attribute = identity_attribute,
		.arg = c->identity,
	};
}

static struct span
cert_of(const struct conn *c, char name[NAME_SIZE])
{
	ssize_t n =
	    c->tls != NULL ? tls_user(c->tls, CERTIFICATE_USER_common_name, name, NAME_SIZE) : 0;

	return span_of(name, n > 0 ? (size_t)n : 0);
}

/* To the rules in force, if there are any. */
static bool
is_bound(struct conn *c)
{
	struct span groups[IDENTITY_GROUPS_MAX];
	struct acl_who who = who_is(c);
	char name[NAME_SIZE];

	if (c->acl != NULL && acl_bound_set(c->acl) == the.now.set)
		return true;
	acl_unbind(&c->acl);
	if (the.now.set == NULL)
		return true;
	if (acl_set_uses_cert(the.now.set))
		who.cert = cert_of(c, name);
	who.groups = groups;
	who.ngroups = identity_groups(c, groups);
	c->acl = acl_bind(the.now.set, &who);
	if (c->acl == NULL)
		count(CNT_acl_no_memory);
	return c->acl != NULL;
}

static bool
decide(struct conn *c, enum acl_action a, struct span topic, struct acl_verdict *out)
{
	struct acl_verdict v = { .rule = ACL_NONE, .because = ACL_NONE };
	struct acl_who who = who_is(c);

	if (is_bound(c)) {
		v = acl_decide(c->acl, &who, a, topic);
		count_add(CNT_acl_errors, acl_errors());
		if (v.rule == ACL_NONE)
			the.now.by_default[v.allowed]++;
		else
			the.now.decided[v.image][v.rule]++;
	}
	*out = v;
	return v.allowed;
}

/* "/etc/tbmq/acl:12", or "default". Borrowed until the next call. */
static const char *
place_of(unsigned image, uint32_t rule)
{
	static char text[300];
	const struct acl_image *im;
	struct span name;

	if (rule == ACL_NONE)
		return "default";
	im = the.now.set->image[image];
	name = acl_image_name(im);
	snprintf(text, sizeof(text), "%.*s:%" PRIu32, (int)name.len, (const char *)name.p,
	    acl_image_rule(im, rule).line);
	return text;
}

static const char *
by(const struct acl_verdict *v)
{
	return place_of(v->image, v->rule);
}

static void
log_denied(const struct conn *c, const char *what, struct span topic, const struct acl_verdict *v)
{
	log_info("access: denied id=%s %s=\"%s\" by=%s", conn_name(c), what, log_esc(topic), by(v));
}

bool
access_publish(struct conn *c, struct span topic)
{
	struct acl_verdict v;

	if (the.now.set == NULL || decide(c, ACL_PUBLISH, topic, &v))
		return true;
	count(CNT_publish_refused__acl);
	log_denied(c, "publish", topic, &v);
	refused_note(c, MQTT_NOT_AUTHORIZED, "PUBLISH");
	return false;
}

bool
access_will(struct conn *c)
{
	struct acl_verdict v;

	if (c->will == NULL || the.now.set == NULL)
		return true;
	return decide(c, ACL_PUBLISH, msg_view(c->will).topic, &v);
}

bool
access_subscribe(struct conn *c, struct span filter, bool *checked_out)
{
	struct acl_verdict v = { .checked = false };

	if (the.now.set == NULL || decide(c, ACL_SUBSCRIBE, filter, &v)) {
		*checked_out = v.checked;
		return true;
	}
	log_denied(c, "subscribe", filter, &v);
	refused_note(c, MQTT_NOT_AUTHORIZED, "SUBSCRIBE");
	return false;
}

bool
access_receive(struct conn *c, struct span topic)
{
	struct acl_verdict v;

	if (the.now.set == NULL || decide(c, ACL_RECEIVE, topic, &v))
		return true;
	count(CNT_dropped__acl);
	log_debug(
	    "access: withheld id=%s topic=\"%s\" by=%s", conn_name(c), log_esc(topic), by(&v));
	return false;
}

struct span
access_source(const struct conn *c)
{
	return self.conf.check_retain_source ? access_will_source(c) : span_of(NULL, 0);
}

struct span
access_will_source(const struct conn *c)
{
	struct span groups[IDENTITY_GROUPS_MAX];
	struct span attributes = identity_attributes(c->identity);
	struct acl_who who = who_is(c);
	char name[NAME_SIZE];
	struct wr w;
	size_t len;

	if (the.now.set == NULL)
		return span_of(NULL, 0);
	who.cert = cert_of(c, name);
	who.groups = groups;
	who.ngroups = identity_groups(c, groups);
	len = acl_who_len(&who, attributes);
	if (len > the.source_room) {
		uint8_t *p = realloc(the.source, len);

		if (p == NULL)
			return span_of(NULL, 0);
		the.source = p;
		the.source_room = len;
	}
	w = wr_of(the.source, len);
	acl_who_write(&w, &who, attributes);
	return span_of(the.source, len);
}

/* --- after a change ---------------------------------------------------------------------- */

static void
review_will(struct conn *c)
{
	struct acl_verdict v;
	struct msg_view will;

	if (c->will == NULL || the.now.set == NULL)
		return;
	will = msg_view(c->will);
	if (decide(c, ACL_PUBLISH, will.topic, &v))
		return;
	count(CNT_wills_ended);
	log_info("access: will ended id=%s topic=\"%s\" by=%s", conn_name(c), log_esc(will.topic),
	    by(&v));
	connect_will_ends(c);
}

static void
review_sub(struct conn *c, struct sub *s)
{
	struct acl_verdict v = { .checked = false };

	if (the.now.set == NULL || decide(c, ACL_SUBSCRIBE, index_filter(&s->node->n), &v)) {
		s->checked = v.checked;
		return;
	}
	count(CNT_subscriptions_ended);
	the.ended++;
	log_info("access: subscription ended id=%s filter=\"%s\" by=%s", conn_name(c),
	    log_esc(index_filter(&s->node->n)), by(&v));
	subscribe_end(s);
}

void
access_review(struct conn *c)
{
	struct sub *s, *tmp;

	if (the.now.set == NULL)
		return;
	if (c->acl == NULL || acl_bound_set(c->acl) != the.now.set) /* since it was asked for */
		review_will(c);
	LIST_FOREACH(s, tmp, &c->subs, struct sub, link)
		review_sub(c, s);
}

/*
 * Each subscription that is done goes to the end of its connection's list, where those that come meanwhile go too: so `left` from its beginning are
 * still to be done, whatever else ends.
 */
static unsigned
review_some(struct conn *c, unsigned budget)
{
	while (the.left > 0 && budget > 0 && !list_is_empty(&c->subs)) {
		struct sub *s = container_of(c->subs.next, struct sub, link);

		list_del(&s->link);
		list_add_tail(&c->subs, &s->link);
		review_sub(c, s);
		the.left--;
		budget--;
	}
	if (list_is_empty(&c->subs))
		the.left = 0;
	return budget;
}

bool
access_turn(void)
{
	unsigned budget = REVIEW_MAX;

	while (the.reviews && budget > 0) {
		struct conn *c = the.left > 0 ? conn_find(the.handle, the.serial) : NULL;

		if (c == NULL || c->state != CONN_OPEN) {
			c = conn_next(&the.at);
			the.left = 0;
			if (c == NULL) {
				the.reviews = false;
				log_notice("access: rules changed, subscriptions ended=%" PRIu64,
				    the.ended);
				break;
			}
			budget--;
			if (c->state != CONN_OPEN)
				continue; /* connect_granted() looks at those to come */
			(void)is_bound(c);
			review_will(c);
			the.handle = c->handle;
			the.serial = c->serial;
			the.left = c->nsubs;
		}
		budget = review_some(c, budget);
	}
	return the.reviews;
}

/* --- administrators ---------------------------------------------------------------------- */

static json_t *
text_of(struct span s)
{
	json_t *j = json_stringn((const char *)s.p, s.len);

	return j != NULL ? j : json_string("");
}

/* "IMAGE:RULE" is the cursor. */
json_t *
access_list(const struct request *r)
{
	const struct acl_set *set = the.now.set;
	json_t *items = json_array();
	char next[32] = "", *end;
	unsigned long image = strtoul(r->after, &end, 10);
	unsigned long at = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
	size_t bytes = 0;

	for (; set != NULL && image < set->n; image++, at = 0)
		for (; at < acl_image_rules(set->image[image]); at++) {
			struct acl_rule rule = acl_image_rule(set->image[image], (uint32_t)at);

			if (json_array_size(items) >= r->limit || bytes >= PAGE_BYTES) {
				snprintf(next, sizeof(next), "%lu:%lu", image, at);
				goto out;
			}
			json_array_append_new(items,
			    json_pack("{s:I, s:s, s:o, s:I}", "rule", (json_int_t)at + 1, "where",
				place_of((unsigned)image, (uint32_t)at), "text", text_of(rule.text),
				"decided", (json_int_t)the.now.decided[image][at]));
			bytes += rule.text.len;
		}
	if (set != NULL)
		json_array_append_new(items,
		    json_pack("{s:n, s:s, s:s, s:I}", "rule", "where", "default", "text",
			set->allow ? "allow" : "deny", "decided",
			(json_int_t)the.now.by_default[set->allow]));
out:
	return next[0] != '\0' ? json_pack("{s:b, s:o, s:s}", "ok", 1, "items", items, "next", next)
			       : json_pack("{s:b, s:o}", "ok", 1, "items", items);
}

static bool
action_of(const char *word, enum acl_action *out)
{
	static const char *const name[ACL_ACTIONS] = { "publish", "subscribe", "receive" };

	for (unsigned a = 0; word != NULL && a < ACL_ACTIONS; a++)
		if (strcmp(word, name[a]) == 0) {
			*out = a;
			return true;
		}
	return false;
}

/* Why it is so, in words. */
static const char *
reason_of(enum acl_action a, const struct acl_verdict *v)
{
	if (the.now.set == NULL)
		return "there are no access rules";
	if (v->checked && v->rule == ACL_NONE && !the.now.set->allow)
		return "every filter is accepted, each message is checked";
	if (v->checked && v->because != ACL_NONE)
		return "allowed as a whole, but each message is checked, for another rule comes "
		       "before and "
		       "denies some";
	if (v->checked)
		return "allowed by a regular expression, so each message is checked";
	if (v->rule == ACL_NONE)
		return a == ACL_SUBSCRIBE ? "no rule covers the filter"
					  : "no rule matches the topic";
	return a == ACL_SUBSCRIBE ? "the first rule that covers the filter"
				  : "the first rule that matches the topic";
}

static json_t *
rule_json(unsigned image, uint32_t rule)
{
	return rule == ACL_NONE ? json_null()
				: text_of(acl_image_rule(the.now.set->image[image], rule).text);
}

static json_t *
verdict_json(const struct acl_who *who, enum acl_action a, struct span topic,
    const struct acl_verdict *v, bool is_connected)
{
	json_t *j = json_pack("{s:b, s:b, s:o, s:o, s:o, s:b, s:o, s:b, s:s, s:o, s:s}", "ok", 1,
	    "connected", is_connected, "client_id", text_of(who->client), "user_name",
	    who->user.len > 0 ? text_of(who->user) : json_null(), "certificate",
	    who->cert.len > 0 ? text_of(who->cert) : json_null(), "allowed", v->allowed, "topic",
	    text_of(topic), "checked", v->checked, "by", the.now.set != NULL ? by(v) : "default",
	    "rule", rule_json(v->image, v->rule), "why", reason_of(a, v));

	if (j != NULL && v->because != ACL_NONE) {
		json_object_set_new(
		    j, "before", json_string(place_of(v->because_image, v->because)));
		json_object_set_new(j, "before_rule", rule_json(v->because_image, v->because));
	}
	return j;
}

static json_t *
explain(const struct acl_who *who, enum acl_action a, struct span topic, bool is_connected,
    const char **why)
{
	struct acl_verdict v = { .allowed = true, .rule = ACL_NONE, .because = ACL_NONE };
	struct acl_bound *b;

	if (the.now.set != NULL) {
		b = acl_bind(the.now.set, who);
		*why = "no memory";
		if (b == NULL)
			return NULL;
		v = acl_decide(b, who, a, topic);
		acl_unbind(&b);
		(void)acl_errors();
	}
	return verdict_json(who, a, topic, &v, is_connected);
}

/* As it is routed, in buf: with the mount point, if the client has one. */
static struct span
topic_of(const struct conn *c, struct span topic, char buf[2 * UINT16_MAX])
{
	memcpy(buf, c->mount != NULL ? c->mount : "", c->mount_len);
	memcpy(buf + c->mount_len, topic.p, topic.len);
	return span_of(buf, c->mount_len + topic.len);
}

/* The next of the clients has that identifier, or another page has to be asked for. */
static json_t *
explain_connected(
    const char *id, enum acl_action a, struct span topic, const char *after, const char **why)
{
	static char full[2 * UINT16_MAX];
	uint32_t handle = (uint32_t)strtoul(after, NULL, 10);
	struct span groups[IDENTITY_GROUPS_MAX];
	char name[NAME_SIZE], next[32];
	struct conn *c;

	for (unsigned looked = 0; (c = conn_next(&handle)) != NULL; looked++) {
		struct acl_who who;

		if (looked >= LOOK_MAX) {
			snprintf(next, sizeof(next), "%" PRIu32, handle - 1);
			return json_pack("{s:b, s:s}", "ok", 1, "next", next);
		}
		if (c->state != CONN_OPEN || !span_eq(conn_id(c), span_str(id)))
			continue;
		who = who_is(c);
		who.cert = cert_of(c, name);
		who.groups = groups;
		who.ngroups = identity_groups(c, groups);
		return explain(&who, a, topic_of(c, topic, full), true, why);
	}
	*why = "no such client is connected here";
	return NULL;
}

json_t *
access_explain(const struct request *r, const char **why_out)
{
	const char *id = request_str(r, "client_id"), *user = request_str(r, "user"),
		   *cert = request_str(r, "cert"), *names = request_str(r, "groups"),
		   *text = request_str(r, "topic");
	struct span topic = span_str(text != NULL ? text : ""), name;
	struct span groups[IDENTITY_GROUPS_MAX];
	enum acl_action a;

	*why_out = "explain needs client_id, action (publish, subscribe or receive) and topic";
	if (id == NULL || !action_of(request_str(r, "action"), &a))
		return NULL;
	*why_out = "that is no topic, nor of subscribe a filter";
	if (topic.len > UINT16_MAX ||
	    !(a == ACL_SUBSCRIBE ? filter_is_valid(topic) : topic_is_valid(topic)))
		return NULL;
	if (a == ACL_SUBSCRIBE)
		filter_share(topic, &name, &topic);
	if (!json_is_true(json_object_get(r->parameters, "supposed")))
		return explain_connected(id, a, topic, r->after, why_out);
	return explain(
	    &(struct acl_who){ .client = span_str(id),
		.user = span_str(user != NULL ? user : ""),
		.cert = span_str(cert != NULL ? cert : ""),
		.groups = groups,
		.ngroups = identity_split(span_str(names != NULL ? names : ""), groups) },
	    a, topic, false, why_out);
}
