#include "shared/conf/pairs.h"

#include <errno.h>

static struct span
trim(struct span s)
{
	while (s.len > 0 && *s.p == ' ') {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && s.p[s.len - 1] == ' ')
		s.len--;
	return s;
}

int
pairs_next(struct span *rest, struct span *name, struct span *value)
{
	struct span one = trim(*rest);
	const uint8_t *comma, *eq;

	if (one.len == 0)
		return 0;
	comma = memchr(one.p, ',', one.len);
	*rest = span_of(one.p + one.len, 0);
	if (comma != NULL) {
		*rest = span_of(comma + 1, (size_t)(one.p + one.len - comma - 1));
		one = trim(span_of(one.p, (size_t)(comma - one.p)));
	}
	eq = one.len > 0 ? memchr(one.p, '=', one.len) : NULL;
	*value = span_of(NULL, 0);
	if (eq != NULL) {
		*value = trim(span_of(eq + 1, (size_t)(one.p + one.len - eq - 1)));
		one = trim(span_of(one.p, (size_t)(eq - one.p)));
	}
	*name = one;
	return one.len > 0 ? 1 : -EINVAL;
}

bool
pattern_is_valid(struct span text, const char *letters)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '%')
			continue;
		if (++i == text.len || (text.p[i] != '%' && strchr(letters, text.p[i]) == NULL))
			return false;
	}
	return true;
}

bool
pairs_are_valid(const char *text, const char *letters)
{
	struct span rest = span_str(text), name, value;
	int got;

	while ((got = pairs_next(&rest, &name, &value)) == 1)
		if ((value.p != NULL) != (letters != NULL) ||
		    (letters != NULL && !pattern_is_valid(value, letters)))
			return false;
	return got == 0;
}
