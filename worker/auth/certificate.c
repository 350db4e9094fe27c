#include "worker/auth/certificate.h"

#include <stdio.h>

static const char *const kind_name[NAME_KINDS] = { [NAME_COMMON] = "common_name",
	[NAME_SUBJECT] = "subject",
	[NAME_DNS] = "dns",
	[NAME_EMAIL] = "email",
	[NAME_URI] = "uri" };

bool
certificate_parse(const char *rule, struct certificate_rule *out)
{
	struct certificate_rule r = { 0 };
	size_t len = strcspn(rule, "@=~");
	const char *at = rule + len;

	while (r.kind < NAME_KINDS && !span_eq(span_of(rule, len), span_str(kind_name[r.kind])))
		r.kind++;
	if (r.kind == NAME_KINDS || strlen(rule) > CERTIFICATE_RULE_MAX)
		return false;
	if (strncmp(at, "@any", 4) == 0) {
		r.depth = CERTIFICATE_ANY;
		at += 4;
	} else if (at[0] == '@' && at[1] >= '1' && at[1] <= '0' + CERTIFICATE_DEPTH_MAX) {
		r.depth = at[1] - '0';
		at += 2;
	}
	if ((*at != '=' && *at != '~') || at[1] == '\0')
		return false;
	r.is_pattern = *at == '~';
	r.text = span_str(at + 1);
	*out = r;
	return true;
}

bool
certificate_rule_of(
    enum rec_name_kind kind, int depth, struct span text, char out[CERTIFICATE_RULE_MAX + 1])
{
	char of[8] = "";
	int len;

	if (kind >= NAME_KINDS || depth > CERTIFICATE_DEPTH_MAX || text.len == 0 ||
	    text.len > CERTIFICATE_RULE_MAX || memchr(text.p, '\0', text.len) != NULL)
		return false;
	if (depth == CERTIFICATE_ANY)
		snprintf(of, sizeof(of), "@any");
	else if (depth > 0)
		snprintf(of, sizeof(of), "@%d", depth);
	len = snprintf(out, CERTIFICATE_RULE_MAX + 1, "%s%s=%.*s", kind_name[kind], of,
	    (int)text.len, (const char *)text.p);
	return len <= CERTIFICATE_RULE_MAX;
}
