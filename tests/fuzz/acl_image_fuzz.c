/*
 * Any bytes as the image of access rules: it is refused, or what it decides does no harm.
 */
#include <stdlib.h>

#include "shared/acl/image.h"
#include "shared/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const topic[] = { "a", "a/b/c", "+/b", "#", "a/#", "$SYS/x", "u/c/n" };
	struct acl_who who = {
		.client = span_str("c"), .user = span_str("u"), .cert = span_str("n")
	};
	struct acl_image *im;
	struct acl_set *set;
	struct acl_bound *b;
	uint8_t *p = malloc(size > 0 ? size : 1);

	must(p != NULL);
	memcpy(p, data, size);
	if (acl_image_new(span_of(p, size), &im) == 0) {
		set = acl_set_new(&im, 1, false);
		must(set != NULL);
		b = acl_bind(set, &who);
		must(b != NULL);
		for (unsigned a = 0; a < ACL_ACTIONS; a++)
			for (size_t i = 0; i < sizeof(topic) / sizeof(topic[0]); i++)
				(void)acl_decide(b, &who, a, span_str(topic[i]));
		for (uint32_t i = 0; i < acl_image_rules(im); i++)
			(void)acl_image_rule(im, i);
		acl_unbind(&b);
		acl_set_unref(&set);
	}
	free(p);
	return 0;
}
