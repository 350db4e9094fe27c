#include "shared/conf/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define T_NOW CONF_NOW
#define T_NEW CONF_NEW
#define T_RESTART CONF_RESTART

/* A default is a number or a string: the type tells which. */
#define NUM_BOOL(d) (d), ""
#define NUM_UINT(d) (d), ""
#define NUM_SIZE(d) (d), ""
#define NUM_SECONDS(d) (d), ""
#define NUM_STRING(d) 0, (d)
#define NUM_LOG_TARGET(d) (d), ""
#define NUM_LOG_LEVEL(d) (d), ""
#define NUM_DROP(d) (d), ""
#define NUM_SHARE(d) (d), ""
#define NUM_TRANSPORT(d) (d), ""
#define NUM_CLIENT_CERTIFICATE(d) (d), ""
#define NUM_CERTIFICATE_USER(d) (d), ""
#define NUM_TLS_VERSION(d) (d), ""
#define NUM_DURABILITY(d) (d), ""
#define NUM_LISTENER_DURABILITY(d) (d), ""
#define NUM_DAMAGE(d) (d), ""
#define NUM_ACL_FORMAT(d) (d), ""
#define NUM_ACL_DEFAULT(d) (d), ""
#define NUM_RATE(d) 0, (d)
#define NUM_BYTE_RATE(d) 0, (d)
#define NUM_RATE_ACTION(d) (d), ""
#define NUM_LISTENER_RATE_ACTION(d) (d), ""
#define NUM_JWT_FROM(d) (d), ""
#define NUM_HTTP_METHOD(d) (d), ""
#define NUM_HTTP_BODY(d) (d), ""
#define NUM_HTTP_DENIED(d) (d), ""
#define NUM_HTTP_UNAVAILABLE(d) (d), ""

const struct conf_key conf_keys[] = {
#define K(n, type, d, lo, hi, w, h)                                                                \
	{ #n, CONF_##type, offsetof(struct conf, n), NUM_##type(d), lo, hi, T_##w, h },
#include "shared/conf/keys.def"
};

const struct conf_key conf_listener_keys[] = {
#define L(n, type, d, lo, hi, w, h)                                                                \
	{ #n, CONF_##type, offsetof(struct conf_listener, n), NUM_##type(d), lo, hi, T_##w, h },
#include "shared/conf/keys.def"
};

const size_t conf_nkeys = sizeof(conf_keys) / sizeof(conf_keys[0]);
const size_t conf_nlistener_keys = sizeof(conf_listener_keys) / sizeof(conf_listener_keys[0]);

static const struct {
	enum conf_type type;
	const char *name;
} choices[] = {
#define C(list, n) { CONF_##list, #n },
#include "shared/conf/keys.def"
};

const char *
conf_choice(enum conf_type type, unsigned i)
{
	for (size_t k = 0; k < sizeof(choices) / sizeof(choices[0]); k++)
		if (choices[k].type == type && i-- == 0)
			return choices[k].name;
	return NULL;
}

void
conf_key_says(const struct conf_key *k, char out[CONF_SAYS_MAX])
{
	static const char *const when[] = {
		[CONF_NOW] = "A reload applies it at once.",
		[CONF_NEW] = "A reload applies it to new connections.",
		[CONF_RESTART] = "Applied after a restart.",
	};
	size_t room = CONF_SAYS_MAX;
	int n = snprintf(out, room, "%s", k->help);

	if (k->type == CONF_UINT)
		n += snprintf(
		    out + n, room - (size_t)n, " %" PRIu64 " to %" PRIu64 ".", k->min, k->max);
	for (unsigned i = 0; k->type >= CONF_LOG_TARGET && conf_choice(k->type, i) != NULL; i++)
		n += snprintf(out + n, room - (size_t)n, "%s%s",
		    i > 0 ? ", " : " One of: ", conf_choice(k->type, i));
	if (k->type >= CONF_LOG_TARGET)
		n += snprintf(out + n, room - (size_t)n, ".");
	snprintf(out + n, room - (size_t)n, " %s", when[k->when]);
}

const struct conf_key *
conf_key_find(const struct conf_key *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

/* Edit distance of two names, both short. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t n = strlen(b);

	if (strlen(a) >= 64 || n >= 63)
		return 64;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned change = corner + (a[i - 1] != b[j - 1]), best = row[j] + 1;

			corner = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = change < best ? change : best;
		}
	}
	return row[n];
}

const char *
conf_suggest(const struct conf_key *keys, size_t n, const char *name)
{
	unsigned best = 64;
	const char *out = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(name, keys[i].name);

		if (d < best) {
			best = d;
			out = keys[i].name;
		}
	}
	return best <= 2 + strlen(name) / 4 ? out : NULL;
}

uint64_t
conf_get(const void *base, const struct conf_key *k)
{
	const uint8_t *p = (const uint8_t *)base + k->offset;
	uint32_t u32;
	uint64_t u64;

	switch (k->type) {
	case CONF_UINT:
	case CONF_SECONDS:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	case CONF_SIZE:
		memcpy(&u64, p, sizeof(u64));
		return u64;
	default: /* bool and choices are bytes */
		return *p;
	}
}

const struct rate *
conf_get_rate(const void *base, const struct conf_key *k)
{
	return (const void *)((const uint8_t *)base + k->offset);
}

static enum rate_unit
unit_of(const struct conf_key *k)
{
	return k->type == CONF_BYTE_RATE ? RATE_BYTES : RATE_THINGS;
}

static void
put(void *base, const struct conf_key *k, uint64_t v)
{
	uint8_t *p = (uint8_t *)base + k->offset;
	uint32_t u32 = (uint32_t)v;

	switch (k->type) {
	case CONF_UINT:
	case CONF_SECONDS:
		memcpy(p, &u32, sizeof(u32));
		break;
	case CONF_SIZE:
		memcpy(p, &v, sizeof(v));
		break;
	default:
		*p = (uint8_t)v;
	}
}

static int
set_string(void *base, const struct conf_key *k, const char *text, char why[256])
{
	struct conf_string *s = (void *)((uint8_t *)base + k->offset);
	size_t len = strlen(text);

	if (len < k->min || len > k->max) {
		snprintf(why, 256, "%zu characters; must have %" PRIu64 " to %" PRIu64, len, k->min,
		    k->max);
		return -EINVAL;
	}
	for (const char *p = text; *p != '\0'; p++)
		if ((uint8_t)*p < ' ' || *p == 0x7f) {
			snprintf(why, 256, "has a control character");
			return -EINVAL;
		}
	memset(s, 0, sizeof(*s));
	memcpy(s->s, text, len);
	return 0;
}

/* Where there is nothing else that it could be, "default" is no rate. */
static int
set_rate(void *base, const struct conf_key *k, const char *text, char why[256])
{
	struct rate r;

	if (rate_parse(text, unit_of(k), k->max, &r, why) != 0)
		return -EINVAL;
	if (r.inherits && strcmp(k->text, text) != 0) {
		snprintf(why, 256, "\"default\" is for listeners only");
		return -EINVAL;
	}
	memcpy((uint8_t *)base + k->offset, &r, sizeof(r));
	return 0;
}

/* "64 KiB", "10m", "never", "auto". */
static int
parse_number(const struct conf_key *k, const char *text, uint64_t *out, char why[256])
{
	static const struct {
		enum conf_type type;
		const char *unit;
		uint64_t by;
	} units[] = {
		{ CONF_SIZE, "KiB", 1024 },
		{ CONF_SIZE, "MiB", 1048576 },
		{ CONF_SIZE, "GiB", 1073741824 },
		{ CONF_SECONDS, "s", 1 },
		{ CONF_SECONDS, "m", 60 },
		{ CONF_SECONDS, "h", 3600 },
		{ CONF_SECONDS, "d", 86400 },
	};
	unsigned long long n;
	char *end;

	if (k->type == CONF_SECONDS && k->max == UINT32_MAX && strcmp(text, "never") == 0) {
		*out = UINT32_MAX;
		return 0;
	}
	if (strcmp(k->name, "workers") == 0 && strcmp(text, "auto") == 0) {
		*out = 0;
		return 0;
	}
	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0) /* strtoull takes signs and blanks */
		goto bad;
	while (*end == ' ')
		end++;
	if (*end == '\0') {
		*out = n;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].type == k->type && strcmp(end, units[i].unit) == 0) {
			if (n > UINT64_MAX / units[i].by)
				goto bad;
			*out = n * units[i].by;
			return 0;
		}
bad:
	snprintf(why, 256, "\"%.60s\" is no %s", text,
	    k->type == CONF_SIZE          ? "size (a number, or one with KiB, MiB or GiB)"
		: k->type == CONF_SECONDS ? "time (a number of seconds, or one with s, m, h or d)"
		: strcmp(k->name, "workers") == 0 ? "number, nor auto"
						  : "number");
	return -EINVAL;
}

static int
parse_choice(const struct conf_key *k, const char *text, uint64_t *out, char why[256])
{
	const char *name;
	int n = snprintf(why, 256, "\"%.60s\" is none of", text);

	for (unsigned i = 0; (name = conf_choice(k->type, i)) != NULL; i++) {
		if (strcmp(name, text) == 0) {
			*out = i;
			return 0;
		}
		n += snprintf(why + n, 256 - (size_t)n, "%s %s", i > 0 ? "," : "", name);
	}
	return -EINVAL;
}

int
conf_set(void *base, const struct conf_key *k, const char *text, uint64_t num, char why[256])
{
	int err = 0;

	if (k->type >= CONF_STRING && k->type <= CONF_BYTE_RATE) {
		if (text != NULL)
			return k->type == CONF_STRING ? set_string(base, k, text, why)
						      : set_rate(base, k, text, why);
		snprintf(why, 256, "must be a string");
		return -EINVAL;
	}
	if (k->type == CONF_BOOL && text != NULL) {
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
			snprintf(why, 256, "\"%.60s\" is neither true nor false", text);
			return -EINVAL;
		}
		num = strcmp(text, "true") == 0;
	} else if (k->type >= CONF_LOG_TARGET) {
		if (text == NULL) {
			snprintf(why, 256, "must be a string");
			return -EINVAL;
		}
		err = parse_choice(k, text, &num, why);
	} else if (text != NULL) {
		err = parse_number(k, text, &num, why);
	}
	if (err != 0)
		return err;
	if (k->type < CONF_STRING && (num < k->min || num > k->max)) {
		snprintf(why, 256, "%" PRIu64 " is %s than %" PRIu64, num,
		    num < k->min ? "less" : "more", num < k->min ? k->min : k->max);
		return -EINVAL;
	}
	put(base, k, num);
	return 0;
}

int
conf_seconds(const char *text, uint32_t *out, char why[256])
{
	static const struct conf_key k = {
		.name = "", .type = CONF_SECONDS, .min = 1, .max = 3153600000
	};

	return conf_set(out, &k, text, 0, why);
}

static void
quote(const char *s, char *buf, size_t room)
{
	size_t n = 0;

	buf[n++] = '"';
	for (; *s != '\0' && n + 3 < room; s++) {
		if (*s == '"' || *s == '\\')
			buf[n++] = '\\';
		buf[n++] = *s;
	}
	buf[n++] = '"';
	buf[n] = '\0';
}

void
conf_value_text(const void *base, const struct conf_key *k, char *buf, size_t room)
{
	bool is_rate = k->type == CONF_RATE || k->type == CONF_BYTE_RATE;
	uint64_t v = k->type == CONF_STRING || is_rate ? 0 : conf_get(base, k);
	char rate[RATE_TEXT_MAX];

	if (is_rate) {
		rate_text(conf_get_rate(base, k), unit_of(k), rate);
		snprintf(buf, room, "\"%s\"", rate);
		return;
	}
	if (k->type == CONF_STRING)
		quote(
		    ((const struct conf_string *)(const void *)((const uint8_t *)base + k->offset))
			->s,
		    buf, room);
	else if (k->type == CONF_BOOL)
		snprintf(buf, room, v ? "true" : "false");
	else if (k->type >= CONF_LOG_TARGET)
		snprintf(buf, room, "\"%s\"", conf_choice(k->type, (unsigned)v));
	else if (strcmp(k->name, "workers") == 0 && v == 0)
		snprintf(buf, room, "\"auto\"");
	else if (k->type == CONF_SECONDS && v == UINT32_MAX)
		snprintf(buf, room, "\"never\"");
	else if (k->type == CONF_SIZE && v >= 1073741824 && v % 1073741824 == 0)
		snprintf(buf, room, "\"%" PRIu64 " GiB\"", v / 1073741824);
	else if (k->type == CONF_SIZE && v >= 1048576 && v % 1048576 == 0)
		snprintf(buf, room, "\"%" PRIu64 " MiB\"", v / 1048576);
	else if (k->type == CONF_SIZE && v >= 1024 && v % 1024 == 0)
		snprintf(buf, room, "\"%" PRIu64 " KiB\"", v / 1024);
	else
		snprintf(buf, room, "%" PRIu64 "%s", v, v > INT32_MAX ? "L" : "");
}
