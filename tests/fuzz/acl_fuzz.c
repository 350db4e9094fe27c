/*
 * Access rules in either format, which the first byte picks: what compiles has to be an image that is taken, and decides without harm. What it
 * lets through unchecked as a subscription it has to let through as a message.
 */
#include <errno.h>
#include <stdlib.h>

#include "shared/acl/acl.h"
#include "shared/base/must.h"
#include "shared/mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const filter[] = { "#", "a/#", "a/+/b", "+/b/c", "$SYS/#", "a", "/" };
static const char *const topic[] = { "a", "a/b", "a/u/b", "a/c/b", "u/b/c", "$SYS/x", "/", "a//" };

static void
use(const struct acl_bound *b, const struct acl_who *who)
{
	for (size_t t = 0; t < sizeof(topic) / sizeof(topic[0]); t++)
		(void)acl_decide(b, who, ACL_PUBLISH, span_str(topic[t]));
	for (size_t f = 0; f < sizeof(filter) / sizeof(filter[0]); f++) {
		struct acl_verdict v = acl_decide(b, who, ACL_SUBSCRIBE, span_str(filter[f]));

		for (size_t t = 0; t < sizeof(topic) / sizeof(topic[0]); t++)
			must(!v.allowed || v.checked ||
			    !topic_match(span_str(filter[f]), span_str(topic[t])) ||
			    acl_decide(b, who, ACL_RECEIVE, span_str(topic[t])).allowed);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl_who who = {
		.client = span_str("c"), .user = span_str("u"), .cert = span_str("n")
	};
	struct acl_error err;
	struct acl_image *im;
	struct acl_bound *b;
	struct acl_set *set;
	void *p = NULL;
	size_t len;
	FILE *in;
	int bad;

	if (size < 2)
		return 0;
	in = fmemopen((void *)(uintptr_t)(data + 1), size - 1, "r");
	must(in != NULL);
	bad = acl_compile(in, "rules", data[0] % 2 ? ACL_MOSQUITTO : ACL_TBMQ, &p, &len, &err);
	fclose(in);
	must(bad == 0 || bad == -EINVAL);
	if (bad != 0)
		return 0;
	must(acl_image_new(span_of(p, len), &im) == 0);
	set = acl_set_new(&im, 1, data[0] & 2);
	must(set != NULL);
	b = acl_bind(set, &who);
	must(b != NULL);
	use(b, &who);
	acl_unbind(&b);
	acl_set_unref(&set);
	free(p);
	return 0;
}
