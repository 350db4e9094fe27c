#include "shared/mqtt/topic.h"

bool
topic_is_valid(struct span topic)
{
	return topic.len > 0 && memchr(topic.p, '+', topic.len) == NULL &&
	    memchr(topic.p, '#', topic.len) == NULL;
}

/* 4.7.1 */
static bool
levels_are_valid(struct span f)
{
	for (size_t i = 0; i < f.len; i++) {
		if (f.p[i] != '+' && f.p[i] != '#')
			continue;
		if (i > 0 && f.p[i - 1] != '/')
			return false;
		if (f.p[i] == '#' ? i + 1 != f.len : i + 1 < f.len && f.p[i + 1] != '/')
			return false;
	}
	return f.len > 0;
}

static bool
begins(struct span s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.p, with, n) == 0;
}

bool
filter_is_valid(struct span filter)
{
	struct span name, inner;

	if (!begins(filter, "$share/"))
		return levels_are_valid(filter);
	return filter_share(filter, &name, &inner) && levels_are_valid(inner);
}

bool
filter_has_wildcard(struct span filter)
{
	return memchr(filter.p, '+', filter.len) != NULL ||
	    memchr(filter.p, '#', filter.len) != NULL;
}

unsigned
topic_levels(struct span s)
{
	unsigned n = 1;
	const uint8_t *p = s.p, *end = s.p + s.len;

	while (p < end && (p = memchr(p, '/', (size_t)(end - p))) != NULL) {
		p++;
		n++;
	}
	return n;
}

/* 4.8.2 */
bool
filter_share(struct span filter, struct span *name_out, struct span *filter_out)
{
	const uint8_t *slash;
	struct span rest, name;

	if (!begins(filter, "$share/"))
		return false;
	rest = span_of(filter.p + 7, filter.len - 7);
	slash = memchr(rest.p, '/', rest.len);
	if (slash == NULL)
		return false;
	name = span_of(rest.p, (size_t)(slash - rest.p));
	if (!topic_is_valid(name) || name.len + 1 >= rest.len)
		return false;
	*name_out = name;
	*filter_out = span_of(slash + 1, rest.len - name.len - 1);
	return true;
}

size_t
filter_write(struct span name, struct span filter, char *buf)
{
	size_t n = 0;

	if (name.len > 0) {
		memcpy(buf, "$share/", 7);
		memcpy(buf + 7, name.p, name.len);
		buf[7 + name.len] = '/';
		n = 8 + name.len;
	}
	memcpy(buf + n, filter.p, filter.len);
	return n + filter.len;
}

bool
topic_next_level(struct span s, size_t *at, struct span *out)
{
	const uint8_t *slash;

	if (*at > s.len)
		return false;
	slash = *at < s.len ? memchr(s.p + *at, '/', s.len - *at) : NULL;
	*out = span_of(s.p + *at, slash != NULL ? (size_t)(slash - s.p) - *at : s.len - *at);
	*at += out->len + 1;
	return true;
}

bool
topic_match(struct span filter, struct span topic)
{
	size_t f = 0, t = 0;
	struct span fl, tl;

	if (topic.len > 0 && topic.p[0] == '$' &&
	    (filter.p[0] == '+' || filter.p[0] == '#')) /* [MQTT-4.7.2-1] */
		return false;
	while (topic_next_level(filter, &f, &fl)) {
		if (fl.len == 1 && fl.p[0] == '#')
			return true;
		if (!topic_next_level(topic, &t, &tl))
			return false;
		if (!(fl.len == 1 && fl.p[0] == '+') && !span_eq(fl, tl))
			return false;
		/* "sport/#" matches "sport" too. */
		if (t > topic.len && f + 1 == filter.len && filter.p[f] == '#')
			return true;
	}
	return t > topic.len;
}

/* --- hashes ------------------------------------------------------------------------------ */

#define EXACT UINT64_C(0x9ae16a3b2f90404f) /* what tells shapes apart; any odd numbers do */
#define HASHED UINT64_C(0xc3a5c85c97cb3127)
#define PLUS UINT64_C(0xb492b66fbe98f273)

uint64_t
shape_pack(struct shape s)
{
	return UINT64_C(1) << 63 | (uint64_t)s.hash << 40 | (uint64_t)s.levels << 32 | s.plus;
}

struct shape
shape_unpack(uint64_t w)
{
	return (
	    struct shape){ .plus = (uint32_t)w, .levels = (uint8_t)(w >> 32), .hash = w >> 40 & 1 };
}

static uint64_t
level_part(uint64_t hash, unsigned i)
{
	return hash_mix(hash + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static uint64_t
shape_part(struct shape s)
{
	return hash_mix(s.levels * (s.hash ? HASHED : EXACT) + s.plus * PLUS);
}

static uint64_t
finish(uint64_t sum)
{
	return sum > 1 ? sum : sum + 2; /* 0 and 1 mean empty and deleted in tables */
}

void
topic_hash(const struct hash_key *key, struct span topic, struct topic_hash *out)
{
	struct span level;
	size_t at = 0;
	unsigned n = 0;

	out->dollar = topic.len > 0 && topic.p[0] == '$';
	out->sum[0] = 0;
	while (topic_next_level(topic, &at, &level)) {
		if (n < TOPIC_LEVELS) {
			uint64_t hash = hash_bytes(key, level);

			if (n == 0)
				out->first = hash;
			out->part[n] = level_part(hash, n);
			out->sum[n + 1] = out->sum[n] + out->part[n];
		}
		n++;
	}
	out->levels = n;
}

bool
shape_fits(struct shape s, const struct topic_hash *t)
{
	if (t->dollar && ((s.plus & 1) || (s.hash && s.levels == 0)))
		return false;
	return s.hash ? t->levels >= s.levels : t->levels == s.levels;
}

uint64_t
shape_hash(struct shape s, const struct topic_hash *t)
{
	uint64_t sum = t->sum[s.levels];

	for (uint32_t plus = s.plus; plus != 0; plus &= plus - 1)
		sum -= t->part[__builtin_ctz(plus)];
	return finish(sum + shape_part(s));
}

bool
filter_hash(const struct hash_key *key, struct span filter, struct shape *shape_out,
    uint64_t *hash_out, uint64_t *first_out)
{
	struct shape s = { 0 };
	uint64_t sum = 0, first = 0;
	struct span level;
	size_t at = 0;
	unsigned n = 0;
	bool deep = false;

	while (topic_next_level(filter, &at, &level)) {
		if (level.len == 1 && level.p[0] == '#') {
			s.hash = true;
			break;
		}
		if (n == TOPIC_LEVELS) {
			deep = true;
			break;
		}
		if (level.len == 1 && level.p[0] == '+') {
			s.plus |= UINT32_C(1) << n;
		} else {
			uint64_t hash = hash_bytes(key, level);

			if (n == 0)
				first = hash;
			sum += level_part(hash, n);
		}
		n++;
	}
	*first_out = first;
	if (deep)
		return false;
	s.levels = (uint8_t)n;
	*shape_out = s;
	*hash_out = finish(sum + shape_part(s));
	return true;
}
