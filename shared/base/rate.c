#include "shared/base/rate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint64_t bytes;
} units[] = { { "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 } };

/* Digits only: strtoull takes signs and blanks. Too many of them are UINT64_MAX. */
static bool
take_number(const char **text, uint64_t *out)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*out = strtoull(*text, &end, 10);
	*text = end;
	return true;
}

static void
take_unit(const char **text, uint64_t *amount)
{
	const char *unit = *text + strspn(*text, " ");

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncmp(unit, units[i].name, 3) == 0) {
			*amount = *amount > UINT64_MAX / units[i].bytes ? UINT64_MAX
									: *amount * units[i].bytes;
			*text = unit + 3;
			return;
		}
}

static int
wrong(char why[256], const char *text, const char *what)
{
	snprintf(why, 256, "\"%.60s\": %s", text, what);
	return -EINVAL;
}

int
rate_parse(
    const char *text, enum rate_unit unit, uint64_t amount_max, struct rate *out, char why[256])
{
	const char *p = text;
	struct rate r = { 0 };

	if (strcmp(text, "none") == 0 || strcmp(text, "default") == 0) {
		r.inherits = text[0] == 'd';
		*out = r;
		return 0;
	}
	do {
		struct rate_window w;

		p += strspn(p, " ");
		if (!take_number(&p, &w.amount))
			goto no_windows;
		if (unit == RATE_BYTES)
			take_unit(&p, &w.amount);
		if (*p++ != ':' || !take_number(&p, &w.seconds))
			goto no_windows;
		p += strspn(p, " ");
		if (*p != ',' && *p != '\0')
			goto no_windows;
		if (w.amount < 1 || w.amount > amount_max) {
			snprintf(why, 256, "\"%.60s\": an amount must be 1 to %" PRIu64, text,
			    amount_max);
			return -EINVAL;
		}
		if (w.seconds < 1 || w.seconds > RATE_SECONDS_MAX)
			return wrong(why, text, "a window must have 1 to 86400 seconds");
		if (r.n == RATE_WINDOWS)
			return wrong(why, text, "more than 4 windows");
		for (uint32_t i = 0; i < r.n; i++)
			if (r.window[i].seconds == w.seconds)
				return wrong(why, text, "two windows have the same seconds");
		r.window[r.n++] = w;
	} while (*p++ == ',');
	*out = r;
	return 0;
no_windows:
	return wrong(why, text,
	    unit == RATE_BYTES ? "must be none, or as \"1 MiB:1,20 MiB:60\": bytes and seconds"
			       : "must be none, or as \"10:1,300:60\": 10 in 1 second, 300 in 60");
}

static void
amount_text(uint64_t amount, enum rate_unit unit, char out[24])
{
	for (size_t i = 0; unit == RATE_BYTES && i < sizeof(units) / sizeof(units[0]); i++)
		if (amount % units[i].bytes == 0) {
			snprintf(out, 24, "%" PRIu64 " %s", amount / units[i].bytes, units[i].name);
			return;
		}
	snprintf(out, 24, "%" PRIu64, amount);
}

void
rate_text(const struct rate *r, enum rate_unit unit, char out[RATE_TEXT_MAX])
{
	char amount[24];
	int n = 0;

	if (r->n == 0)
		snprintf(out, RATE_TEXT_MAX, "%s", r->inherits ? "default" : "none");
	for (uint32_t i = 0; i < r->n; i++) {
		amount_text(r->window[i].amount, unit, amount);
		n += snprintf(out + n, RATE_TEXT_MAX - (size_t)n, "%s%s:%" PRIu64, i > 0 ? "," : "",
		    amount, r->window[i].seconds);
	}
}

bool
rate_is_valid(const struct rate *r, uint64_t amount_max)
{
	if (r->n > RATE_WINDOWS)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->window[i].amount < 1 || r->window[i].amount > amount_max ||
		    r->window[i].seconds < 1 || r->window[i].seconds > RATE_SECONDS_MAX)
			return false;
	return true;
}

bool
rate_eq(const struct rate *a, const struct rate *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- buckets ------------------------------------------------------------------------------ */

static uint64_t
window_ms(const struct rate *r, uint32_t i)
{
	return r->window[i].seconds * 1000;
}

/* What has come back since it was looked at last. */
static void
age(struct bucket *b, const struct rate *r, uint64_t now_ms)
{
	uint64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	if (passed == 0)
		return;
	b->at_ms = now_ms;
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t amount = r->window[i].amount;

		b->spent[i] = passed > b->spent[i] / amount ? 0 : b->spent[i] - passed * amount;
	}
}

uint64_t
bucket_wait_ms(struct bucket *b, const struct rate *r, uint64_t now_ms)
{
	uint64_t wait = 0;

	age(b, r, now_ms);
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t amount = r->window[i].amount, may = (amount - 1) * window_ms(r, i), ms;

		if (b->spent[i] <= may)
			continue;
		ms = (b->spent[i] - may) / amount + ((b->spent[i] - may) % amount != 0);
		wait = ms > wait ? ms : wait;
	}
	return wait;
}

uint64_t
bucket_room(struct bucket *b, const struct rate *r, uint64_t now_ms)
{
	uint64_t room = UINT64_MAX;

	age(b, r, now_ms);
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t all = r->window[i].amount * window_ms(r, i), here;

		here = b->spent[i] < all ? (all - b->spent[i]) / window_ms(r, i) : 0;
		room = here < room ? here : room;
	}
	return room;
}

void
bucket_take(struct bucket *b, const struct rate *r, uint64_t amount)
{
	if (amount > RATE_AMOUNT_MAX)
		amount = RATE_AMOUNT_MAX;
	for (uint32_t i = 0; i < r->n; i++) {
		uint64_t cost = amount * window_ms(r, i);

		b->spent[i] = b->spent[i] > UINT64_MAX - cost ? UINT64_MAX : b->spent[i] + cost;
	}
}

bool
bucket_is_full(struct bucket *b, const struct rate *r, uint64_t now_ms)
{
	age(b, r, now_ms);
	for (uint32_t i = 0; i < r->n; i++)
		if (b->spent[i] > 0)
			return false;
	return true;
}
