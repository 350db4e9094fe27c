#include "worker/auth/found.h"

static bool
add_group(struct found *f, const json_t *group)
{
	size_t len = json_string_length(group), at = f->groups_len;

	if (!json_is_string(group) || len == 0 || f->ngroups == FOUND_GROUPS ||
	    at + 1 + len > sizeof(f->groups) || strchr(json_string_value(group), ',') != NULL)
		return false;
	if (at > 0)
		f->groups[at++] = ',';
	memcpy(f->groups + at, json_string_value(group), len);
	f->groups_len = at + len;
	f->ngroups++;
	return true;
}

bool
found_groups(struct found *f, const json_t *groups)
{
	const json_t *g;
	size_t i;

	if (groups == NULL || json_is_null(groups))
		return true;
	if (!json_is_array(groups))
		return add_group(f, groups);
	json_array_foreach(groups, i, g)
		if (!add_group(f, g))
			return false;
	return true;
}

static bool
add_text(struct found *f, const char *text)
{
	size_t len = strlen(text) + 1;

	if (len > sizeof(f->attributes) - f->attributes_len)
		return false;
	memcpy(f->attributes + f->attributes_len, text, len);
	f->attributes_len += len;
	return true;
}

bool
found_attribute(struct found *f, const char *name, const json_t *value)
{
	char number[32];
	const char *text = number;

	if (json_is_string(value))
		text = json_string_value(value);
	else if (json_is_integer(value))
		snprintf(
		    number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(number, sizeof(number), "%.17g", json_real_value(value));
	else if (json_is_boolean(value))
		text = json_is_true(value) ? "true" : "false";
	else
		return true;
	return name[0] != '\0' && add_text(f, name) && add_text(f, text);
}

void
found_tell(const struct found *f, struct login *l)
{
	l->found.groups = span_of(f->groups, f->groups_len);
	l->found.attributes = span_of(f->attributes, f->attributes_len);
}
