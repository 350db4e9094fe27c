#include "worker/persist/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/acl/who.h"
#include "shared/base/log.h"
#include "shared/child/child.h"
#include "shared/conf/rules.h"

static struct {
	struct rules_given given;
	struct acl_set *now, *next;
	/* The one that was asked for last: a page is mostly of few. */
	struct acl_bound *bound;
	uint8_t *bytes;
	size_t len;
	uint8_t *own; /* of source_of() */
} the;

static void
forget(void)
{
	acl_unbind(&the.bound);
	free(the.bytes);
	the.bytes = NULL;
	the.len = 0;
}

void
source_rules(unsigned from, int fd)
{
	rules_give(&the.given, from, fd);
}

int
source_start(void)
{
	int err = rules_map(&self.conf, &the.given, &the.now);

	if (err != 0)
		log_err("source: the access rules can't be used: %s", strerror(-err));
	return err;
}

int
source_check(const struct conf *next, char why[256])
{
	int err;

	source_withdraw();
	err = rules_map(next, &the.given, &the.next);
	if (err != 0)
		snprintf(why, 256, "the access rules can't be used: %s", strerror(-err));
	return err;
}

void
source_commit(void)
{
	forget();
	acl_set_unref(&the.now);
	the.now = the.next;
	the.next = NULL;
}

void
source_withdraw(void)
{
	acl_set_unref(&the.next);
}

void
source_fini(void)
{
	rules_drop(&the.given);
	forget();
	acl_set_unref(&the.now);
	acl_set_unref(&the.next);
	free(the.own);
	the.own = NULL;
}

static bool
bind_to(struct span source, const struct acl_who *who)
{
	if (the.bound != NULL && span_eq(span_of(the.bytes, the.len), source))
		return true;
	forget();
	the.bound = acl_bind(the.now, who);
	the.bytes = malloc(source.len);
	if (the.bound == NULL || the.bytes == NULL) {
		forget();
		count(CNT_acl_no_memory);
		return false;
	}
	memcpy(the.bytes, source.p, source.len);
	the.len = source.len;
	return true;
}

bool
source_may(const struct store_retained *r)
{
	struct acl_known known = { 0 };
	bool may;

	if (r->source.len == 0 || the.now == NULL || !self.conf.check_retain_source)
		return true;
	may = acl_who_read(r->source, &known) && bind_to(r->source, &known.who) &&
	    acl_decide(the.bound, &known.who, ACL_PUBLISH, r->v.topic).allowed;
	count_add(CNT_acl_errors, acl_errors());
	if (may)
		return true;
	count(CNT_dropped__retain_source);
	log_debug("source: withheld topic=\"%s\"", log_esc(r->v.topic));
	return false;
}

struct span
source_of(const struct session *s)
{
	struct acl_who who = { 0 };
	struct wr w;
	size_t len;

	if (s == NULL || the.now == NULL || !self.conf.check_retain_source)
		return span_of(NULL, 0);
	who.client = session_id(s);
	who.user = span_str(s->user != NULL ? s->user : "");
	len = acl_who_len(&who, span_of(NULL, 0));
	free(the.own);
	the.own = malloc(len);
	if (the.own == NULL)
		return span_of(NULL, 0);
	w = wr_of(the.own, len);
	acl_who_write(&w, &who, span_of(NULL, 0));
	return span_of(the.own, len);
}
