#include "worker/mqtt/access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/acl/acl.h"
#include "shared/base/log.h"
#include "shared/conf/rules.h"
#include "shared/net/tls.h"
#include "worker/mqtt/connect.h"
#include "worker/mqtt/subscribe.h"

#define REVIEW_MAX 1000 /* clients and subscriptions looked at again in a turn */
#define NAME_MAX_CERT 1024

/* The rules of a configuration; no set: it has none. */
struct rules {
	struct acl_set *set;
	uint64_t *decided[ACL_IMAGES]; /* by rule: how often */
	uint64_t by_default[2];        /* [allow] */
};

static struct {
	int fd; /* of the configuration to come */
	bool has_fd;
	struct rules now, next;
	/* Who is looked at again: the next one, and one whose subscriptions are not all done. */
	bool reviews;
	uint32_t at;
	uint64_t serial;
	uint32_t handle, left;
	uint64_t ended; /* subscriptions, since this review began */
} the;

static int build(const struct conf *c, struct rules *out);
static void rules_free(struct rules *r);
static void drop_fd(void);
static bool is_bound(struct conn *c);
static bool decide(struct conn *c, enum acl_action a, struct span topic, struct acl_verdict *out);
static void review_will(struct conn *c);
static void review_sub(struct conn *c, struct sub *s);

void
access_rules(int fd)
{
	drop_fd();
	the.fd = fd;
	the.has_fd = true;
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
	return a->allow == b->allow && a->n == b->n && acl_image_eq(a->image[0], b->image[0]);
}

void
access_commit(void)
{
	if (are_same(the.now.set, the.next.set)) {
		rules_free(&the.next);
		return;
	}
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
	drop_fd();
	rules_free(&the.now);
	rules_free(&the.next);
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
	struct acl_image *im = NULL;
	int err = 0;

	if (c->acl_file.s[0] != '\0')
		err = the.has_fd ? acl_image_map(the.fd, &im) : -EPROTO;
	drop_fd();
	if (im != NULL) {
		r.set = acl_set_new(&im, 1, rules_allow(c));
		r.decided[0] = calloc(acl_image_rules(im) + 1, sizeof(uint64_t));
		if (r.set == NULL || r.decided[0] == NULL)
			err = -ENOMEM;
		if (r.set == NULL)
			acl_image_free(im);
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

static void
drop_fd(void)
{
	if (the.has_fd)
		close(the.fd);
	the.has_fd = false;
}

/* --- deciding ---------------------------------------------------------------------------- */

static struct acl_who
who_is(const struct conn *c)
{
	return (struct acl_who){
		.client = conn_id(c),
		.user = span_of(c->user, c->user != NULL ? c->user_len : 0),
	};
}

/* To the rules in force, if there are any. */
static bool
is_bound(struct conn *c)
{
	struct acl_who who = who_is(c);
	char name[NAME_MAX_CERT];
	ssize_t n;

	if (c->acl != NULL && acl_bound_set(c->acl) == the.now.set)
		return true;
	acl_unbind(&c->acl);
	if (the.now.set == NULL)
		return true;
	if (c->tls != NULL && acl_set_uses_cert(the.now.set)) {
		n = tls_user(c->tls, CERTIFICATE_USER_common_name, name, sizeof(name));
		who.cert = span_of(name, n > 0 ? (size_t)n : 0);
	}
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
by(const struct acl_verdict *v)
{
	static char text[300];
	struct span name;

	if (v->rule == ACL_NONE)
		return "default";
	name = acl_image_name(the.now.set->image[v->image]);
	snprintf(text, sizeof(text), "%.*s:%" PRIu32, (int)name.len, (const char *)name.p,
	    acl_image_rule(the.now.set->image[v->image], v->rule).line);
	return text;
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
