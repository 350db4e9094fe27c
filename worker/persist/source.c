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

static bool
may_publish(struct span source, struct span topic)
{
	struct acl_known known = { 0 };
	bool may;

	if (source.len == 0 || the.now == NULL)
		return true;
	may = acl_who_read(source, &known) && bind_to(source, &known.who) &&
	    acl_decide(the.bound, &known.who, ACL_PUBLISH, topic).allowed;
	count_add(CNT_acl_errors, acl_errors());
	return may;
}

bool
source_may_give(const struct store_retained *r)
{
	if (!self.conf.check_retain_source || may_publish(r->source, r->v.topic))
		return true;
	count(CNT_dropped__retain_source);
	log_debug("source: withheld topic=\"%s\"", log_esc(r->v.topic));
	return false;
}

bool
source_may_will(const struct store_will *w)
{
	if (may_publish(w->source, w->v.topic))
		return true;
	count(CNT_wills_ended);
	log_info("source: will ended topic=\"%s\"", log_esc(w->v.topic));
	return false;
}
