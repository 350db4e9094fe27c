#define PCRE2_CODE_UNIT_WIDTH 8

#include "shared/base/regex.h"

#include <pcre2.h>
#include <stdio.h>

/* A search that needs more is by an expression that could be made to need any amount. */
#define STEPS_MAX 50000
#define DEPTH_MAX 1000
#define HEAP_KIB_MAX 256

static const uint8_t nothing[1];

static struct {
	pcre2_match_context *bounds;
	pcre2_match_data *data;
} the;

static bool
get_ready(void)
{
	if (the.bounds == NULL)
		the.bounds = pcre2_match_context_create(NULL);
	if (the.data == NULL)
		the.data = pcre2_match_data_create(1, NULL);
	if (the.bounds == NULL || the.data == NULL)
		return false;
	pcre2_set_match_limit(the.bounds, STEPS_MAX);
	pcre2_set_depth_limit(the.bounds, DEPTH_MAX);
	pcre2_set_heap_limit(the.bounds, HEAP_KIB_MAX);
	return true;
}

struct regex *
regex_new(struct span pattern, char why[256])
{
	uint8_t text[160] = "";
	PCRE2_SIZE at;
	pcre2_code *code;
	int err;

	code = pcre2_compile(pattern.len > 0 ? pattern.p : nothing, pattern.len,
	    PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &err, &at,
	    NULL);
	if (code == NULL) {
		pcre2_get_error_message(err, text, sizeof(text));
		snprintf(why, 256, "no regular expression, at character %zu: %s", at + 1,
		    (const char *)text);
	}
	return (struct regex *)code;
}

void
regex_free(struct regex *re)
{
	pcre2_code_free((pcre2_code *)re);
}

int
regex_find(const struct regex *re, struct span text)
{
	int n;

	if (!get_ready())
		return -1;
	n = pcre2_match((const pcre2_code *)re, text.len > 0 ? text.p : nothing, text.len, 0, 0,
	    the.data, the.bounds);
	return n >= 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
