#include "shared/acl/image.h"

static struct {
	pcre2_match_context *limits;
	pcre2_match_data *data;
} the;

pcre2_code *
acl_regex_compile(struct span pattern, int *err_out, size_t *at_out)
{
	return pcre2_compile(pattern.p, pattern.len,
	    PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, err_out,
	    at_out, NULL);
}

static bool
is_ready(void)
{
	if (the.limits == NULL && (the.limits = pcre2_match_context_create(NULL)) != NULL) {
		pcre2_set_match_limit(the.limits, ACL_MATCH_LIMIT);
		pcre2_set_depth_limit(the.limits, ACL_DEPTH_LIMIT);
		pcre2_set_heap_limit(the.limits, ACL_HEAP_KIB);
	}
	if (the.data == NULL)
		the.data = pcre2_match_data_create(1, NULL);
	return the.limits != NULL && the.data != NULL;
}

int
acl_regex_match(const pcre2_code *re, struct span subject)
{
	int n;

	if (!is_ready())
		return -1;
	n = pcre2_match(re, subject.len > 0 ? subject.p : (const uint8_t *)"", subject.len, 0, 0,
	    the.data, the.limits);
	return n >= 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
