#include "shared/acl/who.h"

#include <string.h>

#include "shared/mqtt/rd.h"

size_t
acl_who_len(const struct acl_who *who, struct span attributes)
{
	size_t len = 2 + who->client.len + 2 + who->user.len + 2 + who->cert.len + 1;

	for (size_t i = 0; i < who->ngroups; i++)
		len += 2 + who->groups[i].len;
	return len + attributes.len;
}

void
acl_who_write(struct wr *w, const struct acl_who *who, struct span attributes)
{
	wr_str(w, who->client);
	wr_str(w, who->user);
	wr_str(w, who->cert);
	w->over |= who->ngroups > ACL_WHO_GROUPS;
	wr_u8(w, (uint8_t)who->ngroups);
	for (size_t i = 0; i < who->ngroups; i++)
		wr_str(w, who->groups[i]);
	wr_raw(w, attributes);
}

static struct span
attribute(const void *arg, struct span name)
{
	return acl_attribute(((const struct acl_known *)arg)->attributes, name);
}

bool
acl_who_read(struct span s, struct acl_known *out)
{
	struct acl_who who = { .groups = out->groups, .attribute = attribute, .arg = out };
	struct rd r = rd_of(s);

	who.client = rd_bin(&r);
	who.user = rd_bin(&r);
	who.cert = rd_bin(&r);
	who.ngroups = rd_u8(&r);
	if (who.ngroups > ACL_WHO_GROUPS)
		return false;
	for (size_t i = 0; i < who.ngroups; i++)
		out->groups[i] = rd_bin(&r);
	if (r.bad)
		return false;
	out->attributes = rd_rest(&r);
	out->who = who;
	return true;
}

struct span
acl_attribute(struct span attributes, struct span name)
{
	const char *p = (const char *)attributes.p;
	const char *end = attributes.len > 0 ? p + attributes.len : p;

	while (p < end) {
		size_t len = strnlen(p, (size_t)(end - p));
		const char *value = p + len + 1;
		size_t value_len = value < end ? strnlen(value, (size_t)(end - value)) : 0;

		if (span_eq(span_of(p, len), name))
			return span_of(value, value_len);
		p = value + value_len + 1;
	}
	return span_of(NULL, 0);
}
